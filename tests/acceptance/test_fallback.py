"""The number answers without any worker: by `vigie agi` and the snapshot, and below that by the dialplan alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from agi_scripts.console import Console
from db.routing import load_routing
from db.snapshot import SnapshotStore
from lab.phones import rejecting
from lab.sound import Sound, Speech, resemblance
from lab.trace import Trace
from lab.waiting import eventually
from lab.world import World
from oncall.outcomes import Disposition, Outcome, Route
from oncall.routing import build_table
from vigie.commands.agi import fallback_settings


class Ladder:
    """A world without workers, and the rungs that are left."""

    def __init__(self, world: World) -> None:
        self.world = world
        settings = fallback_settings(world.settings)
        self.snapshots = SnapshotStore(settings.snapshots, settings.snapshot_key)
        self.console = Console(settings.control)
        self.recordings = settings.recordings

    async def take_snapshot(self) -> None:
        inputs = await load_routing(self.world.engine)
        now = datetime.now(UTC)
        self.snapshots.write(build_table(inputs, now - timedelta(hours=1), now + timedelta(days=8)), now)

    async def agi_ready(self) -> None:
        async def missing() -> str:
            known = await self.console.entries("vigie-did")
            beat = await self.console.run("dialplan", "show", "globals")
            return "" if known and "VIGIE_AGI_BEAT" in beat else f"known: {known}"

        await eventually(missing, within=20, hoped="the fallback is ready")

    def recording(self, trace: Trace) -> Sound:
        """What the caller of a call has left in Asterisk's spool, for the mail room to take in."""
        return Sound.from_wav((self.recordings / f"vigie-{trace.call.id}.wav").read_bytes())

    @asynccontextmanager
    async def only(self, rung: Route) -> AsyncIterator[None]:
        """While inside, nothing above ``rung`` lives."""
        agi = self.world.stack.fallback
        assert agi is not None
        if rung is Route.AGI:
            yield
            return
        await agi.stop(5)
        await self.console.set_global("VIGIE_AGI_BEAT", "0")
        try:
            yield
        finally:
            await agi.start()
            await self.agi_ready()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ladder(only_world: World) -> AsyncIterator[Ladder]:
    """The workers are gone, for all stories here; they are back afterwards."""
    workers = only_world.stack.workers.values()
    await asyncio.gather(*(worker.stop(0) for worker in workers))
    ladder = Ladder(only_world)
    await ladder.take_snapshot()
    await ladder.agi_ready()
    yield ladder
    await asyncio.gather(*(worker.start() for worker in workers))
    await only_world.workers_connected()


async def test_the_person_on_call_presses_1_and_talks(
    world: World, ladder: Ladder, message: Speech, reply: Speech
) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    assert alice.caller_id == caller.journalled_as
    await alice.answers()
    await alice.hears_something()
    await alice.presses("1")
    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up()

    trace = await world.trace(caller)
    assert trace.call.route == Route.AGI
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]


async def test_whoever_presses_nothing_is_passed_over(world: World, ladder: Ladder) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await caller.is_answered()
    await caller.hears_music()
    await alice.answers()
    carol = await world.phone("carol").rings(within=30)
    await carol.answers()
    await carol.presses("5#1")
    await carol.is_connected_to(caller)
    await carol.hangs_up()
    await caller.is_hung_up()

    trace = await world.trace(caller)
    assert trace.dispositions == [("Alice", Disposition.NOT_CONFIRMED), ("Carol", Disposition.ACCEPTED)]


async def test_nobody_takes_the_call_and_a_message_is_recorded(world: World, ladder: Ladder, message: Speech) -> None:
    world.phone("gina").does_by_itself(rejecting(486))
    caller = await world.call("alone")
    await caller.is_answered()
    await caller.hears_beep()
    await caller.says(message)
    await caller.presses("#")
    await caller.is_hung_up(within=20)

    trace = await world.trace(caller)
    assert (trace.call.route, trace.outcome) == (Route.AGI, Outcome.VOICEMAIL)
    assert trace.attempt("Gina").sip == 486
    assert resemblance(message.sound, ladder.recording(trace)) > 0.9


async def test_a_caller_who_hangs_up_is_not_sought_for_any_more(world: World, ladder: Ladder) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await caller.hangs_up()
    await alice.is_left_alone()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ABANDONED
    assert trace.dispositions == [("Alice", Disposition.CALLER_GONE)]


async def test_a_number_that_leads_nowhere_is_said_to_be_out_of_service(world: World, ladder: Ladder) -> None:
    caller = await world.call("+33180000099")
    await caller.is_answered()
    await caller.hears_something()
    await caller.is_hung_up(within=15)
    assert (await world.trace(caller)).outcome is Outcome.UNKNOWN_NUMBER


@pytest.mark.parametrize("rung", [Route.AGI, Route.DIALPLAN])
async def test_nobody_is_sent_out_by_the_trunk(world: World, ladder: Ladder, rung: Route) -> None:
    """Not by what is dialled, not by the caller's number, not by a telephone that sends its calls elsewhere."""
    elsewhere = world.mobile("+33899000001")
    async with ladder.only(rung):
        for number, from_ in [
            ("+33899000001", None),
            ("+33180000003", "${EVAL(1)},+33899000001&PJSIP/+33899000001@trunk-lab"),
        ]:
            frank = world.mobile("+33612000006")
            caller = await world.call(number, from_=from_)
            await caller.is_answered(within=15)
            if from_:
                await (await frank.rings()).redirects(f"sip:+33899000001@{world.carrier}")
                await world.phone("carol").rings()
            await caller.hangs_up()
    assert not elsewhere.calls
