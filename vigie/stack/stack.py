"""A whole Vigie on this machine, database and Asterisk included, started, kept and stopped as one."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

from db.engine import check_database, make_engine
from db.errors import DatabaseError
from db.migrations import upgrade
from lasting import beside
from scheduler.run import GRACE_SECONDS
from vigie.addresses import ari_urls, database_url
from vigie.errors import DiskFull, NotReady, StackError, VigieError
from vigie.secrets import load_secrets
from vigie.settings import Settings
from vigie.stack.accounts import remembered_accounts
from vigie.stack.asterisk import AsteriskServer
from vigie.stack.command import Command
from vigie.stack.farewell import Farewell
from vigie.stack.keeper import Keeper
from vigie.stack.machine import check_disk, held, is_held, name_lock
from vigie.stack.postgres import PrivateCluster
from vigie.stack.process import tail
from vigie.stack.telephony import OwnAsterisk
from voice.prompts import Prompts

log = logging.getLogger(__name__)

ASSISTANTS = ("scheduler", "agi")
"""The commands that run beside the workers, each once; the second serves our own Asterisk only."""
READY_SECONDS = 60
DATABASE_SECONDS = 30
"""How long PostgreSQL may recover from a crash before calls are served without it."""
LEAVING_SECONDS = 5
"""How long a program may take to leave once it has finished what it had in hand."""
PREDECESSOR_SECONDS = 20
MIGRATION_PAUSE = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One program of the running stack, and where it is reached or writes its log."""

    name: str
    pid: int
    where: str


