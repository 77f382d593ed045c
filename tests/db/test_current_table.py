"""The routing table of a process: from the database while it can be had, from the snapshot until then."""

import asyncio
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connection import ARGUMENTS
from db.engine import make_engine
from db.errors import DatabaseError, NotMigrated, SnapshotMissing, TooNew
from db.snapshot import SnapshotStore
from tests.support.follower import NOW, NOWHERE, Follower, following, joins, table_of


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.routing.RETRY_SECONDS", 0.05)


@pytest.fixture
def snapshots(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "routing", "k" * 24)


async def test_each_table_is_kept_as_a_snapshot(
    engine: AsyncEngine, database_url: str, snapshots: SnapshotStore
) -> None:
    await joins(engine, "Alice")
    async with following(database_url, snapshots) as follower:
        await follower.knows("Alice")
        await joins(engine, "Bob")
        await follower.knows("Alice", "Bob")
        async with asyncio.timeout(10):
            while len((snapshot := snapshots.read()).table.people) < 2:
                await asyncio.sleep(0.01)
        assert snapshot.table == follower.table()
        assert timedelta() < datetime.now(UTC) - snapshot.written_at < timedelta(minutes=1)


async def test_a_frozen_database_does_not_keep_a_start_waiting(
    snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARGUMENTS, "connect_timeout", 2)
    snapshots.write(table_of("Carol"), NOW)
    with closing(socket.create_server(("127.0.0.1", 0))) as frozen:  # the kernel accepts, and nobody says anything
        async with following(f"postgresql://vigie@127.0.0.1:{frozen.getsockname()[1]}/vigie", snapshots) as follower:
            await follower.knows("Carol")


async def test_a_start_without_database_and_snapshot_says_so_and_goes_on_trying(
    snapshots: SnapshotStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(NOWHERE, snapshots) as follower:
        async with asyncio.timeout(10):
            while caplog.text.count("No call can be taken") < 2:
                await asyncio.sleep(0.01)
        assert "Connection refused" in caplog.text
        assert "There is no snapshot" in caplog.text
        assert "Start PostgreSQL; it is asked again and again." in caplog.text
        snapshots.write(table_of("Carol"), NOW)
        await follower.knows("Carol")


@pytest.mark.parametrize("outdated", [True, False])
async def test_tables_of_another_version_are_no_reason_not_to_answer(
    outdated: bool, empty_database_url: str, database_url: str, snapshots: SnapshotStore
) -> None:
    url, fault = (empty_database_url, NotMigrated) if outdated else (database_url, TooNew)
    engine = make_engine(url)
    if not outdated:
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    follower = Follower(engine, snapshots)
    with pytest.raises(fault) as raised:
        await follower.start()
    assert isinstance(raised.value, DatabaseError)
    assert isinstance(raised.value.__cause__, SnapshotMissing)
    snapshots.write(table_of("Carol"), NOW)
    await follower.start()
    assert follower.people == ["Carol"]
    with pytest.raises(fault):
        await follower.table.load()
    assert follower.people == ["Carol"]
    await engine.dispose()


async def test_a_snapshot_that_cannot_be_written_does_not_keep_the_table_from_changing(
    engine: AsyncEngine, database_url: str, snapshots: SnapshotStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "routing").mkdir(mode=0o500)
    await joins(engine, "Alice")
    async with following(database_url, snapshots) as follower:
        await follower.knows("Alice")
        await joins(engine, "Bob")
        await follower.knows("Alice", "Bob")
    assert "snapshot of the routing table cannot be written" in caplog.text
