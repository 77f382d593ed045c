"""Schedules: rotations in layers, overrides over them, absences under them, and the one answer that comes of it all."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from oncall.errors import BadRule
from oncall.rotation import Rotation, Shift
from oncall.span import Span, utc, within, without


@dataclass(frozen=True, slots=True)
class Override(Span):
    """A replacement: ``person`` is on call for this span, whoever the rotations and the absences say."""

    person: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Absence(Span):
    """A span during which no rotation puts ``person`` on call."""

    person: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Who is on call when.

    At any instant the answer is the override's person, else that of the highest layer in which somebody is on duty
    and not absent, else nobody (a gap). Raises BadRule when two rotations share a layer or two overrides overlap.
    """

    id: int
    slug: str
    name: str
    zone: str
    rotations: tuple[Rotation, ...]
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        layers = [rotation.layer for rotation in self.rotations]
        if len(set(layers)) < len(layers):
            raise BadRule(f"two rotations of schedule {self.slug!r} share a layer")
        for one, other in pairwise(sorted(self.overrides, key=lambda override: override.start)):
            if other.start < one.end:
                raise BadRule(f"two overrides of schedule {self.slug!r} overlap at {other.start.isoformat()}")

    @property
    def people(self) -> frozenset[int]:
        """Everybody whom this schedule can put on call at one time or another."""
        rotating = {person for rotation in self.rotations for person in rotation.people}
        return frozenset(rotating | {override.person for override in self.overrides})

    def shifts(self, start: datetime, end: datetime, absences: Iterable[Absence] = ()) -> tuple[Shift, ...]:
        """The final schedule from ``start`` to ``end``: shifts in order, none overlapping, cut to that span."""
        asked = Span(start, end)
        away = _by_person(absences)
        final = sorted(within(map(_replacement, self.overrides), asked), key=_start)
        for rotation in self._from_the_top():
            present = [
                part
                for shift in within(rotation.shifts(start, end), asked)
                for part in without(shift, away.get(shift.person, ()))
            ]
            final = sorted([*final, *(part for shift in present for part in without(shift, final))], key=_start)
        return tuple(final)

    def on_call(self, at: datetime, absences: Iterable[Absence] = ()) -> Shift | None:
        """The shift of whoever is on call at ``at``, whole as its own rule gives it; None when nobody is."""
        at = utc(at)
        for override in self.overrides:
            if override.covers(at):
                return _replacement(override)
        away = {absence.person for absence in absences if absence.covers(at)}
        on_duty = (rotation.shift_at(at) for rotation in self._from_the_top())
        return next((shift for shift in on_duty if shift and shift.person not in away), None)

    def gaps(self, start: datetime, end: datetime, absences: Iterable[Absence] = ()) -> tuple[Span, ...]:
        """The spans between ``start`` and ``end`` with nobody on call."""
        return tuple(without(Span(start, end), self.shifts(start, end, absences)))

    def _from_the_top(self) -> list[Rotation]:
        return sorted(self.rotations, key=lambda rotation: rotation.layer, reverse=True)


def _replacement(override: Override) -> Shift:
    return Shift(override.start, override.end, override.person, None, override.reason or "")


def _by_person(absences: Iterable[Absence]) -> dict[int, Sequence[Absence]]:
    away: dict[int, list[Absence]] = defaultdict(list)
    for absence in sorted(absences, key=_start):
        away[absence.person].append(absence)
    return dict(away)


def _start(span: Span) -> datetime:
    return span.start
