"""A worker dies, hangs or is stopped while it has calls: another carries each of them on from where it stood."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Call
from lab.party import Caller, Incoming
from lab.sound import Speech, resemblance
from lab.waiting import eventually, until
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome

CARRIED_ON = 2.0
"""Seconds within which a call must have been taken over."""


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def both_workers(world: World) -> AsyncIterator[None]:
    """Each story begins with all workers, and ends so."""
    await world.workers_connected()
    yield
    world.thaws_all()
    await world.workers_connected()


async def worker_of(world: World, caller: Caller) -> str:
    """The worker that has a caller's call."""
    found: list[str] = []

    async def unknown() -> str:
        async with AsyncSession(world.engine) as session:
            query = select(Call.worker).where(Call.caller == caller.journalled_as, Call.started_at >= caller.placed_at)
            if worker := await session.scalar(query):
                found.append(worker)
                return ""
        return "the journal knows nothing of it"

    await eventually(unknown, within=5, hoped="a worker has the call")
    return found[0]


async def kill_the_worker_of(world: World, caller: Caller) -> None:
    await world.kills(await worker_of(world, caller))


async def test_a_conversation_goes_on(world: World, message: Speech) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.hears_something()
    await alice.presses("1")
    await alice.is_connected_to(caller)
    await caller.listens()

    await kill_the_worker_of(world, caller)
    await caller.says(message)
    await alice.hears(message)
    await alice.hangs_up()
    await caller.is_hung_up(within=CARRIED_ON)

    trace = await world.trace(caller)
    assert trace.event(EventKind.ADOPTED)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]


async def test_a_telephone_that_was_ringing_is_rung_again_once(world: World) -> None:
    caller = await world.call("support")
    first = await world.phone("alice").rings()
    await kill_the_worker_of(world, caller)
    await first.is_left_alone(within=CARRIED_ON)
    alice = await world.phone("alice").rings(within=CARRIED_ON)
    await alice.accepts(caller)
    await caller.hangs_up()
    await alice.is_hung_up()

    trace = await world.trace(caller)
    assert trace.event(EventKind.ADOPTED)
    assert trace.dispositions == [("Alice", Disposition.CUT), ("Alice", Disposition.ACCEPTED)]
    assert trace.outcome is Outcome.ANSWERED


async def test_telephones_that_rang_together_ring_again(world: World) -> None:
    caller = await world.call("together")
    rang = [await world.phone(name).rings() for name in ("alice", "bob")]
    await caller.is_answered()
    await kill_the_worker_of(world, caller)
    for phone in rang:
        await phone.is_left_alone(within=CARRIED_ON)
    again = [await world.phone(name).rings(within=CARRIED_ON) for name in ("alice", "bob")]
    await again[1].accepts(caller)
    await again[0].is_left_alone()
    await again[1].hangs_up()
    await caller.is_hung_up()

    trace = await world.trace(caller)
    assert sorted(trace.dispositions, key=str) == [
        ("Alice", Disposition.CUT),
        ("Alice", Disposition.WITHDRAWN),
        ("Bob", Disposition.ACCEPTED),
        ("Bob", Disposition.CUT),
    ]


async def test_whoever_was_asked_to_press_1_is_asked_again(world: World) -> None:
    caller = await world.call("in-turn")
    await (await world.phone("alice").rings()).rejects(603)
    bob = await world.phone("bob").rings()
    await bob.answers()
    await bob.hears_something()
    await kill_the_worker_of(world, caller)

    async def not_asked_again() -> str:
        trace = await world.story(caller)
        adopted = [event.seq for event in trace.events if event.kind == EventKind.ADOPTED]
        prompts = [event.seq for event in trace.events if event.kind == EventKind.PROMPT]
        return "" if adopted and prompts[-1] > adopted[0] else "not yet"

    await eventually(not_asked_again, within=CARRIED_ON + 3, hoped="asked again")
    await bob.presses("1")
    await bob.is_connected_to(caller)
    await caller.hangs_up()
    await bob.is_hung_up()

    trace = await world.trace(caller)
    assert trace.event(EventKind.ADOPTED)
    assert trace.dispositions == [("Alice", Disposition.REFUSED), ("Bob", Disposition.ACCEPTED)]


@pytest.mark.parametrize("both", [True, False], ids=["both", "the-caller"])
async def test_who_was_just_being_connected_is_connected_and_nobody_hung_up(world: World, both: bool) -> None:
    """The last request of a worker that is gone may be carried out while another takes its calls over, or by half."""
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.hears_something()
    worker = await worker_of(world, caller)
    await world.freezes(worker)
    call = (await world.story(caller)).call
    legs = [call.channel, f"{call.id}.0.1"][: 1 + both]
    bridging = asyncio.create_task(_connects(world, str(call.id), legs))

    await _is_adopted(world, caller)
    await bridging
    await world.kills(worker)
    await _takes_the_call(world, alice, caller)


