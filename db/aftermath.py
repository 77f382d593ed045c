"""Calls that nobody closed, and what is known of one whose message was left behind: for those who tidy up after a
worker or an Asterisk that went down."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import explained
from db.voicemails import LINE_RECIPIENTS


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call without an end, or one that ``is_over`` with attempts that are not: ``attempts``.

    ``last_told_at`` is the time of the last that is known of it; ``accepted`` says that somebody took it, ``asked``
    that a message was asked for. One that ``lacks_taker`` may have been answered, though by no attempt that is over:
    then by the first of ``attempts``, of which most is known to point to it.
    """

    id: UUID
    channel: str
    generation: int
    last_told_at: datetime
    accepted: bool
    asked: bool
    is_over: bool
    lacks_taker: bool
    attempts: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class LeftCall:
    """A call whose message was left behind: ``min_seconds`` is the least that the line takes for a message."""

    id: UUID
    generation: int
    min_seconds: int
    is_open: bool


async def open_calls(engine: AsyncEngine) -> list[OpenCall]:
    """The calls without an end, or with attempts without one, oldest first. Raises DatabaseError."""
    with explained(engine):
        async with engine.connect() as connection:
            rows = await connection.execute(_OPEN_CALLS)
            return [OpenCall(**dict(row) | {"attempts": tuple(row["attempts"])}) for row in rows.mappings()]


async def untold_calls(engine: AsyncEngine) -> list[UUID]:
    """The calls of the last days that somebody should be told of, and nobody was. Raises DatabaseError."""
    with explained(engine):
        async with engine.connect() as connection:
            return list(await connection.scalars(_UNTOLD_CALLS))


async def left_call(engine: AsyncEngine, call_id: UUID) -> LeftCall | None:
    """The call of a message; None when it is not in the database (yet). Raises DatabaseError."""
    with explained(engine):
        async with engine.connect() as connection:
            row = (await connection.execute(_LEFT_CALL, {"id": call_id})).one_or_none()
            return LeftCall(*row) if row else None


# The last change of hands shows in the events' numbers (see EVENTS_PER_GENERATION of ari_app.calls.call).
_OPEN_CALLS = text("""
    SELECT call.id, call.channel, coalesce(max(seq) / 10000, 0) AS generation,
           coalesce(max(at), call.started_at) AS last_told_at,
           coalesce(bool_or(kind IN ('accepted', 'connected')), false) AS accepted,
           coalesce(bool_or(kind IN ('voicemail_started', 'announcement')), false) AS asked,
           call.ended_at IS NOT NULL AS is_over,
           coalesce(call.outcome, 'answered') = 'answered' AND NOT EXISTS (
               SELECT FROM attempt WHERE call_id = call.id AND disposition = 'accepted') AS lacks_taker,
           ARRAY(SELECT attempt.id
                 FROM attempt LEFT JOIN call_event AS took
                     ON took.call_id = call.id AND took.kind IN ('accepted', 'connected')
                     AND (took.leg = attempt.leg OR starts_with(took.leg, attempt.leg || '.'))
                 WHERE attempt.call_id = call.id AND attempt.ended_at IS NULL
                 GROUP BY attempt.id
                 ORDER BY max(took.seq) DESC NULLS LAST, attempt.started_at DESC) AS attempts
    FROM call LEFT JOIN call_event ON call_event.call_id = call.id
    WHERE call.id IN (SELECT id FROM call WHERE ended_at IS NULL
                      UNION SELECT call_id FROM attempt WHERE ended_at IS NULL)
    GROUP BY call.id
    ORDER BY call.started_at
""")
# Whoever ends a call tells of it at once: after a minute they must have died before.
_UNTOLD_CALLS = text(f"""
    WITH {LINE_RECIPIENTS}
    SELECT id FROM call
    WHERE (outcome IN ('no_message', 'cut', 'failed')
           OR outcome = 'abandoned' AND ended_at - started_at >= make_interval(secs => coalesce(
               (plan -> 'line' -> 'voicemail' ->> 'abandoned_seconds')::int, 20)))
      AND ended_at BETWEEN now() - interval '3 days' AND now() - interval '1 minute'
      AND EXISTS (SELECT FROM line_recipient AS recipient
                  LEFT JOIN contact_method AS method ON method.person_id = recipient.person_id AND kind = 'email'
                  WHERE recipient.line_id = call.line_id AND coalesce(recipient.email, method.address) IS NOT NULL)
      AND NOT EXISTS (SELECT FROM voicemail WHERE voicemail.call_id = call.id)
      AND NOT EXISTS (SELECT FROM outbox WHERE outbox.payload ->> 'call_id' = call.id::text
                      AND outbox.created_at > call.started_at - interval '1 minute')
""")  # noqa: S608
_LEFT_CALL = text("""
    SELECT id, coalesce((SELECT max(seq) / 10000 FROM call_event WHERE call_id = call.id), 0),
           coalesce((plan -> 'line' -> 'voicemail' ->> 'min_seconds')::int, 2), ended_at IS NULL
    FROM call WHERE id = :id
""")
