"""The routing table in force in this process: built from the database, replaced whole whenever the rota changes.

Each table is kept on disk as a snapshot, and a process that starts while the database is away routes by that.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Set
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import check_database
from db.errors import DatabaseError, SnapshotError, SnapshotNotWritten, Unreachable
from db.listen import hints
from db.models import ROUTING_CHANNEL
from db.routing import RoutingReader
from db.snapshot import SnapshotStore
from lasting import beside
from oncall.errors import BrokenReference
from oncall.rota import Rotas
from oncall.routing import RoutingTable, build_table

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 60
"""The table is rebuilt at least this often, so that its horizon moves on even when nothing changes."""
RETRY_SECONDS: Final = 5
"""How soon the database is asked again after it gave no table."""
GATHER_SECONDS: Final = 0.2
"""How long changes are gathered after the first: several at once, as those of an import, cost no more than one."""
SNAPSHOT_SECONDS: Final = 2
"""The shortest time between two snapshots."""
SWITCH_SECONDS: Final = 0.001
"""How soon a thread that works on a table lets the event loop, which serves calls, go on; Python's own is 5 ms."""
HORIZON: Final = timedelta(days=8)
_PAST: Final = timedelta(hours=1)
_STEP: Final = timedelta(hours=1)
"""The span moves on by whole steps, for each makes all rotas anew."""


class CurrentTable:
    """Calling it gives the table to route by, at once."""

    def __init__(self, engine: AsyncEngine, snapshots: SnapshotStore) -> None:
        self._engine = engine
        self._reader = RoutingReader(engine)
        self._rotas = Rotas()
        self._snapshots = snapshots
        self._table: RoutingTable | None = None
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._is_new = asyncio.Event()
        """Set while there is a table of which there is no snapshot."""
        self._faults: tuple[str, ...] = ()
        self._checked = False
        self._is_settled = False
        self._is_fresh = False
        """Whether the last attempt at reading the database gave the table."""

    def __call__(self) -> RoutingTable:
        assert self._table is not None, "no call is taken before the first table is there"
        return self._table

    async def start(self) -> None:
        """Returns when there is a table: the database's, or the snapshot's while that cannot be had, for any reason.

        Without a snapshot an unreachable database is waited for. Raises what is wrong when there is no snapshot either
        and waiting does not mend it.
        """
        while True:
            try:
                return await self.load()
            except Exception as error:  # noqa: BLE001 - no fault of the database or of its rows may keep us from serving
                fault = error
            try:
                return await self._use_snapshot(fault)
            except SnapshotError as error:
                if not isinstance(fault, Unreachable):
                    raise fault from error
                log.error("No call can be taken: %s %s Start PostgreSQL; it is asked again and again.", fault, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def load(self, changed: Set[str] | None = None) -> None:
        """Replaces the table by one built from what the database says now; while it says nothing, the old one stays.

        Only ``changed`` tables are looked at, where that is known. Raises DatabaseError or OnCallError.
        """
        if not self._checked:
            await check_database(self._engine)
            self._checked = True
        now = datetime.now(UTC)
        since, until = _step(now - _PAST), _step(now + HORIZON + _STEP)
        inputs = await self._reader.read(since, until, changed if self._is_fresh else None)
        self._is_fresh = False  # until all went well
        table = await asyncio.to_thread(build_table, inputs, since, until, self._rotas)
        self._tell(self._reader.faults)
        self._adopt(table)
        self._read_at = now
        self._is_new.set()
        self._is_fresh = True

    async def keep_fresh(self, database_url: str) -> NoReturn:
        """Reloads soon after each change of the rota, and at least every minute, for ever."""
        async with (
            beside("writing the snapshot", self._write_snapshots),
            hints(database_url, ROUTING_CHANNEL) as changes,
        ):
            while True:
                said = await changes.within(REFRESH_SECONDS if self._is_fresh else RETRY_SECONDS, GATHER_SECONDS)
                await self._reload(None if "" in said or not said else said)

    async def _reload(self, changed: Set[str] | None) -> None:
        try:
            await self.load(changed)
        except BrokenReference:
            if changed is None:
                log.exception("the rota makes no table, calls are routed by the one of before")
            else:
                await self._reload(None)  # what is named is in a table that we have not looked at
        except DatabaseError as error:
            self._is_fresh = False
            log.warning("the rota cannot be read, calls are routed by the table of before: %s", error)
        except Exception:
            self._is_fresh = False
            log.exception("the rota makes no table, calls are routed by the one of before")

    async def _write_snapshots(self) -> NoReturn:
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            try:
                await asyncio.to_thread(self._snapshots.write, self(), self._read_at)
            except (SnapshotNotWritten, OSError) as error:
                log.error("%s", error)
            await asyncio.sleep(SNAPSHOT_SECONDS)

    async def _use_snapshot(self, fault: Exception) -> None:
        """Routes by the snapshot because of ``fault``. Raises SnapshotError."""
        snapshot = await asyncio.to_thread(self._snapshots.read)
        age = datetime.now(UTC) - snapshot.written_at
        log.warning(
            "%s Calls are routed by the snapshot of %s, which is %s old, until the database gives another.",
            fault if isinstance(fault, DatabaseError) else f"The rota makes no table: {fault!r}.",
            snapshot.written_at.isoformat(timespec="seconds"),
            timedelta(seconds=int(age.total_seconds())),
        )
        if datetime.now(UTC) >= snapshot.table.until:
            log.error("That snapshot is too old to say who is on call: calls go to the fallback. Start PostgreSQL.")
        self._adopt(snapshot.table)

    def _tell(self, faults: tuple[str, ...]) -> None:
        for fault in faults:
            if fault not in self._faults:
                log.error("%s. The schedule stays as it was, or does without: see `vigie doctor`.", fault)
        self._faults = faults

    def _adopt(self, table: RoutingTable) -> None:
        self._table = table
        if not self._is_settled:
            self._is_settled = True
            gc.collect()
            gc.freeze()  # what a worker has from the start must not be walked by the collector during calls
            sys.setswitchinterval(SWITCH_SECONDS)


def _step(at: datetime) -> datetime:
    """The beginning of the step in which ``at`` lies."""
    return at - (at - datetime.min.replace(tzinfo=UTC)) % _STEP
