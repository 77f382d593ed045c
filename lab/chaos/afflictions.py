"""What can befall Vigie while people call, and what it may cost them: nothing, but for a death of Asterisk itself, with
which the calls go that it has."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from lab.chaos.sockets import cut
from lab.chaos.town import RECIPIENTS, number_of
from lab.sipp import sipp
from vigie.stack.process import family

if TYPE_CHECKING:
    from lab.chaos.traffic import Traffic
    from lab.world import World

DATABASE, ASTERISK, SCHEDULER = "PostgreSQL", "Asterisk", "scheduler"
BACK_SECONDS = 40
"""How long a part may take to be back, on a busy machine."""
SLOW_SECONDS = 3.0
STRANGERS, STRANGERS_RATE = 1000, 300
"""How many INVITEs they send, and how many a second."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it happens; ``chance`` decides what the plan left open."""

    world: World
    traffic: Traffic
    chance: random.Random

    async def some_worker(self) -> str:
        """One that runs, also if it was just started again."""
        worker = self.chance.choice(sorted(self.world.stack.workers))
        await self.world.is_back(worker, within=BACK_SECONDS)
        return worker

    async def kill(self, part: str) -> None:
        """Kills it, unless it has just died by itself, as a worker does that was frozen for too long."""
        with suppress(ProcessLookupError):
            await self.world.kills(part)


@dataclass(frozen=True, slots=True)
class Affliction:
    """``strikes`` hits when it is entered, says whom, and is over, all parts being back, when it is left.

    ``seconds`` is how long it may last at least and at most, ``recovery_seconds`` how long until the next one may come.
    ``cuts``: calls in progress may be lost. ``delays``: nobody carries them on for so long that whoever is called may
    lose patience, and the caller have to leave a message. ``doubles``: a mail may come twice that its server takes
    just then.
    """

    strikes: Callable[[Scene], AbstractAsyncContextManager[str]]
    seconds: tuple[float, float] = (0.0, 0.0)
    recovery_seconds: float = 3.0
    cuts: bool = False
    delays: bool = False
    doubles: bool = False

    @property
    def name(self) -> str:
        return self.strikes.__name__.replace("_", "-")


@asynccontextmanager
async def worker_killed(scene: Scene) -> AsyncIterator[str]:
    worker = await scene.some_worker()
    await scene.kill(worker)
    yield worker
    await scene.world.is_back(worker, within=BACK_SECONDS)


@asynccontextmanager
async def worker_frozen(scene: Scene) -> AsyncIterator[str]:
    worker = await scene.some_worker()
    await scene.world.freezes(worker)
    try:
        yield worker
    finally:
        scene.world.thaws(worker)
    await scene.world.workers_connected(within=BACK_SECONDS)


@asynccontextmanager
async def worker_cut_off(scene: Scene) -> AsyncIterator[str]:
    worker = await scene.some_worker()
    assert cut(scene.world.keeper(worker).child.pid, scene.world.settings.ari_port), "there was a connection to cut"
    yield worker
    await scene.world.workers_connected(within=BACK_SECONDS)


@asynccontextmanager
async def worker_stopped(scene: Scene) -> AsyncIterator[str]:
    worker = await scene.some_worker()
    await scene.world.restarts(worker)
    yield worker


@asynccontextmanager
async def workers_renewed(scene: Scene) -> AsyncIterator[str]:
    async for _ in scene.world.stack.restart():
        pass
    yield "one after the other"


@asynccontextmanager
async def workers_killed(scene: Scene) -> AsyncIterator[str]:
    await asyncio.gather(*map(scene.kill, scene.world.stack.workers))
    yield "all of them"
    await scene.world.workers_connected(within=BACK_SECONDS)


@asynccontextmanager
async def scheduler_killed(scene: Scene) -> AsyncIterator[str]:
    await scene.kill(SCHEDULER)
    yield SCHEDULER
    await scene.world.is_back(SCHEDULER, within=BACK_SECONDS)


@asynccontextmanager
async def database_killed(scene: Scene) -> AsyncIterator[str]:
    await scene.kill(DATABASE)
    yield DATABASE
    await scene.world.is_back(DATABASE, within=BACK_SECONDS)


@asynccontextmanager
async def database_frozen(scene: Scene) -> AsyncIterator[str]:
    await scene.world.freezes(DATABASE)
    try:
        yield DATABASE
    finally:
        scene.world.thaws(DATABASE)


@asynccontextmanager
async def database_stopped(scene: Scene) -> AsyncIterator[str]:
    keeper = scene.world.keeper(DATABASE)
    await keeper.stop()
    try:
        yield DATABASE
    finally:
        await keeper.start()


