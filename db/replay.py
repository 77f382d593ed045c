"""What processes that have ended left on disk: found, written and removed by whichever journal finds it first."""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from db.errors import NewerSpool
from db.scribe import Scribe
from db.segment import WAITING, Segment, left_behind

log = logging.getLogger(__name__)

BATCH: Final = 500
WAIT_SECONDS: Final = 3600
"""How long a line waits for another before it is set aside."""
LONGEST_PAUSE_SECONDS: Final = 60
"""How often at least it is tried meanwhile."""


class Replay:
    """Looks through one spool directory for the process ``owner``."""

    def __init__(self, scribe: Scribe, directory: Path, owner: str) -> None:
        self._scribe = scribe
        self._directory = directory
        self._owner = owner
        self._not_before: dict[Path, float] = {}
        self._told: set[str] = set()

    async def sweep(self) -> None:
        """Settles all that was left behind, in order; a file that cannot be read is told of once, and left alone.

        Raises psycopg.Error when the database is in no state for it.
        """
        for path in await asyncio.to_thread(left_behind, self._directory, self._owner):
            if time.monotonic() < self._not_before.get(path, 0):
                continue
            try:
                await self._settle(path)
            except (NewerSpool, OSError) as error:
                if str(error) not in self._told:
                    self._told.add(str(error))
                    log.error("journal: %s", error)

    async def _settle(self, path: Path) -> None:
        segment = Segment.take(path)
        if segment is None:
            return
        settled = False
        try:
            settled = await (self._try_again(segment) if path.suffix == WAITING else self._write(segment))
        finally:
            if settled:
                segment.remove()
                self._not_before.pop(path, None)
            else:
                segment.close()

    async def _write(self, segment: Segment) -> bool:
        count = 0
        while lines := await asyncio.to_thread(segment.read, BATCH):
            records = _records(lines)
            await self._scribe.write(records)
            segment.release(lines)
            count += len(records)
        if rest := segment.rest():
            self._scribe.set_aside([rest], f"{segment.path} ends in the midst of it")
        if count:
            log.info("journal: wrote %d record(s) that were left in %s", count, segment.path)
        return True

    async def _try_again(self, segment: Segment) -> bool:
        """Writes lines that wait for others; says whether none waits any more."""
        waiting: list[bytes] = []
        while lines := await asyncio.to_thread(segment.read, BATCH):
            waiting += await self._scribe.attempt(_records(lines))
            segment.release(lines)
        if not waiting:
            return True
        age = time.time() - segment.path.stat().st_mtime
        if age < WAIT_SECONDS:
            self._not_before[segment.path] = time.monotonic() + min(age / 2, LONGEST_PAUSE_SECONDS)
            return False
        self._scribe.set_aside(waiting, f"in {age:.0f} s nothing was written of the call or attempt they belong to")
        return True


def _records(lines: Sequence[bytes]) -> list[bytes]:
    return [line for line in lines if not line.startswith(b"#")]
