"""Schedules: layers, overrides and absences come to one answer, and to none where there is a gap."""

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncall.errors import BadRule, NaiveTime
from oncall.rotation import RotationUnit
from oncall.schedule import Absence, Schedule
from oncall.span import Span
from tests.support import rota
from tests.support.rota import (
    ALICE,
    BOB,
    CAROL,
    PARIS,
    WEEKEND,
    absence,
    moments,
    override,
    paris,
    rotation,
    schedule,
    spans,
    window,
)

DAILY = (1, RotationUnit.DAYS)
WEEK = (paris("2026-01-12 08:00"), paris("2026-01-19 08:00"))

WEEKS = rotation(ALICE, BOB)
WEEKENDS = rotation(CAROL, layer=1, windows=(window(WEEKEND, "00:00", "00:00"),))


def told(found: Iterable[Span]) -> list[tuple[int | None, str, str]]:
    """Who (None for a gap), from when and until when by the clocks of Paris."""
    return [
        (
            getattr(span, "person", None),
            f"{span.start.astimezone(PARIS):%a %H:%M}",
            f"{span.end.astimezone(PARIS):%a %H:%M}",
        )
        for span in found
    ]


def test_the_higher_layer_wins_where_it_is_active() -> None:
    assert told(schedule(WEEKENDS, WEEKS).shifts(*WEEK)) == [
        (BOB, "Mon 08:00", "Sat 00:00"),
        (CAROL, "Sat 00:00", "Mon 00:00"),
        (BOB, "Mon 00:00", "Mon 08:00"),
    ]


def test_an_override_wins_over_every_layer() -> None:
    replaced = schedule(
        WEEKS, WEEKENDS, overrides=(override(ALICE, "2026-01-16 18:00", "2026-01-17 12:00", "échange"),)
    )
    assert told(replaced.shifts(*WEEK)) == [
        (BOB, "Mon 08:00", "Fri 18:00"),
        (ALICE, "Fri 18:00", "Sat 12:00"),
        (CAROL, "Sat 12:00", "Mon 00:00"),
        (BOB, "Mon 00:00", "Mon 08:00"),
    ]
    shift = replaced.on_call(paris("2026-01-17 03:00"))
    assert shift is not None
    assert (shift.layer, shift.name) == (None, "échange")


def test_the_lower_layer_answers_for_an_absent_person() -> None:
    away = [absence(CAROL, "2026-01-18 00:00", "2026-01-30 00:00")]
    assert told(schedule(WEEKS, WEEKENDS).shifts(*WEEK, away)) == [
        (BOB, "Mon 08:00", "Sat 00:00"),
        (CAROL, "Sat 00:00", "Sun 00:00"),
        (BOB, "Sun 00:00", "Mon 08:00"),
    ]


def test_an_absence_without_anybody_below_leaves_a_gap() -> None:
    away = [absence(BOB, "2026-01-13 12:00", "2026-01-14 00:00"), absence(BOB, "2026-01-13 08:00", "2026-01-13 13:00")]
    assert told(schedule(WEEKS).gaps(*WEEK, away)) == [(None, "Tue 08:00", "Wed 00:00")]
    assert schedule(WEEKS).on_call(paris("2026-01-13 12:30"), away) is None


def test_an_override_puts_even_an_absent_person_on_call() -> None:
    away = [absence(ALICE, "2026-01-01 00:00", "2026-02-01 00:00")]
    replaced = schedule(WEEKS, overrides=(override(ALICE, "2026-01-12 08:00", "2026-01-19 08:00"),))
    assert told(replaced.shifts(*WEEK, away)) == [(ALICE, "Mon 08:00", "Mon 08:00")]


def test_gaps_are_the_hours_that_no_window_covers() -> None:
    nights = schedule(rotation(ALICE, windows=(window(range(5), "18:00", "08:00"),)))
    assert told(nights.gaps(paris("2026-01-15 12:00"), paris("2026-01-19 20:00"))) == [
        (None, "Thu 12:00", "Thu 18:00"),
        (None, "Fri 08:00", "Fri 18:00"),
        (None, "Sat 08:00", "Mon 18:00"),
    ]


