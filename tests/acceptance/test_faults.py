"""Parts of a Vigie that serves calls die, and come back by themselves: the next caller is answered."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from lab.party import Caller
from lab.phones import ringing
from lab.waiting import until
from lab.world import World
from oncall.outcomes import Outcome

CROWD = 1600
"""Channels whose list is larger than the stack of one of Asterisk's threads."""
RECONNECTED_SECONDS = 2
"""How soon after Asterisk is ready its workers must serve calls."""


async def reaches_somebody(world: World, caller: Caller) -> None:
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.hears_something()
    await alice.presses("1")
    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up()
    assert (await world.trace(caller)).outcome is Outcome.ANSWERED


async def registrations_are_on_disk(world: World) -> None:
    """Waits for Asterisk to write down where the phones are, which it does each second."""
    with closing(sqlite3.connect(world.pbx.directory / "db" / "astdb.sqlite3")) as database:

        def missing() -> set[str]:
            keys = database.execute("SELECT key FROM astdb WHERE key LIKE '/registrar/contact/%'").fetchall()
            return set(world.handsets) - {key.rpartition("/")[2].partition(";")[0] for (key,) in keys}

        await until(lambda: not missing(), within=5, hoped="all phones on disk", instead=lambda: f"not {missing()}")


async def test_asterisk_is_killed_and_serves_calls_as_soon_as_it_is_back(world: World) -> None:
    await registrations_are_on_disk(world)
    await world.kills("Asterisk")
    await world.is_back("Asterisk")
    await world.workers_connected(within=RECONNECTED_SECONDS)
    await reaches_somebody(world, await world.call("support"))


async def test_postgresql_is_killed_during_a_call(world: World) -> None:
    caller = await world.call("support")
    await caller.is_answered()
    await world.kills("PostgreSQL")
    await world.is_back("PostgreSQL")
    await reaches_somebody(world, caller)


async def test_a_worker_that_is_frozen_leaves_the_calls_to_the_others(world: World) -> None:
    await world.freezes("w1")
    try:
        await reaches_somebody(world, await world.call("support"))
    finally:
        world.thaws("w1")


async def test_workers_are_restarted_one_after_the_other_while_people_call(world: World) -> None:
    async def restart() -> None:
        async for _ in world.stack.restart():
            pass

    restarting = asyncio.create_task(restart())
    while not restarting.done():
        await reaches_somebody(world, await world.call("support"))
    await restarting


async def test_a_worker_that_comes_to_a_crowd_of_channels_does_not_end_asterisk(world: World) -> None:
    """Their list cannot be sent over a websocket: Asterisk puts each frame on the stack."""
    world.phone("alice").does_by_itself(ringing)
    child = world.keeper("Asterisk").child
    async with a_crowd(world):
        await world.kills("w1")
        await world.workers_connected()
        assert (await world.pbx.command("core show channels count")).startswith(str(CROWD))
        await world.answers()
    assert world.keeper("Asterisk").child is child


@asynccontextmanager
async def a_crowd(world: World) -> AsyncIterator[None]:
    """While inside there are CROWD channels that do nothing: in Wait() each would send silence."""
    await world.pbx.command("dialplan add extension s,1,WaitExten(60) into crowd")
    both_ends = {"endpoint": "Local/s@crowd", "context": "crowd", "extension": "s"}
    try:
        async with world.ari() as asterisk:
            for _ in range(CROWD // 2):
                (await asterisk.post("channels", params=both_ends)).raise_for_status()
        yield
    finally:
        await world.pbx.command("channel request hangup all")
        await world.nothing_left()
        await world.pbx.command("dialplan remove context crowd")
