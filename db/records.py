"""The records of which a call's history is made, and the lines as which they travel to the database.

A line is the name of the record's kind, a space and the record as JSON, in which field names are column names.
Records of one call may be written in any order: the processes that served it each have a spool of their own.
"""

import json
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import ContactKind


class CallOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call came in. ``caller`` is None without caller ID; ``line_id`` and ``plan`` for an unknown number.

    Of several (a worker's, then that of the fallback that had to go on) the earliest time counts, the last rung of
    the ladder, and whatever one of them knew. ``worker`` is None where none had the call.
    """

    id: UUID
    did: str
    channel: str
    worker: str | None
    started_at: datetime
    route: Route = Route.WORKER
    caller: str | None = None
    line_id: int | None = None
    line_name: str | None = None
    plan: Any = None
    """Anything msgspec can encode, such as ``oncall.Plan``."""


class CallAnswered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """We answered the caller's channel; of several times, the earliest counts."""

    id: UUID
    answered_at: datetime


class CallClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The call is over; of several ends that of the highest ``generation`` counts, then the earliest."""

    id: UUID
    ended_at: datetime
    outcome: Outcome
    generation: int = 0


class AttemptOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class AttemptAnswered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The phone was picked up, by somebody or something; of several times, the earliest counts."""

    id: UUID
    answered_at: datetime


class AttemptClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The attempt is over; of several ends one counts as in CallClosed. ``q850``, ``sip``: the causes on the wire."""

    id: UUID
    ended_at: datetime
    disposition: Disposition
    q850: int | None = None
    sip: int | None = None
    generation: int = 0


class CallEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a call's story, the ``seq``-th of its call; no two who serve a call use the same ``seq``."""

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

KINDS: Final[dict[type, bytes]] = {
    CallOpened: b"call_opened",
    CallAnswered: b"call_answered",
    CallClosed: b"call_closed",
    AttemptOpened: b"attempt_opened",
    AttemptAnswered: b"attempt_answered",
    AttemptClosed: b"attempt_closed",
    CallEvent: b"call_event",
}
_json: Final = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """The line of ``record``, without its end. Raises TypeError when it holds what JSON cannot say.

    What comes from the wire may hold what PostgreSQL refuses, NUL and halves of characters: they are replaced.
    """
    try:
        said = _json.encode(record)
    except UnicodeEncodeError:
        said = json.dumps(msgspec.to_builtins(record), ensure_ascii=False).encode(errors="replace")
    if b"\\u0000" in said:
        said = said.replace(b"\\u0000", b"\\ufffd")
    return b"%s %s" % (KINDS[type(record)], said)
