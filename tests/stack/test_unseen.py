"""No long-lived task may end unseen: whichever fails is named in the log and goes on, or its process ends with it."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agi_scripts.agent import FallbackSettings, run_fallback
from agi_scripts.server import AgiServer
from agi_scripts.upkeep import Upkeep
from ari_app.ari.pulse import Pulse
from ari_app.calls.aftermath import Aftermath
from ari_app.routing import CurrentTable
from ari_app.worker import Worker
from db.journal import Journal
from lab.waiting import until
from lab.world import free_port
from scheduler import run as scheduler
from scheduler.duty import Duty
from tests.calls.test_worker import fit_for_us, serving, settings_of
from tests.stack.test_keeper import Shell, started_again
from tests.support.ari_server import AriServer
from tests.support.follower import NOWHERE, table_of
from vigie.stack.keeper import Keeper
from vigie.supervisor import Supervisor, supervised


class Failing:
    """What fails the first time it is called, and goes on as ever when it is called again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.calls = 0
        work = getattr(owner, name)

        async def failing(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise ZeroDivisionError("a mistake of ours")
            return await work(*arguments)

        monkeypatch.setattr(owner, name, failing)

    async def goes_on(self, what: str, log: pytest.LogCaptureFixture) -> None:
        await until(lambda: self.calls > 1, within=10, hoped=f"{what} again", instead=lambda: str(self.calls))
        assert f"{what} has failed and is begun again" in log.text
        assert "ZeroDivisionError: a mistake of ours" in log.text


@pytest.mark.parametrize(
    ("owner", "name", "what"),
    [
        (Journal, "run", "the journal"),
        (CurrentTable, "keep_fresh", "following the rota"),
        (CurrentTable, "_write_snapshots", "writing the snapshot"),
        (Aftermath, "run", "tidying up"),
        (Pulse, "run", "giving signs of life"),
    ],
)
async def test_a_worker_goes_on(
    owner: Any, name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(monkeypatch, owner, name)
    async with AriServer() as asterisk:
        fit_for_us(asterisk)
        settings = settings_of(asterisk, tmp_path, NOWHERE)
        settings.snapshots.write(table_of("Carol"), datetime.now(UTC))
        running = asyncio.create_task(Worker(settings).run(serving))
        await failing.goes_on(what, caplog)
        await until(lambda: bool(asterisk.connections), within=10, hoped="connected", instead=lambda: "not so")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await running


@pytest.mark.parametrize(
    ("owner", "name", "what"),
    [
        (Journal, "run", "the journal"),
        (Upkeep, "run", "the upkeep"),
        (Upkeep, "beat", "giving signs of life"),
        (AgiServer, "_accept", "serving calls"),
    ],
)
async def test_the_fallback_goes_on(
    owner: Any, name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(monkeypatch, owner, name)
    directories = {name: tmp_path / name for name in ("snapshots", "control", "recordings", "journal", "sounds")}
    settings = FallbackSettings(
        port=free_port(),
        password="p" * 24,
        snapshot_key="k" * 24,
        database_url=NOWHERE,
        language="fr",
        region="FR",
        **directories,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run_fallback(settings, stop, lambda _: None))
    await failing.goes_on(what, caplog)
    stop.set()
    async with asyncio.timeout(10):
        await running


@asynccontextmanager
async def sending(directory: Path, stop: asyncio.Event) -> AsyncIterator[asyncio.Task[None]]:
    settings = scheduler.SchedulerSettings(
        database_url=NOWHERE,
        smtp_url="smtp://127.0.0.1:1",
        mail_from="vigie@example.org",
        region="FR",
        zone=ZoneInfo("Europe/Paris"),
        receipts=directory,
    )
    running = asyncio.create_task(scheduler.run_scheduler(settings, stop))
    try:
        yield running
    finally:
        stop.set()
        with suppress(ZeroDivisionError):
            await running


async def test_the_scheduler_goes_on_listening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(monkeypatch, scheduler, "_ring_on_hints")
    async with sending(tmp_path, asyncio.Event()):
        await failing.goes_on("listening for mail", caplog)


async def test_a_scheduler_that_attends_to_nothing_any_more_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing(monkeypatch, Duty, "attend")
    async with sending(tmp_path, asyncio.Event()) as running, asyncio.timeout(10):
        with pytest.raises(ZeroDivisionError):
            await running


async def test_signs_of_life_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(monkeypatch, Supervisor, "beat")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        async with supervised(asyncio.Event()):
            await failing.goes_on("saying that we live", caplog)


async def test_a_program_is_kept_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once: the one that was kept before is ended."""
    failing = Failing(monkeypatch, Keeper, "_end")
    shell = Shell(tmp_path)
    keeper = Keeper(shell)
    try:
        await keeper.start()
        first = keeper.child
        await failing.goes_on("keep the shell", caplog)
        await started_again(keeper, than=first)
        await first.wait()
    finally:
        await keeper.stop(1)
        shell.leaves_nothing()
