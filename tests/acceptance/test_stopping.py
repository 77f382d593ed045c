"""The whole of Vigie is told to stop while people are on the line: nobody is cut in the middle of a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab.party import Caller, Incoming
from lab.sound import Sound, Speech
from lab.waiting import eventually
from lab.world import World
from oncall.outcomes import Outcome
from voice.prompts import INTERRUPTED, Prompts

SITE = (Path(__file__).parent / "site.yaml").read_text()
NUMBER = "+33180000001"


@asynccontextmanager
async def a_world(directory: Path, drain_seconds: float) -> AsyncIterator[World]:
    async with World(directory, SITE, handsets=("alice", "bob"), drain_seconds=drain_seconds) as world:
        await world.workers_connected()
        yield world


@asynccontextmanager
async def stopping(world: World) -> AsyncIterator[None]:
    """As Ctrl-C does to `vigie up`; all workers have been told when the block begins, and all has ended after it."""
    task = asyncio.create_task(world.stack.__aexit__(None, None, None))
    await calls_are_refused(world)
    yield
    await task


async def calls_are_refused(world: World) -> None:
    """Waits until a new call gets 503, so that the carrier tries its next way."""

    async def taken() -> str:
        async with world.somebody(world.carrier.host) as line:
            invite = line.invite(NUMBER)
            line.send(invite)
            answer = await line.ends(invite)
            await line.leave()
        return "" if answer.status == 503 else answer.first_line

    await eventually(taken, within=10, hoped="calls are refused")


async def in_conversation(world: World, line: str, phone: str) -> tuple[Caller, Incoming]:
    caller = await world.call(line)
    called = await world.phone(phone).rings()
    await called.accepts(caller)
    return caller, called


async def test_conversations_and_hunts_go_on_to_their_end_whoever_is_stopping(tmp_path: Path, message: Speech) -> None:
    async with a_world(tmp_path, 30) as world:
        talking, alice = await in_conversation(world, "support", "alice")
        waiting = await world.call("in-turn")
        bob = await world.phone("bob").rings()
        async with stopping(world):
            await bob.accepts(waiting)
            await waiting.hangs_up()
            assert (await world.trace(waiting)).outcome is Outcome.ANSWERED

            await talking.listens()
            await alice.says(message)
            await talking.hears(message)
            await alice.hangs_up()
            await talking.is_hung_up()


async def test_at_the_limit_whoever_is_on_the_line_is_told(tmp_path: Path) -> None:
    async with a_world(tmp_path, 2) as world:
        talking, alice = await in_conversation(world, "support", "alice")
        waiting = await world.call("in-turn")
        bob = await world.phone("bob").rings()
        await waiting.is_answered()
        sentence = await Prompts(world.settings.state_dir / "sounds").phrase(INTERRUPTED, "fr")
        file = Path(sentence.removeprefix("sound:")).with_suffix(".wav")
        farewell = Speech(INTERRUPTED.fr, file, Sound.read(file))
        for party in (talking, alice):
            await party.listens()
        async with stopping(world):
            async with asyncio.TaskGroup() as group:
                for party in (talking, alice, waiting):
                    group.create_task(party.hears(farewell, within=20))
            await bob.is_left_alone()
            for party in (talking, alice, waiting):
                await party.is_hung_up()
