"""The number answers without any worker: by `vigie agi` and the snapshot, and below that by the dialplan alone."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from agi_scripts.console import Console
from ari_app.ari import Ari, CallBroadcast, Leg
from db.routing import load_routing
from db.snapshot import SnapshotStore
from lab.party import Caller
from lab.phones import rejecting
from lab.sound import Sound, Speech, resemblance
from lab.trace import Trace
from lab.waiting import eventually
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.routing import RoutingTable, build_table
from vigie.addresses import ARI_USER
from vigie.commands.agi import fallback_settings
from vigie.secrets import load_secrets
from vigie.stack.keeper import Keeper
from vigie.stack.postgres import PrivateCluster

ELSEWHERE = "+33899000001"
FRANKS_MOBILE = "+33612000006"


class Ladder:
    """A world without workers, and the rungs that are left."""

    def __init__(self, world: World) -> None:
        self.world = world
        settings = fallback_settings(world.settings)
        self.snapshots = SnapshotStore(settings.snapshots, settings.snapshot_key)
        self.console = Console(settings.control)
        self.recordings = settings.recordings

    @property
    def agi(self) -> Keeper:
        assert self.world.stack.fallback is not None
        return self.world.stack.fallback

    async def table(self) -> RoutingTable:
        now = datetime.now(UTC)
        inputs = await load_routing(self.world.engine)
        return build_table(inputs, now - timedelta(hours=1), now + timedelta(days=8))

    async def agi_serves(self) -> None:
        """Waits until the fallback says that it lives, and has told Asterisk the last known numbers."""
        from_now = time.time()

        async def missing() -> str:
            dids, shown = await self.console.entries("vigie-did"), await self.console.run("dialplan", "show", "globals")
            beat = re.search(r"VIGIE_AGI_BEAT=(\d+)", shown)
            return "" if beat and int(beat[1]) > from_now and "+33180000012" in dids else f"{beat}, known: {dids}"

        await eventually(missing, within=20, hoped="the fallback serves")

    @asynccontextmanager
    async def only(self, rung: Route) -> AsyncIterator[None]:
        """While inside, nothing above ``rung`` lives."""
        if rung is Route.AGI:
            yield
            return
        await self.agi.stop(5)
        try:
            yield
        finally:
            await self.agi.start()
            await self.agi_serves()

    def recording(self, trace: Trace) -> Sound:
        """What the caller of a call has left in Asterisk's spool, for the mail room to take in."""
        return Sound.from_wav((self.recordings / f"vigie-{trace.call.id}.wav").read_bytes())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ladder(only_world: World) -> AsyncIterator[Ladder]:
    """The workers are gone, for all stories here; they are back afterwards."""
    workers = only_world.stack.workers.values()
    await asyncio.gather(*(worker.stop(0) for worker in workers))
    ladder = Ladder(only_world)
    for _ in range(2):
        ladder.snapshots.write(await ladder.table(), datetime.now(UTC))
    await ladder.agi_serves()
    yield ladder
    for left in ladder.recordings.glob("vigie-*.wav"):
        left.unlink()
    await asyncio.gather(*(worker.start() for worker in workers))
    await only_world.workers_connected()


@asynccontextmanager
async def a_worker(ladder: Ladder) -> AsyncIterator[Callable[[], Awaitable[Leg]]]:
    """While inside there is a worker that takes every call and then does nothing; calling it gives the next call."""
    world = ladder.world
    offers: asyncio.Queue[CallBroadcast] = asyncio.Queue()
    url, password = f"http://127.0.0.1:{world.settings.ari_port}", load_secrets(world.settings).ari_password
    ari = Ari(url, ARI_USER, password, "vigie-tired", on_broadcast=offers.put_nowait)
    connection = asyncio.create_task(ari.run())

    async def claim() -> Leg:
        async with asyncio.timeout(10):
            leg = await ari.claim(await offers.get())
            assert leg is not None
            await leg.answered()
            return leg

    async with asyncio.timeout(10):
        await ari.wait_connected()
    await ladder.console.set_global("VIGIE_BEAT", str(int(time.time()) + 60))
    try:
        yield claim
    finally:
        await ladder.console.set_global("VIGIE_BEAT", "0")
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)


Check = Callable[[], Awaitable[None]]
"""What must be in the journal once everything lives again."""


