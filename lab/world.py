"""Vigie with the world around it: the whole stack, a carrier, telephones and a mail server, on one machine."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from string import Template
from typing import Self

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import make_engine
from db.migrations import upgrade
from lab.carrier import Handset, Outside
from lab.disorder import CarrierOutOfOrder, DivertingCarrier
from lab.exchange import Exchange
from lab.faults import Faults
from lab.mailbox import Letter, Mailbox
from lab.party import Caller
from lab.phones import Phone
from lab.trace import Dialled, Trace, open_rows, story_of, trace_of
from lab.waiting import eventually
from lab.wire import Wire
from vigie.addresses import ARI_USER
from vigie.secrets import load_secrets
from vigie.settings import PortRange, Settings, SocketAddress
from vigie.site.check import read_site
from vigie.site.importer import import_site
from vigie.stack.asterisk import AsteriskServer, AsteriskTree
from vigie.stack.postgres import PrivateCluster
from vigie.stack.stack import Stack

SIP_PORT = 5060
WRONG_PASSWORD = "wrong"  # noqa: S105 - that of nobody


class World(Faults):
    """A site of its own, with everything that it talks to, while it is entered.

    ``site`` is a site file in which ``$carrier`` stands for the carrier's address and ``$disorder`` for that of another
    one, who is out of order; ``handsets`` are the SIP user names of the softphones that are switched on, ``intruders``
    those of softphones with a wrong password. Everything lies in ``directory`` and listens on addresses of 127.0.0.0/8
    that nobody else uses.
    """

    def __init__(
        self,
        directory: Path,
        site: str,
        *,
        handsets: Sequence[str],
        intruders: Sequence[str] = (),
        workers: int = 2,
        drain_seconds: float = 30,
    ) -> None:
        super().__init__()
        self._network = Network.claimed()
        host = self._network.host
        self.directory = directory
        self.handsets = handsets
        self.mailbox = Mailbox(host(25), 2525)
        self.settings = Settings(
            state_dir=directory / "vigie",
            database_url=None,
            ari_urls=(),
            smtp_url=self.mailbox.url,
            mail_from="Vigie <astreinte@vigie.example>",
            sip_bind=SocketAddress(host(1), SIP_PORT),
            rtp_ports=PortRange(10_000, 29_999),  # few calls are given the port to which somebody cut off still speaks
            ari_port=free_port(),
            agi_port=free_port(),
            workers=workers,
            drain_seconds=drain_seconds,
        )
        self.outsider = SocketAddress(host(200), SIP_PORT)
        """The address of somebody who is neither the carrier nor one of our phones."""
        self.carrier = SocketAddress(host(10), SIP_PORT)
        self.disorder = CarrierOutOfOrder(SocketAddress(host(9), SIP_PORT))
        addresses = {"carrier": self.carrier.host, "disorder": self.disorder.address.host}
        self.site = read_site(Template(site).substitute(addresses), self.settings.region)
        self._outside = Outside(
            pbx=self.settings.sip_bind,
            carrier=self.carrier,
            ari=SocketAddress(host(10), 8088),
            ari_password=secrets.token_hex(16),
            ears=SocketAddress(host(10), 9092),
            handsets=tuple(self._handsets(handsets, intruders)),
        )
        self.exchange = Exchange(AsteriskTree.find(), directory / "outside", self._outside)
        self.stack = Stack(self.settings)
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._network.release)
            await stack.enter_async_context(self.mailbox)
            await stack.enter_async_context(self.disorder)
            await self._import_site()
            await stack.enter_async_context(self.stack)
            self.engine: AsyncEngine = make_engine(self.stack.database_url)
            stack.push_async_callback(self.engine.dispose)
            await stack.enter_async_context(self.exchange)
            await self.exchange.registered(self.handsets)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.thaws_all()
        await self._exit.aclose()
        assert not (left := list(processes_of(self.directory))), f"still running: {left}"

    @property
    def pbx(self) -> AsteriskServer:
        """Vigie's own Asterisk."""
        assert self.stack.asterisk is not None
        return self.stack.asterisk

    async def call(self, called: str, *, from_: str | None = None, name: str = "") -> Caller:
        """Dial a number, or the first one of a line, from a number of one's own or from ``from_`` (empty: withheld)."""
        line = self.site.lines.get(called)
        return await self.exchange.call(line.numbers[0] if line else called, from_=from_, name=name)

    def address(self, number: int, port: int = SIP_PORT) -> SocketAddress:
        """An address of this world's network; nobody lives from 200 on."""
        return SocketAddress(self._network.host(number), port)

    def somebody(self, host: str) -> Wire:
        """Somebody at an address of the network who says what he likes to Vigie."""
        return Wire(SocketAddress(host, 0), self.settings.sip_bind)

    @asynccontextmanager
    async def diverting(self) -> AsyncIterator[DivertingCarrier]:
        """The carrier who is out of order sends each call back to us."""
        await self.disorder.__aexit__()
        try:
            async with DivertingCarrier(self.disorder.address, self.settings.sip_bind) as carrier:
                yield carrier
        finally:
            await self.disorder.__aenter__()

    def ari(self) -> httpx.AsyncClient:
        """Vigie's own ARI, by the account of its workers."""
        account = (ARI_USER, load_secrets(self.settings).ari_password)
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.settings.ari_port}/ari/", auth=account, timeout=10)

    @asynccontextmanager
    async def own_phone(self, user: str) -> AsyncIterator[Wire]:
        """Somebody who is registered as a softphone that the lab does not have."""
        async with self.somebody(self.address(201).host) as phone:
            assert (await phone.register(user, self.password(user))).status == 200
            yield phone
            phone.vanished = False
            await phone.register(user, self.password(user), seconds=0)

    def password(self, user: str) -> str:
        """The password with which a softphone registers."""
        return load_secrets(self.settings).sip_password(user)

    def phone(self, user: str) -> Phone:
        return self.exchange.phone(user)

    def mobile(self, number: str) -> Phone:
        return self.exchange.mobile(number)

    async def trace(self, caller: Dialled, *, within: float = 10) -> Trace:
        """What the journal says of a caller's call, once it is closed there."""
        return await trace_of(self.engine, caller, within=within)

    async def story(self, caller: Dialled) -> Trace:
        """What the journal says so far of a caller's call."""
        return await story_of(self.engine, caller)

    async def letter(self, caller: Dialled, recipient: str, *, within: float = 30) -> Letter:
        """The mail to ``recipient`` about a caller's call."""
        trace = await self.trace(caller)
        return await self.mailbox.receives(recipient, about=str(trace.call.id), within=within)

    async def answers(self, line: str = "support") -> None:
        """Somebody calls a line by the trunk, and is answered within the time that nobody minds."""
        async with self.somebody(self.carrier.host) as caller:
            await (await caller.call(self.site.lines[line].numbers[0], 9, within=3)).ask("BYE")

    async def workers_connected(self, *, within: float = 20) -> None:
        """Waits until every worker serves calls."""

        async def missing() -> str:
            connected = (await self.pbx.command("ari show apps")).split()
            served = {app.removeprefix("vigie-").partition(".")[0] for app in connected}
            workers = self.stack.workers.items()
            return ", ".join(name for name, keeper in workers if not (keeper.ready.is_set() and name in served))

        await eventually(missing, within=within, hoped="all workers connected")

    async def nothing_left(self, *, within: float = 30) -> None:
        """Waits until Vigie is at rest: no channel, no bridge, no call or attempt open in the journal.

        What a dead worker has left open is closed by the others when they have seen it twice.
        """
        await eventually(self._left, within=within, hoped="nothing left of the calls")
        assert not self.exchange.unnoticed, f"rang unexpectedly: {self.exchange.unnoticed}"

    async def cleared(self) -> None:
        """Ends all calls and forgets them, so that another story can begin."""
        try:
            await self.nothing_left()
        finally:
            await self.exchange.hang_up_all()
            self.exchange.forget()
            self.disorder.in_its_usual_disorder()

    async def _left(self) -> str:
        channels = await self.pbx.command("core show channels concise")
        bridges = (await self.pbx.command("bridge show all")).splitlines()[1:]
        outside = await self.exchange.channels()
        rows = await open_rows(self.engine)
        if not (channels.strip() or bridges or outside or rows):
            return ""
        return f"channels: {channels.split()}, bridges: {bridges}, outside: {outside}, open in the journal: {rows}"

    async def _import_site(self) -> None:
        """Writes the site before the stack starts, as `vigie site import` does on a new installation."""
        cluster = PrivateCluster(self.settings.state_dir / "postgres")
        server = await cluster.start()
        try:
            await asyncio.to_thread(upgrade, cluster.url)
            engine = make_engine(cluster.url)
            try:
                await import_site(engine, self.site)
            finally:
                await engine.dispose()
        finally:
            await server.stop()

    def _handsets(self, users: Sequence[str], intruders: Sequence[str]) -> Iterator[Handset]:
        for number, user in enumerate((*users, *intruders), 11):
            password = WRONG_PASSWORD if user in intruders else self.password(user)
            yield Handset(user, password, SocketAddress(self._network.host(number), SIP_PORT))


class Network:
    """The 256 addresses of one loopback network, ours from :meth:`claimed` to :meth:`release`."""

    def __init__(self, number: int, claim: socket.socket) -> None:
        self._number = number
        self._claim = claim

    @classmethod
    def claimed(cls) -> Self:
        """A network that no other world has."""
        for number in range(256):
            claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                claim.bind((f"127.66.{number}.254", SIP_PORT))
            except OSError:
                claim.close()
                continue
            return cls(number, claim)
        raise RuntimeError("other worlds have every network of 127.66.0.0/16")

    def release(self) -> None:
        self._claim.close()

    def host(self, number: int) -> str:
        return f"127.66.{self._number}.{number}"


def free_port() -> int:
    """A TCP port on which nobody listens, and which the system gives to no outgoing connection meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def processes_of(directory: Path) -> Iterator[str]:
    """Yield what runs with ``directory`` in its command line or in its environment, but for ourselves."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            said = process.joinpath("cmdline").read_bytes(), process.joinpath("environ").read_bytes()
        except OSError:
            continue
        if any(os.fsencode(directory) in text for text in said):
            yield f"{process.name} {said[0].replace(bytes(1), b' ').decode(errors='replace').strip()}"
