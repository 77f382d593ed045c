"""The journal of calls: every step of every call becomes a row, once, and no call ever waits for it.

``put`` has a record on disk when it returns. ``run`` writes what is there in batches, each in one transaction that can
be repeated without harm, so a connection lost half-way or a process killed at any moment costs nothing. It also writes
what processes that have died left on disk, former lives of this one first.
"""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.records import Record, encode
from db.replay import BATCH, Replay
from db.scribe import LONGEST_RETRY_SECONDS, Scribe, brief
from db.spool import Spool

log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 0.5
"""How long records are gathered; at half of that PostgreSQL works nearly twice as much, and a worker a fifth more."""
SWEEP_SECONDS: Final = 3.0


class Journal:
    """The queue on disk between the calls of one process and the database. One task must be in ``run``.

    ``owner`` names the process among those that share ``directory``.
    """

    def __init__(self, engine: AsyncEngine, directory: Path, owner: str) -> None:
        self.directory = directory
        self._spool = Spool(directory, owner)
        self._scribe, self._executor = (Scribe(engine, directory, owner) for _ in range(2))
        self._replay = Replay(self._executor, directory, owner)
        self._taken = 0
        self._awaited = 0
        self._something = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Condition()

    @property
    def pending(self) -> int:
        """How many records of this process are not yet in the database."""
        return self._spool.pending

    def put(self, record: Record) -> None:
        """Has ``record`` written after all those put before, whatever becomes of this process. Never fails."""
        try:
            line = encode(record)
        except Exception:
            log.exception("journal: left out a record that cannot be written: %r", record)
            return
        self._spool.append(line)
        self._taken += 1
        self._something.set()
        if self.pending >= BATCH:
            self._hurry.set()

    async def run(self) -> NoReturn:
        """Writes what is put, until cancelled; what was not written by then stays on disk for the next who runs."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_for_ever())
                tasks.create_task(self._sweep_for_ever())
        finally:
            self._spool.close()
            await self._scribe.close()
            await self._executor.close()
        raise AssertionError("neither of the two ends by itself")

    async def drain(self) -> None:
        """Returns once all that was put before is written (or found impossible to write)."""
        goal = self._awaited = self._taken
        self._hurry.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self._settled >= goal)

    @property
    def _settled(self) -> int:
        return self._taken - self.pending

    async def _write_for_ever(self) -> NoReturn:
        while True:
            await self._something.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), FLUSH_SECONDS)
            try:
                await self._write_next_batch()
            except OSError as error:
                log.error("journal: what waits in %s cannot be read: %s", self.directory, error)
                await asyncio.sleep(LONGEST_RETRY_SECONDS)

    async def _write_next_batch(self) -> None:
        """Writes the oldest records; they leave the disk only when they are in the database."""
        lines = self._spool.read(BATCH)
        await self._scribe.write_patiently(lines)
        self._spool.release(lines)
        async with self._progress:
            self._progress.notify_all()
        if not self.pending:
            self._something.clear()
        if self.pending < BATCH and self._settled >= self._awaited:
            self._hurry.clear()

    async def _sweep_for_ever(self) -> NoReturn:
        """Looks every few seconds whether somebody left something behind, or the disk takes what it refused."""
        said = ""
        while True:
            try:
                await self._replay.sweep()
                said = ""
            except psycopg.Error as error:
                if said != (said := brief(error)):
                    log.warning("journal: what others left in %s waits for the database: %s", self.directory, said)
            except Exception:
                log.exception("journal: what others left in %s waits", self.directory)
            self._spool.retry()
            await asyncio.sleep(SWEEP_SECONDS)
