"""Rotations: who has the turn, when it is handed over, and what the clocks of Europe/Paris do to it."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from oncall.errors import BadRule, NaiveTime
from oncall.rotation import Rotation, RotationUnit
from tests.support.rota import (
    ALICE,
    BOB,
    CAROL,
    EVERY_DAY,
    PARIS,
    WEEKEND,
    moments,
    on_duty,
    paris,
    rotation,
    rotations,
    spans,
    window,
)

DAILY = (1, RotationUnit.DAYS)


def shifts(rota: Rotation, start: str, end: str) -> list[tuple[int, str, str]]:
    """The shifts by the clocks of Paris."""
    return [
        (shift.person, f"{shift.start.astimezone(PARIS):%a %d %H:%M}", f"{shift.end.astimezone(PARIS):%a %d %H:%M}")
        for shift in rota.shifts(paris(start), paris(end))
    ]


def test_a_weekly_rotation_hands_over_on_monday_at_eight() -> None:
    assert shifts(rotation(ALICE, BOB), "2026-01-12 00:00", "2026-01-20 00:00") == [
        (ALICE, "Mon 05 08:00", "Mon 12 08:00"),
        (BOB, "Mon 12 08:00", "Mon 19 08:00"),
        (ALICE, "Mon 19 08:00", "Mon 26 08:00"),
    ]


def test_a_person_may_have_two_turns_in_a_round() -> None:
    rota = rotation(ALICE, ALICE, BOB, every=DAILY)
    assert [who for who, *_ in shifts(rota, "2026-01-05 08:00", "2026-01-11 08:00")] == [ALICE, ALICE, BOB] * 2


def test_turns_of_ten_days() -> None:
    rota = rotation(ALICE, BOB, CAROL, every=(10, RotationUnit.DAYS))
    assert shifts(rota, "2026-01-20 00:00", "2026-01-26 00:00") == [
        (BOB, "Thu 15 08:00", "Sun 25 08:00"),
        (CAROL, "Sun 25 08:00", "Wed 04 08:00"),
    ]


def test_a_rotation_that_began_years_ago_is_still_in_step() -> None:
    rota = rotation(ALICE, BOB, starts="1971-01-04")
    weeks = (paris("2026-11-23 08:00") - paris("1971-01-04 08:00")) // timedelta(weeks=1)
    shift = rota.shift_at(paris("2026-11-23 08:00"))
    assert shift is not None
    assert shift.person == (ALICE, BOB)[weeks % 2]


def test_nobody_is_on_duty_before_the_first_turn() -> None:
    rota = rotation(ALICE, starts="2026-01-05")
    assert rota.shift_at(paris("2026-01-05 07:59")) is None
    assert rota.shift_at(paris("2026-01-05 08:00")) is not None
    assert shifts(rota, "2025-12-01 00:00", "2026-01-05 08:00") == []


def test_a_rotation_without_people_puts_nobody_on_duty() -> None:
    assert rotation().shift_at(paris("2026-02-02 12:00")) is None


def test_an_instant_of_handover_belongs_to_the_one_who_takes_over() -> None:
    rota = rotation(ALICE, BOB, every=DAILY)
    at = paris("2026-01-06 08:00")
    assert [shift and shift.person for shift in (rota.shift_at(at - datetime.resolution), rota.shift_at(at))] == [
        ALICE,
        BOB,
    ]


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        pytest.param("2026-03-27 08:00", 24, id="the day before"),
        pytest.param("2026-03-28 08:00", 23, id="clocks go forward"),
        pytest.param("2026-03-29 08:00", 24, id="the day after"),
        pytest.param("2026-10-24 08:00", 25, id="clocks go back"),
        pytest.param("2028-02-29 08:00", 24, id="leap day"),
    ],
)
def test_a_daily_shift_in_paris_lasts(start: str, hours: int) -> None:
    shift = rotation(ALICE, BOB, every=DAILY).shift_at(paris(start))
    assert shift is not None
    assert shift.start == paris(start)
    assert shift.end - shift.start == timedelta(hours=hours)


@pytest.mark.parametrize(("start", "hours"), [("2026-03-23 08:00", 167), ("2026-10-19 08:00", 169)])
def test_a_weekly_shift_in_paris_lasts(start: str, hours: int) -> None:
    shift = rotation(ALICE, BOB).shift_at(paris(start))
    assert shift is not None
    assert shift.end - shift.start == timedelta(hours=hours)


def test_turns_counted_in_hours_are_elapsed_time() -> None:
    rota = rotation(ALICE, BOB, starts="2026-03-28", every=(12, RotationUnit.HOURS))
    assert shifts(rota, "2026-03-28 12:00", "2026-03-29 22:00") == [
        (ALICE, "Sat 28 08:00", "Sat 28 20:00"),
        (BOB, "Sat 28 20:00", "Sun 29 09:00"),
        (ALICE, "Sun 29 09:00", "Sun 29 21:00"),
        (BOB, "Sun 29 21:00", "Mon 30 09:00"),
    ]


@pytest.mark.parametrize(
    ("day", "handover"),
    [
        pytest.param("2026-03-29", "2026-03-29T01:30:00+00:00", id="02:30 is skipped, so it is 03:30 of summer"),
        pytest.param("2026-10-25", "2026-10-25T00:30:00+00:00", id="02:30 comes twice, the first one counts"),
    ],
)
def test_a_handover_at_half_past_two_in_the_night_of_the_clocks(day: str, handover: str) -> None:
    rota = rotation(ALICE, BOB, every=DAILY, handover="02:30")
    at = datetime.fromisoformat(handover)
    before, after = rota.shift_at(at - datetime.resolution), rota.shift_at(at)
    assert before is not None
    assert after is not None
    assert before.end == after.start == at
    assert before.person != after.person
    assert f"{at.astimezone(PARIS):%F}" == day


def test_nights_cross_midnight_and_belong_to_one_turn() -> None:
    nights = rotation(ALICE, BOB, every=DAILY, handover="12:00", windows=(window(range(5), "18:00", "08:00"),))
    assert shifts(nights, "2026-01-08 00:00", "2026-01-13 00:00") == [
        (ALICE, "Wed 07 18:00", "Thu 08 08:00"),
        (BOB, "Thu 08 18:00", "Fri 09 08:00"),
        (ALICE, "Fri 09 18:00", "Sat 10 08:00"),
        (BOB, "Mon 12 18:00", "Tue 13 08:00"),
    ]


def test_a_night_is_shared_when_the_handover_falls_in_it() -> None:
    nights = rotation(ALICE, BOB, every=DAILY, handover="00:00", windows=(window(EVERY_DAY, "20:00", "06:00"),))
    assert shifts(nights, "2026-01-06 12:00", "2026-01-07 12:00") == [
        (BOB, "Tue 06 20:00", "Wed 07 00:00"),
        (ALICE, "Wed 07 00:00", "Wed 07 06:00"),
    ]


def test_a_weekend_is_one_shift_from_friday_evening_to_monday_morning() -> None:
    windows = (window({4}, "18:00", "00:00"), window(WEEKEND, "00:00", "00:00"), window({0}, "00:00", "08:00"))
    weekends = rotation(ALICE, BOB, handover="08:00", windows=windows)
    assert shifts(weekends, "2026-01-09 00:00", "2026-01-20 00:00") == [
        (ALICE, "Fri 09 18:00", "Mon 12 08:00"),
        (BOB, "Fri 16 18:00", "Mon 19 08:00"),
    ]


@pytest.mark.parametrize(("saturday", "hours"), [("2026-03-28", 47), ("2026-10-24", 49), ("2026-11-21", 48)])
def test_a_weekend_in_paris_lasts(saturday: str, hours: int) -> None:
    weekend = rotation(ALICE, windows=(window(WEEKEND, "00:00", "00:00"),)).shift_at(paris(f"{saturday} 12:00"))
    assert weekend is not None
    assert weekend.end - weekend.start == timedelta(hours=hours)


def test_windows_that_overlap_make_one_shift() -> None:
    days = rotation(ALICE, windows=(window(EVERY_DAY, "08:00", "14:00"), window({2}, "12:00", "20:00")))
    assert shifts(days, "2026-01-07 00:00", "2026-01-08 00:00") == [(ALICE, "Wed 07 08:00", "Wed 07 20:00")]


def test_a_window_that_the_clocks_skip_is_not_opened() -> None:
    rota = rotation(ALICE, windows=(window(EVERY_DAY, "02:30", "03:15"),))
    assert shifts(rota, "2026-03-29 00:00", "2026-03-30 00:00") == []


def test_the_day_that_samoa_skipped_is_nobodys_turn() -> None:
    apia = ZoneInfo("Pacific/Apia")
    rota = rotation(ALICE, BOB, CAROL, starts="2011-12-29", zone=apia, every=DAILY)
    at = datetime(2011, 12, 31, 8, tzinfo=apia)
    before, after = rota.shift_at(at - datetime.resolution), rota.shift_at(at)
    assert [before and before.person, after and after.person] == [ALICE, CAROL]


def test_a_night_that_leads_into_the_day_that_samoa_skipped_ends_on_the_day_after() -> None:
    apia = ZoneInfo("Pacific/Apia")
    night = window({3}, "22:00", "06:00")
    rota = rotation(ALICE, BOB, CAROL, starts="2011-12-29", zone=apia, handover="00:00", every=DAILY, windows=(night,))
    shift = rota.shift_at(datetime(2011, 12, 31, 5, 59, tzinfo=apia))
    assert shift is not None
    assert (shift.person, shift.end) == (CAROL, datetime(2011, 12, 31, 6, tzinfo=apia))


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(NaiveTime):
        rotation(ALICE).shift_at(datetime(2026, 1, 6, 12))  # noqa: DTZ001


def test_turns_without_length_and_windows_without_days_are_refused() -> None:
    with pytest.raises(BadRule, match="at least 1"):
        rotation(ALICE, every=(0, RotationUnit.DAYS))
    with pytest.raises(BadRule, match="weekdays"):
        window((), "08:00", "12:00")
    with pytest.raises(BadRule, match="weekdays"):
        window({7}, "08:00", "12:00")


@given(rota=rotations(), at=moments())
def test_the_shift_at_an_instant_is_the_naive_answer(rota: Rotation, at: datetime) -> None:
    shift = rota.shift_at(at)
    assert (shift and shift.person) == on_duty(rota, at)
    assert shift is None or shift.covers(at)


@given(rota=rotations(), span=spans, at=moments())
def test_no_instant_has_two_answers_in_one_layer(rota: Rotation, span: tuple[datetime, datetime], at: datetime) -> None:
    found = list(rota.shifts(*span))
    assert all(one.end <= other.start for one, other in pairwise(found))
    if span[0] <= at < span[1]:
        assert [shift for shift in found if shift.covers(at)] == [shift for shift in [rota.shift_at(at)] if shift]
