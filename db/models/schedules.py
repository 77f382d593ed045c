"""Who is on call when: schedules, their rotations in layers, and the replacements of spans."""

from datetime import date, datetime, time

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import FIRST_DAY, LAST_DAY, NAME, SLUG, Base, Id, in_our_years, matches, one_of, within
from oncall.rotation import RotationUnit


class Schedule(Base):
    __tablename__ = "schedule"
    __table_args__ = (matches("slug", SLUG), matches("name", NAME))

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    zone: Mapped[str]


class Rotation(Base):
    """A repeating rule: the members take turns of ``length`` ``unit``, from ``starts`` at ``handover``.

    There is one rotation in a layer, so no instant has two answers in it.
    """

    __tablename__ = "rotation"
    __table_args__ = (
        one_of("unit", RotationUnit),
        matches("name", NAME),
        within("layer", 0, 99),
        within("length", 1, 1000),
        CheckConstraint(f"starts BETWEEN '{FIRST_DAY}' AND '{LAST_DAY}'", name="years"),
        CheckConstraint("handover < '24:00'", name="hours"),
        UniqueConstraint("schedule_id", "layer"),
    )

    id: Mapped[Id]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    layer: Mapped[int]
    name: Mapped[str]
    starts: Mapped[date]
    handover: Mapped[time]
    length: Mapped[int]
    unit: Mapped[str]


class RotationMember(Base):
    """A person's turn; the same person may have several turns in one round."""

    __tablename__ = "rotation_member"

    rotation_id: Mapped[int] = mapped_column(ForeignKey("rotation.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="RESTRICT"), index=True)


class RotationWindow(Base):
    """Hours of some weekdays (Monday is 0) in which a rotation is on duty; with none, it always is."""

    __tablename__ = "rotation_window"
    __table_args__ = (
        CheckConstraint("cardinality(weekdays) > 0 AND weekdays <@ '{0,1,2,3,4,5,6}'::smallint[]", name="weekdays"),
        CheckConstraint("array_ndims(weekdays) = 1", name="list"),
        CheckConstraint("starts < '24:00' AND ends < '24:00'", name="hours"),
        UniqueConstraint("rotation_id", "position"),
    )

    id: Mapped[Id]
    rotation_id: Mapped[int] = mapped_column(ForeignKey("rotation.id", ondelete="CASCADE"))
    position: Mapped[int]
    weekdays: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    starts: Mapped[time]
    ends: Mapped[time]


class Override(Base):
    """A replacement of a span of a schedule; two of them never overlap."""

    __tablename__ = "override"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        in_our_years("starts_at", "ends_at"),
        Index("override_ends_at_idx", "ends_at"),
        # A range of one stands in for the key: gist has = for ranges, for integers only by an extension.
        ExcludeConstraint(
            (text("int4range(schedule_id, schedule_id, '[]')"), "="),
            (text("tstzrange(starts_at, ends_at)"), "&&"),
            using="gist",
            name="override_overlap_excl",
        ),
    )

    id: Mapped[Id]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str | None]
