"""The routing table in force in this process: built from the database, replaced whole whenever the rota changes."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import DatabaseError
from db.listen import listen
from db.routing import load_routing
from oncall.routing import RoutingTable, build_table

log = logging.getLogger(__name__)

REFRESH_SECONDS = 60
"""The table is rebuilt at least this often, so that its horizon moves on even when nothing changes."""
HORIZON = timedelta(days=8)
_PAST = timedelta(hours=1)


class CurrentTable:
    """Calling it gives the table to route by, at once."""

    def __init__(self, engine: AsyncEngine, on_change: Callable[[RoutingTable], Awaitable[None]]) -> None:
        self._engine = engine
        self._on_change = on_change
        self._table: RoutingTable | None = None

    def __call__(self) -> RoutingTable:
        assert self._table is not None, "no call is taken before the first table is there"
        return self._table

    async def load(self) -> None:
        """Replaces the table by one built from what the database says now; while it says nothing, the old one stays."""
        inputs = await load_routing(self._engine)
        now = datetime.now(UTC)
        self._table = await asyncio.to_thread(build_table, inputs, now - _PAST, now + HORIZON)
        await self._on_change(self._table)
        if not gc.get_freeze_count():
            gc.collect()
            gc.freeze()  # what a worker has from the start must not be walked by the collector during calls

    async def keep_fresh(self, database_url: str) -> None:
        """Reloads on every change of the rota, and at least every minute, for ever."""
        changes = listen(database_url, "vigie_routing")
        change = asyncio.ensure_future(anext(changes))
        try:
            while True:
                await asyncio.wait([change], timeout=REFRESH_SECONDS)
                if change.done():
                    change.result()
                    change = asyncio.ensure_future(anext(changes))
                try:
                    await self.load()
                except DatabaseError as error:
                    log.warning("the database is away, calls are routed by the table of before: %s", error)
                except Exception:
                    log.exception("the rota makes no table, calls are routed by the one of before")
        finally:
            change.cancel()