@asynccontextmanager
async def database_crowded(scene: Scene) -> AsyncIterator[str]:
    """Others have taken all its connections, and who starts anew finds none."""
    async with AsyncExitStack() as others:
        with suppress(psycopg.OperationalError):
            while True:
                await others.enter_async_context(await psycopg.AsyncConnection.connect(scene.world.stack.database_url))
        worker = await scene.some_worker()
        await scene.kill(worker)
        yield f"not even {worker} gets a connection"
    await scene.world.is_back(worker, within=BACK_SECONDS)


@asynccontextmanager
async def database_disk_full(scene: Scene) -> AsyncIterator[str]:
    """It can write nothing, for which it ends; whatever starts it again finds room."""
    keeper = scene.world.keeper(DATABASE)
    _let_write(family(keeper.child.pid), 0)
    try:
        yield DATABASE
    finally:
        _let_write(family(keeper.child.pid), resource.RLIM_INFINITY)
    await scene.world.is_back(DATABASE, within=BACK_SECONDS)


def _let_write(pids: list[int], size: int) -> None:
    """Bounds the files that processes may write, in bytes."""
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@asynccontextmanager
async def worker_killed_without_database(scene: Scene) -> AsyncIterator[str]:
    async with database_stopped(scene):
        worker = await scene.some_worker()
        await scene.kill(worker)
        yield worker
    await scene.world.is_back(worker, within=BACK_SECONDS)


@asynccontextmanager
async def asterisk_killed(scene: Scene) -> AsyncIterator[str]:
    await scene.kill(ASTERISK)
    yield ASTERISK
    await scene.world.is_back(ASTERISK, within=BACK_SECONDS)
    await scene.world.workers_connected(within=BACK_SECONDS)


@asynccontextmanager
async def asterisk_restarted(scene: Scene) -> AsyncIterator[str]:
    await scene.world.restarts(ASTERISK)
    yield ASTERISK
    await scene.world.workers_connected(within=BACK_SECONDS)


@asynccontextmanager
async def trunk_silent(scene: Scene) -> AsyncIterator[str]:
    scene.traffic.carrier.falls_silent()
    try:
        yield "the first one"
    finally:
        scene.traffic.carrier.speaks_again()


@asynccontextmanager
async def strangers_call(scene: Scene) -> AsyncIterator[str]:
    """Somebody at an unknown address floods us with INVITEs."""
    world = scene.world
    number, source, to = number_of(0, 0), world.outsider, world.settings.sip_bind
    flood = asyncio.create_task(sipp("refused", number, source=source, to=to, calls=STRANGERS, rate=STRANGERS_RATE))
    yield f"{STRANGERS} times"
    await flood


@asynccontextmanager
async def mail_down(scene: Scene) -> AsyncIterator[str]:
    await scene.world.mailbox.goes_down()
    try:
        yield "connections are refused"
    finally:
        await scene.world.mailbox.comes_up()


@asynccontextmanager
async def mail_slow(scene: Scene) -> AsyncIterator[str]:
    scene.world.mailbox.slowness = SLOW_SECONDS
    try:
        yield f"{SLOW_SECONDS} s for each mail"
    finally:
        scene.world.mailbox.slowness = 0


@asynccontextmanager
async def mail_refused(scene: Scene) -> AsyncIterator[str]:
    recipient = scene.chance.choice(RECIPIENTS)
    scene.world.mailbox.refuses(recipient, "451 4.7.1 Greylisted, come back later")
    try:
        yield f"greylisted: {recipient}"
    finally:
        scene.world.mailbox.refuses_nobody()


AFFLICTIONS = {
    affliction.name: affliction
    for affliction in (
        Affliction(worker_killed),
        Affliction(worker_frozen, (0.5, 5)),
        Affliction(worker_cut_off),
        Affliction(worker_stopped),
        Affliction(workers_renewed),
        Affliction(workers_killed, recovery_seconds=12, delays=True),
        Affliction(scheduler_killed, doubles=True),
        Affliction(database_killed),
        Affliction(database_frozen, (1, 10)),
        Affliction(database_stopped, (1, 15)),
        Affliction(database_crowded, (2, 8)),
        Affliction(database_disk_full, (1, 5)),
        Affliction(worker_killed_without_database, (3, 8)),
        Affliction(asterisk_killed, recovery_seconds=6, cuts=True),
        Affliction(asterisk_restarted, recovery_seconds=6, cuts=True),
        Affliction(trunk_silent, (1, 10)),
        Affliction(strangers_call),
        Affliction(mail_down, (1, 10)),
        Affliction(mail_slow, (5, 10)),
        Affliction(mail_refused, (5, 10)),
    )
}
"""All there are, by name."""
