"""People, the ways to reach them, and when they cannot be on call."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import (
    E164,
    EMAIL,
    NAME,
    NUMBER,
    SIP_USER,
    SLUG,
    Base,
    Id,
    in_our_years,
    matches,
    one_of,
    spoken,
    within,
)
from oncall.plan import CallerIdShown, ContactKind

_ADDRESS_FORM = f"""CASE kind
    WHEN 'sip' THEN address ~ '{SIP_USER}' AND address !~ '^trunk-'
    WHEN 'email' THEN address ~ '{EMAIL}'
    WHEN 'phone' THEN address ~ '{NUMBER}'
    ELSE address ~ '{E164}'
END"""


class Person(Base):
    __tablename__ = "person"
    __table_args__ = (matches("slug", SLUG), matches("name", NAME), spoken())

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    language: Mapped[str]


class ContactMethod(Base):
    """One way to reach a person; a SIP user name belongs to one person only."""

    __tablename__ = "contact_method"
    __table_args__ = (
        one_of("kind", ContactKind),
        one_of("shows", CallerIdShown),
        within("ring_seconds", 5, 120),
        CheckConstraint(_ADDRESS_FORM, name="address_form"),
        UniqueConstraint("person_id", "position", deferrable=True, initially="DEFERRED"),
        UniqueConstraint("person_id", "kind", "address"),
        Index("contact_method_sip_user_key", "address", unique=True, postgresql_where=text("kind = 'sip'")),
    )

    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    position: Mapped[int]
    kind: Mapped[str]
    address: Mapped[str]
    ring_seconds: Mapped[int]
    confirm: Mapped[bool]
    shows: Mapped[str]


class Absence(Base):
    """A span during which a person is not on call by any rotation."""

    __tablename__ = "absence"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        in_our_years("starts_at", "ends_at"),
        UniqueConstraint("person_id", "starts_at", "ends_at"),
        Index("absence_ends_at_idx", "ends_at"),
    )

    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str | None]
