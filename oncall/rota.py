"""Schedules worked out over a span: who is on call at any instant of it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from oncall.rotation import Shift
from oncall.schedule import Absence, Schedule
from oncall.span import Span


@dataclass(frozen=True, slots=True)
class Rota:
    """A schedule worked out: its shifts in order over the span of the table."""

    name: str
    shifts: tuple[Shift, ...]

    def at(self, at: datetime) -> Shift | None:
        index = bisect_right(self.shifts, at, key=lambda shift: shift.start)
        shift = self.shifts[index - 1] if index else None
        return shift if shift and shift.covers(at) else None


class Rotas:
    """Works schedules out, each again only when it, the absences of its people or the span is another one."""

    def __init__(self) -> None:
        self._span: Span | None = None
        self._known: dict[int, tuple[Schedule, tuple[Absence, ...], Rota]] = {}

    def of(self, schedules: Iterable[Schedule], absences: Iterable[Absence], span: Span) -> dict[int, Rota]:
        """The rota of each schedule, by its id."""
        away: dict[int, list[Absence]] = defaultdict(list)
        for absence in absences:
            away[absence.person].append(absence)
        if span != self._span:
            self._span, self._known = span, {}
        known = self._known
        self._known = {schedule.id: _worked_out(schedule, away, span, known.get(schedule.id)) for schedule in schedules}
        return {number: rota for number, (_, _, rota) in self._known.items()}


def _worked_out(
    schedule: Schedule,
    away: dict[int, list[Absence]],
    span: Span,
    known: tuple[Schedule, tuple[Absence, ...], Rota] | None,
) -> tuple[Schedule, tuple[Absence, ...], Rota]:
    absences = tuple(absence for person in sorted(schedule.people & away.keys()) for absence in away[person])
    if known is not None and known[:2] == (schedule, absences):
        return known
    return schedule, absences, Rota(schedule.name, schedule.shifts(span.start, span.end, absences))
