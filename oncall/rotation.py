"""Rotations: people who take turns by a repeating rule, and the shifts that come of it.

Days and weeks are counted on the wall clock of the rotation's zone: a hand-over at 08:00 is at 08:00 in winter and
in summer, so a one-day shift lasts 23 h or 25 h when the clocks change. Hours are elapsed time. A wall-clock time
that a change of the clocks skips or repeats is read as RFC 5545 (section 3.3.5) does: a skipped one with the offset
in force before the change (02:30 becomes 03:30), a repeated one as its first occurrence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from oncall.errors import BadRule
from oncall.span import Span, union, utc, within


class RotationUnit(StrEnum):
    """What the length of a turn is counted in."""

    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"


@dataclass(frozen=True, slots=True)
class Shift(Span):
    """A span of one person's duty; ``layer`` is None and ``name`` the reason when it comes from an override."""

    person: int
    layer: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some weekdays (Monday is 0) in which a rotation is on duty.

    With ``end`` not after ``start`` it ends on the next day; the weekday is that of its start.
    """

    weekdays: frozenset[int]
    start: time
    end: time

    def __post_init__(self) -> None:
        if not self.weekdays or not self.weekdays <= set(range(7)):
            raise BadRule(f"weekdays are 0 (Monday) to 6 (Sunday): {sorted(self.weekdays)}")

    @property
    def crosses_midnight(self) -> bool:
        return self.end <= self.start


@dataclass(frozen=True, slots=True)
class Rotation:
    """People taking turns of ``length`` ``unit`` from the hand-over of the day ``starts``; nobody is on duty before.

    The same person may have several turns in one round. Without ``windows`` the rotation is always on duty; with some,
    only in them, and the turns go on meanwhile.
    """

    layer: int
    name: str
    people: tuple[int, ...]
    starts: date
    handover: time
    zone: ZoneInfo
    length: int
    unit: RotationUnit
    windows: tuple[Window, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 1:
            raise BadRule(f"a turn of rotation {self.name!r} must last at least 1: {self.length}")

    def shifts(self, start: datetime, end: datetime) -> Iterator[Shift]:
        """The whole shifts, in order, that have some part between ``start`` and ``end``."""
        asked = Span(start, end)
        for number, turn in self._turns(asked):
            person = self.people[number % len(self.people)]
            for duty in self._duty(turn):
                if duty.start < asked.end and asked.start < duty.end:
                    yield Shift(duty.start, duty.end, person, self.layer, self.name)

    def shift_at(self, at: datetime) -> Shift | None:
        """The shift in which ``at`` lies, None when nobody is on duty then."""
        return next(self.shifts(at, utc(at) + datetime.resolution), None)

    def _turns(self, asked: Span) -> Iterator[tuple[int, Span]]:
        number = max(0, self._turn_at(asked.start)) if self.people else None
        while number is not None and (start := self._turn_start(number)) < asked.end:
            end = self._turn_start(number + 1)
            if start < end:  # a zone that skipped a whole day (Samoa, 2011) leaves a turn without time
                yield number, Span(start, end)
            number += 1

    def _turn_at(self, at: datetime) -> int:
        """The number of the turn in which ``at`` lies, by arithmetic: years of turns cost nothing."""
        if self.unit is RotationUnit.HOURS:
            return (at - self._turn_start(0)) // timedelta(hours=self.length)
        number = (at.astimezone(self.zone).date() - self.starts) // self._days
        while self._turn_start(number) > at:
            number -= 1
        while self._turn_start(number + 1) <= at:
            number += 1
        return number

    def _turn_start(self, number: int) -> datetime:
        if self.unit is RotationUnit.HOURS:
            return self._instant(self.starts, self.handover) + timedelta(hours=number * self.length)
        return self._instant(self.starts + number * self._days, self.handover)

    @property
    def _days(self) -> timedelta:
        return timedelta(weeks=self.length) if self.unit is RotationUnit.WEEKS else timedelta(days=self.length)

    def _duty(self, turn: Span) -> Iterator[Span]:
        """The parts of a turn that lie in the windows."""
        return within(union(self._openings(turn)), turn) if self.windows else iter((turn,))

    def _openings(self, turn: Span) -> Iterator[Span]:
        # A window may reach in from the evening before, and a clock set back at midnight names one instant by two days.
        day = turn.start.astimezone(self.zone).date() - timedelta(days=2)
        last = turn.end.astimezone(self.zone).date() + timedelta(days=1)
        while day <= last:
            for window in self.windows:
                if day.weekday() in window.weekdays:
                    ends = day + timedelta(days=window.crosses_midnight)
                    start, end = self._instant(day, window.start), self._instant(ends, window.end)
                    if start < end:
                        yield Span(start, end)
            day += timedelta(days=1)

    def _instant(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock, self.zone).astimezone(UTC)
