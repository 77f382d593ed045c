"""Telephones that Vigie can ring: softphones registered with it, and mobiles behind the carrier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from ari_app.ari import Hangup
from lab.party import Caller, Incoming, Party
from lab.sound import Speech
from lab.waiting import until

Habit = Callable[[Incoming], Awaitable[None]]
"""What somebody does by themselves whenever their telephone rings."""


class Phone:
    """One telephone. What it does, it does with the call it was last seen to ring for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Incoming] = []
        """All calls that have made it ring, in order."""
        self.unnoticed: list[Incoming] = []
        """Those of them that nobody has waited for."""
        self.habit: Habit | None = None
        self._call: Incoming | None = None

    @property
    def call(self) -> Incoming:
        """The call it was last seen to ring for; ``AssertionError`` when it has not been seen ringing."""
        assert self._call is not None, f"{self.name} has not rung"
        return self._call

    async def rings(self, *, showing: str | None = None, within: float = 10) -> Incoming:
        """Waits until it rings for a call not noticed before (one that shows this number), and returns that call."""
        await until(
            lambda: bool(self._waiting(showing)),
            within=within,
            hoped=f"{self.name} rings" + (f" for {showing}" if showing else ""),
            instead=lambda: f"it has rung for {[call.caller_id for call in self.calls]}",
        )
        self._call = self._waiting(showing)[0]
        self.unnoticed.remove(self._call)
        return self._call

    def _waiting(self, showing: str | None) -> list[Incoming]:
        return [call for call in self.unnoticed if showing in (None, call.caller_id)]

    def does_by_itself(self, habit: Habit) -> None:
        """From now on reacts to each call with ``habit``, and nobody need wait for it."""
        self.habit = habit

    async def takes(self, call: Incoming) -> None:
        """A call arrives: it rings, or the habit is followed."""
        self.calls.append(call)
        if self.habit:
            await self.habit(call)
        else:
            self.unnoticed.append(call)

    def is_forgotten(self) -> None:
        """Puts it back to how it was at first: no habit, no calls."""
        self.habit = self._call = None
        self.calls.clear()
        self.unnoticed.clear()

    async def answers(self) -> None:
        await self.call.answers()

    async def accepts(self, caller: Caller) -> None:
        await self.call.accepts(caller)

    async def presses(self, keys: str) -> None:
        await self.call.presses(keys)

    async def rejects(self, sip: int = 486) -> None:
        await self.call.rejects(sip)

    async def hangs_up(self) -> None:
        await self.call.hangs_up()

    async def is_left_alone(self, *, within: float = 10) -> None:
        await self.call.is_left_alone(within=within)

    async def is_hung_up(self, *, within: float = 10) -> Hangup:
        return await self.call.is_hung_up(within=within)

    async def is_connected_to(self, other: Party) -> None:
        await self.call.is_connected_to(other)

    async def says(self, speech: Speech) -> None:
        await self.call.says(speech)

    async def hears(self, speech: Speech, *, within: float = 10) -> None:
        await self.call.hears(speech, within=within)

    async def hears_something(self, *, within: float = 10) -> None:
        await self.call.hears_something(within=within)


async def ringing(_call: Incoming) -> None:
    """The habit of letting it ring."""


def rejecting(sip: int) -> Habit:
    """The habit of refusing every call with this SIP response."""

    async def reject(call: Incoming) -> None:
        await call.rejects(sip)

    return reject


async def accepting(call: Incoming) -> None:
    """The habit of picking up every call that is still there, and pressing 1."""
    with suppress(AssertionError):
        await call.answers()
        await call.presses("1")
