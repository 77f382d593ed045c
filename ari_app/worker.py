"""One worker: takes its share of the calls that Asterisk offers to all workers, and serves them."""

import asyncio
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ari_app.ari import Ari, CallBroadcast
from ari_app.calls.desk import Desk
from ari_app.calls.mailroom import Mailroom
from ari_app.calls.presence import Presence, event_source
from ari_app.calls.prompts import Prompts
from ari_app.calls.take_call import take_call
from ari_app.routing import CurrentTable
from db.engine import make_engine
from db.journal import Journal
from db.snapshot import SnapshotStore
from oncall.routing import RoutingTable

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30
"""How long a worker that was told to stop may go on serving the calls it has."""
STORE_SECONDS = 3
"""How long it then waits for the database to take what is left. Recordings stay in Asterisk until they are stored."""


@dataclass(frozen=True, slots=True)
class AriAccess:
    """Where an Asterisk's ARI is, and the credentials for it."""

    url: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker must know. ``sounds`` is a directory that Asterisk reads under the same path."""

    name: str
    asterisks: tuple[AriAccess, ...]
    database_url: str
    journal: Path
    """The directory in which all processes of the site spool what happens until the database has it."""
    snapshots: SnapshotStore
    sounds: Path
    language: str
    region: str


class Worker:
    """Calls are served from :meth:`run` until a SIGTERM or SIGINT, after which those in progress are finished."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._engine = make_engine(settings.database_url)
        self._journal = Journal(self._engine, settings.journal, settings.name)
        self._table = CurrentTable(self._engine, settings.snapshots, self._watch_people)
        self._presence = Presence()
        self._prompts = Prompts(settings.sounds)
        self._desks = tuple(self._desk(access) for access in settings.asterisks)
        self._calls: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def _desk(self, access: AriAccess) -> Desk:
        settings = self._settings
        ari = Ari(
            access.url,
            access.username,
            access.password,
            f"vigie-{settings.name}",
            on_broadcast=lambda broadcast: self._on_broadcast(desk, broadcast),
            on_device_state=lambda event: self._presence.on_device_state(ari, event),
            on_connected=lambda: self._on_connected(ari),
        )
        desk = Desk(
            worker=settings.name,
            ari=ari,
            routing=self._table,
            journal=self._journal,
            prompts=self._prompts,
            presence=self._presence,
            mailroom=Mailroom(ari, self._engine, self._journal),
            language=settings.language,
            region=settings.region,
        )
        return desk

    async def run(self) -> None:
        """Serves calls until told to stop.

        :raises DatabaseError: the rota could not be read at the start, and there is no snapshot of it.
        :raises AriRefused: an Asterisk does not accept our credentials.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        stop = asyncio.create_task(self._stopping.wait())
        try:
            if await self._has_table(stop):
                await self._serve(stop)
        finally:
            stop.cancel()
            await self._engine.dispose()

    async def _has_table(self, stop: asyncio.Task[Literal[True]]) -> bool:
        """Returns when there is a table to route by (True) or ``stop`` is over. Raises as ``run``."""
        start = asyncio.create_task(self._table.start())
        try:
            await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
            return start.done()
        finally:
            start.cancel()

    async def _serve(self, stop: asyncio.Task[Literal[True]]) -> None:
        journal = asyncio.create_task(self._journal.run(), name="journal")
        routing = asyncio.create_task(self._table.keep_fresh(self._settings.database_url), name="routing")
        links = [asyncio.create_task(desk.ari.run(), name=f"ari {desk.ari.app}") for desk in self._desks]
        services = {journal, routing, *links}
        try:
            done, _ = await asyncio.wait({stop, *services}, return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
            for service in done - {stop}:
                service.result()
        finally:
            for task in services:
                task.cancel()
            await asyncio.wait(services)

    async def _on_connected(self, ari: Ari) -> None:
        await self._presence.resync(ari)

    async def _watch_people(self, table: RoutingTable) -> None:
        sources = [event_source(person) for person in table.people]
        for desk in self._desks:
            await desk.ari.subscribe(sources)

    def _on_broadcast(self, desk: Desk, broadcast: CallBroadcast) -> None:
        if self._stopping.is_set():
            return
        task = asyncio.create_task(self._claim(desk, broadcast))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _claim(self, desk: Desk, broadcast: CallBroadcast) -> None:
        try:
            caller = await desk.ari.claim(broadcast)
            if caller is not None:
                await take_call(caller, desk)
        except Exception:
            log.exception("call %s was lost by this worker", broadcast.channel.id)

    async def _drain(self) -> None:
        self._stopping.set()
        if self._calls:
            log.info("finishing %d calls", len(self._calls))
            await asyncio.wait(self._calls, timeout=DRAIN_SECONDS)
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await asyncio.gather(*(desk.mailroom.drain() for desk in self._desks))
                await self._journal.drain()
        except TimeoutError:
            log.warning(
                "the database is away: %d journal records stay in %s, and are written by whoever runs when it is back",
                self._journal.pending,
                self._journal.directory,
            )
