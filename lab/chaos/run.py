"""One chaos run, from an empty machine to the reconciliation of the books."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.chaos.afflictions import Scene
from lab.chaos.books import Books, Struck, announced, gather, left_over, unsent
from lab.chaos.plan import Blow, Plan
from lab.chaos.reconciliation import Disagreement, reconcile
from lab.chaos.town import site
from lab.chaos.traffic import Traffic
from lab.trace import open_rows
from lab.waiting import eventually
from lab.world import World

SETTLED_SECONDS = 180
"""How long it may take, after the last call, until all mails have come: whoever tidies up after those who died waits a
minute, and looks each minute."""

Teller = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    books: Books
    disagreements: list[Disagreement]


async def run(plan: Plan, directory: Path, tell: Teller) -> Verdict:
    """Does what is planned in a world of its own, which lies in ``directory``; ``tell`` hears how it goes."""
    async with World(directory / "world", site(plan.lines), handsets=(), workers=plan.workers) as world:
        async with Traffic(world, plan, directory / "traffic") as traffic:
            tell(f"{len(plan.calls)} callers, one every {1 / plan.rate:.1f} s")
            await traffic.begins()
            struck = [await _strike(blow, world, traffic, tell) async for blow in _in_time(plan)]
            tell("the last callers finish")
            await traffic.is_over()
            tell("everything settles")
            with suppress(AssertionError):  # the books will tell
                await eventually(lambda: _unsettled(world), within=SETTLED_SECONDS, hoped="settled")
            books = await gather(world, traffic, plan, struck)
        return Verdict(books, reconcile(books))


async def _in_time(plan: Plan) -> AsyncIterator[Blow]:
    """Each blow when it is its turn and all has recovered from the last one, and nothing more when the plan is over."""
    began = free = time.monotonic()
    for blow in plan.blows:
        if free > began + plan.seconds:
            return
        await asyncio.sleep(max(free, began + blow.at) - time.monotonic())
        yield blow
        free = time.monotonic() + blow.affliction.recovery_seconds
    await asyncio.sleep(max(0.0, began + plan.seconds - time.monotonic()))


async def _strike(blow: Blow, world: World, traffic: Traffic, tell: Teller) -> Struck:
    """Has one blow strike and be over."""
    affliction = blow.affliction
    scene = Scene(world, traffic, random.Random(blow.seed))  # noqa: S311
    since = time.time()
    async with affliction.strikes(scene) as whom:
        tell(f"{affliction.name}: {whom}" + (f", for {blow.seconds:.1f} s" if blow.seconds else ""))
        await asyncio.sleep(blow.seconds)
    tell(f"{affliction.name} is over after {time.time() - since:.1f} s")
    may = {"cuts": affliction.cuts, "delays": affliction.delays, "doubles": affliction.doubles}
    return Struck(affliction.name, whom, since, time.time(), **may)


async def _unsettled(world: World) -> str:
    """What is still under way; nothing when all is done."""
    left, rows, mails = await left_over(world), await open_rows(world.engine), await unsent(world.engine)
    untold = await announced(world.engine) - {letter.about for letter in world.mailbox.letters}
    if not (left or rows or mails or untold):
        return ""
    return f"{left}, {rows} rows are open, {mails} mails have not left, nobody knows of {untold}"
