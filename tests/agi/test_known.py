"""What is left in AstDB for the dialplan, and what the dialplan leaves there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agi_scripts.facts import journal, read_facts
from agi_scripts.known import DIDS, LINES, MOST, PEOPLE, KnownNumbers, known_numbers
from agi_scripts.scenario import BYTES_A_SECOND, HEADER_BYTES
from oncall.manner import Manner, NumberForm, Reach
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import CallerIdShown, ContactKind, ContactMethod, RingOrder
from oncall.policy import OnCallOf, Policy, PolicyStep, Supervisors
from oncall.routing import RoutedLine, RoutedTrunk, RoutingInputs, RoutingTable, build_table
from tests.support.fallback import Journalled
from tests.support.rota import ALICE, BOB, CAROL, line, paris, person, phone, rotation, schedule

NOON = paris("2026-01-12 12:00")
SOFTPHONE = ContactMethod(11, ContactKind.SIP, "alice", 25, confirm=False, shows=CallerIdShown.LINE)
COMPANY = RoutingInputs(
    people=(
        person(ALICE, "Alice", SOFTPHONE, phone(12)),
        person(BOB, "Bob", phone(21)),
        person(CAROL, "Carol", phone(31), ContactMethod(32, ContactKind.EMAIL, "carol@example.org")),
    ),
    lines=(RoutedLine(replace(line(), name='Support, "jour & nuit" | été'), ("+33123456789",), (CAROL, ALICE), 1),),
    schedules=(schedule(rotation(BOB, ALICE)),),
    policies=(
        Policy(
            1,
            "p",
            "P",
            180,
            2,
            (
                PolicyStep(1, RingOrder.IN_TURN, None, (OnCallOf(1),)),
                PolicyStep(2, RingOrder.IN_TURN, None, (Supervisors(),)),
            ),
        ),
    ),
    trunks=(RoutedTrunk("operator"), RoutedTrunk("spare")),
)
TABLE = build_table(COMPANY, NOON - timedelta(days=1), NOON + timedelta(days=8))


def test_every_number_of_the_plan_is_known_once_by_every_trunk() -> None:
    assert {key: value for (family, key), value in known_numbers(TABLE, NOON, "FR").items() if family == PEOPLE} == {
        "1/1": "PJSIP/alice@alice|25||line|1/11",
        "1/2": "PJSIP/+33600000012@trunk-operator|20|fr|outside|1/12",
        "1/3": "PJSIP/+33600000012@trunk-spare|20|fr|outside|1/12",
        "1/4": "PJSIP/+33600000031@trunk-operator|20|fr|outside|3/31",
        "1/5": "PJSIP/+33600000031@trunk-spare|20|fr|outside|3/31",
    }


def test_extensions_are_known_by_themselves_and_called_by_the_pbx_alone() -> None:
    desk = ContactMethod(33, ContactKind.PHONE, "7118", 20, confirm=False)
    (support,) = COMPANY.lines
    company = replace(
        COMPANY,
        people=(*COMPANY.people[:2], person(CAROL, "Carol", desk, phone(31))),
        lines=(replace(support, dids=("7100",)),),
        trunks=(
            RoutedTrunk("operator"),
            RoutedTrunk("pbx", Manner(NumberForm.NATIONAL, reaches=Reach.BOTH, prefix="0")),
        ),
    )
    known = known_numbers(build_table(company, NOON, NOON + timedelta(days=1)), NOON, "FR")
    assert [did for family, did in known if family == DIDS] == ["7100"]
    assert [value for (family, _), value in known.items() if family == PEOPLE][-3:] == [
        "PJSIP/7118@trunk-pbx|20||caller|3/33",
        "PJSIP/+33600000031@trunk-operator|20|fr|outside|3/31",
        "PJSIP/00600000031@trunk-pbx|20|fr|caller|3/31",
    ]


def test_it_changes_with_who_is_on_call() -> None:
    known = known_numbers(TABLE, NOON + timedelta(days=7), "FR")
    assert known[PEOPLE, "1/1"] == "PJSIP/+33600000021@trunk-operator|20|fr|outside|2/21"


def test_a_number_is_known_however_the_carrier_sends_it() -> None:
    known = known_numbers(TABLE, NOON, "FR")
    forms = {key for family, key in known if family == DIDS}
    assert forms == {"+33123456789", "33123456789", "0033123456789", "0123456789"}


def test_a_lines_name_says_nothing_but_a_name_to_the_dialplan() -> None:
    assert known_numbers(TABLE, NOON, "FR")[LINES, "1"] == "fr|+33123456789|180|10|180|Support jour nuit été"


def test_there_is_an_end_to_it() -> None:
    crowd = tuple(person(number, f"P{number}", phone(100 + number)) for number in range(10, 60))
    inputs = replace(
        COMPANY,
        people=(*COMPANY.people, *crowd),
        lines=(replace(COMPANY.lines[0], supervisors=tuple(each.id for each in crowd)),),
    )
    known = known_numbers(build_table(inputs, NOON, NOON + timedelta(days=1)), NOON, "FR")
    assert len([family for family, _ in known if family == PEOPLE]) == MOST


def test_it_is_worked_out_anew_at_each_change_of_shift_and_of_the_table() -> None:
    known = KnownNumbers("FR")
    handover = paris("2026-01-19 08:00")
    first = known.at(TABLE, NOON)
    assert known.at(TABLE, handover - timedelta(seconds=1)) is first
    second = known.at(TABLE, handover)
    assert second == known_numbers(TABLE, handover, "FR") != first
    other = build_table(replace(COMPANY, trunks=()), NOON, NOON + timedelta(days=1))
    assert known.at(other, NOON) == known_numbers(other, NOON, "FR") != first


def test_a_table_that_has_ended_changes_nothing() -> None:
    known = KnownNumbers("FR")
    assert known.at(TABLE, NOON) is not None
    assert known.at(TABLE, NOON + timedelta(days=9)) is None
    assert known.at(TABLE, NOON + timedelta(days=10)) is None


# -- facts

CALL = UUID("f4632aca-2a25-47eb-9178-28ee0360e674")
CAME = int(datetime(2026, 1, 12, 11, 0, tzinfo=UTC).timestamp())


def facts(*tried: str, asked: bool = False, line: str = "1", did: str = "0123456789") -> str:
    asked_at = str(CAME + 40) if asked else ""
    return f"{did}|0612345678|1768215600.1|{CAME}|{CAME + 60}|{line}|{asked_at}|{''.join(f'~{each}' for each in tried)}"


def told(value: str, recordings: Path = Path("/nonexistent"), table: RoutingTable = TABLE) -> Journalled:
    journalled = Journalled()
    journal(read_facts(str(CALL), value), table, recordings, "FR", journalled.records.append)
    return journalled


RANG_OUT = f"-:1/11:{CAME}:{CAME + 25}::::NOANSWER:19"
BUSY = f"-:1/12:{CAME}:{CAME + 25}::::BUSY:17"
REFUSED = f"-:2/21:{CAME + 25}:{CAME + 30}:{CAME + 28}:2::ANSWER:16"
MACHINE = f"-:2/21:{CAME + 25}:{CAME + 30}:{CAME + 28}:::ANSWER:16"
TAKEN = f"-:3/31:{CAME + 30}:{CAME + 60}:{CAME + 32}:1:{CAME + 33}:ANSWER:16"
LOST = f"-:3/31:{CAME + 30}:{CAME + 60}:{CAME + 32}:lost::ANSWER:16"
GONE = f"-:3/31:{CAME + 30}:{CAME + 60}::::CANCEL:16"


def test_a_call_that_the_dialplan_served_is_told_whole() -> None:
    journalled = told(facts(RANG_OUT, BUSY, REFUSED, MACHINE, TAKEN))
    assert journalled.opened.route is Route.DIALPLAN
    assert (journalled.opened.did, journalled.opened.caller) == ("+33123456789", "+33612345678")
    assert journalled.opened.line_id == 1
    assert journalled.outcome is Outcome.ANSWERED
    assert journalled.dispositions == [
        ("Alice", Disposition.NO_ANSWER),
        ("Alice", Disposition.BUSY),
        ("Bob", Disposition.REFUSED),
        ("Bob", Disposition.NOT_CONFIRMED),
        ("Carol", Disposition.ACCEPTED),
    ]
    assert EventKind.FALLBACK in journalled.kinds


def test_told_twice_it_is_the_same() -> None:
    assert told(facts(RANG_OUT, TAKEN)).records == told(facts(RANG_OUT, TAKEN)).records


@pytest.mark.parametrize(
    ("value", "seconds", "outcome"),
    [
        (facts(RANG_OUT, asked=True), 0, Outcome.NO_MESSAGE),
        (facts(RANG_OUT, asked=True), 3, Outcome.VOICEMAIL),
        (facts(GONE), 0, Outcome.ABANDONED),
        (facts(line="none"), 0, Outcome.FAILED),
        (facts(line="none", did="0199999999"), 0, Outcome.UNKNOWN_NUMBER),
    ],
)
def test_how_a_call_ended(tmp_path: Path, value: str, seconds: int, outcome: Outcome) -> None:
    if seconds:
        (tmp_path / f"vigie-{CALL}.wav").write_bytes(bytes(HEADER_BYTES + seconds * BYTES_A_SECOND))
    assert told(value, tmp_path).outcome is outcome


@pytest.mark.parametrize(("seconds", "outcome"), [(0, Outcome.CUT), (3, Outcome.VOICEMAIL)])
def test_a_call_with_which_asterisk_ended_is_cut_unless_it_left_a_message(
    tmp_path: Path, seconds: int, outcome: Outcome
) -> None:
    (tmp_path / f"vigie-{CALL}.wav").write_bytes(bytes(HEADER_BYTES + seconds * BYTES_A_SECOND))
    journalled = Journalled()
    value = facts(RANG_OUT, asked=True)
    journal(read_facts(str(CALL), value), TABLE, tmp_path, "FR", journalled.records.append, cut=True)
    assert journalled.outcome is outcome


def test_who_was_lost_has_not_hung_up() -> None:
    journalled = told(facts(LOST, TAKEN))
    assert [disposition for _, disposition in journalled.dispositions] == [
        Disposition.SOUND_LOST,
        Disposition.ACCEPTED,
    ]
    assert EventKind.SOUND_LOST in journalled.kinds


def test_an_attempt_that_the_agi_began_is_ended_and_not_begun_again() -> None:
    key = uuid4()
    journalled = told(facts(f"{key}:1/11:{CAME}:{CAME + 25}:{CAME + 3}:1:{CAME + 4}:ANSWER:16"))
    closed = [record for record in journalled.records if type(record).__name__ == "AttemptClosed"]
    assert [getattr(record, "id", None) for record in closed] == [key]
    assert EventKind.RING not in journalled.kinds


def test_people_who_are_not_known_any_more_are_told_by_their_number() -> None:
    assert told(facts(f"-:99/999:{CAME}:{CAME + 1}::::NOANSWER:19")).dispositions == [("n° 99", Disposition.NO_ANSWER)]


@pytest.mark.parametrize("value", ["", "nonsense", facts("nonsense"), facts().replace("0612345678|", "")])
def test_facts_that_make_no_sense_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_facts(str(CALL), value)
