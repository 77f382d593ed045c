"""Receipts: which messages a server has taken charge of while their rows do not say so yet, on disk.

Between a server's word and the row that records it, the database may go away and this process may be killed; without
a receipt the message would then be sent again. One empty file for each message, named by its key: nothing can be half
written, and several processes may share a directory.

What no receipt can tell: a message that was handed over whole, and the connection cut before the server's word. It may
have been taken or not, so it is sent again, under the same Message-ID, by which the server or the reader's program can
know it (RFC 5322, 3.6.4). Deliver twice rather than never.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

log = logging.getLogger(__name__)


class Receipts:
    """Those of one directory, which is made when it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: set[UUID] = set()

    def keep(self, key: UUID) -> None:
        """Returns once the receipt is on disk, or at least in memory: a full disk must not stop the mail."""
        self._held.add(key)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._directory / str(key)).touch(mode=0o600)
            _sync(self._directory)
        except OSError as error:
            log.warning("that message %s was sent is only in memory: %s", key, error)

    def all(self) -> set[UUID]:
        """The keys of all messages whose rows are still to be marked as sent, by whichever process they were sent."""
        try:
            on_disk = {_key(file.name) for file in self._directory.iterdir()}
        except FileNotFoundError:
            on_disk = set()
        except OSError as error:
            log.warning("whether messages were sent that are not marked so cannot be read: %s", error)
            on_disk = set()
        return self._held.union(key for key in on_disk if key is not None)

    def drop(self, key: UUID) -> None:
        """Forgets a receipt once its row says the same."""
        self._held.discard(key)
        with suppress(OSError):  # then its row is marked again next time
            (self._directory / str(key)).unlink(missing_ok=True)


def _key(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
