"""What Vigie's journal says of a call, read from its database as any other reader would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from db.models import Attempt, Call, CallEvent
from lab.waiting import eventually
from oncall.outcomes import Disposition, EventKind, Outcome

_TRUNCATED = timedelta(seconds=1)
"""The dialplan, when it is left alone, tells times in whole seconds."""


class Dialled(Protocol):
    """Who has dialled a number, as the journal should know them."""

    @property
    def who(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def journalled_as(self) -> str | None: ...
    @property
    def placed_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Trace:
    """One call's rows, in the order in which things happened."""

    call: Call
    attempts: Sequence[Attempt]
    events: Sequence[CallEvent]

    @property
    def outcome(self) -> Outcome | None:
        return Outcome(self.call.outcome) if self.call.outcome else None

    @property
    def dispositions(self) -> list[tuple[str, Disposition | None]]:
        """Who was tried and how it ended, in order."""
        return [
            (attempt.person_name, Disposition(attempt.disposition) if attempt.disposition else None)
            for attempt in self.attempts
        ]

    @property
    def kinds(self) -> list[EventKind]:
        return [EventKind(event.kind) for event in self.events]

    def event(self, kind: EventKind) -> CallEvent:
        """Return the first event of a kind; ``AssertionError`` naming those there are."""
        found = [event for event in self.events if event.kind == kind]
        assert found, f"no {kind} among {', '.join(self.kinds)}"
        return found[0]

    def attempt(self, person: str) -> Attempt:
        """Return the first attempt at a person; ``AssertionError`` naming those there are."""
        found = [attempt for attempt in self.attempts if attempt.person_name == person]
        assert found, f"no attempt at {person}: {self.dispositions}"
        return found[0]


async def trace_of(engine: AsyncEngine, caller: Dialled, *, within: float = 10) -> Trace:
    """Return what the journal says of a caller's call, once the call and all its attempts are closed in it."""
    found: list[Trace] = []

    async def unfinished() -> str:
        trace = await _read(engine, caller)
        if trace is None:
            return "the journal knows nothing of it"
        if trace.outcome is None or any(attempt.disposition is None for attempt in trace.attempts):
            return f"so far: {', '.join(trace.kinds)}; {trace.dispositions}"
        found.append(trace)
        return ""

    await eventually(unfinished, within=within, hoped=f"the journal closes the call of {caller.who}")
    return found[-1]


async def story_of(engine: AsyncEngine, caller: Dialled) -> Trace:
    """Return what the journal says so far of a caller's call; ``AssertionError`` when it says nothing yet."""
    trace = await _read(engine, caller)
    assert trace is not None, f"the journal knows nothing of the call of {caller.who}"
    return trace


async def open_rows(engine: AsyncEngine) -> int:
    """Return how many calls and attempts are open in the journal."""
    async with AsyncSession(engine) as session:
        calls = await session.scalar(select(func.count()).where(Call.ended_at.is_(None)))
        attempts = await session.scalar(select(func.count()).where(Attempt.ended_at.is_(None)))
    return (calls or 0) + (attempts or 0)


async def _read(engine: AsyncEngine, caller: Dialled) -> Trace | None:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        call = await session.scalar(
            select(Call)
            .where(Call.did == caller.number, Call.started_at > caller.placed_at - _TRUNCATED)
            .where(Call.caller.is_not_distinct_from(caller.journalled_as))
            .where(Call.outcome.is_distinct_from(Outcome.REFUSED))  # such as what a diverted mobile sent back to us
            .order_by(Call.started_at)
            .limit(1)
        )
        if call is None:
            return None
        attempts = await session.scalars(
            select(Attempt).where(Attempt.call_id == call.id).order_by(Attempt.started_at, Attempt.leg)
        )
        events = await session.scalars(select(CallEvent).where(CallEvent.call_id == call.id).order_by(CallEvent.seq))
        return Trace(call, attempts.all(), events.all())
