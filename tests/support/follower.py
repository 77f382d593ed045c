"""Somebody who routes by the current table, whatever becomes of the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ari_app.routing import CurrentTable
from db.engine import make_engine
from db.snapshot import SnapshotStore
from oncall.routing import RoutingInputs, RoutingTable, build_table
from tests.support.rota import person

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
NOW = datetime.now(UTC)


def table_of(name: str, written_at: datetime = NOW) -> RoutingTable:
    """A table in which there is one person."""
    inputs = RoutingInputs(people=(person(1, name),), lines=(), schedules=(), policies=())
    return build_table(inputs, written_at, written_at + timedelta(days=8))


async def joins(engine: AsyncEngine, name: str) -> None:
    """A person is entered into the database."""
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO person (slug, name, language) VALUES (:slug, :name, 'fr')"),
            {"slug": name.lower(), "name": name},
        )


class Follower:
    """Whoever uses the table, and knows its people once it has ``started``."""

    def __init__(self, engine: AsyncEngine, snapshots: SnapshotStore) -> None:
        self.table = CurrentTable(engine, snapshots)
        self.started = False

    async def start(self) -> None:
        await self.table.start()
        self.started = True

    @property
    def people(self) -> list[str]:
        return [each.name for each in self.table().people.values()] if self.started else []

    async def knows(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while sorted(self.people) != sorted(names):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def following(url: str, snapshots: SnapshotStore) -> AsyncIterator[Follower]:
    """Somebody who starts, and keeps the table fresh from then on."""
    engine = make_engine(url)
    follower = Follower(engine, snapshots)

    async def follow() -> None:
        await follower.start()
        await follower.table.keep_fresh(url)

    following = asyncio.create_task(follow())
    yield follower
    following.cancel()
    await asyncio.wait([following])
    await engine.dispose()
