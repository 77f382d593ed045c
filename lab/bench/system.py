"""The system under load: a whole Vigie, with what the other ways need added to its Asterisk."""

import asyncio
import json
import os
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import make_engine
from lab.bench.load import Load, Measured, put_through
from lab.bench.usage import KINDS, cpu_seconds
from lab.bench.ways import LINES, TELEPHONES, WAYS, follow_me, site
from lab.waiting import eventually
from lab.world import Network, free_port
from vigie.settings import PortRange, Settings, SocketAddress
from vigie.site.check import read_site
from vigie.site.importer import import_site
from vigie.stack.asterisk import AsteriskServer
from vigie.stack.keeper import Keeper
from vigie.stack.process import Child
from vigie.stack.render import PROJECT
from vigie.stack.stack import Stack

MODULES = ("app_dial.so", "res_speech.so", "res_agi.so", "app_followme.so")
DRAIN_SECONDS = 10
CALM_SECONDS = 90
AT_REST = 0.05
"""The share of a processor below which Asterisk is at rest."""


class Bench:
    """Everything is on while it is entered: PostgreSQL, the journal, the scheduler. ``directory`` must be empty."""

    def __init__(self, directory: Path) -> None:
        self._network = Network.claimed()
        host = self._network.host
        self._trunk, self._agi = SocketAddress(host(10), 5062), SocketAddress(host(2), 4573)
        self._stack = Stack(
            Settings(
                state_dir=directory,
                database_url=None,
                ari_urls=(),
                sip_bind=SocketAddress(host(1), 5060),
                ari_port=free_port(),
                rtp_ports=PortRange(20000, 29999),
                workers=2,
            )
        )
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            exits.callback(self._network.release)
            await exits.enter_async_context(self._stack)
            self._engine: AsyncEngine = make_engine(self._stack.database_url)
            exits.push_async_callback(self._engine.dispose)
            await import_site(self._engine, read_site(json.dumps(site(self._trunk)), "FR"))
            await eventually(self._no_trunk, within=20, hoped="Asterisk knows the trunk")
            await self._add_other_ways()
            await eventually(self._unknown, within=120, hoped="the fallback knows all numbers")
            self._keepers: dict[str, Keeper | Script] = {**self._stack.workers, "agi": self._script()}
            self._on_duty = set(self._stack.workers)
            exits.push_async_callback(self.staff)
            self._exit = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    @property
    def asterisk(self) -> AsteriskServer:
        assert self._stack.asterisk is not None
        return self._stack.asterisk

    @property
    def programs(self) -> dict[int, str]:
        """The process id of each program that runs, and what it is."""
        programs = {self._keepers[name].child.pid: "Python" for name in self._on_duty}
        for part in self._stack.parts:
            if part.name in KINDS:
                programs[part.pid] = part.name
            elif part.name == "scheduler":
                programs[part.pid] = "Python"
        return programs

    async def staff(self, *wanted: str) -> None:
        """Has these of the programs that ways need running, and no others."""
        for name in self._on_duty - set(wanted):
            await self._keepers[name].stop(DRAIN_SECONDS)
        for name in set(wanted) - self._on_duty:
            await self._keepers[name].start()
        self._on_duty = set(wanted)
        await eventually(self._absent, within=30, hoped="the programs of this way run")

    async def put_through(self, load: Load) -> Measured:
        """Puts a load on, and waits until its calls are over and journalled."""
        measured = await put_through(load, pbx=self._stack.settings.sip_bind, trunk=self._trunk)
        await self.at_rest()
        return measured

    async def calls_in_progress(self) -> int:
        """Calls that have both their SIP channels."""
        return (await self.asterisk.command("core show channels concise")).count("PJSIP/trunk-bench") // 2

    async def hang_up_all(self) -> None:
        await self.asterisk.command("channel request hangup all")

    async def at_rest(self) -> None:
        """Waits until no call is left; hangs up those that SIPp has forgotten, some of which only come in now."""
        await eventually(self._left, within=60, hoped="all calls over")

    async def calm(self) -> None:
        """Waits until Asterisk does nothing any more: what a load before has left, such as requests that nobody answers
        and that are sent again for half a minute, is not to be counted with the next."""
        await eventually(self._busy, within=CALM_SECONDS, hoped="Asterisk at rest")

    async def _busy(self) -> str:
        before = cpu_seconds(self.programs)["Asterisk"]
        await asyncio.sleep(1)
        used = cpu_seconds(self.programs)["Asterisk"] - before
        return f"it uses {used:.0%} of a processor" if used > AT_REST else ""

    async def journalled(self) -> tuple[int, int]:
        """How many calls the journal has, and how many of them as answered."""
        async with self._engine.connect() as connection:
            counts = await connection.execute(
                text("SELECT count(*), count(*) FILTER (WHERE outcome = 'answered') FROM call")
            )
            calls, answered = counts.one()
        return calls, answered

    async def _left(self) -> str:
        channels = await self.asterisk.command("core show channels count")
        if not channels.startswith("0 "):
            await self.hang_up_all()
        async with self._engine.connect() as connection:
            rows = await connection.scalar(text("SELECT count(*) FROM call WHERE ended_at IS NULL"))
        return "" if channels.startswith("0 ") and not rows else f"{channels.split()[0]} channels, {rows} open calls"

    async def _absent(self) -> str:
        workers = self._stack.workers
        absent = [name for name in self._on_duty & set(workers) if not workers[name].ready.is_set()]
        if "agi" in self._on_duty and not _listens(self._agi):
            absent.append("agi")
        return ", ".join(absent)

    async def _unknown(self) -> str:
        """What the fallback has still to write to AstDB, which keeps Asterisk busy for some seconds."""
        *_, found = (await self.asterisk.command("database show vigie-who")).splitlines()
        return "" if found.startswith(f"{2 * LINES} ") else found

    async def _no_trunk(self) -> str:
        shown = await self.asterisk.command("pjsip show endpoints")
        return "" if "trunk-bench" in shown else shown

    async def _add_other_ways(self) -> None:
        """Teaches Asterisk what plain Vigie does not need: to dial, to ask a script, to follow people."""
        (self.asterisk.directory / "etc" / "followme.conf").write_text(follow_me())
        extensions = [
            f"{way.extension},{priority},{application} into vigie-in"
            for way in WAYS
            if way.application
            for priority, application in enumerate((way.application, "Hangup()"), 1)
        ]
        extensions.append(f"_+336XXXXXXXX,1,Dial(PJSIP/${{EXTEN}}@trunk-bench) into {TELEPHONES}")
        for command in (
            *(f"module load {module}" for module in MODULES),
            f"dialplan set global BENCH_AGI {self._agi}",
            *(f"dialplan add extension {extension}" for extension in extensions),
        ):
            await self.asterisk.command(command)
        absent = {*MODULES} - {*(await self.asterisk.command("module show")).split()}
        assert not absent, f"Asterisk has not loaded {absent}"

    def _script(self) -> "Script":
        command = [sys.executable, "-P", "-m", "lab.bench.agi", str(self._agi), self._stack.database_url]
        return Script(command, self._stack.settings.state_dir / "log" / "bench-agi.log")


class Script:
    """The AGI script of the bench, started and stopped like the workers."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log

    async def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        self.child = await Child.start("AGI script", self._command, log=self._log, environment=environment)

    async def stop(self, patience: float) -> None:
        await self.child.stop(patience)


def _listens(address: SocketAddress) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address.host, address.port)) == 0
