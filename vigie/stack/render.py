"""Asterisk's configuration as text, from settings, secrets and what the site file says of trunks and phones.

Pure but for reading the templates: the same arguments give the same texts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oncall.manner import FromUser, Identity, NumberIn
from oncall.policy import CONFIRM_SECONDS
from oncall.standing import LEAST_HUNT_SECONDS
from vigie.addresses import ARI_USER
from vigie.errors import StackError
from vigie.secrets import Secrets
from vigie.settings import Settings, SocketAddress

PROJECT = Path(__file__).parents[2]
TEMPLATES = (PROJECT / "asterisk-conf", PROJECT / "dialplan")


@dataclass(frozen=True, slots=True)
class TrunkAccount:
    """How one carrier is reached; with a ``username`` we register there."""

    slug: str
    host: str
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    addresses: tuple[str, ...] = ()
    """From which calls come besides, and networks of them."""
    resolved: tuple[SocketAddress, ...] = ()
    """Where ``host`` is, the preferred address first."""
    number: str | None = None
    """Which number is meant by calls that name none."""
    number_in: NumberIn | None = None
    from_user: FromUser = FromUser.NUMBER
    identity: Identity = Identity.CALLER

    @property
    def domain(self) -> str:
        """The carrier as SIP URIs name it."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def proxy(self) -> SocketAddress | None:
        """Where to send what is for a carrier that is known by its name; Asterisk need not look it up then."""
        return self.resolved[0] if self.resolved and self.resolved[0].host != self.host else None

    @property
    def sources(self) -> tuple[str, ...]:
        """From where its calls come."""
        return tuple(dict.fromkeys([*(address.host for address in self.resolved), *self.addresses]))

    @property
    def asserts_caller(self) -> bool:
        """Whether the number shown is asserted (RFC 3325); else the line's is."""
        return self.identity in (Identity.CALLER, Identity.LINE)


def render(
    settings: Settings, secrets: Secrets, trunks: Sequence[TrunkAccount], phones: Collection[str]
) -> dict[str, str]:
    """Each configuration file's name and text; ``phones`` are the SIP user names that may register.

    Raises StackError when a value would spill over into another line of the file.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # Asterisk's own syntax, guarded by _one_line
    )
    values = {
        "settings": settings,
        "secrets": secrets,
        "ari_user": ARI_USER,
        "confirm_seconds": CONFIRM_SECONDS,
        "least_seconds": LEAST_HUNT_SECONDS,
        "music": music_directory(settings),
        "trunks": trunks,
        "phones": sorted(phones),
    }
    return {name: environment.get_template(name).render(values) for name in environment.list_templates()}


def music_directory(settings: Settings) -> Path:
    """Where the sound files of the music on hold are."""
    return settings.state_dir / "sounds" / "music"


def required_modules(config: dict[str, str]) -> tuple[str, ...]:
    """The modules that a rendered modules.conf loads."""
    lines = config["modules.conf"].splitlines()
    return tuple(line.removeprefix("load = ") for line in lines if line.startswith("load = "))


def _one_line(value: object) -> str:
    text = str(value)
    if not text.isprintable():
        raise StackError(f"{text!r} cannot be written into Asterisk's configuration.", "Correct it in the site file.")
    return text.replace(";", "\\;")
