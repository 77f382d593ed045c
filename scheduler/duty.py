"""A duty that is done whenever its bell rings: by the clock, by a hint from the database, never twice at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from db.errors import DatabaseError

log = logging.getLogger(__name__)


class Duty:
    """``work`` does all that is due now; what a ring asks for during the work is done straight after it."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self._work = work
        self._bell = asyncio.Event()
        self._database_away = False

    async def ring(self) -> None:
        """Has the work done as soon as possible."""
        self._bell.set()

    async def attend(self, stop: asyncio.Event) -> None:
        """Does the work at each ring. Returns at the first ring after ``stop``, never in the midst of the work."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            if stop.is_set():
                return
            await self._do()

    async def _do(self) -> None:
        try:
            await self._work()
        except DatabaseError as error:
            if not self._database_away:
                log.warning("%s waits, the database is away: %s", self.name, error)
            self._database_away = True
        except Exception:
            log.exception("%s failed and will be tried again", self.name)
        else:
            if self._database_away:
                log.info("%s goes on, the database is back", self.name)
            self._database_away = False
