"""Two trunks, of which the first is out of order: numbers are called by the other one.

Frank's mobile is reached by the second trunk only: whenever it rings, the first was left in time.
"""

import re
from collections.abc import AsyncIterator

import pytest_asyncio

from db.models import CallEvent
from lab.party import Caller
from lab.trace import Trace
from lab.waiting import eventually, until
from lab.world import World
from oncall.manner import Identity, NumberForm
from oncall.outcomes import Disposition, EventKind, Outcome
from vigie.checks import Finding, Verdict, examine
from vigie.site.importer import import_site

FRANKS_MOBILE = "+33612000006"


@pytest_asyncio.fixture(loop_scope="session")
async def preferring_the_wrong_one(world: World) -> AsyncIterator[World]:
    """The world with its trunks the other way round, as soon as that is obeyed."""
    backwards = dict(reversed(world.site.trunks.items()))
    await import_site(world.engine, world.site.model_copy(update={"trunks": backwards}))
    world.disorder.in_its_usual_disorder()
    try:
        await _watched(world, Verdict.GOOD)
        await eventually(lambda: _tries(world, "spare"), within=5, hoped="the first trunk is tried first", grain=0)
        world.disorder.called.clear()
        yield world
    finally:
        world.disorder.in_its_usual_disorder()
        await world.pbx.command("dialplan set global VIGIE_REFUSED_spare 0")
        await import_site(world.engine, world.site, prune=True)
        await eventually(lambda: _tries(world, "lab"), within=5, hoped="the other trunk is tried first", grain=0)


async def _tries(world: World, trunk: str) -> str:
    """Complains when another trunk than this is preferred."""
    trace = await _rung_in_vain(world)
    return "" if f"par {trunk}" in _ring(trace) else _ring(trace)


async def _rung_in_vain(world: World) -> Trace:
    caller = await _calls_frank(world)
    await caller.hangs_up()
    return await world.trace(caller)


async def _calls_frank(world: World) -> Caller:
    """Frank's mobile rings for the caller."""
    caller = await world.call("mobile")
    await world.mobile(FRANKS_MOBILE).rings()
    return caller


def _ring(trace: Trace) -> str:
    return trace.event(EventKind.RING).reason or ""


def _failures(trace: Trace) -> list[CallEvent]:
    return [event for event in trace.events if event.kind == EventKind.TRUNK_FAILED]


async def _the_doctor_on_trunks(world: World) -> Finding:
    (finding,) = (finding for finding in await examine(world.settings) if finding.subject == "trunks")
    return finding


async def _watched(world: World, verdict: Verdict) -> None:
    """Asterisk sends OPTIONS now rather than in some seconds, and we wait for what comes of it."""
    await world.pbx.command("pjsip qualify trunk-spare.in")

    async def otherwise() -> str:
        finding = await _the_doctor_on_trunks(world)
        return "" if finding.verdict is verdict else finding.detail

    await eventually(otherwise, within=25, hoped=f"the first trunk is {verdict}")


async def test_a_trunk_that_refuses_our_calls_costs_nobody_theirs(preferring_the_wrong_one: World) -> None:
    world = preferring_the_wrong_one
    caller = await _calls_frank(world)
    frank = world.mobile(FRANKS_MOBILE)
    await frank.accepts(caller)
    await caller.hangs_up()
    await frank.is_hung_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Frank", Disposition.ACCEPTED)]
    (failure,) = _failures(trace)
    assert (failure.who, failure.q850, failure.sip) == ("Frank", 34, 503)
    assert failure.reason == "spare en défaut, essai par lab"
    assert world.disorder.called == [FRANKS_MOBILE]


async def test_a_trunk_that_falls_silent_is_left_then_skipped_and_used_again_when_it_is_back(
    preferring_the_wrong_one: World,
) -> None:
    world = preferring_the_wrong_one
    world.disorder.says_nothing()
    caught_unawares = await _rung_in_vain(world)
    (failure,) = _failures(caught_unawares)
    assert (failure.q850, failure.sip) == (102, None)
    assert caught_unawares.dispositions == [("Frank", Disposition.CALLER_GONE)]

    await _watched(world, Verdict.DOUBTFUL)
    assert "spare" in (await _the_doctor_on_trunks(world)).detail
    warned = await _rung_in_vain(world)
    assert _failures(warned) == []
    assert "par lab, spare ne répond pas" in _ring(warned)

    world.disorder.in_its_usual_disorder()
    await _watched(world, Verdict.GOOD)
    back = await _rung_in_vain(world)
    assert [event.sip for event in _failures(back)] == [503]


