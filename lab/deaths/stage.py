"""Calls in each phase that a call can be in, held there while the worker that has them is killed, time and again.

In the end each of them must still come to its good end. A conversation must not even notice: keys that the caller
presses all the while are counted at the other end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.party import Caller
from lab.phones import Phone, ringing
from lab.sound import Speech, speak
from lab.waiting import eventually, until
from lab.world import World
from oncall.outcomes import EventKind

SITE = Path(__file__).with_name("site.yaml")
GRETA, RUTH, TOM, TIM, PAUL, CAROL = (f"+3361200000{n}" for n in range(1, 7))
GREETING, RINGING, TOGETHER, PROMPT, TALKING, RECORDING = PHASES = (
    *("greeting", "ringing", "together", "prompt", "talking", "recording"),
)
"""The phases, which are also the lines whose calls stay in them."""
RUNG = {RINGING: (RUTH,), TOGETHER: (TOM, TIM), PROMPT: (PAUL,), TALKING: (CAROL,)}
KILLS_A_STAGE = 10
PATIENCE = 15.0
"""Seconds after which a call counts as lost."""
NEWCOMERS = 2
"""Callers who are being greeted at each death; one of them, on the average, by the worker that dies."""
KEYS = "0123456789" * 2
MESSAGE = "La pompe du sous-sol est arrêtée, l'eau monte dans la cave, rappelez-moi au plus vite s'il vous plaît. " * 6


@dataclass(frozen=True, slots=True)
class Survival:
    """A call that changed hands: ``adopted`` is when the journal has another worker with it, ``resumed`` when what had
    stopped went on (telephones rang again, whoever had picked up was asked again), both in seconds after the kill."""

    phase: str
    adopted: float
    resumed: float | None


class Deaths:
    """Kills in a world that is at rest before and after."""

    def __init__(self, world: World, speech: Speech, tell: Callable[[str], None]) -> None:
        self._world = world
        self._speech = speech
        self._tell = tell
        self._callers: dict[str, Caller] = {}
        self.survivals: list[Survival] = []
        self.kills = 0
        self.lost: list[str] = []

    async def stage(self, kills: int) -> None:
        """Brings a call into each phase, kills so many times, and brings each call to its end."""
        await self._set()
        speaking = asyncio.create_task(self._speak())
        try:
            for _ in range(kills):
                await self._kill()
        finally:
            speaking.cancel()
        for end in (self._end_ringing, self._end_prompt, self._end_talking, self._end_recording):
            await self._unless_lost(end(), f"the end: {end.__name__}")
        self._world.exchange.forget()
        await self._world.cleared()

    async def _set(self) -> None:
        self._phone(GRETA).does_by_itself(ringing)
        for phase in (RECORDING, TALKING, TOGETHER, RINGING, PROMPT):
            phones = [self._phone(number) for number in RUNG.get(phase, ())]
            caller = self._callers[phase] = await self._world.call(phase)
            rung = [await phone.rings() for phone in phones]
            if phase in (TALKING, PROMPT):
                await rung[0].answers()
                await rung[0].hears_something()
            if phase == TALKING:
                await rung[0].presses("1")
                await rung[0].is_connected_to(caller)
        await self._callers[RECORDING].is_answered()
        await self._callers[RECORDING].hears_beep()

    def _phone(self, number: str) -> Phone:
        return self._world.mobile(number)

    async def _speak(self) -> None:
        """Whoever leaves a message has a lot to say."""
        while True:
            await self._callers[RECORDING].says(self._speech)

    async def _kill(self) -> None:
        """One death, and how each call fared of which it was the worker's."""
        newcomers = [await self._newcomer() for _ in range(NEWCOMERS)]
        calls = [*self._callers.items(), *((GREETING, caller) for caller in newcomers)]
        keys = asyncio.create_task(self._keys_get_through())
        workers = [await self._worker(caller) for _, caller in calls]
        victim = Counter(workers).most_common(1)[0][0]
        keeper = self._world.stack.workers[victim]
        at = time.time()
        os.kill(keeper.child.pid, signal.SIGKILL)
        self.kills += 1
        theirs = [call for call, worker in zip(calls, workers, strict=True) if worker == victim]
        before = len(self.survivals)
        await asyncio.gather(*(self._unless_lost(self._survives(*call, at), call[0]) for call in theirs))
        await self._unless_lost(keys, TALKING)
        for caller in newcomers:
            await caller.hangs_up()
        slowest = max((survival.adopted for survival in self.survivals[before:]), default=float("nan"))
        self._tell(f"kill {self.kills}: {victim} with {len(theirs)} calls, the last one adopted after {slowest:.2f} s")
        await keeper.restart()  # at once: a keeper pauses longer and longer before what dies again and again
        await self._world.workers_connected()

    async def _newcomer(self) -> Caller:
        caller = await self._world.call(GREETING)
        await until(lambda: caller.is_up, within=PATIENCE, hoped="answered", instead=lambda: caller.state)
        return caller

    async def _worker(self, caller: Caller) -> str:
        """The worker that has a call."""
        found: list[str] = []

        async def unknown() -> str:
            try:
                trace = await self._world.story(caller)
            except AssertionError as error:
                return str(error)
            had = (trace.call.worker, *(event.who for event in trace.events if event.kind == EventKind.ADOPTED))
            found.extend(filter(None, had))
            return ""

        await eventually(unknown, within=PATIENCE, hoped="known to the journal")
        return found[-1]

    async def _survives(self, phase: str, caller: Caller, at: float) -> None:
        """Waits until the call is carried on."""
        adopted = await self._told(caller, EventKind.ADOPTED, at)
        resumed = None
        if phase in (RINGING, TOGETHER):
            again = [await self._phone(number).rings(within=PATIENCE) for number in RUNG[phase]]
            resumed = max(call.leg.channel.created_at.timestamp() for call in again) - at
        elif phase == PROMPT:
            resumed = await self._told(caller, EventKind.PROMPT, at)
        assert not caller.is_gone, f"the caller is {caller.state}"
        self.survivals.append(Survival(phase, adopted, resumed))

    async def _told(self, caller: Caller, kind: EventKind, since: float) -> float:
        """When the journal has such an event of a call, in seconds after ``since``."""
        times: list[float] = []

        async def missing() -> str:
            trace = await self._world.story(caller)
            times.extend(e.at.timestamp() - since for e in trace.events if e.kind == kind and e.at.timestamp() > since)
            return "" if times else f"only {', '.join(trace.kinds)}, the caller is {caller.state}"

        await eventually(missing, within=PATIENCE, hoped=f"{kind}")
        return times[0]

    async def _keys_get_through(self) -> None:
        """Who talks notices nothing: of the keys pressed at this end none is missing at the other."""
        caller, carol = self._callers[TALKING], self._phone(CAROL).call
        before = len(carol.keys_heard)
        await caller.presses(KEYS)
        await until(
            lambda: "".join(carol.keys_heard[before:]) == KEYS,
            within=PATIENCE,
            hoped="all keys heard",
            instead=lambda: f"heard {carol.keys_heard[before:]}, {carol.who} is {carol.state}",
        )

    async def _end_ringing(self) -> None:
        for phase, number in ((RINGING, RUTH), (TOGETHER, TIM)):
            phone = self._phone(number)
            await phone.answers()
            await phone.hears_something()
            await self._takes(phone, self._callers[phase])

    async def _end_prompt(self) -> None:
        await self._takes(self._phone(PAUL), self._callers[PROMPT])

    async def _takes(self, phone: Phone, caller: Caller) -> None:
        """Whoever picked up presses 1, talks with the caller, and hangs up."""

        async def not_connected() -> str:
            await phone.presses("1")
            return (
                "" if "1" in caller.keys_heard else f"{phone.name} is {phone.call.state}, {caller.who} {caller.state}"
            )

        await eventually(not_connected, within=PATIENCE, hoped="connected")
        await phone.hangs_up()
        await caller.is_hung_up()

    async def _end_talking(self) -> None:
        carol = self._phone(CAROL)
        await carol.is_connected_to(self._callers[TALKING])
        await self._callers[TALKING].hangs_up()
        await carol.is_hung_up()

    async def _end_recording(self) -> None:
        caller = self._callers[RECORDING]
        assert not caller.is_gone, f"the caller is {caller.state}"
        await caller.presses("#")
        await caller.is_hung_up(within=PATIENCE)
        await self._world.letter(caller, "message@societe.example")

    async def _unless_lost(self, what: asyncio.Future[None] | Coroutine[Any, Any, None], phase: str) -> None:
        try:
            await what
        except AssertionError as error:
            self.lost.append(f"{phase}: {error}")
            self._tell(f"LOST {self.lost[-1]}")


async def measure(kills: int, workers: int, directory: Path, tell: Callable[[str], None]) -> Deaths:
    """Kills so many times in a world of its own."""
    async with World(directory / "world", SITE.read_text(), handsets=(), workers=workers) as world:
        deaths = Deaths(world, await speak(MESSAGE, directory / "message.wav"), tell)
        await world.workers_connected()
        while deaths.kills < kills:
            await deaths.stage(min(KILLS_A_STAGE, kills - deaths.kills))
        return deaths
