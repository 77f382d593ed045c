"""What can go wrong between Vigie and its database, in words for the person who runs it.

DatabaseError
├── WrongUrl            the address cannot be understood, or is not PostgreSQL's
├── Unreachable         nobody answers there, or the server is not accepting connections
├── AccessDenied        the server answers, but not to this user or for this database
├── TooOld              the server is older than PostgreSQL 15
├── NotMigrated         the tables are missing or older than this version of Vigie
└── TooNew              the tables were made by a later version of Vigie
"""

from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

_ACCESS_WORDS: Final = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
)


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
    pass


class TooNew(DatabaseError):
    pass


def explain(error: DBAPIError, url: URL) -> DatabaseError:
    """The DatabaseError behind a failed connection, in the server's own words where it said any."""
    where = url.render_as_string(hide_password=True)
    said = " ".join(str(error.orig).split())
    if any(words in said for words in _ACCESS_WORDS):
        return AccessDenied(f"PostgreSQL at {where} does not let us in: {said}")
    return Unreachable(f"PostgreSQL at {where} cannot be reached: {said}")
