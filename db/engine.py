"""Connections to PostgreSQL, and what its refusals mean in words for the person who runs Vigie."""

from typing import Final

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.errors import NotMigrated, TooNew, TooOld, explained
from db.url import parse_url

OLDEST_SERVER: Final = 15
CONNECT_SECONDS: Final = 5


def make_engine(url: str) -> AsyncEngine:
    """A pool of connections to the database at ``url``; nothing is connected yet. Raises WrongUrl."""
    return create_async_engine(
        parse_url(url),
        pool_pre_ping=True,  # a server that was restarted costs nobody an error
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "vigie",
            # A server whose machine has vanished says nothing: notice it well before the kernel does.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
            "options": "-c timezone=UTC",
        },
    )


async def check_database(engine: AsyncEngine) -> None:
    """Returns when the database can be used; otherwise raises the DatabaseError that says why not."""
    with explained(engine):
        async with engine.connect() as connection:
            await _check_server(connection)
            await _check_revision(connection)


async def _check_server(connection: AsyncConnection) -> None:
    version = await connection.scalar(sqlalchemy.text("SHOW server_version_num"))
    major = int(version or 0) // 10_000
    if major < OLDEST_SERVER:
        raise TooOld(f"The server is PostgreSQL {major}; Vigie needs {OLDEST_SERVER} or later.")


async def _check_revision(connection: AsyncConnection) -> None:
    from db import migrations  # Alembic takes its time to load, and calls do not need it

    revision = await connection.run_sync(migrations.current)
    if revision is None or migrations.is_older(revision):
        raise NotMigrated
    if revision != migrations.latest():
        raise TooNew(f"The database (revision {revision}) is of a later version of Vigie: upgrade Vigie.")
