"""The installation's database, for commands that need it for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import check_database, make_engine
from db.errors import explained
from db.migrations import upgrade
from vigie.addresses import database_url
from vigie.settings import Settings
from vigie.stack.machine import held
from vigie.stack.postgres import PrivateCluster


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[str]:
    """The database's URL; a server of our own that does not run is started, and brought up to date, for the block."""
    cluster = PrivateCluster(settings.state_dir / "postgres")
    if not settings.has_own_database or cluster.is_running():
        yield database_url(settings)
        return
    with held(settings.state_dir):
        async with cluster.running() as url:
            await asyncio.to_thread(upgrade, url)
            yield url


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The database, found usable. Raises DatabaseError or VigieError."""
    async with served(settings) as url:
        engine = make_engine(url)
        try:
            await check_database(engine)
            with explained(engine):
                yield engine
        finally:
            await engine.dispose()
