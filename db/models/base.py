"""What all tables share: key and text types, naming of constraints, and the recurring CHECKs."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, mapped_column

from oncall.numbers import EXTENSION
from oncall.printable import UNPRINTABLE

SLUG = "^[a-z0-9][a-z0-9-]{0,39}$"
E164 = r"^\+[1-9][0-9]{5,14}$"
NUMBER = rf"^(\+[1-9][0-9]{{5,14}}|{EXTENSION})$"
"""E.164, or an extension."""
EMAIL = r"^[^@\s]+@[^@\s]+$"
SIP_USER = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"

NAME = rf"^[^{UNPRINTABLE} ]([^{UNPRINTABLE}]{{0,98}}[^{UNPRINTABLE} ])?$"
"""One line of 100 characters at most, not beginning or ending with a blank."""

YEARS = range(1970, 2200)
"""Those of all dates of the rota."""
FIRST_DAY, LAST_DAY = "1969-12-31", "2200-01-02"
"""The same, whatever the time zone."""


class Base(DeclarativeBase):
    """Root of all models; its metadata is the schema that the migrations must give."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (read by SQLAlchemy as is)
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
    }


Id = Annotated[int, mapped_column(Identity(always=True), primary_key=True)]
OwnId = Annotated[UUID, mapped_column(primary_key=True)]


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    """The CHECK that ``column`` holds one of ``values`` (or NULL where the column allows it)."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def matches(column: str, pattern: str) -> CheckConstraint:
    """The CHECK that the text of ``column`` has the form of ``pattern``."""
    return CheckConstraint(f"{column} ~ '{pattern}'", name=f"{column}_form")


def within(column: str, least: int, most: int) -> CheckConstraint:
    """The CHECK that ``column`` lies between ``least`` and ``most``, both included."""
    return CheckConstraint(f"{column} BETWEEN {least} AND {most}", name=f"{column}_range")


def in_our_years(first: str, last: str) -> CheckConstraint:
    """The CHECK that a span of instants lies in ``YEARS``.

    PostgreSQL knows times before Christ, after the year 9999 and ``infinity``; nobody else here does.
    """
    return CheckConstraint(
        f"{first} >= '{FIRST_DAY} 00:00+00'::timestamptz AND {last} <= '{LAST_DAY} 00:00+00'::timestamptz", name="years"
    )


def spoken(column: str = "language") -> CheckConstraint:
    """The CHECK that ``column`` is a language in which Vigie speaks and writes."""
    return one_of(column, ("fr", "en"))
