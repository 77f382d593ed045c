"""The hunt: who is rung, in what order, and who has the call in the end."""

import asyncio

import pytest

from ari_app.ari.reconciliation import reconcile
from ari_app.calls import comfort as comfort_module
from ari_app.calls import confirmation
from ari_app.calls.presence import ENGAGED, Presence
from oncall.plan import CallerIdShown, ContactKind, ContactMethod, PlanStep, RingOrder
from tests.calls.conftest import ALICE, BOB, CAROL, Office, person, plan, sip, until


async def test_the_person_on_call_presses_1_and_talks(office: Office) -> None:
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    await until(lambda: alice.heard, "alice hears who calls")
    assert "Support" in alice.heard[0]
    assert ",".join(f"sound:digits/{digit}" for digit in "0611223344") in alice.heard[0]
    alice.presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    assert not caller.music
    caller.hangs_up()
    await office.over()
    assert not alice.alive
    assert office.paper.dispositions() == [("Alice", "accepted")]
    assert office.paper.outcomes() == ["answered"]


async def test_whoever_picks_up_while_asterisk_cannot_tell_us_is_rung_again(office: Office) -> None:
    """Asterisk hangs up on them then, which we find out when the connection is back."""
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    alice.rings()
    alice.alive = False
    await reconcile(office.asterisk.ari, [office.asterisk.ari._dispatch.legs[alice.channel.id]], [], restarted=False)
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    alice.presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "cut"), ("Alice", "accepted")]


async def test_the_one_called_hanging_up_ends_the_callers_call(office: Office) -> None:
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    alice.presses("1")
    await until(lambda: caller.bridged_with, "they are connected")
    alice.hangs_up()
    await office.over()
    assert not caller.alive
    assert office.paper.outcomes() == ["answered"]


async def test_the_first_to_press_1_has_the_call_and_the_others_stop_ringing(office: Office) -> None:
    office.steps([ALICE, BOB, CAROL])
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    bob = (await office.asterisk.rung("PJSIP/bob")).answers()
    carol = (await office.asterisk.rung("PJSIP/carol")).answers()
    carol.presses("1")
    await until(lambda: caller.bridged_with == {carol.channel.id}, "carol has the call")
    await until(lambda: not alice.alive and not bob.alive, "the others are left alone")
    caller.hangs_up()
    await office.over()
    assert sorted(office.paper.dispositions()) == [
        ("Alice", "withdrawn"),
        ("Bob", "withdrawn"),
        ("Carol", "accepted"),
    ]


async def test_two_presses_of_1_at_the_same_instant_make_one_conversation(office: Office) -> None:
    office.steps([ALICE, BOB])
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    bob = (await office.asterisk.rung("PJSIP/bob")).answers()
    await until(lambda: alice.heard and bob.heard, "both are asked")
    alice.presses("1")
    bob.presses("1")
    await until(lambda: caller.bridged_with, "one of them is connected")
    caller.hangs_up()
    await office.over()
    assert sorted(disposition for _, disposition in office.paper.dispositions()) == ["accepted", "withdrawn"]


async def test_pressing_2_refuses_and_spares_the_persons_other_telephones(office: Office) -> None:
    office.steps([person(1, "Alice", sip("alice", 11), sip("alice-mobile", 12))], [BOB])
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    alice.presses("2")
    await office.asterisk.rung("PJSIP/bob")
    assert "PJSIP/alice-mobile" not in office.asterisk.rung_endpoints
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "refused"), ("Bob", "caller_gone")]
    assert office.paper.outcomes() == ["abandoned"]


@pytest.mark.parametrize(
    ("q850", "response", "disposition"),
    [
        (17, 486, "busy"),
        (21, 603, "refused"),
        (21, 403, "unreachable"),
        (20, 480, "unreachable"),
        (1, 404, "dead_number"),
        (28, 484, "dead_number"),
        (38, 503, "unreachable"),
        (17, None, "busy"),
        (19, None, "no_answer"),
    ],
)
async def test_a_cause_moves_the_hunt_on_at_once(
    office: Office, q850: int, response: int | None, disposition: str
) -> None:
    office.steps([person(1, "Alice", sip("alice", 11, ring_seconds=3600))], [BOB])
    caller = await office.call()
    (await office.asterisk.rung("PJSIP/alice")).hangs_up(q850, response)
    await office.asterisk.rung("PJSIP/bob")
    assert office.paper.dispositions() == [("Alice", disposition)]
    caller.hangs_up()
    await office.over()


