"""The routing table: who rings for a number at an instant, and then who."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncall.errors import BadTable, BrokenReference, NaiveTime, NotCovered, UnknownLine, UnknownNumber
from oncall.plan import ContactKind, ContactMethod, Plan, RingOrder
from oncall.policy import OnCallOf, Policy, PolicyStep, Supervisors, Target, ThePerson
from oncall.routing import RoutedLine, RoutedTrunk, RoutingInputs, RoutingTable, build_table
from oncall.schedule import Absence, Schedule
from tests.support import rota
from tests.support.rota import (
    ALICE,
    BOB,
    CAROL,
    DAN,
    absence,
    line,
    moments,
    override,
    paris,
    person,
    phone,
    rotation,
    schedule,
    window,
)

SUPPORT, PLUMBING = "+33123456789", "+33987654321"
SINCE, UNTIL = paris("2026-01-12 00:00"), paris("2026-01-20 00:00")
MONDAY = paris("2026-01-12 12:00")


def steps(*targets: tuple[Target, ...]) -> tuple[PolicyStep, ...]:
    return tuple(PolicyStep(position, RingOrder.IN_TURN, None, rung) for position, rung in enumerate(targets, 1))


COMPANY = RoutingInputs(
    people=(
        person(ALICE, "Alice", phone(1)),
        person(BOB, "Bob", phone(2), phone(3, 30)),
        person(CAROL, "Carol", phone(4)),
        person(DAN, "Dan", ContactMethod(5, ContactKind.EMAIL, "dan@example.org")),
    ),
    lines=(
        RoutedLine(line("fr", 1), (SUPPORT, "+33123456790"), (CAROL,), 1),
        RoutedLine(line("en", 2), (PLUMBING,), (), 1),
    ),
    schedules=(schedule(rotation(ALICE, BOB)),),
    policies=(Policy(1, "standard", "Standard", 180, 2, steps((OnCallOf(1),), (Supervisors(),))),),
    trunks=(RoutedTrunk("operator"), RoutedTrunk("spare")),
)


def with_steps(*targets: tuple[Target, ...]) -> RoutingInputs:
    return replace(COMPANY, policies=(replace(COMPANY.policies[0], steps=steps(*targets)),))


def with_schedule(rota: Schedule) -> RoutingInputs:
    return replace(COMPANY, schedules=(rota,))


def plan(inputs: RoutingInputs, number: str = SUPPORT, at: datetime = MONDAY) -> Plan:
    return build_table(inputs, SINCE, UNTIL).plan(number, at)


def rung(found: Plan) -> list[list[str]]:
    return [[candidate.person.name for candidate in step.candidates] for step in found.steps]


def reasons(found: Plan) -> list[str]:
    return [candidate.reason for step in found.steps for candidate in step.candidates]


def test_the_plan_of_a_call_to_the_support_line() -> None:
    found = plan(COMPANY)
    assert rung(found) == [["Bob"], ["Carol"]]
    assert (found.line.slug, found.at, found.rounds, found.max_hunt_seconds) == ("line1", MONDAY, 2, 180)
    assert found.trunks == ("operator", "spare")
    assert [(step.position, step.order) for step in found.steps] == [(1, RingOrder.IN_TURN), (2, RingOrder.IN_TURN)]


def test_every_number_of_a_line_leads_to_it() -> None:
    assert plan(COMPANY, "+33123456790") == plan(COMPANY, SUPPORT)
    assert plan(COMPANY, PLUMBING).line.slug == "line2"


def test_the_next_call_after_the_handover_rings_the_next_person() -> None:
    handover = paris("2026-01-19 08:00")
    assert rung(plan(COMPANY, at=handover - datetime.resolution))[0] == ["Bob"]
    assert rung(plan(COMPANY, at=handover))[0] == ["Alice"]


def test_the_reasons_are_in_the_words_of_the_line() -> None:
    assert reasons(plan(COMPANY)) == [
        "d'astreinte selon « Planning 1 », rotation « Astreinte »",
        "superviseur de la ligne",
    ]
    replaced = schedule(overrides=(override(ALICE, "2026-01-12 08:00", "2026-01-13 08:00", "swap"),))
    assert reasons(plan(with_schedule(replaced), PLUMBING)) == ["override in “Planning 1” (swap)"]
    assert reasons(plan(with_steps((ThePerson(BOB),)), PLUMBING)) == ["named by the policy"]


def test_a_step_with_nobody_to_ring_says_why() -> None:
    nights = schedule(rotation(ALICE, windows=(window(range(7), "18:00", "08:00"),)))
    found = plan(with_schedule(nights), PLUMBING)
    assert rung(found) == [[], []]
    assert [step.nobody for step in found.steps] == [("Planning 1",), ("no supervisor",)]


def test_an_absent_person_is_not_rung() -> None:
    away = replace(COMPANY, absences=(absence(BOB, "2026-01-12 00:00", "2026-01-13 00:00"),))
    found = plan(away)
    assert rung(found) == [[], ["Carol"]]
    assert found.steps[0].nobody == ("Planning 1",)


def test_somebody_without_a_phone_is_passed_over_and_named() -> None:
    found = plan(with_steps((ThePerson(DAN), ThePerson(ALICE))))
    assert rung(found) == [["Alice"]]
    assert found.steps[0].nobody == ("Dan (aucun téléphone)",)


def test_the_same_person_is_rung_once_in_a_step_for_the_first_reason() -> None:
    found = plan(with_steps((OnCallOf(1), ThePerson(BOB), ThePerson(CAROL), Supervisors()), (ThePerson(BOB),)))
    assert rung(found) == [["Bob", "Carol"], ["Bob"]]
    assert reasons(found)[1] == "désigné par le scénario"


def test_what_the_table_cannot_answer() -> None:
    table = build_table(COMPANY, SINCE, UNTIL)
    with pytest.raises(UnknownNumber, match=r"\+33100000000"):
        table.plan("+33100000000", MONDAY)
    with pytest.raises(UnknownLine, match="nowhere"):
        table.who("nowhere", MONDAY)
    for outside in (SINCE - datetime.resolution, UNTIL):
        with pytest.raises(NotCovered):
            table.plan(SUPPORT, outside)
    with pytest.raises(NaiveTime):
        table.plan(SUPPORT, datetime(2026, 1, 12, 12))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (replace(COMPANY, people=COMPANY.people[1:]), "no person with id 1"),
        (replace(COMPANY, schedules=()), "no schedule with id 1"),
        (replace(COMPANY, policies=()), "no policy with id 1"),
        (with_steps((ThePerson(99),)), "no person with id 99"),
        (replace(COMPANY, lines=(*COMPANY.lines, RoutedLine(line(number=3), (SUPPORT,), (), 1))), "leads to 2 lines"),
    ],
)
def test_inputs_that_do_not_hold_together_are_refused(broken: RoutingInputs, reason: str) -> None:
    with pytest.raises(BrokenReference, match=reason):
        build_table(broken, SINCE, UNTIL)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1, 2]", b"\xff\x00", b"".join(build_table(COMPANY, SINCE, UNTIL).encoded())[:-1]]
)
def test_bytes_that_are_not_a_table_are_refused(data: bytes) -> None:
    with pytest.raises(BadTable):
        RoutingTable.from_bytes(data)


SITE = st.builds(
    lambda one, two, away: replace(
        with_steps((OnCallOf(1), OnCallOf(2)), (Supervisors(), ThePerson(DAN))),
        schedules=(one, two),
        absences=tuple(away),
        people=tuple(person(number, f"P{number}", phone(number)) for number in (ALICE, BOB, CAROL, DAN)),
    ),
    rota.schedules(1),
    rota.schedules(2),
    st.lists(rota.absences, max_size=4),
)


@given(inputs=SITE, start=moments(), instants=st.lists(moments(), min_size=1, max_size=3))
def test_the_table_answers_as_the_naive_search_does(
    inputs: RoutingInputs, start: datetime, instants: list[datetime]
) -> None:
    end = max(start, *instants) + timedelta(days=1)
    table = build_table(inputs, min(start, *instants), end)
    for at in instants:
        [first, second] = table.plan(SUPPORT, at).steps
        answers = [rota.on_call(schedule, at, inputs.absences) for schedule in inputs.schedules]
        assert [candidate.person.id for candidate in first.candidates] == list(dict.fromkeys(filter(None, answers)))
        assert first.nobody == tuple(
            schedule.name for schedule, who in zip(inputs.schedules, answers, strict=True) if who is None
        )
        assert [candidate.person.id for candidate in second.candidates] == [CAROL, DAN]


@given(inputs=SITE, span=rota.spans)
@settings(max_examples=50)
def test_a_table_read_back_from_its_bytes_is_the_same_table(
    inputs: RoutingInputs, span: tuple[datetime, datetime]
) -> None:
    table = build_table(inputs, *span)
    again = RoutingTable.from_bytes(b"".join(table.encoded()))
    assert again == table
    assert again.plan(SUPPORT, span[0]) == table.plan(SUPPORT, span[0])


def test_an_absence_of_somebody_unknown_to_the_rota_changes_nothing() -> None:
    away = replace(COMPANY, absences=(Absence(SINCE, UNTIL, CAROL),))
    assert plan(away) == plan(COMPANY)
