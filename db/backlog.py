"""How much of the calls' history waits on disk, for whoever looks after the system."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from db.segment import ASIDE, HEAD, SPOOL, WAITING

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
    paths = sorted(directory.iterdir()) if directory.exists() else []
    newer: list[Path] = []
    times: list[datetime] = []
    waiting = 0
    for path in paths:
        if path.suffix not in (SPOOL, WAITING):
            continue
        head, lines = _split(path)
        if head not in (HEAD, b""):
            newer.append(path)
            continue
        waiting += len(lines)
        times.extend(_times(lines[:1]))
    return Backlog(
        waiting=waiting,
        since=min(times, default=None),
        aside=tuple(path for path in paths if path.suffix == ASIDE),
        newer=tuple(newer),
    )


def _split(path: Path) -> tuple[bytes, list[bytes]]:
    """The head of a file and its lines; nothing of one that is gone meanwhile."""
    try:
        head, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
    except FileNotFoundError:
        return b"", []
    return head, lines


def _times(lines: Iterable[bytes]) -> Iterator[datetime]:
    for line in lines:
        if found := _TIME.search(line):
            yield datetime.fromisoformat(found[1].decode())