async def test_a_phone_that_is_not_registered_moves_the_hunt_on_at_once(office: Office) -> None:
    office.asterisk.broken.add("PJSIP/alice")
    office.steps([ALICE], [BOB])
    caller = await office.call()
    await office.asterisk.rung("PJSIP/bob")
    assert office.paper.dispositions() == [("Alice", "unreachable")]
    caller.hangs_up()
    await office.over()


async def test_contact_methods_are_tried_in_order_each_for_its_own_time(office: Office) -> None:
    mobile = ContactMethod(12, ContactKind.PHONE, "+33612345678", shows=CallerIdShown.LINE)
    office.steps([person(1, "Alice", sip("alice", 11, ring_seconds=0.01), mobile)])  # type: ignore[arg-type]
    caller = await office.call()
    await office.asterisk.rung("PJSIP/alice")
    phone = await office.asterisk.rung("PJSIP/+33612345678@trunk-carrier")
    assert phone.caller_id == '"Support" <+33188000001>'
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "no_answer"), ("Alice", "caller_gone")]


async def test_in_turn_the_second_rings_only_after_the_first(office: Office) -> None:
    office.steps([ALICE, BOB], order=RingOrder.IN_TURN)
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    assert office.asterisk.rung_endpoints == ["PJSIP/alice"]
    alice.hangs_up(17, 486)
    await office.asterisk.rung("PJSIP/bob")
    caller.hangs_up()
    await office.over()


async def test_a_machine_that_answers_and_presses_nothing_does_not_have_the_call(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "CONFIRM_SECONDS", 0.01)
    office.steps([ALICE], [BOB])
    caller = await office.call()
    machine = (await office.asterisk.rung("PJSIP/alice")).answers()
    await office.asterisk.rung("PJSIP/bob")
    assert not machine.alive
    assert office.paper.dispositions() == [("Alice", "not_confirmed")]
    caller.hangs_up()
    await office.over()


async def test_a_desk_phone_without_confirmation_has_the_call_by_answering(office: Office) -> None:
    office.steps([person(1, "Alice", sip("alice", 11, confirm=False))])
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    assert alice.heard == []
    alice.hangs_up()
    await office.over()


async def test_somebody_in_conversation_is_not_rung_by_another_call(office: Office) -> None:
    first = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    alice.presses("1")
    await until(lambda: first.bridged_with, "the first call is connected")
    office.steps([ALICE], [BOB])
    second = await office.call()
    await office.asterisk.rung("PJSIP/bob")
    assert office.asterisk.rung_endpoints == ["PJSIP/alice", "PJSIP/bob"]
    assert office.paper.dispositions() == [("Alice", "engaged")]
    second.hangs_up()
    first.hangs_up()
    await office.over()
    assert not office.presence.seems_engaged(ALICE.person.id)


async def test_a_worker_that_has_just_come_finds_out_who_talks(office: Office) -> None:
    office.steps([ALICE, BOB])
    caller = await office.call()
    (await office.asterisk.rung("PJSIP/bob")).answers()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    newcomer = Presence()
    await newcomer.look(office.asterisk.ari)
    assert not newcomer.seems_engaged(ALICE.person.id)
    alice.presses("1")
    await until(lambda: caller.bridged_with, "they are connected")
    await newcomer.look(office.asterisk.ari)
    assert newcomer.seems_engaged(ALICE.person.id)
    assert not newcomer.seems_engaged(BOB.person.id)
    caller.hangs_up()
    await office.over()


async def test_a_word_left_by_a_dead_conversation_does_not_keep_the_phone_silent(office: Office) -> None:
    office.hears(ENGAGED, ALICE)
    caller = await office.call()
    await office.asterisk.rung("PJSIP/alice")
    caller.hangs_up()
    await office.over()


