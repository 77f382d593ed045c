"""The plan gone through without workers: who is rung, for how long, and what becomes of the caller."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from agi_scripts.account import LOST
from agi_scripts.errors import CommandFailed, LinkLost
from db.errors import SnapshotMissing
from oncall.errors import NotCovered
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import CallerIdShown, ContactKind, ContactMethod, RingOrder, VoicemailRules
from oncall.policy import Policy, PolicyStep, Supervisors, ThePerson
from oncall.routing import RoutedLine, RoutedTrunk, RoutingInputs, RoutingTable, build_table
from oncall.standing import Standing, variable_of
from tests.support.fallback import BUSY, GONE, MONDAY, TRUNK_DOWN, FakeCaller, served
from tests.support.rota import ALICE, BOB, CAROL, line, person, phone
from voice import prompts

ALICES_SOFTPHONE = ContactMethod(11, ContactKind.SIP, "alice", 20)
ALICES_MOBILE = phone(12, 30)
BOBS_MOBILE = replace(phone(21, 25), shows=CallerIdShown.LINE)
CAROLS_DESK = ContactMethod(31, ContactKind.SIP, "carol", 15, confirm=False)
SOFTPHONE, DESK = "PJSIP/alice@alice", "PJSIP/carol@carol"
FIRST_TRUNK, SECOND_TRUNK = "PJSIP/+33600000012@trunk-operator", "PJSIP/+33600000012@trunk-spare"
BOB_BY_FIRST = "PJSIP/+33600000021@trunk-operator"


def steps(*seconds: int | None) -> tuple[PolicyStep, ...]:
    targets = ((ThePerson(ALICE), ThePerson(BOB)), (Supervisors(),))
    return tuple(
        PolicyStep(position, RingOrder.TOGETHER, limit, rung)
        for position, (limit, rung) in enumerate(zip(seconds, targets, strict=True), 1)
    )


POLICY = Policy(1, "standard", "Standard", 180, 1, steps(None, None))
COMPANY = RoutingInputs(
    people=(
        person(ALICE, "Alice", ALICES_SOFTPHONE, ALICES_MOBILE),
        person(BOB, "Bob", BOBS_MOBILE),
        person(CAROL, "Carol", CAROLS_DESK),
    ),
    lines=(RoutedLine(replace(line(), voicemail=VoicemailRules(2, 180, 10)), ("+33123456789",), (CAROL,), 1),),
    schedules=(),
    policies=(POLICY,),
    trunks=(RoutedTrunk("operator"), RoutedTrunk("spare")),
)


def table(policy: Policy = POLICY) -> RoutingTable:
    return build_table(replace(COMPANY, policies=(policy,)), MONDAY, MONDAY + timedelta(days=8))


@pytest.fixture
def caller() -> FakeCaller:
    return FakeCaller()


def test_everybody_is_rung_in_order_each_for_their_time_and_then_a_message_is_asked_for(
    caller: FakeCaller, tmp_path: Path
) -> None:
    caller.says_seconds = 4
    journalled = served(caller, table, tmp_path)
    assert caller.rung == [(SOFTPHONE, 20), (FIRST_TRUNK, 30), (BOB_BY_FIRST, 25), (DESK, 15)]
    assert [name for name, _ in journalled.dispositions] == ["Alice", "Alice", "Bob", "Carol"]
    assert {disposition for _, disposition in journalled.dispositions} == {Disposition.NO_ANSWER}
    assert caller.heard == [prompts.LEAVE_MESSAGE.fr, prompts.MESSAGE_KEPT.fr]
    assert journalled.outcome is Outcome.VOICEMAIL
    assert (journalled.opened.route, journalled.opened.worker) == (Route.AGI, None)
    assert caller.variables["VIGIE_SERVED"] == "yes"
    assert caller.hung_up


def test_whoever_accepts_has_the_call_and_nobody_else_is_rung(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[FIRST_TRUNK] = caller.picks_up("1", taken=True)
    journalled = served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [SOFTPHONE, FIRST_TRUNK]
    assert journalled.dispositions == [("Alice", Disposition.NO_ANSWER), ("Alice", Disposition.ACCEPTED)]
    assert journalled.outcome is Outcome.ANSWERED


def test_who_refuses_is_not_tried_by_other_means_and_a_mailbox_is(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers = {SOFTPHONE: caller.picks_up("2"), BOB_BY_FIRST: caller.picks_up()}
    journalled = served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [SOFTPHONE, BOB_BY_FIRST, DESK]
    assert journalled.dispositions[:2] == [("Alice", Disposition.REFUSED), ("Bob", Disposition.NOT_CONFIRMED)]


def test_the_next_trunk_is_taken_when_one_fails_and_not_when_the_number_does(
    caller: FakeCaller, tmp_path: Path
) -> None:
    caller.answers = {FIRST_TRUNK: TRUNK_DOWN, BOB_BY_FIRST: BUSY}
    journalled = served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [SOFTPHONE, FIRST_TRUNK, SECOND_TRUNK, BOB_BY_FIRST, DESK]
    assert caller.rung[2] == (SECOND_TRUNK, 29)
    assert EventKind.TRUNK_FAILED in journalled.kinds
    assert journalled.dispositions[2] == ("Bob", Disposition.BUSY)


def test_a_trunk_that_does_not_answer_options_is_taken_last(caller: FakeCaller, tmp_path: Path) -> None:
    caller.states["DEVICE_STATE(PJSIP/trunk-operator.in)"] = "UNAVAILABLE"
    caller.answers[SECOND_TRUNK] = BUSY
    served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung][:2] == [SOFTPHONE, SECOND_TRUNK]


def test_each_is_asked_in_their_language_and_shown_what_they_want(caller: FakeCaller, tmp_path: Path) -> None:
    served(caller, table, tmp_path)
    ask = caller.asked[0]
    assert ask is not None
    assert ask.sounds[0] == "Appel pour Line 1, de la part du"
    assert ask.sounds[1:4] == ("digits/0", "digits/6", "digits/1")
    assert caller.asked[-1] is None, "a desk phone is not asked to press 1"
    assert caller.variables["CALLERID(num)"] == "+33612345678"


def test_a_withheld_number_is_not_told(caller: FakeCaller, tmp_path: Path) -> None:
    caller.number = ""
    journalled = served(caller, table, tmp_path)
    assert caller.asked[0] is not None
    assert caller.asked[0].sounds[0] == "Appel pour Line 1, numéro masqué."
    assert caller.variables["CALLERID(num)"] == line().number
    assert journalled.opened.caller is None


@pytest.mark.parametrize(
    ("policy", "rung"),
    [
        (replace(POLICY, max_hunt_seconds=31), [(SOFTPHONE, 20), (FIRST_TRUNK, 11)]),
        (replace(POLICY, steps=steps(10, None)), [(SOFTPHONE, 10), (DESK, 15)]),
        (
            replace(POLICY, steps=steps(10, 5), rounds=2),
            [(SOFTPHONE, 10), (DESK, 5), (SOFTPHONE, 10), (DESK, 5)],
        ),
    ],
    ids=["the whole hunt", "a step", "two rounds"],
)
def test_limits_are_kept(caller: FakeCaller, tmp_path: Path, policy: Policy, rung: list[tuple[str, int]]) -> None:
    served(caller, lambda: table(policy), tmp_path)
    assert caller.rung == rung


def test_a_caller_who_hangs_up_ends_the_hunt(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[FIRST_TRUNK] = GONE
    journalled = served(caller, table, tmp_path)
    assert journalled.dispositions[-1] == ("Alice", Disposition.CALLER_GONE)
    assert journalled.outcome is Outcome.ABANDONED
    assert caller.variables["VIGIE_SERVED"] == "yes"


def test_hanging_up_on_somebody_who_took_the_call_is_an_answered_call(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[SOFTPHONE] = replace(caller.picks_up("1", taken=True), caller_gone=True)
    journalled = served(caller, table, tmp_path)
    assert journalled.dispositions == [("Alice", Disposition.ACCEPTED)]
    assert journalled.outcome is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0, Outcome.NO_MESSAGE), (1.9, Outcome.NO_MESSAGE), (2, Outcome.VOICEMAIL)]
)
def test_a_message_shorter_than_the_line_wants_is_none(
    caller: FakeCaller, tmp_path: Path, seconds: float, outcome: Outcome
) -> None:
    caller.says_seconds = seconds
    assert served(caller, table, tmp_path).outcome is outcome


def test_hanging_up_before_the_beep_leaves_no_message(caller: FakeCaller, tmp_path: Path) -> None:
    caller.hangs_up_at = prompts.LEAVE_MESSAGE.fr
    assert served(caller, table, tmp_path).outcome is Outcome.NO_MESSAGE


def test_what_a_worker_recorded_before_it_failed_is_kept_and_nobody_is_rung(caller: FakeCaller, tmp_path: Path) -> None:
    caller.says_seconds = 5
    caller.record(str(tmp_path / f"vigie-{caller.call}.wav"), max_seconds=1, silence_seconds=1)
    journalled = served(caller, table, tmp_path)
    assert not caller.rung
    assert caller.heard == [prompts.MESSAGE_KEPT.fr]
    assert journalled.outcome is Outcome.VOICEMAIL


def test_an_unknown_number_is_said_to_be_one(caller: FakeCaller, tmp_path: Path) -> None:
    caller.did = "0199999999"
    journalled = served(caller, table, tmp_path)
    assert caller.heard == [prompts.NO_SUCH_NUMBER.fr]
    assert journalled.outcome is Outcome.UNKNOWN_NUMBER
    assert journalled.opened.did == "+33199999999"


def test_a_sound_that_is_missing_does_not_cost_the_call(caller: FakeCaller, tmp_path: Path) -> None:
    caller.missing_sounds = (prompts.LEAVE_MESSAGE.fr,)
    caller.says_seconds = 4
    assert served(caller, table, tmp_path).outcome is Outcome.VOICEMAIL


def test_what_asterisk_refuses_ends_one_offer_and_not_the_hunt(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[SOFTPHONE] = CommandFailed("no")
    journalled = served(caller, table, tmp_path)
    assert journalled.dispositions[:2] == [("Alice", Disposition.FAILED), ("Alice", Disposition.NO_ANSWER)]


def test_a_call_that_asterisk_takes_along_is_told_as_cut(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[SOFTPHONE] = LinkLost("gone")
    journalled = served(caller, table, tmp_path)
    assert journalled.dispositions == [("Alice", Disposition.CUT)]
    assert journalled.outcome is Outcome.CUT


@pytest.mark.parametrize("fault", [SnapshotMissing("none"), NotCovered("too old")])
def test_without_a_table_the_call_is_left_to_the_dialplan_untouched(
    caller: FakeCaller, tmp_path: Path, fault: Exception
) -> None:
    def none() -> RoutingTable:
        raise fault

    with pytest.raises(type(fault)):
        served(caller, none, tmp_path)
    assert not caller.answered
    assert "VIGIE_SERVED" not in caller.variables


def test_a_defect_leaves_the_call_to_the_dialplan(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[SOFTPHONE] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        served(caller, table, tmp_path)
    assert "VIGIE_SERVED" not in caller.variables
    assert not caller.hung_up


def test_people_whose_address_would_say_more_to_asterisk_are_not_dialled(caller: FakeCaller, tmp_path: Path) -> None:
    sly = ContactMethod(11, ContactKind.SIP, "alice&PJSIP/+33899000001@trunk-operator", 20)
    people = (person(ALICE, "Alice", sly), *COMPANY.people[1:])
    served(caller, lambda: build_table(replace(COMPANY, people=people), MONDAY, MONDAY + timedelta(days=1)), tmp_path)
    assert [dial for dial, _ in caller.rung] == [BOB_BY_FIRST, DESK]


def test_nobody_at_all_leads_straight_to_the_message(caller: FakeCaller, tmp_path: Path) -> None:
    nobody = replace(POLICY, steps=(PolicyStep(1, RingOrder.IN_TURN, None, (Supervisors(),)),))
    lines = (replace(COMPANY.lines[0], supervisors=()),)
    inputs = replace(COMPANY, lines=lines, policies=(nobody,))
    journalled = served(caller, lambda: build_table(inputs, MONDAY, MONDAY + timedelta(days=1)), tmp_path)
    assert not caller.rung
    assert EventKind.NOBODY_ON_CALL in journalled.kinds
    assert journalled.outcome is Outcome.NO_MESSAGE


def test_who_took_the_call_and_was_lost_is_rung_again_and_the_conversation_is_no_time_of_the_hunt(
    caller: FakeCaller, tmp_path: Path
) -> None:
    caller.talks = timedelta(hours=1)
    caller.answers[SOFTPHONE] = [caller.picks_up(LOST), caller.picks_up("1", taken=True)]
    told = served(caller, table, tmp_path)
    assert told.dispositions == [("Alice", Disposition.SOUND_LOST), ("Alice", Disposition.ACCEPTED)]
    assert EventKind.SOUND_LOST in told.kinds
    assert prompts.CALLED_LOST.fr in caller.heard
    assert told.outcome is Outcome.ANSWERED


def test_who_is_lost_twice_is_followed_by_others(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers[SOFTPHONE] = [caller.picks_up(LOST), caller.picks_up(LOST)]
    caller.answers[FIRST_TRUNK] = caller.picks_up("1", taken=True)
    told = served(caller, table, tmp_path)
    assert told.dispositions == [*[("Alice", Disposition.SOUND_LOST)] * 2, ("Alice", Disposition.ACCEPTED)]


def left_by_a_worker(caller: FakeCaller, standing: Standing, seconds: int = 0) -> None:
    """A worker had the call for so long, and is gone."""
    caller.globals[variable_of(caller.call.hex)] = msgspec.json.encode(standing).decode()
    caller.came_at = MONDAY - timedelta(seconds=seconds)


def test_whom_a_worker_has_tried_is_not_rung_again(caller: FakeCaller, tmp_path: Path) -> None:
    standing = Standing(step=1)
    standing.try_no_more(ALICE, [11], refused=False)
    left_by_a_worker(caller, standing)
    served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [FIRST_TRUNK, BOB_BY_FIRST, DESK]


def test_who_refused_is_not_rung_again_in_any_step(caller: FakeCaller, tmp_path: Path) -> None:
    standing = Standing(step=1)
    standing.try_no_more(CAROL, [31], refused=True)
    standing.try_no_more(ALICE, [11, 12], refused=True)
    left_by_a_worker(caller, standing)
    served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [BOB_BY_FIRST]


def test_the_step_at_which_a_worker_was_is_gone_on_with(caller: FakeCaller, tmp_path: Path) -> None:
    left_by_a_worker(caller, Standing(step=2))
    served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [DESK]


def test_a_caller_who_was_asked_for_a_message_is_asked_again_and_nobody_rung(
    caller: FakeCaller, tmp_path: Path
) -> None:
    left_by_a_worker(caller, Standing(step=2, message=True))
    served(caller, table, tmp_path)
    assert caller.rung == []


def test_the_time_that_a_worker_has_spent_counts(caller: FakeCaller, tmp_path: Path) -> None:
    left_by_a_worker(caller, Standing(step=1), seconds=155)
    served(caller, table, tmp_path)
    assert caller.rung == [(SOFTPHONE, 20), (FIRST_TRUNK, 5)]


def test_some_time_is_left_however_much_was_spent(caller: FakeCaller, tmp_path: Path) -> None:
    left_by_a_worker(caller, Standing(step=1), seconds=300)
    served(caller, table, tmp_path)
    assert caller.rung == [(SOFTPHONE, 20)]


def test_the_dialplan_is_told_whom_it_need_not_ring(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers = {SOFTPHONE: caller.picks_up("2"), BOB_BY_FIRST: BUSY, DESK: LinkLost("gone")}
    served(caller, table, tmp_path)
    assert caller.variables["VIGIE_DONE"] == f"_{ALICE}/__{BOB}/21_"


def test_a_phone_that_is_diverted_to_us_is_not_tried_by_another_trunk(caller: FakeCaller, tmp_path: Path) -> None:
    caller.answers = {FIRST_TRUNK: replace(TRUNK_DOWN, came_back=True)}
    journalled = served(caller, table, tmp_path)
    assert [dial for dial, _ in caller.rung] == [SOFTPHONE, FIRST_TRUNK, BOB_BY_FIRST, DESK]
    assert journalled.dispositions[1] == ("Alice", Disposition.DIVERTED_TO_US)
