"""How much of the calls' history waits on disk, for whoever looks after the system."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from db.segment import ASIDE, HEAD, SPOOL, TITLE, WAITING

_TIME: Final = re.compile(rb'"(?:at|started_at|answered_at|ended_at)":"([^"]{20,40})"')


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many records are not in the database (yet), and of when the oldest is; ``aside`` says which never will be."""

    waiting: int
    since: datetime | None
    aside: tuple[Path, ...]
    newer: tuple[Path, ...]
    """Files of another version of Vigie, which we cannot read."""


def read_backlog(directory: Path) -> Backlog:
    """What the spool directory holds. Raises OSError."""
    paths = _files(directory, SPOOL, WAITING)
    return Backlog(
        waiting=sum(_count(path) for path in paths),
        since=_oldest(paths),
        aside=tuple(_files(directory, ASIDE)),
        newer=tuple(path for path in paths if _is_newer(path)),
    )


def unwritten_since(directory: Path) -> datetime | None:
    """When the oldest happened that nobody has tried to write; None when all was tried. Raises OSError."""
    return _oldest(_files(directory, SPOOL))


def _oldest(paths: Iterable[Path]) -> datetime | None:
    """When the oldest of the records in files of our version happened."""
    firsts = (record for head, record in map(_first_two, paths) if head == HEAD)
    times = (found[1] for record in firsts if (found := _TIME.search(record)))
    return min((datetime.fromisoformat(time.decode()) for time in times), default=None)


def _files(directory: Path, *kinds: str) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in kinds) if directory.exists() else []


def _count(path: Path) -> int:
    """How many records a file holds."""
    try:
        return max(path.read_bytes().count(b"\n") - 1, 0)
    except FileNotFoundError:
        return 0


def _is_newer(path: Path) -> bool:
    head, _ = _first_two(path)
    return head != HEAD and head.startswith(TITLE)


def _first_two(path: Path) -> tuple[bytes, bytes]:
    """The first two lines of a file: its head and its oldest record; a file that is gone meanwhile has none."""
    try:
        with path.open("rb") as file:
            return file.readline(), file.readline()
    except FileNotFoundError:
        return HEAD, b""
