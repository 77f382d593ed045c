"""Spans of time between two instants, and how they cut one another. All instants are kept in UTC.

Python compares two datetimes of one zone by their wall clocks, which is wrong across a change of the clocks; in UTC
it never is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from oncall.errors import BadRule, NaiveTime


def utc(at: datetime) -> datetime:
    """The same instant in UTC; raises NaiveTime when ``at`` has no zone."""
    if at.tzinfo is UTC:
        return at
    if at.utcoffset() is None:
        raise NaiveTime(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` (included) to ``end`` (excluded), which is later; raises BadRule otherwise."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if self.start >= self.end:
            raise BadRule(f"a span must end after its start: {self.start.isoformat()} – {self.end.isoformat()}")

    def covers(self, at: datetime) -> bool:
        return self.start <= at < self.end


S = TypeVar("S", bound=Span)


def within(spans: Iterable[S], bounds: Span) -> Iterator[S]:
    """The parts of ``spans`` that lie in ``bounds``."""
    for span in spans:
        start, end = max(span.start, bounds.start), min(span.end, bounds.end)
        if (start, end) == (span.start, span.end):
            yield span
        elif start < end:
            yield replace(span, start=start, end=end)


def without(span: S, others: Iterable[Span]) -> Iterator[S]:
    """The parts of ``span`` that none of ``others``, given in order of their starts, covers."""
    start = span.start
    for other in others:
        if other.start >= span.end:
            break
        if start < other.start:
            yield replace(span, start=start, end=other.start)
        start = max(start, other.end)
    if start == span.start:
        yield span
    elif start < span.end:
        yield replace(span, start=start)


def union(spans: Iterable[Span]) -> Iterator[Span]:
    """What ``spans`` cover together, in order, as the fewest spans that do not touch."""
    current: Span | None = None
    for span in sorted(spans, key=lambda span: span.start):
        if current is None:
            current = span
        elif span.start <= current.end:
            current = Span(current.start, max(current.end, span.end))
        else:
            yield current
            current = span
    if current is not None:
        yield current