@pytest.mark.parametrize("rung", [Route.AGI, Route.DIALPLAN])
async def test_each_rung_serves_the_callers(
    world: World, ladder: Ladder, rung: Route, message: Speech, reply: Speech
) -> None:
    """Several callers at once, as nothing here waits for another."""

    async def is_connected_to_whoever_presses_1() -> Check:
        caller = await world.call("support")
        alice = await world.phone("alice").rings(showing=caller.journalled_as, within=15)
        await alice.answers()
        await alice.hears_something()
        await alice.presses("5#2")
        carol = await world.phone("carol").rings(showing=caller.journalled_as)
        await caller.is_answered()
        await caller.hears_music()
        await carol.answers()
        await carol.presses("1")
        await carol.is_connected_to(caller)
        await carol.says(reply)
        await caller.hears(reply)
        await carol.hangs_up()
        await caller.is_hung_up()

        async def check() -> None:
            trace = await told(caller, Outcome.ANSWERED)
            assert trace.dispositions == [("Alice", Disposition.REFUSED), ("Carol", Disposition.ACCEPTED)]
            assert EventKind.FALLBACK in trace.kinds

        return check

    async def is_passed_on_when_nothing_is_pressed() -> Check:
        caller = await world.call("mobile", from_="")
        frank = await world.mobile(FRANKS_MOBILE).rings(within=15)
        assert frank.caller_id == world.site.lines["mobile"].numbers[0]
        await frank.answers()
        carol = await world.phone("carol").rings(showing=frank.caller_id, within=25)
        await caller.hangs_up()
        await carol.is_left_alone()

        async def check() -> None:
            trace = await told(caller, Outcome.ABANDONED)
            assert trace.dispositions == [("Frank", Disposition.NOT_CONFIRMED), ("Carol", Disposition.CALLER_GONE)]

        return check

    async def is_connected_to_a_desk_phone_without_any_key() -> Check:
        caller = await world.call("desk")
        dave = await world.phone("dave").rings(within=15)
        await dave.answers()
        await dave.is_connected_to(caller)
        await caller.hangs_up()
        await dave.is_hung_up()

        async def check() -> None:
            trace = await told(caller, Outcome.ANSWERED)
            assert trace.dispositions == [("Dave", Disposition.ACCEPTED)]

        return check

    async def leaves_a_message(line: str, *tried: tuple[str, Disposition]) -> Check:
        caller = await world.call(line)
        await caller.is_answered()
        await caller.hears_beep(within=25)
        await caller.says(message)
        await caller.presses("#")
        await caller.is_hung_up(within=20)

        async def check() -> None:
            trace = await told(caller, Outcome.VOICEMAIL)
            assert trace.dispositions == list(tried)
            assert resemblance(message.sound, ladder.recording(trace)) > 0.9

        return check

    async def told(caller: Caller, outcome: Outcome) -> Trace:
        trace = await world.trace(caller)
        assert (trace.call.route, trace.call.worker, trace.outcome) == (rung, None, outcome)
        return trace

    world.phone("gina").does_by_itself(rejecting(486))
    async with ladder.only(rung), asyncio.TaskGroup() as callers:
        stories = [
            callers.create_task(story)
            for story in (
                is_connected_to_whoever_presses_1(),
                is_passed_on_when_nothing_is_pressed(),
                is_connected_to_a_desk_phone_without_any_key(),
                leaves_a_message("alone", ("Gina", Disposition.BUSY)),
                leaves_a_message("answering-machine"),
            )
        ]
    for story in stories:
        await story.result()()


@pytest.mark.parametrize("rung", [Route.AGI, Route.DIALPLAN])
async def test_nobody_is_sent_out_by_the_trunk(world: World, ladder: Ladder, rung: Route) -> None:
    """Not by what is dialled, not by the caller's number, not by a telephone that sends its calls elsewhere."""
    elsewhere = world.mobile(ELSEWHERE)
    async with ladder.only(rung):
        stray = await world.call(ELSEWHERE)
        sly = await world.call("mobile", from_=f"${{EVAL(1)}},{ELSEWHERE}&PJSIP/{ELSEWHERE}@trunk-lab")
        await (await world.mobile(FRANKS_MOBILE).rings(within=15)).redirects(f"sip:{ELSEWHERE}@{world.carrier}")
        carol = await world.phone("carol").rings()
        await stray.is_answered()
        for caller in (stray, sly):
            await caller.hangs_up()
        await carol.is_left_alone()
    assert (await world.trace(stray)).outcome is Outcome.UNKNOWN_NUMBER
    assert not elsewhere.calls


