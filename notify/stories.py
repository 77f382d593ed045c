"""Reads the story that a message tells from the call's rows, at the moment of sending."""

from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.errors import explained
from db.models import Attempt, Call, CallEvent, Line, Voicemail
from notify.outbox import Parcel
from notify.story import AttemptStory, CallStory, Recording
from oncall.outcomes import Disposition, EventKind, Route
from oncall.plan import ContactKind

_BY_FALLBACK = or_(
    Call.route != Route.WORKER,
    exists().where(CallEvent.call_id == Call.id, CallEvent.kind == EventKind.FALLBACK),
)


class StoryReader:
    """Reads stories from one database. ``zone`` serves calls whose line was removed since,
    or has none that exists."""

    def __init__(self, engine: AsyncEngine, zone: ZoneInfo) -> None:
        self._engine = engine
        self._zone = zone

    async def read(self, parcel: Parcel) -> CallStory:
        """The story of the parcel's call. Raises LookupError where the parcel is about none, DatabaseError."""
        with explained(self._engine):
            async with self._engine.connect() as connection:
                return await self._read(connection, UUID(parcel.payload["call_id"]), parcel.voicemail)

    async def _read(self, connection: AsyncConnection, call: UUID, voicemail: UUID | None) -> CallStory:
        query = (
            select(
                Call.line_name,
                Call.did,
                Call.caller,
                Call.started_at,
                Call.ended_at,
                Line.zone,
                _BY_FALLBACK.label("by_fallback"),
            )
            .outerjoin(Line, Line.id == Call.line_id)
            .where(Call.id == call)
        )
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise LookupError(f"call {call} is not in the database")
        return CallStory(
            call=call,
            line=row.line_name or "",
            did=row.did,
            caller=row.caller,
            started_at=row.started_at,
            zone=self._zone_called(row.zone),
            attempts=await _attempts(connection, call),
            waited_seconds=round((row.ended_at - row.started_at).total_seconds()) if row.ended_at else 0,
            by_fallback=row.by_fallback,
            recording=await _recording(connection, voicemail),
        )

    def _zone_called(self, name: str | None) -> ZoneInfo:
        try:
            return ZoneInfo(name) if name else self._zone
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a line's zone that nobody knows must not keep mails back
            return self._zone


async def _attempts(connection: AsyncConnection, call: UUID) -> tuple[AttemptStory, ...]:
    query = (
        select(Attempt.started_at, Attempt.person_name, Attempt.kind, Attempt.disposition)
        .where(Attempt.call_id == call)
        .order_by(Attempt.started_at, Attempt.id)
    )
    return tuple(
        AttemptStory(
            row.started_at,
            row.person_name,
            ContactKind(row.kind),
            None if row.disposition is None else Disposition(row.disposition),
        )
        for row in await connection.execute(query)
    )


async def _recording(connection: AsyncConnection, voicemail: UUID | None) -> Recording | None:
    query = select(Voicemail.duration_ms, Voicemail.silent, Voicemail.audio).where(Voicemail.id == voicemail)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Recording(row.duration_ms, row.silent, row.audio)
