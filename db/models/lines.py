"""Lines with their numbers, supervisors and voicemail recipients; the trunks that carry their calls."""

from sqlalchemy import CheckConstraint, ForeignKey, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import EMAIL, NAME, NUMBER, SLUG, Base, Id, matches, one_of, spoken, within
from oncall.manner import FromUser, Identity, NumberForm, NumberIn, Reach

PREFIX = "^[0-9]{0,8}$"


class Line(Base):
    """One on-call service; ``number`` is the one shown when the line calls out."""

    __tablename__ = "line"
    __table_args__ = (
        matches("slug", SLUG),
        matches("name", NAME),
        matches("number", NUMBER),
        spoken(),
        within("max_calls", 1, 10_000),
        within("max_calls_per_caller", 1, 10_000),
        within("voicemail_min_seconds", 0, 30),
        within("voicemail_max_seconds", 10, 600),
        within("voicemail_silence_seconds", 2, 60),
        within("abandoned_seconds", 0, 1800),
    )

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    language: Mapped[str]
    zone: Mapped[str]
    number: Mapped[str]
    greeting: Mapped[str | None]
    policy_id: Mapped[int] = mapped_column(ForeignKey("escalation_policy.id", ondelete="RESTRICT"), index=True)
    max_calls: Mapped[int] = mapped_column(server_default=text("30"))
    max_calls_per_caller: Mapped[int] = mapped_column(server_default=text("5"))
    voicemail_min_seconds: Mapped[int]
    voicemail_max_seconds: Mapped[int]
    voicemail_silence_seconds: Mapped[int]
    abandoned_seconds: Mapped[int] = mapped_column(server_default=text("20"))
    """After how long a wait somebody is told of a caller who gave up."""


class Did(Base):
    """A public number (E.164), or an extension of a PBX, that leads to a line."""

    __tablename__ = "did"
    __table_args__ = (matches("number", NUMBER),)

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("line.id", ondelete="CASCADE"), index=True)


class LineSupervisor(Base):
    __tablename__ = "line_supervisor"
    __table_args__ = (UniqueConstraint("line_id", "position", deferrable=True, initially="DEFERRED"),)

    line_id: Mapped[int] = mapped_column(ForeignKey("line.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True, index=True)
    position: Mapped[int]


class VoicemailRecipient(Base):
    """Who receives a line's messages: a person, by their e-mail contact method, or a bare e-mail address."""

    __tablename__ = "voicemail_recipient"
    __table_args__ = (
        CheckConstraint("num_nonnulls(person_id, email) = 1", name="one_target"),
        matches("email", EMAIL),
        UniqueConstraint("line_id", "position", deferrable=True, initially="DEFERRED"),
        UniqueConstraint("line_id", "person_id"),
        UniqueConstraint("line_id", "email"),
    )

    id: Mapped[Id]
    line_id: Mapped[int] = mapped_column(ForeignKey("line.id", ondelete="CASCADE"))
    position: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="RESTRICT"), index=True)
    email: Mapped[str | None]


class Trunk(Base):
    """A way out to the telephone network; its password is a file of the machine, never a column."""

    __tablename__ = "trunk"
    __table_args__ = (
        matches("slug", SLUG),
        within("port", 1, 65535),
        CheckConstraint("(username IS NULL) = (password_file IS NULL)", name="credentials"),
        CheckConstraint(f"number ~ '{NUMBER}'", name="number"),
        one_of("number_in", NumberIn),
        one_of("from_user", FromUser),
        one_of("identity", Identity),
        one_of("number_form", NumberForm),
        one_of("reaches", Reach),
        matches("prefix", PREFIX),
        UniqueConstraint("position", deferrable=True, initially="DEFERRED"),
    )

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(unique=True)
    position: Mapped[int]
    host: Mapped[str]
    port: Mapped[int | None]
    """Without one, SRV records say."""
    addresses: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """From which calls come besides, and networks of them."""
    username: Mapped[str | None]
    password_file: Mapped[str | None]
    number: Mapped[str | None]
    """Which number is meant by calls that name none, but the account."""
    number_in: Mapped[str | None]
    from_user: Mapped[str] = mapped_column(server_default=FromUser.NUMBER)
    identity: Mapped[str] = mapped_column(server_default=Identity.CALLER)
    number_form: Mapped[str] = mapped_column(server_default=NumberForm.E164)
    reaches: Mapped[str] = mapped_column(server_default=Reach.OUTSIDE)
    prefix: Mapped[str] = mapped_column(server_default="")
