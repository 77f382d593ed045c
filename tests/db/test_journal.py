"""The journal: everything put is written once, in order, whatever becomes of the connection or the server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from db.journal import Journal
from db.records import AttemptClosed, AttemptOpened, CallEvent, encode
from db.url import libpq_url
from oncall.outcomes import Disposition, EventKind, Outcome
from tests.support.history import StoryTeller, write
from tests.support.journal import COUNTS, counts, nothing_waits, put_all, rows, running, written


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


POISON: dict[str, Callable[[CallEvent], CallEvent]] = {
    "an impossible cause": lambda event: replace(event, q850=4711),
    "what no clock shows": lambda event: replace(event, at=datetime.max.replace(tzinfo=UTC), seq=2**40),
}


@pytest.mark.parametrize("poison", POISON)
async def test_a_record_that_cannot_be_written_is_set_aside_alone(
    poison: str, journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = StoryTeller(), StoryTeller()
    bad = POISON[poison](before.event(EventKind.ERROR, reason="Aïe"))
    put_all(journal, [*before.whole(), bad, *after.whole()])
    await written(journal)
    assert await counts(engine) == {table: 2 * count for table, count in COUNTS.items()}
    aside = journal.directory / "w1.aside"
    assert encode(bad) in aside.read_bytes().splitlines()
    (told,) = (record for record in caplog.records if record.name.startswith("db."))
    assert "left out 1 record(s) that cannot be written" in told.getMessage()
    assert "Aïe" not in told.getMessage(), "what the record says is in the file only"
    assert f"they are kept in {aside}. Once the cause is mended, rename that file to w1.aside.spool" in caplog.text


async def test_a_record_that_no_json_can_say_is_told_in_the_log(
    journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    story = StoryTeller()
    put_all(journal, [replace(story.event(EventKind.ERROR), detail={"socket": object()}), *story.whole()])
    await written(journal)
    assert await counts(engine) == COUNTS
    assert "left out a record that cannot be written: CallEvent(call_id=UUID(" in caplog.text


@pytest.mark.parametrize(("said", "kept"), [("a\0b", "a\ufffdb"), ("a\ud800b", "a?b"), (r"a\u0000b", None)])
async def test_characters_that_postgresql_refuses_are_replaced(
    said: str, kept: str | None, journal: Journal, engine: AsyncEngine
) -> None:
    story = StoryTeller(caller=said)
    put_all(journal, [replace(story.opened(), plan={"greeting": said}), story.event(EventKind.INCOMING, who=said)])
    await written(journal)
    written_as = kept or said.replace("u0000", "ufffd")
    assert await rows(engine, "SELECT caller, plan ->> 'greeting' FROM call") == [(written_as, written_as)]
    assert await rows(engine, "SELECT who FROM call_event") == [(written_as,)]


async def test_a_second_acceptance_of_one_call_waits_for_what_explains_it(
    journal: Journal, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that changed hands: the new owner's word that Alice was cut off may come later than Bob's acceptance."""
    monkeypatch.setattr("db.journal.SWEEP_SECONDS", 0.05)
    story = StoryTeller()
    alice, bob = story.attempt(Disposition.ACCEPTED), story.attempt(Disposition.ACCEPTED, "Bob")
    put_all(journal, [story.opened(), *alice, *bob])
    await written(journal)
    accepted = "SELECT person_name FROM attempt WHERE disposition = 'accepted'"
    assert await rows(engine, accepted) == [("Alice",)]
    closed = alice[-1]
    assert isinstance(closed, AttemptClosed)
    journal.put(replace(closed, disposition=Disposition.CUT, generation=1))
    await nothing_waits(journal)
    assert await rows(engine, accepted) == [("Bob",)]
    assert not [record for record in caplog.records if record.name[:3] == "db." and record.levelno > logging.INFO]


async def test_a_person_removed_meanwhile_is_still_named(journal: Journal, engine: AsyncEngine) -> None:
    story = StoryTeller(line_id=4711)
    opened, *others = story.attempt(Disposition.BUSY)
    assert isinstance(opened, AttemptOpened)
    put_all(journal, [story.opened(), replace(opened, person_id=4711, contact_method_id=4711), *others])
    await written(journal)
    assert await rows(engine, "SELECT line_id, line_name FROM call") == [(None, "Support")]
    assert await rows(engine, "SELECT person_id, person_name FROM attempt") == [(None, "Alice")]
