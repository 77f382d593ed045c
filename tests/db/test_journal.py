"""The journal: everything put is written once, in order, whatever becomes of the connection or the server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import make_engine
from db.journal import Journal
from db.migrations import upgrade
from db.records import AttemptOpened, CallEvent, Record
from db.url import libpq_url
from oncall.outcomes import Disposition, EventKind, Outcome
from tests.support.history import StoryTeller, write
from vigie.stack.postgres import PrivateCluster

COUNTS = {"call": 1, "attempt": 1, "call_event": 3}


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


async def eventually(condition: str, connection: psycopg.AsyncConnection[Any]) -> Any:
    """The first row that ``condition`` selects, once there is one."""
    async with asyncio.timeout(10):
        while not (row := await (await connection.execute(condition.encode())).fetchone()):
            await asyncio.sleep(0.01)
        return row[0]


@pytest.fixture
async def journal(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Journal]:
    async with running(Journal(engine, tmp_path, "w1")) as journal:
        yield journal


async def test_a_call_is_written_as_it_went(journal: Journal, engine: AsyncEngine) -> None:
    story = StoryTeller()
    put_all(journal, story.whole())
    await written(journal)
    assert journal.pending == 0
    assert await rows(engine, "SELECT kind FROM call_event ORDER BY seq") == [
        ("incoming",),
        ("ring",),
        ("ended",),
    ]
    (call,) = await rows(engine, "SELECT id, did, outcome, plan, ended_at > answered_at FROM call")
    assert call == (story.id, "+33199001234", "answered", {"rounds": 1}, True)
    (attempt,) = await rows(engine, "SELECT call_id, person_name, disposition, q850, sip FROM attempt")
    assert attempt == (story.id, "Alice", "accepted", 16, 200)


async def test_times_keep_their_microseconds(journal: Journal, engine: AsyncEngine) -> None:
    story = StoryTeller()
    opened = replace(story.opened(), started_at=story.began.replace(microsecond=123456))
    journal.put(opened)
    await written(journal)
    assert await rows(engine, "SELECT started_at FROM call") == [(opened.started_at,)]


async def test_many_calls_at_once_are_written_in_batches(journal: Journal, engine: AsyncEngine) -> None:
    stories = [StoryTeller() for _ in range(150)]
    for step in zip(*(story.whole() for story in stories), strict=True):
        put_all(journal, step)
    assert journal.pending == 150 * 9
    await written(journal)
    assert await counts(engine) == {table: 150 * count for table, count in COUNTS.items()}


async def test_the_earliest_end_of_a_call_counts(journal: Journal, engine: AsyncEngine) -> None:
    story = StoryTeller()
    put_all(journal, [story.opened(), story.closed(Outcome.VOICEMAIL), story.closed(Outcome.FAILED)])
    await written(journal)
    journal.put(story.closed(Outcome.ABANDONED))
    await written(journal)
    assert await rows(engine, "SELECT outcome FROM call") == [("voicemail",)]


async def test_the_same_batch_again_changes_nothing(engine: AsyncEngine) -> None:
    batch = StoryTeller().whole()
    for _ in range(2):
        await write(engine, batch)
    assert await counts(engine) == COUNTS


async def test_a_connection_killed_in_the_middle_of_a_batch_costs_nothing(
    journal: Journal, engine: AsyncEngine, database_url: str
) -> None:
    blocker = await psycopg.AsyncConnection.connect(libpq_url(database_url))
    watcher = await psycopg.AsyncConnection.connect(libpq_url(database_url), autocommit=True)
    async with blocker, watcher:
        await blocker.execute("LOCK TABLE call_event IN ACCESS EXCLUSIVE MODE")
        put_all(journal, StoryTeller().whole())
        stuck = await eventually("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'", watcher)
        await watcher.execute("SELECT pg_terminate_backend(%s)", [stuck])
        await eventually(f"SELECT true WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {stuck})", watcher)
        assert journal.pending == 9
    await written(journal)
    assert await counts(engine) == COUNTS


async def test_a_server_that_was_away_receives_what_happened_meanwhile(tmp_path: Path) -> None:
    cluster = PrivateCluster(tmp_path / "pg", settings={"fsync": "off"})
    server = await cluster.start()
    upgrade(cluster.url)
    engine = make_engine(cluster.url)
    try:
        async with running(Journal(engine, tmp_path / "journal", "w1")) as journal:
            before, during = StoryTeller(), StoryTeller()
            put_all(journal, before.whole()[:3])
            await written(journal)
            await server.stop()
            put_all(journal, [*before.attempt(Disposition.BUSY), before.event(EventKind.ENDED)])
            put_all(journal, [before.closed(Outcome.ABANDONED), *during.whole()])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(journal.drain(), 0.3)
            server = await cluster.start()
            await written(journal)
            assert await rows(engine, "SELECT outcome FROM call ORDER BY outcome") == [
                ("abandoned",),
                ("answered",),
            ]
            assert await counts(engine) == {table: 2 * count for table, count in COUNTS.items()}
    finally:
        await engine.dispose()
        await server.stop()


POISON: dict[str, Callable[[CallEvent], CallEvent]] = {
    "an impossible cause": lambda event: replace(event, q850=4711),
    "a NUL character": lambda event: replace(event, reason="\0"),
    "half a character": lambda event: replace(event, reason="\ud800"),
    "what no JSON can say": lambda event: replace(event, detail={"socket": object()}),
    "no such call": lambda event: replace(event, call_id=StoryTeller().id),
}


@pytest.mark.parametrize("poison", POISON)
async def test_a_record_that_cannot_be_written_is_left_out_alone(
    poison: str, journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = StoryTeller(), StoryTeller()
    with caplog.at_level(logging.ERROR, "db.journal"):
        put_all(journal, before.whole())
        journal.put(POISON[poison](before.event(EventKind.ERROR)))
        put_all(journal, after.whole())
        await written(journal)
    assert await counts(engine) == {table: 2 * count for table, count in COUNTS.items()}
    assert [record.getMessage()[:27] for record in caplog.records] == ["journal: left out a record "]


async def test_a_second_acceptance_of_one_call_is_refused(
    journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    story = StoryTeller()
    put_all(journal, [story.opened(), *story.attempt(Disposition.ACCEPTED)])
    put_all(journal, [*story.attempt(Disposition.ACCEPTED, "Bob")])
    with caplog.at_level(logging.ERROR, "db.journal"):
        await written(journal)
    assert await rows(engine, "SELECT person_name FROM attempt WHERE disposition = 'accepted'") == [("Alice",)]
    assert "attempt_accepted_key" in caplog.text


async def test_a_person_removed_meanwhile_is_still_named(journal: Journal, engine: AsyncEngine) -> None:
    story = StoryTeller(line_id=4711)
    opened, *others = story.attempt(Disposition.BUSY)
    assert isinstance(opened, AttemptOpened)
    put_all(journal, [story.opened(), replace(opened, person_id=4711, contact_method_id=4711), *others])
    await written(journal)
    assert await rows(engine, "SELECT line_id, line_name FROM call") == [(None, "Support")]
    assert await rows(engine, "SELECT person_id, person_name FROM attempt") == [(None, "Alice")]
