"""Escalation policies: whom to ring, in what order, for how long."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import NAME, SLUG, Base, Id, matches, one_of, within
from oncall.plan import RingOrder


class TargetKind(StrEnum):
    """Whom a step rings."""

    ON_CALL = "on_call"
    PERSON = "person"
    SUPERVISORS = "supervisors"


class EscalationPolicy(Base):
    """``rounds`` times through the steps, and never longer than ``max_hunt_seconds``."""

    __tablename__ = "escalation_policy"
    __table_args__ = (
        matches("slug", SLUG),
        matches("name", NAME),
        within("max_hunt_seconds", 10, 1800),
        within("rounds", 1, 10),
    )

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    max_hunt_seconds: Mapped[int]
    rounds: Mapped[int]


class EscalationStep(Base):
    """One step; ``max_seconds`` cuts it short, NULL lets each contact method ring for its own time."""

    __tablename__ = "escalation_step"
    __table_args__ = (
        one_of("ring_order", RingOrder),
        within("max_seconds", 5, 600),
        UniqueConstraint("policy_id", "position"),
    )

    id: Mapped[Id]
    policy_id: Mapped[int] = mapped_column(ForeignKey("escalation_policy.id", ondelete="CASCADE"))
    position: Mapped[int]
    ring_order: Mapped[str]
    max_seconds: Mapped[int | None]


class StepTarget(Base):
    __tablename__ = "step_target"
    __table_args__ = (
        one_of("kind", TargetKind),
        CheckConstraint(
            "(kind = 'on_call') = (schedule_id IS NOT NULL) AND (kind = 'person') = (person_id IS NOT NULL)",
            name="target",
        ),
        UniqueConstraint("step_id", "position"),
    )

    id: Mapped[Id]
    step_id: Mapped[int] = mapped_column(ForeignKey("escalation_step.id", ondelete="CASCADE"))
    position: Mapped[int]
    kind: Mapped[str]
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedule.id", ondelete="RESTRICT"), index=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="RESTRICT"), index=True)
