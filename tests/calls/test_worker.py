"""A worker as a whole, between an Asterisk that does as the test says and a database that is away."""

import asyncio
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from ari_app.ari import AriRefused
from ari_app.worker import AriAccess, Worker, WorkerSettings
from db.errors import NotMigrated
from db.segment import HEAD
from db.snapshot import SnapshotStore
from oncall.outcomes import Outcome
from tests.support.ari_server import USER, AriServer
from tests.support.follower import NOWHERE, table_of
from tests.support.history import StoryTeller


def settings_of(asterisk: AriServer, directory: Path, database_url: str) -> WorkerSettings:
    return WorkerSettings(
        name="w1",
        asterisks=(AriAccess(asterisk.url, *USER),),
        database_url=database_url,
        journal=directory / "journal",
        snapshots=SnapshotStore(directory / "routing", "k" * 24),
        sounds=directory / "sounds",
        language="fr",
        region="FR",
        drain_seconds=1,
    )


def fit_for_us(asterisk: AriServer) -> None:
    """It is recent enough, and nobody else has our name."""
    asterisk.files["asterisk/info"] = b'{"system": {"version": "22.10.1"}}'
    asterisk.files["asterisk/modules/app_stasis_broadcast.so"] = b"{}"
    asterisk.files["applications"] = b"[]"


def serving(_asterisks: int) -> None:
    """Nobody need know."""


async def test_a_worker_starts_without_the_database_and_stops_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AriServer() as asterisk:
        fit_for_us(asterisk)
        settings = settings_of(asterisk, tmp_path, NOWHERE)
        settings.snapshots.write(table_of("Carol"), datetime.now(UTC) - timedelta(minutes=3))
        worker = Worker(settings)
        running = asyncio.create_task(worker.run(serving))
        async with asyncio.timeout(20):
            while not asterisk.connections:
                await asyncio.sleep(0.01)
        story = StoryTeller()
        for record in story.whole(Outcome.VOICEMAIL):
            worker._journal.put(record)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await running
    assert f"9 journal records stay in {settings.journal}, and are written by whoever runs when it is back" in (
        caplog.text
    )
    (left,) = settings.journal.iterdir()
    assert left.read_bytes().startswith(HEAD)
    assert left.read_bytes().count(str(story.id).encode()) >= 7


async def test_a_worker_that_waits_for_the_database_can_be_stopped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AriServer() as asterisk:
        running = asyncio.create_task(Worker(settings_of(asterisk, tmp_path, NOWHERE)).run(serving))
        async with asyncio.timeout(10):
            while "No call can be taken" not in caplog.text:
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            await running
        assert asterisk.connections == 0


async def test_a_worker_on_a_new_installation_says_what_is_missing(tmp_path: Path, empty_database_url: str) -> None:
    async with AriServer() as asterisk:
        with pytest.raises(NotMigrated, match="vigie db upgrade"):
            await Worker(settings_of(asterisk, tmp_path, empty_database_url)).run(serving)


async def test_an_asterisk_that_refuses_us_keeps_us_from_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.worker.REFUSED_SECONDS", 0.05)
    async with AriServer() as good, AriServer() as bad:
        for asterisk in (good, bad):
            fit_for_us(asterisk)
        bad.refuses_everybody = HTTPStatus.UNAUTHORIZED
        settings = replace(
            settings_of(good, tmp_path, NOWHERE), asterisks=(AriAccess(good.url, *USER), AriAccess(bad.url, *USER))
        )
        settings.snapshots.write(table_of("Carol"), datetime.now(UTC))
        running = asyncio.create_task(Worker(settings).run(serving))
        async with asyncio.timeout(20):
            while not good.connections or "the other Asterisks are served" not in caplog.text:
                await asyncio.sleep(0.01)
            assert not running.done()
            bad.refuses_everybody = None
            while not bad.connections:
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            await running


async def test_a_worker_whom_no_asterisk_will_have_says_so_and_ends(tmp_path: Path) -> None:
    async with AriServer() as one, AriServer() as other:
        for asterisk in (one, other):
            asterisk.refuses_everybody = HTTPStatus.UNAUTHORIZED
        settings = replace(
            settings_of(one, tmp_path, NOWHERE), asterisks=(AriAccess(one.url, *USER), AriAccess(other.url, *USER))
        )
        settings.snapshots.write(table_of("Carol"), datetime.now(UTC))
        with pytest.raises(AriRefused, match="refuses user 'vigie' or its password"):
            await asyncio.wait_for(Worker(settings).run(serving), 20)
