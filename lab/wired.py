"""A caller and a telephone of which each packet is ours: for what no telephone would do in the midst of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lab.rtp import Rtp
from lab.wire import Dialog, Wire
from lab.world import World


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a call: what it says by SIP, and its sound."""

    dialog: Dialog
    sound: Rtp

    def presses(self, keys: str) -> None:
        """Presses keys all at once."""
        self.sound.presses(keys, self.dialog.media)

    async def reaches(self, other: Side, *, within: float = 5) -> None:
        """Presses a key again and again until the other side hears it."""
        await self.sound.reaches(other.sound, self.dialog.media, within=within)

    async def is_connected_to(self, other: Side, *, within: float = 5) -> None:
        """Waits until each hears the keys of the other."""
        await self.reaches(other, within=within)
        await other.reaches(self, within=within)

    def vanishes(self) -> None:
        """Neither sends nor answers anything from now on."""
        self.sound.muted = self.dialog.wire.vanished = True

    async def hangs_up(self) -> None:
        assert (await self.dialog.ask("BYE")).status == 200


@dataclass(frozen=True, slots=True)
class Calling(Side):
    """The side of who has dialled ``number``."""

    number: str
    placed_at: datetime
    who: str = "the caller made by hand"
    journalled_as: str = "+33655000002"


@asynccontextmanager
async def picked_up(world: World, line: str, user: str) -> AsyncIterator[tuple[Calling, Side]]:
    """A caller of a line, and the softphone that has just picked up the call: it is being asked to press 1."""
    async with AsyncExitStack() as stack:
        trunk = await stack.enter_async_context(world.somebody(world.carrier.host))
        phone = await stack.enter_async_context(world.own_phone(user))
        sound = await stack.enter_async_context(Rtp(trunk.address.host))
        number, now = world.site.lines[line].numbers[0], datetime.now(UTC)
        caller = Calling(await trunk.call(number, sound.address.port), sound, number, now)
        await stack.enter_async_context(sound.talking(caller.dialog.media))
        called = await stack.enter_async_context(picks_up(phone))
        await called.sound.hears_sound()
        yield caller, called


@asynccontextmanager
async def picks_up(phone: Wire, *, within: float = 5) -> AsyncIterator[Side]:
    """A softphone that picks up the first call that rings it, and talks."""
    async with Rtp(phone.address.host) as sound:
        called = Side(phone.take(await phone.is_asked("INVITE", within=within), sound.address.port), sound)
        async with sound.talking(called.dialog.media):
            yield called
