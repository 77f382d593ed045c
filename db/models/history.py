"""What happened: calls, attempts, their events, and the messages that callers left.

Times come from several clocks, so no CHECK compares them: a clock set back must not cost a line of the trace.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, OwnId, one_of, within
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import ContactKind


class Call(Base):
    """A caller's call; open as long as it has no outcome.

    ``generation`` counts how often the call had changed hands when its end was written: the last owner's word counts.
    """

    __tablename__ = "call"
    __table_args__ = (
        one_of("outcome", Outcome),
        one_of("route", Route),
        within("generation", 0, 32767),
        CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ended"),
        Index("call_started_at_idx", "started_at"),
        Index("call_open_idx", "started_at", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[OwnId]
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id", ondelete="SET NULL"), index=True)
    line_name: Mapped[str | None]
    did: Mapped[str]
    caller: Mapped[str | None]
    channel: Mapped[str]
    worker: Mapped[str | None]
    route: Mapped[str] = mapped_column(server_default=Route.WORKER)
    generation: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    started_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    plan: Mapped[dict[str, Any] | None]


class Attempt(Base):
    """One try at reaching one contact method; at most one attempt of a call is accepted.

    ``generation`` is that of the call, as in ``Call``.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        one_of("kind", ContactKind),
        one_of("disposition", Disposition),
        within("q850", 0, 127),
        within("sip", 100, 699),
        within("generation", 0, 32767),
        CheckConstraint("(disposition IS NULL) = (ended_at IS NULL)", name="ended"),
        Index("attempt_open_idx", "call_id", postgresql_where=text("ended_at IS NULL")),
        Index("attempt_accepted_key", "call_id", unique=True, postgresql_where=text("disposition = 'accepted'")),
    )

    id: Mapped[OwnId]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id", ondelete="CASCADE"), index=True)
    round: Mapped[int]
    step: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"), index=True)
    person_name: Mapped[str]
    contact_method_id: Mapped[int | None] = mapped_column(
        ForeignKey("contact_method.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str]
    address: Mapped[str]
    leg: Mapped[str | None]
    started_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    disposition: Mapped[str | None]
    q850: Mapped[int | None] = mapped_column(SmallInteger)
    sip: Mapped[int | None] = mapped_column(SmallInteger)
    generation: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))


class CallEvent(Base):
    """One line of a call's story; ``seq`` gives the order."""

    __tablename__ = "call_event"
    __table_args__ = (one_of("kind", EventKind), within("q850", 0, 127), within("sip", 100, 699))

    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str]
    leg: Mapped[str | None]
    who: Mapped[str | None]
    q850: Mapped[int | None] = mapped_column(SmallInteger)
    sip: Mapped[int | None] = mapped_column(SmallInteger)
    reason: Mapped[str | None]
    detail: Mapped[dict[str, Any] | None]


class Voicemail(Base):
    """A message as the caller left it (WAV); the server itself checks the sound against its hash."""

    __tablename__ = "voicemail"
    __table_args__ = (
        CheckConstraint("sha256 = sha256(audio)", name="sha256"),
        CheckConstraint("duration_ms >= 0", name="duration_ms_range"),
        Index("voicemail_recorded_at_idx", "recorded_at"),
    )

    id: Mapped[OwnId]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id", ondelete="RESTRICT"), unique=True)
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id", ondelete="SET NULL"), index=True)
    line_name: Mapped[str | None]
    caller: Mapped[str | None]
    recorded_at: Mapped[datetime]
    duration_ms: Mapped[int]
    audio: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    silent: Mapped[bool]
