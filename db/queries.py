"""What is read back of the history: recent calls, one call's timeline, messages."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import explained


@dataclass(frozen=True, slots=True)
class CallSummary:
    """A call in a list; ``seconds`` is its length, None while it lasts; ``route`` a ``Route``."""

    id: UUID
    started_at: datetime
    line: str | None
    did: str
    caller: str | None
    outcome: str | None
    answered_by: str | None
    seconds: float | None
    route: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a call's timeline: ``seconds`` since the call came in, to the millisecond."""

    seconds: float
    who: str | None
    what: str
    why: str | None
    q850: int | None
    sip: int | None


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message in a list; ``mails`` says how many mails tell of it, ``sent`` how many have left."""

    id: UUID
    call_id: UUID
    recorded_at: datetime
    line: str | None
    caller: str | None
    seconds: float
    silent: bool
    sha256: str
    mails: int
    sent: int


@dataclass(frozen=True, slots=True)
class MailSummary:
    """A mail in a list; ``about`` names its template, ``due_at`` is when it is tried next, if it is."""

    id: UUID
    created_at: datetime
    recipient: str
    about: str
    call_id: str | None
    state: str
    attempts: int
    due_at: datetime
    sent_at: datetime | None
    last_error: str | None


_CALLS = """
    SELECT call.id, call.started_at, call.line_name, call.did, call.caller, call.outcome,
           (SELECT person_name FROM attempt WHERE call_id = call.id AND disposition = 'accepted'),
           extract(epoch FROM call.ended_at - call.started_at)::float, call.route
    FROM call
"""

_RECENT = text(f"{_CALLS} ORDER BY call.started_at DESC, call.id LIMIT :most")

_NAMED = text(f"{_CALLS} WHERE starts_with(call.id::text, :beginning) ORDER BY call.started_at DESC LIMIT 2")

_TIMELINE = text("""
    SELECT round(extract(epoch FROM event.at - call.started_at), 3)::float, event.who, event.kind, event.reason,
           event.q850, event.sip
    FROM call_event AS event JOIN call ON call.id = event.call_id
    WHERE call.id = :id ORDER BY event.seq
""")

_MESSAGES = text("""
    SELECT voicemail.id, call_id, recorded_at, line_name, caller, duration_ms / 1000.0::float, silent,
           encode(sha256, 'hex'), count(outbox.id), count(outbox.id) FILTER (WHERE state = 'sent')
    FROM voicemail LEFT JOIN outbox ON outbox.voicemail_id = voicemail.id
    GROUP BY voicemail.id ORDER BY recorded_at DESC, voicemail.id LIMIT :most
""")

_MAILS = """
    SELECT id, created_at, recipient, template, payload ->> 'call_id', state, attempts, due_at, sent_at, last_error
    FROM outbox WHERE channel = 'email'
"""

_RECENT_MAILS = text(f"{_MAILS} AND state = coalesce(:state, state) ORDER BY created_at DESC, id LIMIT :most")

_NAMED_MAILS = text(f"{_MAILS} AND starts_with(id::text, :beginning) ORDER BY created_at DESC, id LIMIT 2")

_AUDIO = text("SELECT audio FROM voicemail WHERE id = :id")


async def recent_calls(engine: AsyncEngine, most: int) -> list[CallSummary]:
    """The latest calls, the most recent first."""
    with explained(engine):
        async with engine.connect() as connection:
            return [CallSummary(*row) for row in await connection.execute(_RECENT, {"most": most})]


async def find_calls(engine: AsyncEngine, beginning: str) -> list[CallSummary]:
    """The calls whose key begins so, two at most: enough to know whether there is exactly one."""
    with explained(engine):
        async with engine.connect() as connection:
            return [CallSummary(*row) for row in await connection.execute(_NAMED, {"beginning": beginning})]


async def call_timeline(engine: AsyncEngine, call_id: UUID) -> list[Moment]:
    """What happened in a call, in order."""
    with explained(engine):
        async with engine.connect() as connection:
            return [Moment(*row) for row in await connection.execute(_TIMELINE, {"id": call_id})]


async def recent_messages(engine: AsyncEngine, most: int) -> list[MessageSummary]:
    """The latest messages, the most recent first."""
    with explained(engine):
        async with engine.connect() as connection:
            return [MessageSummary(*row) for row in await connection.execute(_MESSAGES, {"most": most})]


async def message_audio(engine: AsyncEngine, message_id: UUID) -> bytes:
    """The sound of a message, a whole WAV file."""
    with explained(engine):
        async with engine.connect() as connection:
            audio: bytes = await connection.scalar(_AUDIO, {"id": message_id})
            return audio


async def recent_mails(engine: AsyncEngine, most: int, state: str | None) -> list[MailSummary]:
    """The latest mails, those in one state or all, the most recent first."""
    with explained(engine):
        async with engine.connect() as connection:
            rows = await connection.execute(_RECENT_MAILS, {"state": state, "most": most})
            return [MailSummary(*row) for row in rows]


async def find_mails(engine: AsyncEngine, beginning: str) -> list[MailSummary]:
    """The mails whose key begins so, two at most: enough to know whether there is exactly one."""
    with explained(engine):
        async with engine.connect() as connection:
            return [MailSummary(*row) for row in await connection.execute(_NAMED_MAILS, {"beginning": beginning})]
