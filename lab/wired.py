"""A caller and a telephone of which each packet is ours: for what no telephone would do in the midst of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from lab.rtp import Rtp
from lab.wire import Dialog
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

    async def hangs_up(self) -> None:
        assert (await self.dialog.ask("BYE")).status == 200


@asynccontextmanager
async def picked_up(world: World, line: str, user: str) -> AsyncIterator[tuple[Side, Side]]:
    """A caller of a line, and the softphone that has just picked up the call: it is being asked to press 1."""
    async with AsyncExitStack() as stack:
        trunk = await stack.enter_async_context(world.somebody(world.carrier.host))
        phone = await stack.enter_async_context(world.own_phone(user))
        sounds = [await stack.enter_async_context(Rtp(wire.address.host)) for wire in (trunk, phone)]
        caller = Side(await trunk.call(world.site.lines[line].numbers[0], sounds[0].address.port), sounds[0])
        invite = await phone.is_asked("INVITE")
        called = Side(phone.take(invite, sounds[1].address.port), sounds[1])
        for side in (caller, called):
            await stack.enter_async_context(side.sound.talking(side.dialog.media))
        await called.sound.hears_sound()
        yield caller, called