async def test_a_phone_stops_ringing_when_its_owner_takes_a_call_of_another_worker(office: Office) -> None:
    office.steps([ALICE], [BOB])
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    office.hears(ENGAGED, ALICE)
    await office.asterisk.rung("PJSIP/bob")
    assert not alice.alive
    assert office.paper.dispositions() == [("Alice", "withdrawn")]
    caller.hangs_up()
    await office.over()


async def test_the_whole_hunt_has_a_limit_after_which_a_message_is_taken(office: Office) -> None:
    office.asterisk.chance = None  # with the time that requests take, nobody would be rung
    office.steps([ALICE], max_hunt_seconds=0.01)
    caller = await office.call()
    alice = await office.asterisk.rung("PJSIP/alice")
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    assert not alice.alive
    assert office.paper.dispositions() == [("Alice", "withdrawn")]
    caller.hangs_up()
    await office.over()
    assert len(office.mail.taken_in) == 1


async def test_no_limit_cuts_a_conversation(office: Office) -> None:
    office.plan = plan(PlanStep(1, RingOrder.TOGETHER, (ALICE,), max_seconds=0.3), max_hunt_seconds=0.3)  # type: ignore[arg-type]
    clock = asyncio.get_running_loop().time
    over = clock() + 0.3
    caller = await office.call()
    alice = (await office.asterisk.rung("PJSIP/alice")).answers()
    alice.presses("1")
    await until(lambda: caller.bridged_with, "they are connected")
    await until(lambda: clock() > over + 0.05, "both limits are past")
    assert alice.alive
    assert caller.alive
    alice.hangs_up()
    await office.over()
    assert office.paper.outcomes() == ["answered"]


async def test_the_steps_begin_again_for_each_round(office: Office) -> None:
    office.steps([ALICE], rounds=2)
    caller = await office.call()
    (await office.asterisk.rung("PJSIP/alice")).hangs_up(17, 486)
    (await office.asterisk.rung("PJSIP/alice")).hangs_up(17, 486)
    await until(lambda: office.asterisk.recordings, "a message is being recorded")
    caller.hangs_up()
    await office.over()


async def test_losing_the_phone_that_took_the_call_before_it_is_connected_sends_the_hunt_on(office: Office) -> None:
    office.asterisk.broken.add("addChannel")
    office.steps([ALICE], [BOB])
    caller = await office.call()
    (await office.asterisk.rung("PJSIP/alice")).answers().presses("1")
    bob = await office.asterisk.rung("PJSIP/bob")
    office.asterisk.broken.clear()
    bob.answers().presses("1")
    await until(lambda: caller.bridged_with == {bob.channel.id}, "bob has the call")
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "failed"), ("Bob", "accepted")]


async def test_the_caller_is_reassured_while_waiting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfort_module, "REASSURE_EVERY", 0.01)
    caller = await office.call()
    await office.asterisk.rung("PJSIP/alice")
    await until(lambda: len(caller.heard) >= 2, "two words of reassurance")
    assert "Merci de patienter" in caller.heard[0]
    caller.hangs_up()
    await office.over()
    assert "reassurance" in office.paper.kinds()


async def test_a_defect_after_1_was_pressed_sends_the_hunt_on(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.steps([ALICE], [BOB])
    with monkeypatch.context() as defect:
        defect.setattr(office.asterisk.ari, "bridge", None)
        caller = await office.call()
        (await office.asterisk.rung("PJSIP/alice")).answers().presses("1")
        bob = await office.asterisk.rung("PJSIP/bob")
    bob.answers().presses("1")
    await until(lambda: caller.bridged_with == {bob.channel.id}, "bob has the call")
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "failed"), ("Bob", "accepted")]


async def test_a_contact_method_that_asterisk_cannot_dial_leads_to_the_next_one(office: Office) -> None:
    office.asterisk.broken.add("PJSIP/alice")
    office.steps([person(1, "Alice", sip("alice", 11), sip("alice-mobile", 12))])
    caller = await office.call()
    await office.asterisk.rung("PJSIP/alice-mobile")
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "unreachable"), ("Alice", "caller_gone")]
