"""The ends a call can come to."""

import asyncio
from dataclasses import replace

import pytest

from ari_app.ari.events import ChannelHangupRequest
from ari_app.calls.adoption import give_up
from oncall.plan import PlanStep, RingOrder, VoicemailRules
from tests.calls.conftest import ALICE, BOB, SUPPORT, Office, plan, until


async def test_a_caller_who_hangs_up_while_it_rings_stops_the_phones(office: Office) -> None:
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    alice.rings()
    await until(lambda: "ringing" in office.paper.kinds(), "alice's phone rings")
    caller.hangs_up()
    await office.over()
    assert not alice.alive
    assert office.paper.dispositions() == [("Alice", "caller_gone")]
    assert office.paper.outcomes() == ["abandoned"]


async def test_an_unknown_number_is_announced_and_journalled(office: Office) -> None:
    caller = await office.call(did="+33188009999")
    await office.over()
    assert "n'est pas en service" in caller.heard[0]
    assert not caller.alive
    assert office.paper.outcomes() == ["unknown_number"]


async def test_nobody_on_call_leads_straight_to_a_message_and_is_flagged(office: Office) -> None:
    office.plan = plan(PlanStep(1, RingOrder.TOGETHER, (), nobody=("Nuits",)))
    caller = await office.call()
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    assert "nobody_on_call" in office.paper.kinds()
    (name,) = office.asterisk.recordings
    office.asterisk.finish_recording(name)
    await office.over()
    assert "enregistré" in caller.heard[-1]
    assert len(office.mail.taken_in) == 1


async def test_a_caller_without_caller_id_is_announced_as_withheld(office: Office) -> None:
    caller = await office.call(number="anonymous")
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    await until(lambda: alice.heard, "alice hears who calls")
    assert "numéro masqué" in alice.heard[0]
    assert alice.caller_id == '"Support" <+33188000001>'
    caller.hangs_up()
    await office.over()


async def test_sounds_that_cannot_be_played_do_not_keep_anybody_from_talking(office: Office) -> None:
    office.asterisk.broken |= {"moh"}
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    alice.presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    caller.hangs_up()
    await office.over()


async def test_a_defect_of_ours_sends_the_caller_on_to_the_fallback(office: Office) -> None:
    office.plan = None  # type: ignore[assignment]
    caller = await office.call()
    await office.over()
    assert caller.in_fallback
    assert office.paper.outcomes() == ["failed"]


async def test_a_message_is_bounded_as_the_line_says(office: Office) -> None:
    rules = VoicemailRules(min_seconds=2, max_seconds=90, silence_seconds=7)
    office.plan = replace(plan(), line=replace(SUPPORT, voicemail=rules))
    caller = await office.call()
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    asked = office.asterisk.recorded_with
    assert (asked["maxDurationSeconds"], asked["maxSilenceSeconds"]) == (90, 7)
    assert (asked["terminateOn"], asked["beep"]) == ("#", True)
    caller.hangs_up()
    await office.over()


async def test_a_message_that_cannot_be_recorded_sends_the_caller_on_and_is_still_told_of(office: Office) -> None:
    office.plan = plan()
    office.asterisk.broken.add("record")
    caller = await office.call()
    await until(lambda: caller.in_fallback, "a caller whose message cannot be recorded is not left alone")
    await office.over()
    assert len(office.mail.taken_in) == 1


async def test_a_phone_that_is_just_beginning_to_ring_stops_when_the_caller_hangs_up(office: Office) -> None:
    office.asterisk.replies.clear()
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    caller.hangs_up()
    await until(lambda: not alice.alive, "alice is left alone")
    await office.over()
    assert office.paper.outcomes() == ["abandoned"]


async def test_a_hangup_that_only_our_next_request_finds_out_costs_no_message(office: Office) -> None:
    office.plan = plan()
    caller = await office.call()
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    (name,) = office.asterisk.recordings
    office.asterisk.tell(ChannelHangupRequest(channel=caller.channel, cause=16))
    caller.alive = False
    office.asterisk.finish_recording(name)
    await office.over()
    assert len(office.mail.taken_in) == 1
    assert len(office.paper.outcomes()) == 1


async def test_a_worker_that_stops_keeps_the_message_that_is_being_left(office: Office) -> None:
    office.plan = plan()
    caller = await office.call()
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    office.calls[0].cancel()
    await asyncio.wait(office.calls)
    assert not caller.alive
    assert len(office.mail.taken_in) == 1
    assert len(office.paper.outcomes()) == 1


async def test_a_caller_given_up_goes_on_to_the_fallback_and_nobody_else_is_rung(office: Office) -> None:
    office.steps([ALICE], [BOB])
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    (call,) = office.desk.calls
    await give_up(call)
    assert caller.in_fallback
    assert not alice.alive
    assert office.asterisk.rung_endpoints == ["PJSIP/alice"]
    assert not office.desk.calls


async def test_a_message_goes_on_being_recorded_when_its_caller_is_given_up(office: Office) -> None:
    office.plan = plan(PlanStep(1, RingOrder.TOGETHER, (), nobody=("Nuits",)))
    caller = await office.call()
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    (call,) = office.desk.calls
    await give_up(call)
    assert caller.in_fallback
    assert office.asterisk.recordings
    assert call in office.desk.calls


@pytest.mark.parametrize(("abandoned_seconds", "is_told"), [(0, True), (1800, False)])
async def test_somebody_hears_of_a_caller_who_gave_up_after_a_while(
    office: Office, abandoned_seconds: int, is_told: bool
) -> None:
    rules = replace(office.plan.line.voicemail, abandoned_seconds=abandoned_seconds)
    office.plan = replace(office.plan, line=replace(office.plan.line, voicemail=rules))
    caller = await office.call()
    await office.asterisk.rung("PJSIP/alice")
    caller.hangs_up()
    await office.over()
    assert office.paper.outcomes() == ["abandoned"]
    assert bool(office.mail.told_of) == is_told
