"""The records of which a call's history is made, and the statements that write them.

Each kind of record is written by one statement, whatever their number: the records travel as one JSON text that
PostgreSQL unfolds (``json_to_recordset``). Field names are column names. Every statement can be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import ContactKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOpened:
    """A call came in. ``caller`` is None without caller ID; ``line_id`` and ``plan`` for an unknown number.

    ``worker`` is who serves it; None for one that came by a ``route`` without workers.
    """

    id: UUID
    did: str
    channel: str
    started_at: datetime
    caller: str | None = None
    line_id: int | None = None
    line_name: str | None = None
    worker: str | None = None
    route: Route = Route.WORKER
    plan: Any = None
    """Anything msgspec can encode, such as ``oncall.Plan``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """We answered the caller's channel."""

    id: UUID
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallClosed:
    """The call is over; of several, that of the highest generation counts, then the earliest."""

    id: UUID
    ended_at: datetime
    outcome: Outcome
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOpened:
    """Somebody is about to be rung; ``leg`` is None when they are not rung after all (engaged)."""

    id: UUID
    call_id: UUID
    round: int
    step: int
    person_id: int | None
    person_name: str
    contact_method_id: int | None
    kind: ContactKind
    address: str
    started_at: datetime
    leg: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAnswered:
    """The phone was picked up, by somebody or something."""

    id: UUID
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptClosed:
    """The attempt is over; of several, the earliest counts. ``q850`` and ``sip`` are the causes on the wire."""

    id: UUID
    ended_at: datetime
    disposition: Disposition
    q850: int | None = None
    sip: int | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """One line of a call's story, the ``seq``-th of its call."""

    call_id: UUID
    seq: int
    at: datetime
    kind: EventKind
    leg: str | None = None
    who: str | None = None
    q850: int | None = None
    sip: int | None = None
    reason: str | None = None
    detail: dict[str, Any] | None = None


Record: TypeAlias = CallOpened | CallAnswered | CallClosed | AttemptOpened | AttemptAnswered | AttemptClosed | CallEvent

# The order of writing: what others refer to comes first. Within one batch it is as good as the order of arrival,
# because each kind touches columns of its own.
STATEMENTS: Final[dict[type, TextClause]] = {
    # A person or line may be removed while a routing table still holds it: the row then keeps the name only.
    CallOpened: text("""
        INSERT INTO call (id, line_id, line_name, did, caller, channel, worker, route, started_at, plan)
        SELECT r.id, line.id, r.line_name, r.did, r.caller, r.channel, r.worker, r.route, r.started_at, r.plan
        FROM json_to_recordset(:records) AS r(id uuid, line_id int, line_name text, did text, caller text,
                                              channel text, worker text, route text,
                                              started_at timestamptz, plan jsonb)
        LEFT JOIN line ON line.id = r.line_id
        ON CONFLICT (id) DO NOTHING
    """),
    AttemptOpened: text("""
        INSERT INTO attempt (id, call_id, round, step, person_id, person_name, contact_method_id, kind, address,
                             leg, started_at)
        SELECT r.id, r.call_id, r.round, r.step, person.id, r.person_name, contact_method.id, r.kind, r.address,
               r.leg, r.started_at
        FROM json_to_recordset(:records) AS r(id uuid, call_id uuid, round int, step int, person_id int,
                                              person_name text, contact_method_id int, kind text, address text,
                                              leg text, started_at timestamptz)
        LEFT JOIN person ON person.id = r.person_id
        LEFT JOIN contact_method ON contact_method.id = r.contact_method_id
        ON CONFLICT (id) DO NOTHING
    """),
    CallAnswered: text("""
        UPDATE call SET answered_at = r.answered_at
        FROM json_to_recordset(:records) AS r(id uuid, answered_at timestamptz)
        WHERE call.id = r.id AND call.answered_at IS NULL
    """),
    AttemptAnswered: text("""
        UPDATE attempt SET answered_at = r.answered_at
        FROM json_to_recordset(:records) AS r(id uuid, answered_at timestamptz)
        WHERE attempt.id = r.id AND attempt.answered_at IS NULL
    """),
    CallEvent: text("""
        INSERT INTO call_event (call_id, seq, at, kind, leg, who, q850, sip, reason, detail)
        SELECT call_id, seq, at, kind, leg, who, q850, sip, reason, detail
        FROM json_to_recordset(:records) AS r(call_id uuid, seq int, at timestamptz, kind text, leg text, who text,
                                              q850 smallint, sip smallint, reason text, detail jsonb)
        ON CONFLICT (call_id, seq) DO NOTHING
    """),
    AttemptClosed: text("""
        UPDATE attempt SET ended_at = r.ended_at, disposition = r.disposition, q850 = r.q850, sip = r.sip
        FROM (SELECT DISTINCT ON (id) *
              FROM json_to_recordset(:records) AS record(id uuid, ended_at timestamptz, disposition text,
                                                         q850 smallint, sip smallint)
              ORDER BY id, ended_at) AS r
        WHERE attempt.id = r.id AND attempt.ended_at IS NULL
    """),
    CallClosed: text("""
        UPDATE call SET ended_at = r.ended_at, outcome = r.outcome
        FROM (SELECT DISTINCT ON (id) *
              FROM json_to_recordset(:records) AS record(id uuid, ended_at timestamptz, outcome text)
              ORDER BY id, ended_at) AS r
        WHERE call.id = r.id AND call.ended_at IS NULL
    """),
}


async def write(connection: AsyncConnection, records: Sequence[Record]) -> None:
    """Writes ``records`` in the connection's transaction; those that are there already change nothing."""
    groups: dict[type, list[Record]] = {}
    for record in records:
        groups.setdefault(type(record), []).append(record)
    for kind, statement in STATEMENTS.items():
        if kind in groups:
            await connection.execute(statement, {"records": msgspec.json.encode(groups[kind]).decode()})
