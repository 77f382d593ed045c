"""What is to be sent: every e-mail, SMS and voice alert is a row here first."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, OwnId, one_of, spoken


class OutboxState(StrEnum):
    """Life of a message: pending → sending (until its deadline) → sent or failed."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class OutboxMessage(Base):
    """One message to one recipient; ``dedupe_key`` makes writing it twice write it once."""

    __tablename__ = "outbox"
    __table_args__ = (
        one_of("channel", ("email", "sms", "voice")),
        spoken(),
        one_of("state", OutboxState),
        CheckConstraint("attempts >= 0", name="attempts_range"),
        CheckConstraint("(state = 'sending') = (deadline IS NOT NULL)", name="deadline"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        Index("outbox_due_idx", "due_at", postgresql_where=text("state = 'pending'")),
        Index("outbox_deadline_idx", "deadline", postgresql_where=text("state = 'sending'")),
    )

    id: Mapped[OwnId]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    channel: Mapped[str]
    recipient: Mapped[str]
    language: Mapped[str]
    template: Mapped[str]
    payload: Mapped[dict[str, Any]]
    voicemail_id: Mapped[UUID | None] = mapped_column(ForeignKey("voicemail.id", ondelete="RESTRICT"), index=True)
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(server_default=OutboxState.PENDING)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deadline: Mapped[datetime | None]
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