async def test_a_conversation_outlives_the_fallback_that_began_it(world: World, ladder: Ladder) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.presses("1")
    await alice.is_connected_to(caller)
    before = ladder.agi.child.pid
    os.kill(before, signal.SIGKILL)
    await alice.is_connected_to(caller)
    await alice.hangs_up()
    await caller.is_hung_up()

    trace = await world.trace(caller)
    assert (trace.call.route, trace.outcome) == (Route.AGI, Outcome.ANSWERED)
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]
    assert ladder.agi.child.pid != before
    await ladder.agi_serves()


async def test_calls_are_told_once_the_database_is_back(world: World, ladder: Ladder) -> None:
    cluster = PrivateCluster(world.settings.state_dir / "postgres")
    assert world.stack._cluster is not None
    await world.stack._cluster.stop()
    try:
        caller = await world.call("support")
        alice = await world.phone("alice").rings()
        await alice.answers()
        await alice.presses("1")
        await alice.is_connected_to(caller)
        await caller.hangs_up()
        await alice.is_hung_up()
        silent = await world.call("answering-machine")
        await silent.is_answered()
        await silent.hears_something()
        await silent.hangs_up()
    finally:
        world.stack._cluster = await cluster.start()

    assert (await world.trace(caller)).dispositions == [("Alice", Disposition.ACCEPTED)]
    letter = await world.letter(silent, "carol@societe.example")
    assert "secours" in letter.text
    assert [each.about for each in world.mailbox.letters].count(letter.about) == 1


async def test_a_snapshot_that_cannot_be_trusted_is_not(world: World, ladder: Ladder) -> None:
    """The previous one serves in its place; with neither, the numbers known before do."""
    good = ladder.snapshots.newest.read_bytes()
    try:
        ladder.snapshots.newest.write_bytes(good.replace(b'"alice"', b'"bobby"'))
        async with ladder.only(Route.DIALPLAN):
            pass  # the fallback starts anew, and finds what is there
        caller = await world.call("support")
        await world.phone("alice").rings()
        await caller.hangs_up()
        assert (await world.trace(caller)).call.route == Route.AGI

        await ladder.agi.stop(5)
        ladder.snapshots.previous.unlink()
        ladder.snapshots.newest.write_bytes(good[:1000])
        await ladder.agi.start()
        other = await world.call("support")
        await world.phone("alice").rings()
        await other.hangs_up()
    finally:
        ladder.snapshots.newest.write_bytes(good)
    await ladder.agi_serves()
    assert (await world.trace(other)).call.route == Route.DIALPLAN


async def test_a_caller_whom_a_worker_lost_is_sought_for_again(world: World, ladder: Ladder) -> None:
    """A scenario that fails sends the caller on, answered and with music in their ear."""
    async with a_worker(ladder) as claim:
        caller = await world.call("support")
        leg = await claim()
        await leg.answer()
        await leg.moh()
        await caller.is_answered()
        await leg.go_on()
        alice = await world.phone("alice").rings()
        await alice.answers()
        await alice.presses("1")
        await alice.is_connected_to(caller)
        await caller.hangs_up()
        await alice.is_hung_up()
    assert (await world.trace(caller)).outcome is Outcome.ANSWERED


async def test_a_caller_who_has_left_a_message_with_a_worker_that_failed_is_thanked(
    world: World, ladder: Ladder, message: Speech
) -> None:
    async with a_worker(ladder) as claim:
        caller = await world.call("support")
        leg = await claim()
        await leg.answer()
        await caller.is_answered()
        name = f"vigie-{leg.channel.channelvars['VIGIE_CALL']}"
        recording = await leg.start_recording(name, max_seconds=60, silence_seconds=9)
        await caller.hears_beep()
        await caller.says(message)
        await leg.go_on()
        await recording.finished
        await caller.hears_something()
        await caller.is_hung_up()
    trace = await world.trace(caller)
    assert trace.outcome is Outcome.VOICEMAIL
    assert resemblance(message.sound, ladder.recording(trace)) > 0.9
