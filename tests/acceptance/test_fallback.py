"""The number answers without any worker: by `vigie agi` and the snapshot, and below that by the dialplan alone."""

import asyncio
import os
import re
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from agi_scripts.console import Console
from agi_scripts.scenario import seconds_recorded
from ari_app.ari import Ari, CallBroadcast, Leg
from db.snapshot import SnapshotStore
from lab.party import Caller
from lab.phones import rejecting
from lab.sound import Sound, Speech, resemblance
from lab.trace import Trace
from lab.waiting import eventually, until
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from tests.support.database import administer
from tests.support.diversion import TOLD, diverts_to
from vigie.addresses import ARI_USER
from vigie.checks import Verdict, examine
from vigie.commands.agi import fallback_settings
from vigie.secrets import load_secrets
from vigie.stack.keeper import Keeper
from vigie.stack.postgres import PrivateCluster

ELSEWHERE = "+33899000001"
ERINS_MOBILE = "+33612000005"
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
        return self.world.stack.keepers["agi"]

    async def agi_serves(self) -> None:
        """Waits until the fallback says that it lives, and has told Asterisk the last known numbers."""
        from_now = time.time()

        async def missing() -> str:
            known = await self.console.entries("vigie-did")
            beat = re.search(r"VIGIE_AGI_BEAT=(\d+)", await self.console.run("dialplan", "show", "globals"))
            return "" if beat and int(beat[1]) > from_now and "+33180000012" in known else f"{beat}, known: {known}"

        await eventually(missing, within=20, hoped="the fallback serves")

    @asynccontextmanager
    async def only(self, rung: Route) -> AsyncIterator[None]:
        """While inside, nothing above ``rung`` can serve a call: the fallback is started anew, without a snapshot."""
        if rung is Route.AGI:
            yield
            return
        good = self.snapshots.newest.read_bytes()
        await self.agi.stop(5)
        self.snapshots.previous.unlink()
        self.snapshots.newest.write_bytes(good[:1000])
        await self.agi.start()
        try:
            yield
        finally:
            self.snapshots.newest.write_bytes(good)
            await self.agi_serves()

    async def workers_return(self) -> None:
        """Everything lives again."""
        workers = self.world.stack.workers.values()
        await asyncio.gather(*(worker.start() for worker in workers if not worker.ready.is_set()))
        await self.world.workers_connected()

    def has_written(self) -> bool:
        """Whether two seconds of a message are on Asterisk's disk, and the facts of its call."""
        with closing(sqlite3.connect(self.world.pbx.directory / "db" / "astdb.sqlite3")) as database:
            begun = database.execute("SELECT key FROM astdb WHERE key LIKE '/vigie-begun/%'").fetchall()
        recordings = [self.recordings / f"vigie-{key.rpartition('/')[2]}.wav" for (key,) in begun]
        return any(seconds_recorded(file) >= 2 for file in recordings)

    def recording(self, trace: Trace) -> Sound:
        """What the caller of a call has left in Asterisk's spool, for the mail room to take in."""
        return Sound.from_wav((self.recordings / f"vigie-{trace.call.id}.wav").read_bytes())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ladder(only_world: World) -> AsyncIterator[Ladder]:
    """The workers are gone, for all stories here; they are back afterwards."""
    ladder = Ladder(only_world)
    await ladder.agi_serves()
    await asyncio.gather(*(worker.stop(0) for worker in only_world.stack.workers.values()))
    yield ladder
    await ladder.workers_return()


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


