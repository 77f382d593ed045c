"""Where the database is: reading the URL that the administrator wrote."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.errors import WrongUrl


def parse_url(url: str) -> URL:
    """``url`` for psycopg 3. Raises WrongUrl when it is not ``postgresql://…``."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise WrongUrl(
            "The database URL cannot be read; it must look like postgresql://user:password@host:5432/name."
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise WrongUrl(f"The database URL begins with {parsed.drivername}://; it must be postgresql://.")
    if not parsed.database:
        raise WrongUrl("The database URL names no database; it must end with /name.")
    return parsed.set(drivername="postgresql+psycopg")


def libpq_url(url: str) -> str:
    """``url`` as psycopg itself takes it, for connections outside SQLAlchemy."""
    return parse_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
