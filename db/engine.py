"""Connections to PostgreSQL, and what its refusals mean in words for the person who runs Vigie."""

from typing import Final

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.connection import ARGUMENTS, Connection
from db.errors import NotMigrated, TooNew, TooOld, explained
from db.url import parse_url

OLDEST_SERVER: Final = 15


def make_engine(url: str) -> AsyncEngine:
    """A pool of connections to the database at ``url``; nothing is connected yet. Raises WrongUrl."""
    return create_async_engine(
        parse_url(url),
        pool_pre_ping=True,  # a server that was restarted costs nobody an error
        connect_args={"async_creator_fn": Connection.connect, **ARGUMENTS},
    )


async def check_database(engine: AsyncEngine) -> None:
    """Returns when the database can be used; otherwise raises the DatabaseError that says why not."""
    from db import migrations  # Alembic takes its time to load: only who checks has it, and before any call comes

    with explained(engine):
        async with engine.connect() as connection:
            await _check_server(connection)
            revision = await connection.run_sync(migrations.current)
    if revision is None or migrations.is_older(revision):
        raise NotMigrated
    if revision != migrations.latest():
        raise TooNew(f"The database (revision {revision}) is of a later version of Vigie: upgrade Vigie.")


async def _check_server(connection: AsyncConnection) -> None:
    version = await connection.scalar(sqlalchemy.text("SHOW server_version_num"))
    major = int(version or 0) // 10_000
    if major < OLDEST_SERVER:
        raise TooOld(f"The server is PostgreSQL {major}; Vigie needs {OLDEST_SERVER} or later.")
