"""The other side of the line, running: the carrier's and the phones' Asterisk, driven over ARI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from ari_app.ari import Ari, HungUp, Leg, NotFound, StasisStart
from lab.carrier import APPLICATION, CARRIER, REQUIRED_MODULES, Outside, configuration
from lab.ear import Ear, Ears
from lab.party import Caller, Incoming, Party
from lab.phones import Phone
from lab.waiting import eventually
from vigie.stack.asterisk import AsteriskServer, AsteriskTree

log = logging.getLogger(__name__)

UNALLOCATED = 1
"""Q.850: there is no such number. What the carrier answers for a mobile that nobody has asked for."""
EAR = "ear-"


class Exchange:
    """Callers, softphones and mobiles, while it is entered."""

    def __init__(self, tree: AsteriskTree, directory: Path, outside: Outside) -> None:
        self.outside = outside
        self.server = AsteriskServer(tree, directory, configuration(outside), REQUIRED_MODULES, "the lab's Asterisk")
        self.ari = Ari(
            f"http://{outside.ari}",
            APPLICATION,
            outside.ari_password,
            APPLICATION,
            on_stasis=self._arrives,
        )
        self._ears = Ears(outside.ears.host, outside.ears.port)
        self._phones: dict[str, Phone] = {handset.user: Phone(handset.user) for handset in outside.handsets}
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers = 0
        self._failures: list[BaseException] = []
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._ears)
            await self.server.start()
            stack.push_async_callback(self.server.stop)
            connection = asyncio.create_task(self.ari.run())
            stack.push_async_callback(_cancelled, connection)
            await _first(self.ari.wait_connected(), connection)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            await _cancelled(task)
        await self._exit.aclose()

    def phone(self, user: str) -> Phone:
        """Return the softphone with this SIP user name."""
        return self._phones[user]

    def mobile(self, number: str) -> Phone:
        """Return the mobile with this E.164 number, which exists from now on."""
        return self._phones.setdefault(number, Phone(number))

    async def call(self, number: str, *, from_: str | None = None, name: str = "", via: str = CARRIER) -> Caller:
        """Dial ``number`` from a number that nobody has used yet, or from ``from_``; an empty one is withheld.

        ``via`` may be a softphone's user name: that phone dials then.
        """
        self._callers += 1
        shown = f"+3365500{self._callers:04}" if from_ is None else from_
        placed_at = datetime.now(UTC)
        leg = await self.ari.originate(
            f"PJSIP/{number}@{via}",
            leg_id=f"caller-{uuid4()}",
            caller_id=f'"{name}" <{shown}>' if shown else "",
            timeout=60,
            variables={},
        )
        return Caller(self, leg, number, shown or None, placed_at)

    async def listen(self, party: Party) -> Ear:
        """Return the ear of a party: what is heard on its leg from now on."""
        ear = self._ears.ear(party.who)
        with suppress(NotFound):
            uri = f"channels/{party.leg.id}/snoop/{EAR}{ear.id}"
            await self.ari.request("POST", uri, spy="in", app=APPLICATION)
        return ear

    def attend(self, what: Coroutine[Any, Any, None]) -> None:
        """Do something beside everything else, until the exchange closes; a failure of it shows in `forget`."""
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._attended)

    async def registered(self, users: Sequence[str], *, within: float = 10) -> None:
        """Waits until these softphones are registered with Vigie."""

        async def missing() -> str:
            states = await self.registrations()
            return ", ".join(f"{user} is {states[user]}" for user in users if states[user] != "Registered")

        await eventually(missing, within=within, hoped=f"{', '.join(users)} registered")

    async def registrations(self) -> dict[str, str]:
        """Return what became of each softphone's registration: Registered, Rejected, Unregistered …"""
        listing = await self.server.command("pjsip show registrations")
        rows = (line.split() for line in listing.splitlines() if "-registration/" in line)
        return {row[1]: row[2] for row in rows}

    async def channels(self) -> list[str]:
        """Return the channels that exist on this side."""
        return [channel["id"] for channel in await self.ari.request("GET", "channels")]

    async def hang_up_all(self) -> None:
        """Ends every call on this side."""
        for channel in await self.channels():
            with suppress(NotFound):
                await self.ari.request("DELETE", f"channels/{channel}")

    def forget(self) -> None:
        """Put every telephone back to how it was at first; raises what failed in the background meanwhile."""
        for phone in self._phones.values():
            phone.is_forgotten()
        failures, self._failures = self._failures, []
        if failures:
            raise BaseExceptionGroup("in the lab", failures)

    @property
    def unnoticed(self) -> list[str]:
        """The telephones that rang though nobody waited for it."""
        return [phone.name for phone in self._phones.values() if phone.unnoticed]

    def _arrives(self, leg: Leg, event: StasisStart) -> None:
        del event
        if leg.id.startswith(EAR):
            self.attend(self._hears(leg))
            return
        phone = self._phones.get(leg.channel.dialplan.exten)
        self.attend(self._rings(phone, leg) if phone else self._has_no_subscriber(leg))

    async def _hears(self, leg: Leg) -> None:
        with suppress(HungUp):  # the call that was to be heard is over
            await leg.go_on("ear", leg.id.removeprefix(EAR), 1)

    async def _rings(self, phone: Phone, leg: Leg) -> None:
        with suppress(NotFound):
            await self.ari.request("POST", f"channels/{leg.id}/ring")
            await phone.takes(Incoming(self, phone.name, leg))

    async def _has_no_subscriber(self, leg: Leg) -> None:
        with suppress(NotFound):
            await self.ari.request("DELETE", f"channels/{leg.id}", reason_code=UNALLOCATED)

    def _attended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            log.error("in the lab: %r", failure)
            self._failures.append(failure)


async def _first(wish: Coroutine[Any, Any, None], otherwise: asyncio.Task[None], within: float = 10) -> None:
    """Waits for ``wish``; raises what ended ``otherwise`` before, or TimeoutError."""
    wishing = asyncio.create_task(wish)
    try:
        await asyncio.wait({wishing, otherwise}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if otherwise.done():
            otherwise.result()
        if not wishing.done():
            raise TimeoutError("the lab's Asterisk does not let us in")
    finally:
        await _cancelled(wishing)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
