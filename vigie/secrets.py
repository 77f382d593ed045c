"""The one secret of an installation, and the passwords that derive from it.

Nothing but the key is stored: whoever has it can say any password again, and changing it changes them all.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from vigie.errors import SettingsError
from vigie.settings import Settings

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    key: str = field(repr=False)

    def derive(self, purpose: str) -> str:
        """A password of 120 bits for one purpose, in letters and digits that are easy to type on a phone."""
        digest = hmac.digest(self.key.encode(), purpose.encode(), hashlib.sha256)
        return base64.b32encode(digest[:15]).decode().lower()

    @property
    def ari_password(self) -> str:
        return self.derive("ari")

    @property
    def agi_password(self) -> str:
        """What Asterisk says to the AGI server, so that nobody else on this machine is served."""
        return self.derive("agi")

    @property
    def snapshot_key(self) -> str:
        """With which the routing table on disk is signed."""
        return self.derive("snapshot")

    def sip_password(self, user: str) -> str:
        """The password with which the SIP phone ``user`` registers."""
        return self.derive(f"sip:{user}")


def load_secrets(settings: Settings) -> Secrets:
    """The installation's secrets; the key is made on first use and kept in the state directory."""
    if settings.secret_key is not None:
        return Secrets(settings.secret_key)
    path = settings.state_dir / "secrets.json"
    try:
        _make_key(path)
        key = json.loads(path.read_text())["key"]
        if not isinstance(key, str):
            raise TypeError("the key is not a text")
        return Secrets(key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"The secret key in {path} cannot be read: {error}.",
            "Put a copy of it back, or remove it to have a new key: all phones then need new passwords.",
        ) from error


def _make_key(path: Path) -> None:
    """Creates the file whole or not at all, and never over one that another process made meanwhile."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secrets.")  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump({"key": secrets.token_urlsafe(KEY_BYTES)}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
