"""The mails about callers who left no message with the fallback. Those about messages come with the messages."""

import asyncio
import logging
from contextlib import suppress
from typing import Final, NoReturn

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import DatabaseError, explained
from db.journal import Journal
from db.voicemails import store_missed

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
"""What an earlier life of this process has left is journalled by others, who do not wake us."""
FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0

_UNANNOUNCED: Final = text("""
    SELECT id FROM call
    WHERE route <> 'worker' AND outcome = 'no_message' AND started_at > now() - interval '8 days'
      AND NOT EXISTS (SELECT FROM outbox WHERE dedupe_key LIKE 'no_message:' || call.id || ':%')
    ORDER BY started_at
""")


class Announcer:
    """Has the recipients of a line told of every caller who was asked for a message by the fallback and left none."""

    def __init__(self, engine: AsyncEngine, journal: Journal) -> None:
        self._engine = engine
        self._journal = journal
        self._due = asyncio.Event()
        self._due.set()  # for what the process before us did not come to

    def wake(self) -> None:
        """There may be somebody to tell of."""
        self._due.set()

    async def run(self) -> NoReturn:
        """Announces what is due, as soon as the database takes it."""
        delay = FIRST_DELAY
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), LOOK_SECONDS)
            self._due.clear()
            try:
                await self._journal.drain()
                await self._announce()
            except DatabaseError as error:
                log.warning("mails about callers without a message wait: %s", error)
                self._due.set()
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY)
            else:
                delay = FIRST_DELAY

    async def _announce(self) -> None:
        with explained(self._engine):
            async with self._engine.connect() as connection:
                calls = (await connection.scalars(_UNANNOUNCED)).all()
        for call in calls:
            await store_missed(self._engine, call)
