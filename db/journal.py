"""The journal of calls: every step of every call becomes a row, in order, and no call ever waits for it.

``put`` takes a record and returns at once. ``run`` writes the records in batches, each in one transaction that can be
repeated without harm, so a connection lost half-way costs nothing. While PostgreSQL is away the records stay in memory.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, NoReturn

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from db.records import Record, write

log = logging.getLogger(__name__)

BATCH: Final = 500
FLUSH_SECONDS: Final = 0.1
FIRST_RETRY_SECONDS: Final = 0.1
LONGEST_RETRY_SECONDS: Final = 5.0


class Journal:
    """The queue between the calls of one process and the database. One task must be in ``run``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._queue: deque[Record] = deque()
        self._taken = 0
        self._done = 0
        self._awaited = 0
        self._something = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Condition()

    @property
    def pending(self) -> int:
        """How many records are not yet in the database."""
        return len(self._queue)

    def put(self, record: Record) -> None:
        """Has ``record`` written after all those put before. Never blocks, never fails."""
        self._queue.append(record)
        self._taken += 1
        self._something.set()
        if len(self._queue) >= BATCH:
            self._hurry.set()

    async def run(self) -> NoReturn:
        """Writes what is put, until cancelled; what was not written by then stays pending."""
        while True:
            await self._something.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), FLUSH_SECONDS)
            await self._write_next_batch()

    async def drain(self) -> None:
        """Returns once all that was put before is written (or found impossible to write)."""
        goal = self._awaited = self._taken
        self._hurry.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self._done >= goal)

    async def _write_next_batch(self) -> None:
        """Writes the oldest records; they leave the queue only when they are in the database."""
        batch = list(islice(self._queue, BATCH))
        await self._write_patiently(batch)
        for _ in batch:
            self._queue.popleft()
        async with self._progress:
            self._done += len(batch)
            self._progress.notify_all()
        if not self._queue:
            self._something.clear()
        if len(self._queue) < BATCH and self._done >= self._awaited:
            self._hurry.clear()

    async def _write_patiently(self, batch: Sequence[Record]) -> None:
        """Writes ``batch``, waiting for the database as long as it takes."""
        wait = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._write(batch)
            except (DBAPIError, PoolTimeout, OSError) as error:
                # The records only wait in memory here: the place for a spool on disk.
                log.warning("journal: %d records wait for the database: %s", self.pending, _brief(error))
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)
            else:
                return

    async def _write(self, batch: Sequence[Record]) -> None:
        """Writes ``batch`` in one transaction; a batch that cannot be written is halved to find out why."""
        try:
            async with self._engine.begin() as connection:
                await write(connection, batch)
        except Exception as error:
            if _is_passing(error):
                raise
            if len(batch) == 1:
                log.exception("journal: left out a record that cannot be written: %r", batch[0])
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])


def _is_passing(error: Exception) -> bool:
    """Whether the fault is the database's state of the moment, and not the records'."""
    if isinstance(error, DBAPIError):
        return not isinstance(error, DataError | IntegrityError)
    return isinstance(error, PoolTimeout | OSError)


def _brief(error: Exception) -> str:
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
