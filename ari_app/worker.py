"""One worker: takes its share of the calls that Asterisk offers to all workers, and serves them."""

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn
from uuid import UUID

from ari_app.ari import Ari, AriError, AriRefused, CallBroadcast, Kin, admitted
from ari_app.calls.adoption import LeftCall, carry_on, give_up, left_calls
from ari_app.calls.aftermath import Aftermath
from ari_app.calls.desk import Desk
from ari_app.calls.mailroom import Mailroom
from ari_app.calls.presence import Presence
from ari_app.calls.take_call import take_call
from ari_app.routing import CurrentTable
from db.engine import make_engine
from db.journal import Journal
from db.snapshot import SnapshotStore
from lasting import beside
from voice.prompts import RETRY_SECONDS, Prompts, sentences

log = logging.getLogger(__name__)

FAMILY = "vigie-"
"""How the names of all workers' applications begin; the dialplan offers calls to these."""
LOOK_SECONDS = 0.2
REFUSED_SECONDS = 30.0
"""How soon an Asterisk that refuses us is asked again."""
NOTICED_SECONDS = 2
"""After this long a connection is known to all others, and hears what they say."""
LEAVE_SECONDS = 3
AHEAD_SECONDS = 2
SUPERSEDED = 75
"""The exit status of a worker whose calls were taken over while it was hung: EX_TEMPFAIL of sysexits(3)."""
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
    the calls it has once it was told to stop.
    """

    name: str
    asterisks: tuple[AriAccess, ...]
    database_url: str
    journal: Path
    """The directory in which all processes of the site spool what happens until the database has it."""
    snapshots: SnapshotStore
    sounds: Path
    language: str
    region: str
    drain_seconds: float


class Worker:
    """Calls are served from :meth:`run` until a SIGTERM or SIGINT, after which those in progress are finished, or left
    to another worker.

    Its application's name is another one at each start: whatever an earlier process of the same name has left is there
    to be taken over like any other worker's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._app = f"{FAMILY}{settings.name}.{secrets.token_hex(3)}"
        self._on_serving: Callable[[int], None] = lambda _: None
        self._engine = make_engine(settings.database_url)
        self._journal = Journal(self._engine, settings.journal, settings.name)
        self._table = CurrentTable(self._engine, settings.snapshots)
        self._presence = Presence()
        self._prompts = Prompts(settings.sounds)
        self._desks = tuple(self._desk(access) for access in settings.asterisks)
        self._calls: set[asyncio.Task[None]] = set()
        self._adopting: set[UUID | str] = set()
        self._refusing: set[str] = set()
        """The addresses of the Asterisks that will not have us."""
        self.stopping = asyncio.Event()
        """Set once we were told to stop."""

    def _desk(self, access: AriAccess) -> Desk:
        settings = self._settings
        ari = Ari(
            access.url,
            access.username,
            access.password,
            self._app,
            on_broadcast=lambda broadcast: self._on_broadcast(desk, broadcast),
            on_word=lambda event: self._presence.on_word(ari, event),
            on_connected=lambda: self._on_connected(ari),
            kin=Kin(FAMILY, lambda app: self._on_death(desk, app), self._on_superseded),
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

        :raises DatabaseError: the rota could not be read at the start, and there is no snapshot of it.
        :raises AriRefused: no Asterisk will have us, or will do.
        """
        self._on_serving = on_serving
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        stop = asyncio.create_task(self.stopping.wait())
        try:
            if await self._has_table(stop):
                await self._work(stop)
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

    async def _link(self, access: AriAccess, ari: Ari) -> None:
        """Keeps the link to one Asterisk, which may refuse us for a while as long as another does not.

        Raises AriRefused when they all refuse us.
        """
        while True:
            try:
                await admitted(access.url, access.username, access.password, f"{FAMILY}{self._settings.name}.")
                self._refusing.discard(access.url)
                await ari.run()
            except AriRefused as error:
                self._refusing.add(access.url)
                if len(self._refusing) == len(self._settings.asterisks):
                    raise
                log.error("%s; the other Asterisks are served, this one is asked again in %g s", error, REFUSED_SECONDS)
            await asyncio.sleep(REFUSED_SECONDS)

    async def _work(self, stop: asyncio.Task[Literal[True]]) -> None:
        aftermath = Aftermath(self._desks, self._engine, self._journal)
        async with (
            beside("the journal", self._journal.run),
            beside("following the rota", partial(self._table.keep_fresh, self._settings.database_url)),
            beside("tidying up", aftermath.run),
            beside("speaking ahead of calls", self._speak_ahead),
        ):
            await self._serve_until(stop)

    async def _speak_ahead(self) -> NoReturn:
        """Has all that may be said made before a call wants it, anew when the lines change."""
        while True:
            lines = [routed.line for routed in self._table().lines.values()]
            names = dict.fromkeys(line.name for line in lines)
            greetings = dict.fromkeys((line.greeting, line.language) for line in lines if line.greeting)
            done = await self._prompts.prepare(sentences(names, greetings))
            await asyncio.sleep(AHEAD_SECONDS if done else RETRY_SECONDS)

    async def _serve_until(self, stop: asyncio.Task[Literal[True]]) -> None:
        """Serves calls until ``stop`` is over, or no Asterisk will have us, which is raised."""
        asterisks = zip(self._settings.asterisks, self._desks, strict=True)
        links = {asyncio.create_task(self._link(access, desk.ari)) for access, desk in asterisks}
        try:
            done, _ = await asyncio.wait({stop, *links}, return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
            for link in done - {stop}:
                link.result()
        finally:
            for link in links:
                link.cancel()
            await asyncio.wait(links)

    async def _on_connected(self, ari: Ari) -> None:
        await self._presence.look(ari)
        self._on_serving(sum(desk.ari.connected for desk in self._desks))
        await asyncio.sleep(NOTICED_SECONDS)
        await self._presence.look(ari)

    def _on_broadcast(self, desk: Desk, broadcast: CallBroadcast) -> None:
        if self.stopping.is_set():
            return
        self._serve(self._claim(desk, broadcast), broadcast.channel.id)

    async def _claim(self, desk: Desk, broadcast: CallBroadcast) -> None:
        caller = await desk.ari.claim(broadcast)
        if caller is not None:
            await take_call(caller, desk)

    async def _on_death(self, desk: Desk, app: str) -> None:
        """Takes over the calls of a worker that is gone."""
        for call, left in (await left_calls(desk, app)).items():
            if call not in self._adopting:
                self._serve(self._adopt(desk, app, call, left), str(call))

    async def _adopt(self, desk: Desk, app: str, call: UUID | str, left: LeftCall) -> None:
        self._adopting.add(call)
        try:
            await carry_on(desk, app, call, left)
        finally:
            self._adopting.discard(call)

    def _serve(self, call: Coroutine[Any, Any, None], name: str) -> None:
        async def served() -> None:
            try:
                await call
            except Exception:
                log.exception("call %s was lost by this worker", name)

        task = asyncio.create_task(served())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _on_superseded(self) -> None:
        """We were hung, and our calls are others' by now: all that can be done without harm is to begin anew."""
        log.critical("this worker did not answer for too long, others have its calls; it ends to be started again")
        os._exit(SUPERSEDED)

    async def _drain(self) -> None:
        """Finishes the calls, or leaves to another worker what goes on; stores what is to be stored."""
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(*(desk.ari.pulse.leave() for desk in self._desks), return_exceptions=True)
        if self._calls:
            log.info("finishing %d calls", len(self._calls))
        until = asyncio.get_running_loop().time() + self._settings.drain_seconds
        while True:
            await self._finish_calls(until)
            is_late = asyncio.get_running_loop().time() >= until
            if is_late:
                await self._give_up_calls()
            await self._store()
            if not self._calls:
                return
            if await self._hand_over() or is_late:
                log.info("leaving %d calls", len(self._calls))
                os._exit(0)  # any other way out would hang them up

    async def _finish_calls(self, until: float) -> None:
        """Returns when all calls are over, or could go on with another worker, or time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self._calls and not self._can_be_left():
                    await asyncio.wait(self._calls, timeout=LOOK_SECONDS)

    def _can_be_left(self) -> bool:
        """Whether there seems to be another worker, and no call would lose by changing hands."""
        others = all(desk.ari.pulse.others_serve for desk in self._desks if desk.calls)
        return others and all(call.is_talked for desk in self._desks for call in desk.calls)

    async def _store(self) -> None:
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

    async def _give_up_calls(self) -> None:
        """Leaves the callers who talk with nobody to the dialplan's fallback where there is no other worker."""
        for desk in self._desks:
            if not desk.ari.pulse.others_serve:
                with suppress(AriError, TimeoutError):
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await asyncio.gather(*(give_up(call) for call in desk.calls if not call.is_talked))

    async def _hand_over(self) -> bool:
        """Whether the calls that go on are another worker's from now on."""
        taken = [False]
        with suppress(AriError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                taken = [await desk.ari.pulse.hand_over() for desk in self._desks if desk.calls]
        return all(taken)