@contextmanager
def the_database_away(world: World) -> Iterator[None]:
    """While inside, PostgreSQL throws everybody out and lets nobody in."""
    cluster = PrivateCluster(world.settings.state_dir / "postgres")
    administer(cluster, "ALTER DATABASE vigie ALLOW_CONNECTIONS false")
    administer(cluster, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'vigie'")
    try:
        yield
    finally:
        administer(cluster, "ALTER DATABASE vigie ALLOW_CONNECTIONS true")


Check = Callable[[], Awaitable[None]]
"""What must be in the journal once everything lives again."""


class Callers:
    """The stories that each rung must be able to serve, told by what is the same whoever serves."""

    def __init__(self, ladder: Ladder, rung: Route, message: Speech, reply: Speech) -> None:
        self._ladder = ladder
        self._world = ladder.world
        self._rung = rung
        self._message = message
        self._reply = reply

    async def is_connected_to_whoever_presses_1(self) -> Check:
        world = self._world
        caller = await world.call("support")
        alice = await world.phone("alice").rings(showing=caller.journalled_as, within=15)
        await alice.answers()
        await alice.hears_something()
        await alice.presses("5#2")
        carol = await world.phone("carol").rings(showing=caller.journalled_as)
        await caller.is_answered()
        await caller.hears_music()
        await carol.accepts(caller)
        await carol.says(self._reply)
        await caller.hears(self._reply)
        await carol.hangs_up()
        await caller.is_hung_up()

        async def check() -> None:
            trace = await self._told(caller, Outcome.ANSWERED)
            assert trace.dispositions == [("Alice", Disposition.REFUSED), ("Carol", Disposition.ACCEPTED)]
            assert EventKind.FALLBACK in trace.kinds

        return check

    async def is_passed_on_when_nothing_is_pressed(self) -> Check:
        world = self._world
        caller = await world.call("mobile", from_="")
        frank = await world.mobile(FRANKS_MOBILE).rings(within=15)
        assert frank.caller_id == world.site.lines["mobile"].numbers[0]
        await frank.answers()
        carol = await world.phone("carol").rings(showing=frank.caller_id, within=25)
        await caller.hangs_up()
        await carol.is_left_alone()

        async def check() -> None:
            trace = await self._told(caller, Outcome.ABANDONED)
            assert trace.dispositions == [("Frank", Disposition.NOT_CONFIRMED), ("Carol", Disposition.CALLER_GONE)]

        return check

    async def is_connected_to_a_desk_phone_without_any_key(self) -> Check:
        caller = await self._world.call("desk")
        dave = await self._world.phone("dave").rings(within=15)
        await dave.answers()
        await dave.is_connected_to(caller)
        await caller.hangs_up()
        await dave.is_hung_up()

        async def check() -> None:
            trace = await self._told(caller, Outcome.ANSWERED)
            assert trace.dispositions == [("Dave", Disposition.ACCEPTED)]

        return check

    async def leaves_a_message(self) -> Check:
        self._world.phone("gina").does_by_itself(rejecting(486))
        caller = await self._world.call("alone")
        await caller.is_answered()
        await caller.hears_beep(within=25)
        await caller.says(self._message)
        await caller.hangs_up()

        async def check() -> None:
            trace = await self._told(caller, Outcome.VOICEMAIL)
            assert trace.dispositions == [("Gina", Disposition.BUSY)]
            assert resemblance(self._message.sound, self._ladder.recording(trace)) > 0.9

        return check

    async def is_not_sent_out_by_the_trunk(self) -> Check:
        """Not by the caller's number, not by a telephone that sends its calls elsewhere."""
        world = self._world
        elsewhere = world.mobile(ELSEWHERE)
        caller = await world.call("methods", from_=f"${{EVAL(1)}},{ELSEWHERE}&PJSIP/{ELSEWHERE}@trunk-lab")
        await (await world.mobile(ERINS_MOBILE).rings(within=15)).redirects(f"sip:{ELSEWHERE}@{world.carrier}")
        carol = await world.phone("carol").rings(showing=world.site.lines["methods"].numbers[0])
        await caller.hangs_up()
        await carol.is_left_alone()

        async def check() -> None:
            assert not elsewhere.calls

        return check

    async def dials_what_is_not_ours(self) -> Check:
        """The numbers that lead to no line lead nowhere else either."""
        elsewhere = self._world.mobile(ELSEWHERE)
        caller = await self._world.call(ELSEWHERE)
        await caller.is_hung_up(within=20)

        async def check() -> None:
            assert not elsewhere.calls
            await self._told(caller, Outcome.UNKNOWN_NUMBER)

        return check

    async def _told(self, caller: Caller, outcome: Outcome) -> Trace:
        trace = await self._world.trace(caller)
        assert (trace.call.route, trace.call.worker, trace.outcome) == (self._rung, None, outcome)
        return trace


@pytest.mark.parametrize("rung", [Route.AGI, Route.DIALPLAN])
async def test_each_rung_serves_the_callers(
    ladder: Ladder, world: World, rung: Route, message: Speech, reply: Speech
) -> None:
    """All at once, as nothing here waits for another; what they come to is journalled when all lives again."""
    callers = Callers(ladder, rung, message, reply)
    async with ladder.only(rung), asyncio.TaskGroup() as group:
        stories = [
            callers.is_connected_to_whoever_presses_1,
            callers.is_connected_to_a_desk_phone_without_any_key,
            callers.leaves_a_message,
            callers.is_not_sent_out_by_the_trunk,
            callers.dials_what_is_not_ours,
        ]
        if rung is Route.AGI:  # slow, and the same dialplan asks for "1" below
            stories.append(callers.is_passed_on_when_nothing_is_pressed)
        checks = [group.create_task(story()) for story in stories]
    for check in checks:
        await check.result()()


async def test_a_conversation_outlives_the_fallback_and_nobody_waits_for_it(world: World, ladder: Ladder) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.accepts(caller)
    os.kill(ladder.agi.child.pid, signal.SIGKILL)
    other = await world.call("desk")
    dave = await world.phone("dave").rings()
    await alice.is_connected_to(caller)
    await alice.hangs_up()
    await caller.is_hung_up()
    await other.hangs_up()
    await dave.is_left_alone()

    assert (await world.trace(caller)).dispositions == [("Alice", Disposition.ACCEPTED)]
    trace = await world.trace(other)
    assert (trace.call.route, trace.dispositions) == (Route.DIALPLAN, [("Dave", Disposition.CALLER_GONE)])
    await ladder.agi_serves()


async def test_a_snapshot_that_was_tampered_with_is_refused_and_the_previous_one_used(
    world: World, ladder: Ladder
) -> None:
    """The newest one is made to say that Bob is to be rung in Alice's place."""
    good = ladder.snapshots.newest.read_bytes()
    for _ in range(2):
        ladder.snapshots.write(ladder.snapshots.read().table, datetime.now(UTC))
    refusals = ladder.agi.log.read_text().count("The previous one")
    try:
        ladder.snapshots.newest.write_bytes(good.replace(b'"alice"', b'"bobby"'))
        await until(
            lambda: ladder.agi.log.read_text().count("The previous one") > refusals,
            within=10,
            hoped="the fallback refuses it",
            instead=lambda: ladder.agi.log.read_text()[-500:],
        )
        caller = await world.call("support")
        await world.phone("alice").rings()
        await caller.hangs_up()
        findings = {finding.subject: finding for finding in await examine(world.settings)}
    finally:
        ladder.snapshots.newest.write_bytes(good)
    assert (await world.trace(caller)).call.route == Route.AGI
    assert findings["snapshot"].verdict is Verdict.DOUBTFUL
    assert re.search("changed after it was written.*The previous one is used", findings["snapshot"].detail)
    assert findings["known numbers"].verdict is not Verdict.BAD


async def test_callers_whom_a_worker_lost_are_served(world: World, ladder: Ladder, message: Speech) -> None:
    """A scenario that fails sends the caller on: answered, with music in the ear, perhaps with a message left."""
    async with a_worker(ladder) as claim:
        hopeful = await world.call("support")
        leg = await claim()
        await leg.answer()
        await leg.moh()
        await hopeful.is_answered()
        await leg.go_on()
        alice = await world.phone("alice").rings()
        await alice.accepts(hopeful)
        await hopeful.hangs_up()
        await alice.is_hung_up()

        satisfied = await world.call("support")
        leg = await claim()
        await leg.answer()
        await satisfied.is_answered()
        name = f"vigie-{leg.channel.channelvars['VIGIE_CALL']}"
        recording = await leg.start_recording(name, max_seconds=60, silence_seconds=9)
        await satisfied.hears_beep()
        await satisfied.says(message)
        await leg.go_on()
        await recording.finished
        await satisfied.is_hung_up()

    assert (await world.trace(hopeful)).outcome is Outcome.ANSWERED
    trace = await world.trace(satisfied)
    assert (trace.outcome, trace.dispositions) == (Outcome.VOICEMAIL, [])
    assert resemblance(message.sound, ladder.recording(trace)) > 0.9


async def test_a_message_with_which_asterisk_ended_is_kept_though_the_dialplan_alone_knew_of_it(
    world: World, ladder: Ladder, message: Speech
) -> None:
    async with ladder.only(Route.DIALPLAN):
        caller = await world.call("answering-machine")
        await caller.is_answered()
        await caller.hears_beep()
        await caller.says(message)
        await until(ladder.has_written, within=10, hoped="two seconds of it on disk", instead=lambda: "not yet")
        await world.kills("Asterisk")
        await caller.hangs_up()
        await world.is_back("Asterisk")
    trace = await world.trace(caller)
    assert (trace.call.route, trace.outcome) == (Route.DIALPLAN, Outcome.VOICEMAIL)
    assert trace.event(EventKind.VOICEMAIL_STARTED)


@asynccontextmanager
async def preferring_the_other_trunk(ladder: Ladder) -> AsyncIterator[None]:
    """While inside, the snapshot and the known numbers have the carrier who is out of order first."""
    good = ladder.snapshots.read().table
    backwards = replace(good, trunks=good.trunks[::-1])

    async def otherwise() -> str:
        for _ in range(2):  # the second makes the first the previous one, so neither is the old order
            ladder.snapshots.write(backwards, datetime.now(UTC))
        who = await ladder.console.entries("vigie-who")
        first = [value for value in who.values() if value.startswith(f"PJSIP/{ERINS_MOBILE}")][:1]
        return "" if "trunk-spare" in first[0] else first[0]

    await eventually(otherwise, within=20, hoped="the other trunk is known as the first", grain=0.5)
    try:
        yield
    finally:
        for _ in range(2):
            ladder.snapshots.write(good, datetime.now(UTC))


@pytest.mark.parametrize("rung", [Route.AGI, Route.DIALPLAN])
async def test_a_call_that_comes_back_from_a_diverted_mobile_is_refused(
    world: World, ladder: Ladder, rung: Route
) -> None:
    callers = []
    async with preferring_the_other_trunk(ladder), ladder.only(rung), world.diverting() as carrier:
        for told in TOLD:
            diverts_to(carrier, world.site.lines["methods"].numbers[0], told)
            caller = await world.call("methods")
            carol = await world.phone("carol").rings(within=15)
            assert len((await world.pbx.command("core show channels concise")).splitlines()) <= 3
            assert carrier.answers == ["SIP/2.0 486 Busy Here"], told
            await carol.accepts(caller)
            await caller.hangs_up()
            await carol.is_hung_up()
            callers.append(caller)
    for caller in callers:
        trace = await world.trace(caller)
        assert Disposition.DIVERTED_TO_US in [disposition for _, disposition in trace.dispositions]
        assert ("Carol", Disposition.ACCEPTED) in trace.dispositions


async def test_what_happened_without_workers_and_database_is_told_and_mailed_once_when_they_are_back(
    world: World, ladder: Ladder, message: Speech
) -> None:
    """The last story here: from now on the workers are there."""
    with the_database_away(world):
        caller = await world.call("answering-machine")
        await caller.is_answered()
        await caller.hears_beep()
        await caller.says(message)
        await caller.presses("#")
        await caller.is_hung_up()

    await ladder.workers_return()
    letter = await world.letter(caller, "carol@societe.example")
    assert letter.subject.endswith("— secours")
    assert "servi par le secours" in letter.text
    assert resemblance(message.sound, letter.sound) > 0.9
    assert [each.about for each in world.mailbox.letters].count(letter.about) == 1
    assert not (ladder.recordings / f"vigie-{letter.about}.wav").exists()