class Stack:
    """Runs for the time of an ``async with``; entering it raises VigieError or DatabaseError when no call would be
    answered. What else does not start is among the ``hindrances``.

    Whatever ends, or did not start, is started again and again, PostgreSQL and Asterisk too, while the others go on.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database_url = database_url(settings)
        self._cluster = Keeper(PrivateCluster(settings.state_dir / "postgres")) if settings.has_own_database else None
        self._asterisk = OwnAsterisk(settings) if settings.has_own_asterisk else None
        self._telephony = Keeper(self._asterisk) if self._asterisk else None
        names = [f"w{number}" for number in range(1, settings.workers + 1)]
        self.workers = {name: Keeper(Command(f"worker {name}", settings, "ari", "--name", name)) for name in names}
        assistants = ASSISTANTS if settings.has_own_asterisk else ASSISTANTS[:1]
        self._assistants = [Keeper(Command(name, settings, name)) for name in assistants]
        self._database_fault: Exception | None = None
        self._exits = AsyncExitStack()
        self._restarting = asyncio.Lock()
        self._hurry = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            exits.enter_context(held(self.settings.state_dir))
            self._look_at_disk()
            await self._start_database(exits)
            await self._start_asterisk(exits)
            await self._start_staff(exits)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    @property
    def asterisk(self) -> AsteriskServer | None:
        """Our own Asterisk, as it runs now."""
        return self._asterisk.server if self._asterisk else None

    @property
    def keepers(self) -> dict[str, Keeper]:
        """What keeps each program, by the program's name."""
        kept = (self._cluster, self._telephony, *self.workers.values(), *self._assistants)
        return {keeper.name: keeper for keeper in kept if keeper is not None}

    @property
    def parts(self) -> tuple[Part, ...]:
        """What runs where, now."""
        where = {"PostgreSQL": self.database_url}
        if self.asterisk is not None:
            sip, ari = f"SIP {self.settings.sip_bind}/udp", f"ARI 127.0.0.1:{self.settings.ari_port}"
            where["Asterisk"] = f"{sip}, {ari}, {self.asterisk.log}"
        return tuple(
            Part(name, keeper.child.pid, where.get(name, str(keeper.log)))
            for name, keeper in self.keepers.items()
            if keeper.ready.is_set()
        )

    @property
    def hindrances(self) -> dict[str, Exception]:
        """What does not run, or is no use, and why; all that can be done is done without it."""
        found = {name: keeper.hindrance for name, keeper in self.keepers.items() if keeper.hindrance is not None}
        return found if self._database_fault is None else {"database": self._database_fault, **found}

    async def restart(self, names: Sequence[str] = ()) -> AsyncGenerator[str, None]:
        """Restarts workers, by default all, one after the other, each once the one before serves; says how it goes.

        Those that do not serve now come first. Raises StackError for a name that no worker has, and when one does not
        come back; then the others are left as they were.
        """
        if unknown := set(names) - set(self.workers):
            raise StackError(
                f"There is no worker {', '.join(sorted(unknown))}.", f"The workers are {', '.join(self.workers)}."
            )
        async with self._restarting:
            chosen = [self.workers[name] for name in names or self.workers]
            for keeper in sorted(chosen, key=lambda keeper: keeper.ready.is_set()):
                yield f"{keeper.name} finishes its calls"
                await _in_time(keeper, keeper.restart(self._drain_seconds), self._drain_seconds + READY_SECONDS)
                yield f"{keeper.name} serves again (process {keeper.child.pid})"

    def hurry(self) -> None:
        """Ends at once the workers that still finish their calls, and the calls, once the stack is being left."""
        self._hurry.set()
        for keeper in self.workers.values():
            keeper.kill()

    @property
    def _drain_seconds(self) -> float:
        return self.settings.drain_seconds + LEAVING_SECONDS

    def _look_at_disk(self) -> None:
        try:
            check_disk(self.settings.state_dir)
        except DiskFull as error:
            if self._asterisk is not None and remembered_accounts(self.settings) is None:
                raise  # nothing would come of a first start
            log.error("%s", error)

    async def _start_database(self, exits: AsyncExitStack) -> None:
        try:
            if self._cluster is not None:
                exits.push_async_callback(self._cluster.stop)
                await _in_time(self._cluster, self._cluster.start(), DATABASE_SECONDS)
            await self._prepare_tables()
        except Exception as error:  # whatever it is: calls are answered without a database by who has ever had one
            if self._asterisk is not None and remembered_accounts(self.settings) is None:
                raise
            log.error("%s Vigie goes on without its database, with what it knows.", error)
            self._database_fault = error
            exits.push_async_callback(ended, asyncio.create_task(self._prepare_tables_later()))

    async def _prepare_tables(self) -> None:
        await asyncio.to_thread(upgrade, self.database_url)
        engine = make_engine(self.database_url)
        try:
            await check_database(engine)
        finally:
            await engine.dispose()

    async def _prepare_tables_later(self) -> None:
        while self._database_fault is not None:
            await asyncio.sleep(MIGRATION_PAUSE)
            try:
                await self._prepare_tables()
                self._database_fault = None
                log.info("the database is back")
            except Exception as error:  # noqa: BLE001 - as at the start
                if str(error) != str(self._database_fault):
                    log.error("%s Vigie goes on without its database.", error)
                self._database_fault = error

    async def _start_asterisk(self, exits: AsyncExitStack) -> None:
        if self._asterisk is None or self._telephony is None:
            return
        exits.push_async_callback(self._telephony.stop)
        await self._telephony.start()
        follow = partial(self._asterisk.follow, self._telephony.ready)
        await exits.enter_async_context(beside("following trunks and phones", follow))

    async def _start_staff(self, exits: AsyncExitStack) -> None:
        """The assistants stay to the last worker's end: they send what that one stored."""
        workers = self.workers.values()
        exits.push_async_callback(_stopped, self._assistants, GRACE_SECONDS + LEAVING_SECONDS)
        exits.push_async_callback(self._finish_calls)
        await self._predecessors_gone()
        starts = (self._start_one(keeper) for keeper in (*self._assistants, *workers))
        await asyncio.gather(*starts)
        if self._asterisk is None and not any(keeper.ready.is_set() for keeper in workers):
            raise next(iter(self.hindrances.values()))  # nobody at all serves calls

    async def _start_one(self, keeper: Keeper) -> None:
        """Starts one of the staff; if that fails the others go on, and it is tried again and again."""
        try:
            await _in_time(keeper, keeper.start(), READY_SECONDS)
        except (VigieError, DatabaseError) as error:
            keeper.hindrance = error
            log.error("Vigie goes on without %s, which is tried again and again. %s", keeper.name, error)

    async def _finish_calls(self) -> None:
        """Conversations, hunts and messages go on to their end, or to the drain limit; then callers are told."""
        farewell = self._farewell()
        clock = asyncio.get_running_loop().time
        until = clock() + self.settings.drain_seconds
        if farewell is not None:
            await farewell.refuse_calls()
        await _stopped(self.workers.values(), self._drain_seconds)
        if farewell is not None:
            parting = asyncio.create_task(farewell.take_leave(max(until - clock(), 0)))
            hurry = asyncio.create_task(self._hurry.wait())
            await asyncio.wait({parting, hurry}, return_when=asyncio.FIRST_COMPLETED)
            for task in (parting, hurry):
                task.cancel()
            await asyncio.gather(parting, hurry, return_exceptions=True)

    def _farewell(self) -> Farewell | None:
        if self.asterisk is None or not self.asterisk.is_running():
            return None
        (ari_url,) = ari_urls(self.settings, load_secrets(self.settings))
        voice = Prompts(self.settings.state_dir / "sounds")
        return Farewell(self.asterisk, ari_url, voice, self.settings.language)

    async def _predecessors_gone(self) -> None:
        """Waits for workers that were left here, as when the stack was just killed, to finish."""
        locks = [name_lock(self.settings.state_dir, name) for name in self.workers]
        deadline = time.monotonic() + PREDECESSOR_SECONDS
        while any(map(is_held, locks)):
            if time.monotonic() > deadline:
                return  # the new worker says who has its name
            await asyncio.sleep(0.05)


async def _stopped(keepers: Iterable[Keeper], patience: float) -> None:
    await asyncio.gather(*(keeper.stop(patience) for keeper in keepers))


async def _in_time(keeper: Keeper, start: Coroutine[Any, Any, None], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await start
    except TimeoutError:
        raise NotReady(
            f"{keeper.name} does not serve after {seconds:.0f} s. It last said:\n{tail(keeper.log)}",
            f"See {keeper.log}.",
        ) from None


async def ended(task: asyncio.Task[None]) -> None:
    """Cancels a task, and returns when it is over."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
