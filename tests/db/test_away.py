"""PostgreSQL away in each of its ways: nothing waits for it for ever, and afterwards everything is there, once."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connection import ARGUMENTS
from db.engine import make_engine
from db.errors import Unreachable
from db.journal import Journal
from db.routing import load_routing
from db.snapshot import SnapshotStore
from oncall.outcomes import Disposition, EventKind, Outcome
from tests.support.disk import run_on_a_disk_of
from tests.support.follower import following, joins, table_of
from tests.support.history import StoryTeller
from tests.support.journal import COUNTS, counts, nothing_waits, put_all, rows, running, written
from tests.support.server import Server

SPAN = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a cluster of our own lives, which may be harmed."""
    if os.geteuid() == 0:
        pytest.skip("PostgreSQL does not run as root: run the tests as another user")
    return tmp_path_factory.mktemp("away")


@pytest.fixture
async def server(directory: Path) -> AsyncIterator[Server]:
    server = Server(directory)
    await server.start()
    try:
        await asyncio.to_thread(server.make_database)
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def engine(server: Server) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(server.url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def journal(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Journal]:
    async with running(Journal(engine, tmp_path, "w1")) as journal:
        yield journal


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.connection.COMMAND_SECONDS", 0.5)
    monkeypatch.setitem(ARGUMENTS, "connect_timeout", 2)
    monkeypatch.setattr("db.scribe.LONGEST_RETRY_SECONDS", 0.2)
    monkeypatch.setattr("ari_app.routing.RETRY_SECONDS", 0.1)


async def told(text: str, log: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(10):
        while text not in log.text:
            await asyncio.sleep(0.01)


async def test_a_server_that_was_stopped_receives_what_happened_meanwhile(
    server: Server, journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    before, during = StoryTeller(), StoryTeller()
    put_all(journal, before.whole()[:3])
    await written(journal)
    await server.stop()
    put_all(journal, [*before.attempt(Disposition.BUSY), before.event(EventKind.ENDED)])
    put_all(journal, [before.closed(Outcome.ABANDONED), *during.whole()])
    await told("the history of calls waits for the database", caplog)
    assert journal.pending == 15
    await server.start()
    await written(journal)
    assert await rows(engine, "SELECT outcome FROM call ORDER BY outcome") == [("abandoned",), ("answered",)]
    assert await counts(engine) == {table: 2 * count for table, count in COUNTS.items()}
    assert "the database takes it again after" in caplog.text


async def test_a_server_that_is_restarted_under_load_gets_everything_once(
    server: Server, journal: Journal, engine: AsyncEngine
) -> None:
    stories = 0

    async def calls_come_in() -> None:
        nonlocal stories
        while True:
            put_all(journal, StoryTeller().whole())
            stories += 1
            await asyncio.sleep(0.002)

    load = asyncio.create_task(calls_come_in())
    for _ in range(2):
        await written(journal)
        await server.stop()
        await server.start()
    load.cancel()
    await written(journal)
    assert stories > 20
    assert await counts(engine) == {table: stories * count for table, count in COUNTS.items()}


async def test_a_frozen_server_freezes_nobody(
    server: Server, journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    before, during = StoryTeller(), StoryTeller()
    put_all(journal, before.whole())
    await written(journal)
    await load_routing(engine, *SPAN)
    with server.frozen():
        started = time.perf_counter()
        put_all(journal, during.whole())
        assert time.perf_counter() - started < 1, "no call waits"
        await told("the server has not answered for 0.5 s", caplog)
        async with asyncio.timeout(10):
            with pytest.raises(Unreachable, match="connection timeout expired"):
                await load_routing(engine, *SPAN)
    await written(journal)
    assert await counts(engine) == {table: 2 * count for table, count in COUNTS.items()}


async def test_who_stops_does_not_wait_for_a_frozen_server(
    server: Server, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.connection.COMMAND_SECONDS", 60)
    story = StoryTeller()
    journal = Journal(engine, tmp_path, "w1")
    writing = asyncio.create_task(journal.run())
    put_all(journal, story.whole())
    await written(journal)
    with server.frozen():
        journal.put(story.event(EventKind.ERROR))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(journal.drain(), 0.3)
        loading = asyncio.create_task(load_routing(engine, *SPAN))
        await asyncio.wait([loading], timeout=0.1)
        async with asyncio.timeout(5):
            for task in (writing, loading):
                task.cancel()
            await asyncio.wait([writing, loading])
            await engine.dispose()
    async with running(again := Journal(engine, tmp_path, "w1")):
        await nothing_waits(again)
    assert await rows(engine, "SELECT count(*) FROM call_event") == [(4,)]


async def test_a_server_without_a_free_connection_is_waited_for(
    server: Server, engine: AsyncEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    story = StoryTeller()
    with server.full():
        async with running(journal := Journal(engine, tmp_path, "w1")):
            put_all(journal, story.whole())
            await told("too many clients", caplog)
            with pytest.raises(Unreachable, match="too many clients"):
                await load_routing(engine, *SPAN)
        assert journal.pending == 0, "it is on disk, for whoever comes next"
    async with running(journal := Journal(engine, tmp_path, "w1")):
        await nothing_waits(journal)
    assert await counts(engine) == COUNTS


async def test_a_server_that_only_reads_is_waited_for(
    server: Server, journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """As a standby does until it is promoted, or one whose administrator wants it so."""
    with closing(psycopg.connect(server.url, autocommit=True)) as administrator:
        administrator.execute(f"ALTER DATABASE {server.name} SET default_transaction_read_only = on")
        put_all(journal, StoryTeller().whole())
        await told("in a read-only transaction", caplog)
        administrator.execute("SET default_transaction_read_only = off")
        administrator.execute(f"ALTER DATABASE {server.name} RESET default_transaction_read_only")
    await written(journal)
    assert await counts(engine) == COUNTS


async def test_a_lock_that_somebody_keeps_is_waited_for_without_piling_up(
    server: Server,
    engine: AsyncEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("db.connection.COMMAND_SECONDS", 10)
    monkeypatch.setitem(ARGUMENTS, "options", "-c statement_timeout=50")
    with closing(psycopg.connect(server.url)) as somebody:
        somebody.execute("LOCK TABLE call_event")
        async with running(journal := Journal(engine, tmp_path, "w1")):
            put_all(journal, StoryTeller().whole())
            await told("canceling statement due to statement timeout", caplog)
            ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie' AND pid <> pg_backend_pid()"
            assert await rows(engine, ours) < [(3,)], "the writer, and who looks for what others left"
            somebody.rollback()
            await written(journal)
    assert await counts(engine) == COUNTS


async def test_who_starts_meanwhile_routes_by_the_snapshot_until_it_is_back(
    server: Server, engine: AsyncEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await joins(engine, "Alice")
    await server.stop()
    written_at = datetime.now(UTC) - timedelta(minutes=90, seconds=5)
    snapshots = SnapshotStore(tmp_path, "k" * 24)
    snapshots.write(table_of("Carol", written_at), written_at)
    async with following(server.url, snapshots) as follower:
        await follower.knows("Carol")
        (said,) = (record for record in caplog.records if "snapshot" in record.getMessage())
        assert said.levelno == logging.WARNING
        assert f"snapshot of {written_at.isoformat(timespec='seconds')}, which is 1:30:" in said.getMessage()
        await server.start()
        await follower.knows("Alice")


FULL_DISK = """
import asyncio, logging, sys
from contextlib import suppress
from msgspec.structs import replace
from pathlib import Path
from db.engine import make_engine
from db.journal import Journal
from db.migrations import upgrade
from oncall.outcomes import EventKind
from tests.support.follower import following, joins, table_of
from tests.support.history import StoryTeller
from tests.support.journal import counts, running, written
from vigie.stack.postgres import PrivateCluster

async def main(disk: Path, spool: Path) -> None:
    cluster = PrivateCluster(disk / 'postgres', settings={'wal_recycle': 'off', 'max_wal_size': '32MB'})
    server = await cluster.start()
    upgrade(cluster.url)
    engine = make_engine(cluster.url)
    refused = asyncio.Event()
    handler = logging.Handler()
    handler.emit = lambda record: 'No space left on device' in record.getMessage() and refused.set()
    logging.getLogger().addHandler(handler)
    story = StoryTeller()
    async with running(Journal(engine, spool, 'w1')) as journal:
        journal.put(story.opened())
        await written(journal)
        with suppress(OSError), (disk / 'filler').open('wb', buffering=0) as filler:
            while filler.write(bytes(65536)):
                pass
        while not refused.is_set():
            journal.put(replace(story.event(EventKind.ERROR), detail={'noise': str(story.seq) * 5000}))
            await asyncio.sleep(0.005)
        (disk / 'filler').unlink()
        if not server.running:
            server = await cluster.start()
        await written(journal)
        print((await counts(engine))['call_event'] == story.seq)
    await engine.dispose()
    await server.stop()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_a_server_whose_disk_is_full_gets_everything_when_there_is_room(tmp_path: Path) -> None:
    """On a real file system of that size, in a mount namespace where an ordinary user may mount one."""
    disk, spool = tmp_path / "disk", tmp_path / "journal"
    disk.mkdir()
    run = run_on_a_disk_of("150m", disk, FULL_DISK, spool)
    assert run.stdout.splitlines() == ["True"], run.stderr
