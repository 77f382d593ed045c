"""Getting lines into the database: waiting for it, and finding the one line that cannot be written."""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
from psycopg import errors
from sqlalchemy.ext.asyncio import AsyncEngine

from db.history import HistoryWriter
from db.segment import keep_waiting, set_aside

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS: Final = 0.1
LONGEST_RETRY_SECONDS: Final = 5.0
_BAD_RECORD: Final = ("21", "22", "23", "54")
"""Classes of SQLSTATE that blame what is written, not the server's state: cardinality, data, integrity, size."""


class Scribe:
    """Writes for one process; what it cannot write goes to files in ``directory`` under the name of ``owner``."""

    def __init__(self, engine: AsyncEngine, directory: Path, owner: str) -> None:
        self._writer = HistoryWriter(engine)
        self._directory = directory
        self._owner = owner

    async def write_patiently(self, lines: Sequence[bytes]) -> None:
        """Returns once ``lines`` are settled, however long the database keeps us waiting."""
        wait, since, said = FIRST_RETRY_SECONDS, time.monotonic(), ""
        while True:
            try:
                await self.write(lines)
            except (psycopg.Error, OSError) as error:
                if said != (said := brief(error)):
                    log.warning("journal: the history of calls waits for the database: %s", said)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)
            else:
                if said:
                    log.warning("journal: the database takes it again after %.1f s", time.monotonic() - since)
                return

    async def write(self, lines: Sequence[bytes]) -> None:
        """Settles ``lines``: writes them, has those wait that need others, and sets the impossible ones aside.

        Raises psycopg.Error or OSError when the database, or the disk, is in no state for it: then do it again.
        """
        if waiting := await self.attempt(lines):
            path = keep_waiting(self._directory, self._owner, waiting)
            log.info("journal: %d record(s) wait in %s for what they belong to", len(waiting), path)

    async def attempt(self, lines: Sequence[bytes]) -> list[bytes]:
        """Writes ``lines`` but for those that it gives back; sets the impossible ones aside. Raises as ``write``.

        Those wait for a line that is not here: the one that opens their call or attempt, or one that corrects what
        contradicts them.
        """
        try:
            return await self._writer.write(lines)
        except Exception as error:
            if _is_passing(error):
                await self._writer.close()  # the next try gets a server that answers, or lets us write
                raise
            if len(lines) > 1:  # halved again and again, until the one at fault is alone
                middle = len(lines) // 2
                return await self.attempt(lines[:middle]) + await self.attempt(lines[middle:])
            if isinstance(error, errors.UniqueViolation | errors.ForeignKeyViolation):
                return list(lines)
            self.set_aside(lines, brief(error))
            return []

    def set_aside(self, lines: Sequence[bytes], reason: str) -> None:
        """Keeps lines that cannot be written in a file. Raises OSError."""
        path = set_aside(self._directory, self._owner, lines, reason)
        log.error(
            "journal: left out %d record(s) that cannot be written (%s); they are kept in %s. "
            "Once the cause is mended, rename that file to %s.spool to have them written.",
            len(lines),
            reason,
            path,
            path.name,
        )

    async def close(self) -> None:
        await self._writer.close()


def brief(error: Exception) -> str:
    """What an error says, in one line, without the row that the server quotes."""
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return " ".join((said or str(error)).split())


def _is_passing(error: Exception) -> bool:
    """Whether the fault is the database's state of the moment, and not the lines'."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return error.sqlstate[:2] not in _BAD_RECORD
    return isinstance(error, OSError | psycopg.Error) and not isinstance(error, psycopg.DataError)
