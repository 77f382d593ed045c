"""The routing table on disk, signed: what calls are routed by while PostgreSQL is away.

A file is four parts: a line that names the format and its version, a line with the time of writing and the length of
the table, the table, and a line with the HMAC-SHA256 of all before. The one before it is kept beside it.
"""

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from db.errors import (
    SnapshotError,
    SnapshotMissing,
    SnapshotNotWritten,
    SnapshotTampered,
    SnapshotTruncated,
    SnapshotUnreadable,
    SnapshotVersion,
)
from oncall.errors import BadTable
from oncall.routing import RoutingTable
from oncall.span import utc

log = logging.getLogger(__name__)

VERSION: Final = 1
_TITLE: Final = b"vigie routing snapshot "
_WRITTEN_ANEW: Final = "A worker that reaches the database writes it anew within a minute."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table and when it was read from the database; ``refused`` says why a newer file was not used."""

    table: RoutingTable
    written_at: datetime
    refused: SnapshotError | None = None


class SnapshotStore:
    """The snapshots in ``directory``, signed with ``key``. Any number of processes may write and read at once."""

    def __init__(self, directory: Path, key: str) -> None:
        self.newest = directory / "snapshot"
        self.previous = directory / "snapshot.previous"
        self._key = key.encode()

    def write(self, table: RoutingTable, at: datetime) -> None:
        """Puts ``table``, as read from the database ``at``, in the place of the newest, which becomes the previous one.

        Raises SnapshotNotWritten; then both are as they were. Blocks for a write to the disk.
        """
        content = _packed([*table.encoded()], utc(at), self._key)
        draft = self.newest.with_name(f".snapshot.{os.getpid()}")
        try:
            self.newest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_through(draft, content)
            self._keep_newest()
            draft.replace(self.newest)
            _sync(self.newest.parent)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise SnapshotNotWritten(
                f"The snapshot of the routing table cannot be written to {self.newest}: {error.strerror}. "
                "Make room there, or give the directory back to the user who runs Vigie."
            ) from error

    def read(self) -> Snapshot:
        """The newest snapshot, or the previous one when that is refused (the log says why).

        Raises SnapshotError, the newest's, when neither can be used.
        """
        try:
            return self._read(self.newest)
        except SnapshotError as error:
            try:
                previous = self._read(self.previous)
            except SnapshotError:
                raise error from None
            log.warning("%s The previous one, of %s, is used.", error, previous.written_at.isoformat())
            return Snapshot(previous.table, previous.written_at, refused=error)

    def _keep_newest(self) -> None:
        """Makes the newest the previous one, unless it is one that nobody could use."""
        try:
            _unpacked(self.newest, self._key)
        except SnapshotError:
            return
        link = self.previous.with_name(f".previous.{os.getpid()}")
        link.unlink(missing_ok=True)
        link.hardlink_to(self.newest)
        link.replace(self.previous)
        link.unlink(missing_ok=True)  # when another process kept the very same file, the line above did nothing

    def _read(self, path: Path) -> Snapshot:
        table, written_at = _unpacked(path, self._key)
        try:
            return Snapshot(RoutingTable.from_bytes(table), written_at)
        except BadTable as error:
            raise SnapshotVersion(
                f"The snapshot {path} was made by another version of Vigie: {error}. {_WRITTEN_ANEW}"
            ) from error


def _packed(table: Sequence[bytes], at: datetime, key: bytes) -> list[bytes]:
    """The file, in pieces: to put megabytes together takes its time, in which all other threads stand still."""
    header = b"%s%d\n%s %d\n" % (_TITLE, VERSION, at.isoformat().encode(), sum(map(len, table)))
    signed = [header, *table, b"\n"]
    return [*signed, _signature(signed, key), b"\n"]


def _unpacked(path: Path, key: bytes) -> tuple[memoryview, datetime]:
    """The table in a file, as bytes, and when it was written; raises the SnapshotError that says what is wrong."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SnapshotMissing(f"There is no snapshot {path}. {_WRITTEN_ANEW}") from None
    except OSError as error:
        raise SnapshotUnreadable(
            f"The snapshot {path} cannot be read: {error.strerror}. It must belong to the user who runs Vigie."
        ) from error
    title = re.match(rb"%s(\d{1,9})\n" % _TITLE, content)
    if title is not None and int(title[1]) > VERSION:
        raise SnapshotVersion(
            f"The snapshot {path} is of version {int(title[1])}, made by a newer Vigie than this one, which reads "
            f"version {VERSION}. Upgrade this Vigie, or remove the file."
        )
    header = re.match(rb"%s%d\n(\S{1,40}) (\d{1,12})\n" % (_TITLE, VERSION), content)
    if header is None:
        if _is_beginning(content):
            raise _truncated(path)
        raise _tampered(path)
    end = header.end() + int(header[2]) + 1
    if len(content) < end + 65:
        raise _truncated(path)
    view = memoryview(content)
    if not hmac.compare_digest(content[end:], _signature([view[:end]], key) + b"\n"):
        raise _tampered(path)
    return view[header.end() : end - 1], datetime.fromisoformat(header[1].decode())


def _is_beginning(content: bytes) -> bool:
    """Whether a file without a whole header looks like the first bytes of a snapshot."""
    title = b"%s%d\n" % (_TITLE, VERSION)
    return title.startswith(content) or (content.startswith(title) and b"\n" not in content[len(title) :])


def _signature(signed: Iterable[bytes | memoryview], key: bytes) -> bytes:
    code = hmac.new(key, digestmod=hashlib.sha256)
    for piece in signed:
        code.update(piece)
    return code.hexdigest().encode()


def _truncated(path: Path) -> SnapshotTruncated:
    return SnapshotTruncated(f"The snapshot {path} is not whole: its end is missing. {_WRITTEN_ANEW}")


def _tampered(path: Path) -> SnapshotTampered:
    return SnapshotTampered(
        f"The snapshot {path} is refused: it was changed after it was written, or signed with another secret key. "
        f"Find out who can write there. {_WRITTEN_ANEW}"
    )


def _write_through(path: Path, content: Iterable[bytes]) -> None:
    """Writes a file, for our user alone, that is on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    """Has the directory's names on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
