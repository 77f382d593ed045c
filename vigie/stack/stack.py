"""A whole Vigie on this machine: database, Asterisk, workers and scheduler, started and stopped as one."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from socket import SOCK_DGRAM, SOCK_STREAM
from types import TracebackType
from typing import Self

from db.engine import check_database, make_engine
from db.migrations import upgrade
from vigie.addresses import database_url
from vigie.errors import NotReady, StackError
from vigie.secrets import load_secrets
from vigie.settings import Settings
from vigie.stack.asterisk import AsteriskServer
from vigie.stack.keeper import Keeper
from vigie.stack.machine import check_disk, check_port, held
from vigie.stack.music import make_music
from vigie.stack.postgres import PrivateCluster
from vigie.stack.process import Child, tail
from vigie.stack.render import PROJECT, music_directory
from vigie.stack.telephony import follow_accounts, make_asterisk, read_accounts

READY_SECONDS = 60
DRAIN_SECONDS = 35
"""How long a worker may go on with its calls once it was told to stop."""


@dataclass(frozen=True, slots=True)
class Part:
    """One program of the running stack, and where it is reached or writes its log."""

    name: str
    pid: int
    where: str


class Stack:
    """Runs for the time of an ``async with``; entering it raises VigieError or DatabaseError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database_url = database_url(settings)
        self.asterisk: AsteriskServer | None = None
        self.workers: dict[str, Keeper] = {}
        self.scheduler = self._keeper("scheduler", "scheduler")
        self._cluster: Child | None = None
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            exits.enter_context(held(self.settings.state_dir))
            check_disk(self.settings.state_dir)
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
    def parts(self) -> tuple[Part, ...]:
        """What runs where."""
        parts = [Part(keeper.name, keeper.child.pid, str(keeper.child.log)) for keeper in self._staff]
        if self.asterisk is not None:
            where = f"SIP {self.settings.sip_bind}/udp, ARI 127.0.0.1:{self.settings.ari_port}, {self.asterisk.log}"
            parts.insert(0, Part("Asterisk", self.asterisk.child.pid, where))
        if self._cluster is not None:
            parts.insert(0, Part("PostgreSQL", self._cluster.pid, self.database_url))
        return tuple(parts)

    async def broken(self) -> StackError:
        """Why the stack cannot go on, once PostgreSQL or Asterisk has ended; workers are simply started again."""
        asterisk = self.asterisk.child if self.asterisk is not None else None
        pillars = [child for child in (self._cluster, asterisk) if child is not None]
        waits = {asyncio.create_task(child.wait()): child for child in pillars}
        if not waits:
            await asyncio.Event().wait()
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()].failure()
        finally:
            for task in waits:
                task.cancel()

    @property
    def _staff(self) -> tuple[Keeper, ...]:
        return (*self.workers.values(), self.scheduler)

    async def _start_database(self, exits: AsyncExitStack) -> None:
        if self.settings.has_own_database:
            self._cluster = await PrivateCluster(self.settings.state_dir / "postgres").start()
            exits.push_async_callback(self._cluster.stop)
        await asyncio.to_thread(upgrade, self.database_url)
        engine = make_engine(self.database_url)
        try:
            await check_database(engine)
        finally:
            await engine.dispose()

    async def _start_asterisk(self, exits: AsyncExitStack) -> None:
        settings = self.settings
        if not settings.has_own_asterisk:
            return
        await asyncio.to_thread(make_music, music_directory(settings))
        accounts = await read_accounts(self.database_url)
        self.asterisk = make_asterisk(settings, load_secrets(settings), accounts)
        await self.asterisk.predecessor_gone()
        check_port(SOCK_DGRAM, settings.sip_bind.host, settings.sip_bind.port, "VIGIE_SIP_BIND")
        check_port(SOCK_STREAM, "127.0.0.1", settings.ari_port, "VIGIE_ARI_PORT")
        await self.asterisk.start()
        exits.push_async_callback(self.asterisk.stop)
        following = asyncio.create_task(follow_accounts(settings))
        exits.push_async_callback(ended, following)

    async def _start_staff(self, exits: AsyncExitStack) -> None:
        names = [f"w{number}" for number in range(1, self.settings.workers + 1)]
        self.workers = {name: self._keeper(f"worker {name}", "ari", "--name", name) for name in names}
        exits.push_async_callback(self._stop_staff)
        for keeper in self._staff:
            await keeper.start()
        if self.asterisk is not None:
            await self._workers_connected(self.asterisk)

    async def _stop_staff(self) -> None:
        await asyncio.gather(*(keeper.stop(DRAIN_SECONDS) for keeper in self._staff))

    async def _workers_connected(self, asterisk: AsteriskServer) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                while True:
                    missing = await self._not_connected(asterisk)
                    if not missing:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            keeper = self.workers[missing[0]]
            raise NotReady(
                f"{keeper.name} has not connected to Asterisk in {READY_SECONDS} s. It last said:\n"
                f"{tail(keeper.child.log)}",
                f"See {keeper.child.log}.",
            ) from None

    async def _not_connected(self, asterisk: AsteriskServer) -> list[str]:
        for keeper in self._staff:
            if keeper.failure is not None:
                raise keeper.failure
        connected = (await asterisk.command("ari show apps")).split()
        return [name for name in self.workers if not any(app.startswith(f"vigie-{name}.") for app in connected)]

    def _keeper(self, name: str, *arguments: str) -> Keeper:
        """One of our own commands, with these settings whatever the environment says."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("VIGIE_")}
        environment = inherited | self.settings.to_environment() | {"PYTHONPATH": str(PROJECT)}
        log = self.settings.state_dir / "log" / f"{name.replace(' ', '-')}.log"
        return Keeper(name, [sys.executable, "-P", "-m", "vigie", *arguments], log, environment)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancels a task, and returns when it is over."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
