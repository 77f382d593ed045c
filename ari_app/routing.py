"""The routing table in force in this process: built from the database, replaced whole whenever the rota changes.

Each table is kept on disk as a snapshot, and a process that starts while the database is away routes by that.
"""

import asyncio
import gc
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import check_database
from db.errors import DatabaseError, SnapshotError, SnapshotNotWritten, Unreachable
from db.listen import listen
from db.routing import load_routing
from db.snapshot import SnapshotStore
from oncall.errors import OnCallError
from oncall.routing import RoutingTable, build_table

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 60
"""The table is rebuilt at least this often, so that its horizon moves on even when nothing changes."""
RETRY_SECONDS: Final = 5
"""How soon the database is asked again after it gave no table."""
HORIZON: Final = timedelta(days=8)
_PAST: Final = timedelta(hours=1)


class CurrentTable:
    """Calling it gives the table to route by, at once."""

    def __init__(self, engine: AsyncEngine, snapshots: SnapshotStore) -> None:
        self._engine = engine
        self._snapshots = snapshots
        self._table: RoutingTable | None = None
        self._checked = False
        self._is_fresh = False
        """Whether the last attempt at reading the database gave the table."""

    def __call__(self) -> RoutingTable:
        assert self._table is not None, "no call is taken before the first table is there"
        return self._table

    async def start(self) -> None:
        """Returns when there is a table: the database's, or the snapshot's while that cannot be had.

        Without a snapshot an unreachable database is waited for. Raises DatabaseError or OnCallError when there is no
        snapshot either and waiting does not mend what is wrong.
        """
        while True:
            try:
                return await self.load()
            except (DatabaseError, OnCallError) as error:
                fault = error
            try:
                return await self._use_snapshot(fault)
            except SnapshotError as error:
                if not isinstance(fault, Unreachable):
                    raise fault from error
                log.error("No call can be taken: %s %s Start PostgreSQL; it is asked again and again.", fault, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def load(self) -> None:
        """Replaces the table by one built from what the database says now; while it says nothing, the old one stays."""
        if not self._checked:
            await check_database(self._engine)
            self._checked = True
        now = datetime.now(UTC)
        inputs = await load_routing(self._engine)
        table = await asyncio.to_thread(build_table, inputs, now - _PAST, now + HORIZON)
        self._adopt(table)
        self._is_fresh = True
        try:
            await asyncio.to_thread(self._snapshots.write, table, now)
        except (SnapshotNotWritten, OSError) as error:
            log.error("%s", error)

    async def keep_fresh(self, database_url: str) -> None:
        """Reloads on every change of the rota, and at least every minute, for ever."""
        changes = listen(database_url, "vigie_routing")
        change = asyncio.ensure_future(anext(changes))
        try:
            while True:
                await asyncio.wait([change], timeout=REFRESH_SECONDS if self._is_fresh else RETRY_SECONDS)
                if change.done():
                    change.result()
                    change = asyncio.ensure_future(anext(changes))
                try:
                    await self.load()
                except DatabaseError as error:
                    self._is_fresh = False
                    log.warning("the database is away, calls are routed by the table of before: %s", error)
                except Exception:
                    log.exception("the rota makes no table, calls are routed by the one of before")
        finally:
            change.cancel()
            await asyncio.wait([change])
            await changes.aclose()

    async def _use_snapshot(self, fault: Exception) -> None:
        """Routes by the snapshot because of ``fault``. Raises SnapshotError."""
        snapshot = await asyncio.to_thread(self._snapshots.read)
        age = datetime.now(UTC) - snapshot.written_at
        log.warning(
            "%s Calls are routed by the snapshot of %s, which is %s old, until the database is back.",
            fault,
            snapshot.written_at.isoformat(timespec="seconds"),
            timedelta(seconds=int(age.total_seconds())),
        )
        if datetime.now(UTC) >= snapshot.table.until:
            log.error("That snapshot is too old to say who is on call: calls go to the fallback. Start PostgreSQL.")
        self._adopt(snapshot.table)

    def _adopt(self, table: RoutingTable) -> None:
        self._table = table
        if not gc.get_freeze_count():
            gc.collect()
            gc.freeze()  # what a worker has from the start must not be walked by the collector during calls