async def test_who_may_have_heard_it_ring_is_not_rung_again_by_the_next_trunk(preferring_the_wrong_one: World) -> None:
    """183 is a ringing tone in the sound, or an announcement: nobody can tell, so a 503 after it is the person's."""
    world = preferring_the_wrong_one
    rung_before = len(world.mobile(FRANKS_MOBILE).calls)
    world.disorder.to_invite = "183 Session Progress"
    caller = await world.call("mobile")
    await until(
        lambda: bool(world.disorder.called), within=10, hoped="the first trunk is asked", instead=lambda: "it is not"
    )
    await eventually(lambda: _is_ringing(world, caller), within=10, hoped="the journal says that it rings")
    world.disorder.ends_calls("503 Service Unavailable")
    await world.phone("carol").rings()
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert trace.dispositions == [("Frank", Disposition.UNREACHABLE), ("Carol", Disposition.CALLER_GONE)]
    assert _failures(trace) == []
    assert len(world.mobile(FRANKS_MOBILE).calls) == rung_before


async def test_a_carrier_that_wants_the_line_to_vouch_for_its_callers(preferring_the_wrong_one: World) -> None:
    """It refuses the caller's number all the same: the line's own is tried, once, and the doctor says so."""
    world = preferring_the_wrong_one
    wants = {"identity": Identity.DIVERSION, "number_form": NumberForm.INTERNATIONAL}
    spare = world.site.trunks["spare"].model_copy(update=wants)
    trunks = {"spare": spare, "lab": world.site.trunks["lab"]}
    await import_site(world.engine, world.site.model_copy(update={"trunks": trunks}))
    await eventually(lambda: _not_vouched_for(world), within=20, hoped="the carrier's wishes are obeyed", grain=0.5)
    world.disorder.to_invite = "403 Forbidden"
    await _calls_erin(world)
    callers, lines = world.disorder.invites
    for invite in (callers, lines):
        assert invite.startswith("INVITE sip:0033612000005@")
    assert re.search(r"^From: .*<sip:00336550\d+@", callers, re.MULTILINE)
    assert "P-Asserted-Identity: <sip:0033180000006@" in callers
    assert re.search(r"^Diversion: <sip:0033180000006@.*reason=unconditional", callers, re.MULTILINE)
    assert re.search(r"^From: .*<sip:0033180000006@", lines, re.MULTILINE)
    assert "Diversion:" not in lines
    finding = await _the_doctor_on_trunks(world)
    assert "spare refuses callers' numbers" in finding.detail


async def _not_vouched_for(world: World) -> str:
    """Complains as long as the first trunk is not asked as it wants."""
    await _calls_erin(world)
    (invite,) = world.disorder.invites
    return "" if "sip:0033612000005@" in invite and invite.count("P-Asserted-Identity") == 1 else f"asked by {invite}"


async def _calls_erin(world: World) -> None:
    """Erin's mobile rings for a caller, by the second trunk."""
    world.disorder.invites.clear()
    caller = await world.call("methods")
    await world.mobile("+33612000005").rings()
    await caller.hangs_up()
    await world.nothing_left()


async def test_a_trunk_that_replies_after_it_was_given_up_is_told_so_at_once(preferring_the_wrong_one: World) -> None:
    """Asterisk goes on sending the INVITE for 32 s (it may not send CANCEL before a reply: RFC 3261, 9.1)."""
    world = preferring_the_wrong_one
    world.disorder.to_invite = None
    caller = await _calls_frank(world)
    world.disorder.to_invite = "180 Ringing"
    await until(
        lambda: world.disorder.cancelled == [FRANKS_MOBILE],
        within=15,
        hoped="the late trunk is sent CANCEL",
        instead=lambda: f"cancelled: {world.disorder.cancelled}",
    )
    await caller.hangs_up()


async def _is_ringing(world: World, caller: Caller) -> str:
    try:
        return "" if EventKind.RINGING in (await world.story(caller)).kinds else "nothing rings"
    except AssertionError as not_yet:
        return str(not_yet)
