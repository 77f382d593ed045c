"""Lines on disk, in order, until they are in the database."""

import logging
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from db.segment import Segment

log = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 8 * 2**20
"""A file that is longer is not added to any more; it is removed when all of it is written."""
TURN_BYTES: Final = 2**17
"""Nor is one of which so much is written that it should go soon."""
RETRY_SECONDS: Final = 1.0
"""How often a disk that refuses is asked again."""


class Spool:
    """The lines of one living process, from the first that is not released. No file is made before the first line."""

    def __init__(self, directory: Path, owner: str) -> None:
        self._directory = directory
        self._owner = owner
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        """The last of the segments, unless that takes no more."""
        self._refused: list[bytes] = []
        """What the disk does not take for now; later than all that is on it."""
        self._retry_at = 0.0
        self.pending = 0
        """How many lines are not released."""

    def append(self, line: bytes) -> None:
        """Adds ``line``. It is on disk when this returns, or in memory while the disk refuses it; never fails."""
        self.pending += 1
        if self._refused:
            self._refused.append(line)
            self.retry()
            return
        try:
            self._add([line])
        except OSError as error:
            log.error(
                "journal: %s cannot be written (%s): what happens from now on is kept in memory, and lost if this "
                "process dies before the database has it. Make room there, and see that it is ours to write.",
                self._directory,
                error.strerror,
            )
            self._refused.append(line)
            self._retry_at = time.monotonic() + RETRY_SECONDS

    def read(self, most: int) -> list[bytes]:
        """Up to ``most`` of the lines that are not released, in order. Raises OSError."""
        self.retry()
        while self._segments:
            segment = self._segments[0]
            lines = segment.read(most)
            if lines or not segment.lines:
                return lines
            log.error("journal: %d records are lost: somebody has cut %s", segment.lines, segment.path)
            self.pending -= segment.lines
            self._drop(segment)
        return self._refused[:most]

    def release(self, lines: Sequence[bytes]) -> None:
        """Says that ``lines``, as they were read, are settled: their room is free."""
        self.pending -= len(lines)
        if not self._segments:
            del self._refused[: len(lines)]
            return
        segment = self._segments[0]
        segment.release(lines)
        if not segment.is_done:
            if segment is self._current and segment.released > TURN_BYTES:
                self._current = None
        elif segment is not self._current or not _cleared(segment):
            self._drop(segment)

    def retry(self) -> None:
        """Puts on disk what the disk refused before, if it takes it now."""
        if not self._refused or time.monotonic() < self._retry_at:
            return
        try:
            self._add(self._refused)
        except OSError:
            self._retry_at = time.monotonic() + RETRY_SECONDS
        else:
            log.warning("journal: the disk takes records again; %d that waited in memory are safe", len(self._refused))
            self._refused = []

    def close(self) -> None:
        """Leaves what is not released to the next process that looks for it."""
        self._retry_at = 0.0
        self.retry()
        if self._refused:
            log.error("journal: %d records that no disk would take are lost", len(self._refused))
        for segment in self._segments:
            if segment.is_done:
                segment.remove()
            else:
                segment.close()
        self._segments.clear()
        self._current = None
        self._refused = []
        self.pending = 0

    def _add(self, lines: Sequence[bytes]) -> None:
        if self._current is None:
            self._current = Segment.create(self._directory, self._owner)
            self._segments.append(self._current)
        try:
            self._current.append(lines)
        except OSError:
            if self._current.is_done:
                self._segments.pop().remove()
            self._current = None
            raise
        if self._current.size > SEGMENT_BYTES:
            self._current = None

    def _drop(self, segment: Segment) -> None:
        """Does without the first segment, whose lines are settled."""
        self._segments.popleft()
        if segment is self._current:
            self._current = None
        segment.remove()


def _cleared(segment: Segment) -> bool:
    """Whether a segment that is done can take new lines in the place of the old."""
    try:
        segment.clear()
    except OSError:
        return False
    return True
