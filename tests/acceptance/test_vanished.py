"""A telephone vanishes in the midst of a call: it is noticed, told and mended. Whoever is only silent stays."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import CallEvent
from lab.phones import rejecting, ringing
from lab.rtp import Reports, Rtp
from lab.sound import Sound, Speech
from lab.trace import Dialled
from lab.waiting import eventually, until
from lab.wire import Dialog, Wire
from lab.wired import Calling, Side, picked_up, picks_up
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome
from voice import prompts
from voice.prompts import Phrase

NOTICED = 10.0
"""Seconds within which it must be noticed that a telephone has vanished."""
SILENT = 12.0
"""Seconds for which somebody who is there says nothing."""


@asynccontextmanager
async def talking(world: World, line: str, user: str) -> AsyncIterator[tuple[Calling, Side]]:
    """A caller of a line who talks with somebody whose softphone is made by hand."""
    async with picked_up(world, line, user) as (caller, called):
        called.presses("1")
        await called.is_connected_to(caller)
        yield caller, called


async def hears(world: World, side: Side, phrase: Phrase, *, within: float) -> None:
    """Waits until Vigie has said a sentence to somebody."""
    text = phrase.text("fr")
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    file = world.settings.state_dir / "sounds" / "fr" / f"{name}.wav"
    await until(file.exists, within=within, hoped=f"“{text}” is spoken", instead=lambda: "it is not")
    await side.sound.ear.hears(Speech(text, file, Sound.read(file)), within=within)


async def count(world: World, caller: Dialled, kind: EventKind) -> int:
    """How often something has happened in a call."""
    call = (await world.story(caller)).call
    async with AsyncSession(world.engine) as session:
        query = select(func.count()).where(CallEvent.call_id == call.id, CallEvent.kind == kind)
        return await session.scalar(query) or 0


async def happens(world: World, caller: Dialled, kind: EventKind, *, within: float, times: int = 1) -> None:
    async def not_yet() -> str:
        return "" if await count(world, caller, kind) >= times else "not yet"

    await eventually(not_yet, within=within, hoped=f"{kind} is journalled")


async def test_who_vanishes_and_is_back_elsewhere_is_rung_again_and_free_for_others(world: World) -> None:
    world.phone("carol").does_by_itself(ringing)
    async with talking(world, "eve", "eve") as (caller, eve), Wire(world.address(203), world.settings.sip_bind) as back:
        eve.vanishes()
        assert (await back.register("eve", world.password("eve"))).status == 200
        async with picks_up(back, within=NOTICED) as again:
            await hears(world, caller, prompts.CALLED_LOST, within=5)
            second = await world.call("eve")
            await until(
                lambda: sum(said.method == "INVITE" for said in back.heard) == 2,
                within=5,
                hoped="Eve is free for another call",
                instead=lambda: "she is not rung",
            )
            await second.hangs_up()
            again.presses("1")
            await again.is_connected_to(caller)
            await caller.hangs_up()
    trace = await world.trace(caller)
    assert trace.dispositions == [("Eve", Disposition.SOUND_LOST), ("Eve", Disposition.ACCEPTED)]
    assert trace.event(EventKind.SOUND_LOST).who == "Eve"
    assert trace.outcome is Outcome.ANSWERED


async def test_the_hunt_goes_on_after_who_has_vanished_for_good(world: World) -> None:
    """Erin is tried by her other telephone, then others are; that nobody can be found, the mail explains."""
    world.phone("carol").does_by_itself(rejecting(603))
    mobile = world.mobile("+33612000005")
    async with talking(world, "methods", "erin") as (caller, erin):
        erin.vanishes()
        await hears(world, caller, prompts.CALLED_LOST, within=NOTICED)
        await (await mobile.rings(within=NOTICED)).rejects(486)
        await caller.sound.ear.hears_beep()
        await says_something(caller)
        caller.presses("#")
        await hears(world, caller, prompts.MESSAGE_KEPT, within=5)
    trace = await world.trace(caller)
    assert trace.dispositions == [
        ("Erin", Disposition.SOUND_LOST),
        ("Erin", Disposition.UNREACHABLE),
        ("Erin", Disposition.BUSY),
        ("Carol", Disposition.REFUSED),
    ]
    assert "le son a été perdu" in (await world.letter(caller, "carol@societe.example")).text


async def says_something(side: Side) -> None:
    for _ in range(150):
        side.sound.makes_noise(side.dialog.media)
        await asyncio.sleep(0.02)


async def test_a_caller_who_vanishes_is_told_of_and_journalled(world: World) -> None:
    async with talking(world, "eve", "eve") as (caller, eve):
        caller.vanishes()
        await hears(world, eve, prompts.CALLER_LOST, within=NOTICED)
        await eve.dialog.wire.is_asked("BYE", within=5)
    trace = await world.trace(caller)
    assert trace.event(EventKind.SOUND_LOST).leg == trace.call.channel
    assert EventKind.CALLER_HUNG_UP not in trace.kinds
    assert trace.dispositions == [("Eve", Disposition.ACCEPTED)]
    assert trace.outcome is Outcome.ANSWERED


async def never_acknowledges(world: World) -> None:
    """A caller speaks and hears, but what they say by SIP comes no more: their answer to our 200 is lost."""
    began = datetime.now(UTC)
    number = world.site.lines["support"].numbers[0]
    async with world.somebody(world.carrier.host) as line, Rtp(line.address.host) as sound:
        line.send(line.invite(number, body=line.session(sound.address.port)))
        answer = await line.hears(lambda said: said.status == 200 and said.method == "INVITE", "an answer")
        async with sound.talking(answer.media):
            await line.is_asked("BYE", within=40)
        trace = await world.trace(Calling(Dialog.of_caller(line, answer), sound, number, began))
    assert (trace.event(EventKind.SOUND_LOST).q850, trace.event(EventKind.SOUND_LOST).sip) == (18, 408)
    assert EventKind.CALLER_HUNG_UP not in trace.kinds


async def test_who_vanishes_while_being_asked_to_press_1_is_rung_again(world: World) -> None:
    world.phone("carol").does_by_itself(ringing)
    async with (
        picked_up(world, "eve", "eve") as (caller, eve),
        Wire(world.address(203), world.settings.sip_bind) as back,
    ):
        eve.vanishes()
        assert (await back.register("eve", world.password("eve"))).status == 200
        async with picks_up(back, within=20) as again:
            again.presses("1")
            await again.is_connected_to(caller)
            await caller.hangs_up()
    trace = await world.trace(caller)
    assert trace.dispositions == [("Eve", Disposition.SOUND_LOST), ("Eve", Disposition.ACCEPTED)]


async def test_a_conversation_that_another_worker_has_taken_over_is_watched_too(world: World) -> None:
    async with talking(world, "eve", "eve") as (caller, eve):
        await world.kills((await world.story(caller)).call.worker or "")
        await happens(world, caller, EventKind.ADOPTED, within=5)
        eve.vanishes()
        await hears(world, caller, prompts.CALLED_LOST, within=NOTICED)
        carol = await world.phone("carol").rings(within=NOTICED)
        await caller.hangs_up()
        await carol.is_left_alone()
    trace = await world.trace(caller)
    assert trace.dispositions[:2] == [("Eve", Disposition.SOUND_LOST), ("Eve", Disposition.UNREACHABLE)]
    assert trace.outcome is Outcome.ABANDONED
    await world.workers_connected()


async def test_who_is_silent_but_there_stays(world: World) -> None:
    """Each of four telephones says nothing for a while; only the one that sends nothing at all is asked. Beside them
    somebody speaks who does not answer by SIP any more, and does not stay."""
    world.phone("alice").does_by_itself(ringing)
    async with talking(world, "eve", "eve") as (caller, eve), talking(world, "methods", "erin") as (other, erin):
        await asyncio.gather(
            sends_reports_only(eve),
            puts_on_hold(caller),
            sends_comfort_noise(erin),
            is_asked_and_presses_a_key(world, other),
            never_acknowledges(world),
        )
        for one, another in ((caller, eve), (other, erin)):
            await one.is_connected_to(another)
        assert await count(world, caller, EventKind.PROMPT) == 1, "Eve was asked for 1, and nobody for anything else"
        await caller.hangs_up()
        await other.hangs_up()
    for each in (caller, other):
        trace = await world.trace(each)
        assert EventKind.SOUND_LOST not in trace.kinds
        assert trace.outcome is Outcome.ANSWERED


async def sends_reports_only(side: Side) -> None:
    """Is muted, and sends reports of what it hears, as telephones do every five seconds."""
    async with Reports(side.sound) as reports:
        await reports.hears_theirs()
        side.sound.muted = True
        await says_now_and_then(lambda: side.sound.reports(side.dialog.media, reports), every=5)
        side.sound.muted = False


async def puts_on_hold(side: Side) -> None:
    """Puts the other on hold and sends nothing for as long."""
    for direction, muted in (("inactive", True), ("sendrecv", False)):
        offer = side.dialog.wire.session(side.sound.address.port) + f"a={direction}\r\n"
        assert (await side.dialog.ask("INVITE", body=offer)).status == 200
        side.sound.muted = muted
        await asyncio.sleep(SILENT if muted else 0)


async def sends_comfort_noise(side: Side) -> None:
    """Suppresses silence: says but every two seconds that there is noise."""
    side.sound.muted = True
    await says_now_and_then(lambda: side.sound.sends_comfort_noise(side.dialog.media), every=2.5)
    side.sound.muted = False


async def is_asked_and_presses_a_key(world: World, side: Calling) -> None:
    """Is muted and sends nothing at all, until it is asked to."""
    side.sound.muted = True
    await happens(world, side, EventKind.PROMPT, times=2, within=NOTICED)
    await side.sound.hears_sound(packets=side.sound.packets + 25)
    side.presses("5")
    side.sound.muted = False


async def says_now_and_then(say: Callable[[], None], *, every: float) -> None:
    for _ in range(math.ceil(SILENT / every)):
        say()
        await asyncio.sleep(every)
