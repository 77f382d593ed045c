"""What can go wrong between Vigie and what it has stored, in words for the person who runs it.

DatabaseError
├── WrongUrl            the address cannot be understood, or is not PostgreSQL's
├── Unreachable         nobody answers there, or the server went away or is in trouble
├── AccessDenied        the server answers, but not to this user or for this database
├── TooOld              the server is older than PostgreSQL 15
├── NotMigrated         the tables are missing or older than this version of Vigie
├── TooNew              the tables were made by a later version of Vigie
├── BadRow              a row holds what PostgreSQL takes and nobody can make sense of
└── CallNotJournalled   something is to be added to a call that is not written yet

SnapshotError
├── SnapshotMissing     there is none
├── SnapshotUnreadable  the system does not let us read it
├── SnapshotTruncated   it is empty, or its end is missing
├── SnapshotTampered    it is not what was written, or was signed with another key
├── SnapshotVersion     it is of another version of Vigie
└── SnapshotNotWritten  a new one could not be put in its place

SpoolError
└── NewerSpool          a file of records waiting for the database is of a later version of Vigie
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

_ACCESS_WORDS: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
_UNDEFINED: Final = ("42P01", "42703")
"""SQLSTATE of a table or column that does not exist."""
_NOT_ALLOWED: Final = "42501"


class DatabaseError(Exception):
    """The database cannot be used as it is; the message says why and what to do."""


class WrongUrl(DatabaseError):
    pass


class Unreachable(DatabaseError):
    pass


class AccessDenied(DatabaseError):
    pass


class TooOld(DatabaseError):
    pass


class NotMigrated(DatabaseError):
    def __init__(self) -> None:
        super().__init__("The database's tables are missing or outdated: run `vigie db upgrade`.")


class TooNew(DatabaseError):
    pass


class BadRow(DatabaseError):
    pass


class CallNotJournalled(DatabaseError):
    pass


class SnapshotError(Exception):
    """The snapshot of the routing table cannot be used as it is; the message says why and what to do."""


class SnapshotMissing(SnapshotError):
    pass


class SnapshotUnreadable(SnapshotError):
    pass


class SnapshotTruncated(SnapshotError):
    pass


class SnapshotTampered(SnapshotError):
    pass


class SnapshotVersion(SnapshotError):
    pass


class SnapshotNotWritten(SnapshotError):
    pass


class SpoolError(Exception):
    """Records that wait for the database cannot be read; the message says why and what to do."""


class NewerSpool(SpoolError):
    pass


@contextmanager
def explained(engine: AsyncEngine | Engine) -> Iterator[None]:
    """Turns what the driver raises when the database cannot be used into the DatabaseError that says why."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise _explanation(error, engine.url) from error
    except DataError as error:  # such as a date after the year 9999
        said = " ".join(str(error.orig).split())
        raise BadRow(f"The database holds what cannot be read: {said}. `vigie doctor` looks for it.") from error
    except ProgrammingError as error:
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sqlstate in _UNDEFINED:
            raise NotMigrated from error
        if sqlstate == _NOT_ALLOWED:
            raise _explanation(error, engine.url) from error
        raise


def _explanation(error: DBAPIError | PoolTimeout, url: URL) -> DatabaseError:
    """The DatabaseError behind a driver's error, in the server's own words where it said any."""
    where = url.set(drivername="postgresql").render_as_string(hide_password=True)
    said = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    if any(words in said for words in _ACCESS_WORDS):
        return AccessDenied(f"PostgreSQL at {where} does not let us in: {said}")
    return Unreachable(f"PostgreSQL at {where} cannot be used: {said}")
