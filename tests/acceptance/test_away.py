"""PostgreSQL stands still and the workers that knew the rota die: callers reach people, and nothing is lost."""

import asyncio
import os
import signal

from lab.sound import Speech, resemblance
from lab.world import World
from oncall.outcomes import Disposition, Outcome
from tests.support.server import frozen


async def test_callers_are_served_by_new_workers_while_postgresql_is_frozen(world: World, message: Speech) -> None:
    (postgresql,) = (part.pid for part in world.stack.parts if part.name == "PostgreSQL")
    workers = [keeper.child.pid for keeper in world.stack.workers.values()]
    with frozen(postgresql):
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):  # what dies often is started again after a pause
            while any(keeper.child.pid in workers for keeper in world.stack.workers.values()):
                await asyncio.sleep(0.05)
        await world.workers_connected(within=40)

        caller = await world.call("support")
        alice = await world.phone("alice").rings()
        await alice.answers()
        await alice.hears_something()
        await alice.presses("1")
        await alice.is_connected_to(caller)
        await caller.hangs_up()
        await alice.is_hung_up()

        other = await world.call("answering-machine")
        await other.is_answered()
        await other.hears_beep()
        await other.says(message)
        await other.hangs_up()

    trace = await world.trace(caller, within=30)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]
    assert (await world.trace(other)).outcome is Outcome.VOICEMAIL
    letter = await world.letter(other, "carol@societe.example")
    assert resemblance(message.sound, letter.sound) > 0.9
