"""One worker: takes its share of the calls that Asterisk offers to all workers, and serves them."""

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ari_app.ari import Ari, CallBroadcast, admitted, hold_name
from ari_app.calls.desk import Desk
from ari_app.calls.mailroom import Mailroom
from ari_app.calls.presence import Presence, event_source
from ari_app.calls.prompts import Prompts
from ari_app.calls.take_call import take_call
from ari_app.routing import CurrentTable
from db.engine import check_database, make_engine
from db.journal import Journal
from oncall.routing import RoutingTable

log = logging.getLogger(__name__)

STORE_SECONDS = 3
"""How long a worker that leaves waits for the database to take what is left.

Recordings stay in Asterisk until they are stored.
"""


@dataclass(frozen=True, slots=True)
class AriAccess:
    """Where an Asterisk's ARI is, and the credentials for it."""

    url: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker must know.

    ``sounds`` is a directory that Asterisk reads under the same path; ``drain_seconds`` is how long it goes on serving
    the calls it has once it was told to stop. ``place`` tells apart workers of the same name elsewhere.
    """

    name: str
    asterisks: tuple[AriAccess, ...]
    database_url: str
    sounds: Path
    language: str
    region: str
    drain_seconds: float
    place: str


class Worker:
    """Calls are served from :meth:`run` until a SIGTERM or SIGINT, after which those in progress are finished."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._on_serving: Callable[[int], None] = lambda _: None
        self._engine = make_engine(settings.database_url)
        self._journal = Journal(self._engine)
        self._table = CurrentTable(self._engine, self._watch_people)
        self._presence = Presence()
        self._prompts = Prompts(settings.sounds)
        self._desks = tuple(self._desk(access) for access in settings.asterisks)
        self._calls: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()
        """Set once we were told to stop."""

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

    async def run(self, on_serving: Callable[[int], None]) -> None:
        """Serves calls until told to stop. ``on_serving`` hears, after each connection, how many Asterisks we serve.

        :raises DatabaseError: the rota could not be read at the start.
        :raises AriRefused: an Asterisk will not have us, or will not do.
        """
        self._on_serving = on_serving
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        await check_database(self._engine)
        await self._table.load()
        journal = asyncio.create_task(self._journal.run(), name="journal")
        routing = asyncio.create_task(self._table.keep_fresh(self._settings.database_url), name="routing")
        asterisks = zip(self._settings.asterisks, self._desks, strict=True)
        links = [asyncio.create_task(self._link(access, desk.ari)) for access, desk in asterisks]
        names = [asyncio.create_task(hold_name(desk.ari, self._settings.place)) for desk in self._desks]
        stop = asyncio.create_task(self.stopping.wait())
        services = {journal, routing, *links, *names}
        try:
            done, _ = await asyncio.wait({stop, *services}, return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
            for service in done - {stop}:
                service.result()
        finally:
            for task in (stop, *services):
                task.cancel()
            await asyncio.wait({stop, *services})
            await self._engine.dispose()

    async def _link(self, access: AriAccess, ari: Ari) -> None:
        await admitted(access.url, access.username, access.password, ari.app, self._settings.place)
        await ari.run()

    async def _on_connected(self, ari: Ari) -> None:
        await self._presence.resync(ari)
        self._on_serving(sum(desk.ari.connected for desk in self._desks))

    async def _watch_people(self, table: RoutingTable) -> None:
        sources = [event_source(person) for person in table.people]
        for desk in self._desks:
            await desk.ari.subscribe(sources)

    def _on_broadcast(self, desk: Desk, broadcast: CallBroadcast) -> None:
        if self.stopping.is_set():
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
        self.stopping.set()
        if self._calls:
            log.info("finishing %d calls", len(self._calls))
            await asyncio.wait(self._calls, timeout=self._settings.drain_seconds)
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await asyncio.gather(*(desk.mailroom.drain() for desk in self._desks))
                await self._journal.drain()
        except TimeoutError:
            log.error("the database is away: %d journal records are lost", self._journal.pending)