def test_a_schedule_without_rotations_is_one_gap() -> None:
    assert told(schedule().gaps(*WEEK)) == [(None, "Mon 08:00", "Mon 08:00")]


def test_shifts_are_cut_to_the_span_asked_for_and_whole_at_an_instant() -> None:
    start, end = paris("2026-01-13 00:00"), paris("2026-01-14 00:00")
    assert told(schedule(WEEKS).shifts(start, end)) == [(BOB, "Tue 00:00", "Wed 00:00")]
    shift = schedule(WEEKS).on_call(start)
    assert shift is not None
    assert told((shift,)) == [(BOB, "Mon 08:00", "Mon 08:00")]


def test_its_people_are_all_whom_it_may_put_on_call() -> None:
    replaced = schedule(WEEKS, overrides=(override(CAROL, "2026-01-12 08:00", "2026-01-19 08:00"),))
    assert replaced.people == {ALICE, BOB, CAROL}


def test_one_rotation_in_a_layer_and_one_override_at_an_instant() -> None:
    with pytest.raises(BadRule, match="share a layer"):
        schedule(WEEKS, rotation(CAROL))
    touching = (
        override(ALICE, "2026-01-12 08:00", "2026-01-13 08:00"),
        override(BOB, "2026-01-13 08:00", "2026-01-14 08:00"),
    )
    assert len(schedule(overrides=touching).shifts(*WEEK)) == 2
    with pytest.raises(BadRule, match="overlap"):
        schedule(overrides=(*touching, override(CAROL, "2026-01-13 07:00", "2026-01-13 09:00")))


def test_naive_times_and_empty_spans_are_refused() -> None:
    noon = datetime(2026, 1, 12, 12)  # noqa: DTZ001
    with pytest.raises(NaiveTime):
        schedule(WEEKS).on_call(noon)
    with pytest.raises(NaiveTime):
        schedule(WEEKS).shifts(noon, WEEK[1])
    with pytest.raises(NaiveTime):
        Absence(noon, WEEK[1], ALICE)
    with pytest.raises(BadRule, match="end after its start"):
        override(ALICE, "2026-01-12 08:00", "2026-01-12 08:00")


def test_a_span_in_the_hour_that_comes_twice_is_measured_in_elapsed_time() -> None:
    first, second = (paris("2026-10-25 02:30").replace(fold=fold) for fold in (0, 1))
    assert Span(first, second).covers(second.replace(fold=0))
    assert not Span(first, second).covers(second)


absences = st.lists(rota.absences, max_size=4)


@given(plan=rota.schedules(), away=absences, at=moments())
def test_the_person_on_call_is_the_naive_answer(plan: Schedule, away: list[Absence], at: datetime) -> None:
    shift = plan.on_call(at, away)
    assert (shift and shift.person) == rota.on_call(plan, at, away)


@given(plan=rota.schedules(), away=absences, span=spans, at=moments())
def test_shifts_and_gaps_share_the_span_out(
    plan: Schedule, away: list[Absence], span: tuple[datetime, datetime], at: datetime
) -> None:
    shifts, gaps = plan.shifts(*span, away), plan.gaps(*span, away)
    parts = sorted([*shifts, *gaps], key=lambda part: part.start)
    assert (parts[0].start, parts[-1].end) == span
    assert all(one.end == other.start for one, other in pairwise(parts))
    if span[0] <= at < span[1]:
        [part] = [part for part in parts if part.covers(at)]
        assert getattr(part, "person", None) == rota.on_call(plan, at, away)


@given(plan=rota.schedules(), away=absences)
def test_overrides_win(plan: Schedule, away: list[Absence]) -> None:
    for replacement in plan.overrides:
        shifts = plan.shifts(replacement.start, replacement.end, away)
        assert [(shift.person, shift.layer) for shift in shifts] == [(replacement.person, None)]
