"""What keeps the fallback ready between calls: the snapshot read, the last known numbers in AstDB, facts taken in."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from agi_scripts.console import Console
from agi_scripts.errors import ConsoleFailed
from agi_scripts.facts import journal, read_facts
from agi_scripts.known import FAMILIES, Entries, KnownNumbers
from db.errors import SnapshotError, SnapshotMissing
from db.records import Record
from db.snapshot import SnapshotStore
from oncall.routing import RoutingTable

log = logging.getLogger(__name__)

BEAT: Final = "VIGIE_AGI_BEAT"
"""The epoch of our last sign of life, in Asterisk; the dialplan passes us over when it is more than 3 s old."""
BEAT_SECONDS: Final = 1.0
TICK_SECONDS: Final = 2.0
"""How soon a new snapshot, another person on call and the facts of a call are noticed."""
EAGER_SECONDS: Final = 0.2
"""How soon the first snapshot is."""
COMPARE_SECONDS: Final = 60.0
"""How often AstDB is compared with what it should hold, whatever we believe to have written."""
FACTS: Final = "vigie-calls"
"""Calls that are over."""
BEGUN: Final = "vigie-begun"
"""Those that are not, or that Asterisk ended with."""


class Upkeep:
    """Everything that must go on while no call is served. ``put`` journals; it raises when that is not possible."""

    def __init__(
        self, snapshots: SnapshotStore, console: Console, recordings: Path, region: str, put: Callable[[Record], None]
    ) -> None:
        self._snapshots = snapshots
        self._console = console
        self._recordings = recordings
        self._region = region
        self._put = put
        self._table: RoutingTable | None = None
        self._seen: tuple[int, int] | None = None
        self._refusal: SnapshotError | None = None
        self._known = KnownNumbers(region)
        self._written: Entries | None = None
        self._compared_at = 0.0
        self._console_failed = False

    def table(self) -> RoutingTable:
        """The table to route by; raises SnapshotError when there has not been any yet."""
        if self._table is None:
            raise self._refusal or SnapshotMissing("The snapshot of the routing table has not been read yet.")
        return self._table

    async def beat(self) -> NoReturn:
        """Tells the dialplan every second that we live, and know whom to ring."""
        while True:
            if self._table is not None:
                await self._guarded(self._beat)
            await asyncio.sleep(EAGER_SECONDS if self._table is None else BEAT_SECONDS)

    async def _beat(self) -> None:
        await self._console.set_global(BEAT, str(int(time.time())))
        if self._console_failed:
            self._console_failed = False
            log.info("Asterisk answers again")

    async def run(self) -> NoReturn:
        """Does all that is due, again and again."""
        while True:
            await self._guarded(self._read_snapshot)
            if self._table is not None:
                await self._guarded(self._write_known)
                await self._guarded(self._take_in)
            await asyncio.sleep(EAGER_SECONDS if self._table is None else TICK_SECONDS)

    async def _guarded(self, duty: Callable[[], Awaitable[None]]) -> None:
        """Does one duty; whatever fails, the others and the next round go on."""
        try:
            await duty()
        except ConsoleFailed as error:
            self._written = None  # Asterisk may come back with another AstDB
            if not self._console_failed:
                self._console_failed = True
                log.warning("%s", error)
        except Exception:
            log.exception("the upkeep goes on")

    async def _read_snapshot(self) -> None:
        """Takes in the snapshot whenever there is another one; while it cannot be used, the one of before stays."""
        try:
            status = self._snapshots.newest.stat()
            seen = (status.st_ino, status.st_mtime_ns)
        except OSError:
            seen = None
        if seen is not None and seen == self._seen:
            return
        try:
            snapshot = await asyncio.to_thread(self._snapshots.read)
        except SnapshotError as error:
            if str(error) != str(self._refusal):
                log.error("%s", error)
            self._refusal = error
            return
        self._seen, self._refusal = seen, snapshot.refused
        if self._table is None:
            log.info("the routing table of %s serves", snapshot.written_at.isoformat())
        self._table = snapshot.table

    async def _write_known(self) -> None:
        """Has AstDB hold the numbers of now."""
        wanted = await asyncio.to_thread(self._known.at, self.table(), datetime.now(UTC))
        if wanted is None:
            return
        now = time.monotonic()
        if self._written is None or now - self._compared_at > COMPARE_SECONDS:
            self._written = {
                (family, key): value
                for family in FAMILIES
                for key, value in (await self._console.entries(family)).items()
            }
            self._compared_at = now
        for (family, key), value in wanted.items():
            if self._written.get((family, key)) != value:
                await self._console.put(family, key, value)
                self._written[family, key] = value
        for family, key in self._written.keys() - wanted.keys():
            await self._console.delete(family, key)
            del self._written[family, key]

    async def _take_in(self) -> None:
        """Journals the calls that the dialplan served alone, each once: its facts go when they are in the journal."""
        for key, value in (await self._console.entries(FACTS)).items():
            await self._tell(key, value, cut=False)
            await self._console.delete(FACTS, key)
        for key, value in (await self._cut()).items():
            await self._tell(key, value, cut=True)
            await self._console.delete(BEGUN, key)

    async def _cut(self) -> dict[str, str]:
        """The facts of the calls with which Asterisk has ended: whose channels are gone without having said so, which
        they do last."""
        begun = await self._console.entries(BEGUN)
        if not begun:
            return {}
        alive = await self._console.channels()
        left = await self._console.entries(BEGUN)
        return {key: value for key, value in begun.items() if key in left and not alive.intersection(value.split("|"))}

    async def _tell(self, key: str, value: str, *, cut: bool) -> None:
        try:
            facts = read_facts(key, value)
        except ValueError:
            log.exception("left out a call whose facts make no sense: %s %s", key, value)
            return
        await asyncio.to_thread(journal, facts, self.table(), self._recordings, self._region, self._put, cut=cut)
        log.info("call %s, served by the dialplan alone, is journalled", facts.call)
