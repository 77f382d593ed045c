"""A running journal, and what it has written."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.journal import Journal
from db.records import Record
from db.segment import HEAD

COUNTS = {"call": 1, "attempt": 1, "call_event": 3}
"""The rows of one whole story."""


@asynccontextmanager
async def running(journal: Journal) -> AsyncIterator[Journal]:
    task = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put_all(journal: Journal, records: Iterable[Record]) -> None:
    for record in records:
        journal.put(record)


async def written(journal: Journal) -> None:
    await asyncio.wait_for(journal.drain(), 10)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def counts(engine: AsyncEngine) -> dict[str, int]:
    return {table: (await rows(engine, f"SELECT count(*) FROM {table}"))[0][0] for table in COUNTS}


async def nothing_waits(journal: Journal, but: Collection[str] = ()) -> None:
    """All that was put is written, and all that anybody left behind, ``but`` for these files."""
    await written(journal)
    async with asyncio.timeout(10):
        while any(size > len(HEAD) for name, size in _sizes(journal.directory) if name not in but):
            await asyncio.sleep(0.01)


def _sizes(directory: Path) -> Iterator[tuple[str, int]]:
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            yield path.name, path.stat().st_size


def files(directory: Path) -> list[str]:
    """The names of the files in a spool directory."""
    return sorted(path.name for path in directory.iterdir())
