"""Hints that something changed, over LISTEN/NOTIFY: never the truth, only a reason to look."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import psycopg
from psycopg import sql

from db.connection import Connection
from db.url import libpq_url
from lasting import beside

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS: Final = 0.1
LONGEST_RETRY_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 30.0
"""How often a connection on which nothing comes is asked whether it is still one."""


async def listen(url: str, channel: str) -> AsyncGenerator[str, None]:
    """Yields what each notification of ``channel`` says, and nothing (``""``) after each (re)connection, for some may
    have been missed.

    Never ends by itself; while the database is away it waits. Raises WrongUrl.
    """
    address = libpq_url(url)
    wait = FIRST_RETRY_SECONDS
    while True:
        try:
            async with await Connection.open(address, application_name="vigie listen") as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                wait = FIRST_RETRY_SECONDS
                yield ""
                while True:
                    async for notification in connection.notifies(timeout=PROBE_SECONDS):
                        yield notification.payload
                    await connection.execute("SELECT")
        except psycopg.OperationalError as error:
            log.warning("no hints on %s for now: %s", channel, " ".join(str(error).split()))
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_RETRY_SECONDS)


class Hints:
    """What was notified on one channel and not attended to yet."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        self._said: set[str] = set()

    def give(self, said: str) -> None:
        self._said.add(said)
        self._given.set()

    async def within(self, seconds: float, gather_seconds: float = 0) -> set[str]:
        """What was said since this returned last: at once, or as soon as something is, with what else is said in the
        ``gather_seconds`` after it; nothing after ``seconds`` without any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._given.wait()
        if self._said:
            await asyncio.sleep(gather_seconds)
        said, self._said = self._said, set()
        self._given.clear()
        return said


@asynccontextmanager
async def hints(url: str, channel: str) -> AsyncIterator[Hints]:
    """The hints on ``channel`` for the time of the block, the first when we are connected. Raises WrongUrl."""
    libpq_url(url)
    heard = Hints()

    async def hear() -> None:
        async for said in listen(url, channel):
            heard.give(said)

    async with beside(f"listening on {channel}", hear):
        yield heard