async def _takes_the_call(world: World, alice: Incoming, caller: Caller) -> None:
    """Alice, who is on the line, presses 1; the two talk, and the journal knows of nothing else."""
    await alice.presses("1")
    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up()
    trace = await world.trace(caller)
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]
    assert trace.outcome is Outcome.ANSWERED


async def _connects(world: World, bridge: str, channels: list[str]) -> None:
    """Asks Asterisk to connect channels, of which the first is the caller's, as a worker does."""
    async with world.ari() as asterisk:
        await asterisk.delete(f"channels/{channels[0]}/moh")
        (await asterisk.post(f"bridges/{bridge}", params={"type": "mixing"})).raise_for_status()
        await asterisk.post(f"bridges/{bridge}/addChannel", params={"channel": ",".join(channels)})


async def _is_adopted(world: World, caller: Caller) -> None:
    async def not_adopted() -> str:
        return "" if EventKind.ADOPTED in (await world.story(caller)).kinds else "not yet"

    await eventually(not_adopted, within=CARRIED_ON + 1, hoped="adopted")


async def test_a_message_that_was_being_recorded_is_kept_whole(world: World, message: Speech) -> None:
    caller = await world.call("answering-machine")
    await caller.is_answered()
    await caller.hears_beep()
    await kill_the_worker_of(world, caller)
    await caller.says(message)
    await caller.presses("#")
    await caller.is_hung_up(within=15)

    trace = await world.trace(caller)
    assert trace.event(EventKind.ADOPTED)
    assert trace.outcome is Outcome.VOICEMAIL
    letter = await world.letter(caller, "carol@societe.example")
    assert resemblance(message.sound, letter.sound) > 0.9


async def test_a_caller_who_hangs_up_while_nobody_is_there_leaves_no_dead_call(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await kill_the_worker_of(world, caller)
    await caller.hangs_up()
    await alice.is_left_alone(within=CARRIED_ON)
    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ABANDONED
    assert trace.dispositions == [("Alice", Disposition.CUT)]


async def test_whoever_hangs_up_while_nobody_is_there_ends_the_conversation(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.accepts(caller)
    await kill_the_worker_of(world, caller)
    await alice.hangs_up()
    await caller.is_hung_up(within=CARRIED_ON)
    trace = await world.trace(caller, within=30)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]


async def test_a_worker_that_was_hung_finds_its_calls_with_another_and_lets_go(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.hears_something()
    worker = await worker_of(world, caller)
    child = world.keeper(worker).child
    await world.freezes(worker)

    await _is_adopted(world, caller)
    world.thaws(worker)
    await until(lambda: not child.running, within=5, hoped="it has let go", instead=lambda: "it runs")
    await _takes_the_call(world, alice, caller)


async def test_a_message_left_while_no_worker_was_there_is_mailed_afterwards(world: World, message: Speech) -> None:
    caller = await world.call("answering-machine")
    await caller.is_answered()
    await caller.hears_beep()
    for worker in world.stack.workers:
        await world.kills(worker)
    await caller.says(message)
    await caller.hangs_up()

    assert (await world.trace(caller, within=30)).outcome is Outcome.VOICEMAIL
    letter = await world.letter(caller, "carol@societe.example")
    assert resemblance(message.sound, letter.sound) > 0.9


async def test_a_message_whose_caller_hangs_up_just_when_its_worker_is_gone_is_kept(
    world: World, message: Speech
) -> None:
    caller = await world.call("answering-machine")
    await caller.is_answered()
    await caller.hears_beep()
    await caller.says(message)
    await kill_the_worker_of(world, caller)
    await caller.hangs_up()

    assert (await world.trace(caller, within=30)).outcome is Outcome.VOICEMAIL
    letter = await world.letter(caller, "carol@societe.example")
    assert resemblance(message.sound, letter.sound) > 0.9
    assert [each.about for each in world.mailbox.letters].count(letter.about) == 1


async def test_a_worker_that_is_told_to_stop_hands_its_conversations_over_at_once(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.accepts(caller)
    child = world.keeper(await worker_of(world, caller)).child
    os.kill(child.pid, signal.SIGTERM)
    assert await asyncio.wait_for(child.wait(), 5) == 0

    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up(within=CARRIED_ON)
    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]
    assert trace.event(EventKind.ADOPTED)


async def test_a_worker_that_is_told_to_stop_first_lets_a_ringing_call_be_taken(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    child = world.keeper(await worker_of(world, caller)).child
    os.kill(child.pid, signal.SIGTERM)
    other = await world.call("desk")
    dave = await world.phone("dave").rings()
    assert await worker_of(world, other) != await worker_of(world, caller), "it takes no more calls"
    await other.hangs_up()
    await dave.is_left_alone()

    await alice.accepts(caller)
    assert await asyncio.wait_for(child.wait(), 5) == 0
    await caller.hangs_up()
    await alice.is_hung_up(within=CARRIED_ON)
    assert (await world.trace(caller)).dispositions == [("Alice", Disposition.ACCEPTED)]
