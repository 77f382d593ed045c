"""The scheduler process: mails leave as soon as they are stored, by hint or by the clock, until it is told to stop."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import WrongUrl
from notify.errors import BadMailSetting
from scheduler.duty import Duty
from scheduler.run import SchedulerSettings, run_scheduler
from tests.support.mail_server import MailServer
from tests.support.post import database_away, eventually, given_a_line, given_a_voicemail, outbox
from vigie.stack.postgres import PrivateCluster

DESK = "desk@example.org"
NEVER = 3600.0
OFTEN = 0.05


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


@asynccontextmanager
async def running(
    home: Path, database_url: str, smtp_url: str, tick_seconds: float = NEVER
) -> AsyncIterator[asyncio.Event]:
    """A scheduler that runs meanwhile; the event stops it."""
    stop = asyncio.Event()
    settings = settings_for(home, database_url, smtp_url, tick_seconds=tick_seconds)
    scheduler = asyncio.create_task(run_scheduler(settings, stop))
    try:
        yield stop
    finally:
        stop.set()
        await scheduler


def settings_for(
    home: Path, database_url: str, smtp_url: str, mail_from: str = "vigie@example.org", tick_seconds: float = NEVER
) -> SchedulerSettings:
    return SchedulerSettings(
        database_url=database_url,
        smtp_url=smtp_url,
        mail_from=mail_from,
        region="FR",
        zone=ZoneInfo("Europe/Paris"),
        receipts=home / "receipts",
        tick_seconds=tick_seconds,
    )


async def test_what_waited_for_the_start_leaves_then(
    server: MailServer, engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    async with running(tmp_path, database_url, server.url):
        await server.receives()


async def test_a_message_leaves_as_soon_as_it_is_stored(
    server: MailServer, engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    line = await given_a_line(engine, DESK)
    await given_a_voicemail(engine, line)
    async with running(tmp_path, database_url, server.url):
        await server.receives()
        for count in range(2, 5):
            await given_a_voicemail(engine, line)
            await server.receives(count)


async def test_the_clock_brings_back_what_no_hint_tells_of(
    server: MailServer, engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await server.stop()
    async with running(tmp_path, database_url, server.url, tick_seconds=OFTEN):
        await given_a_voicemail(engine, await given_a_line(engine, DESK))
        await eventually(lambda: _complains_of_the_server(engine))
        await server.start()
        await server.receives()


async def _complains_of_the_server(engine: AsyncEngine) -> bool:
    return (await outbox(engine))[DESK].last_error is not None


async def test_a_database_that_is_away_is_waited_for_in_few_words(
    server: MailServer,
    engine: AsyncEngine,
    database_url: str,
    tmp_path: Path,
    cluster: PrivateCluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "scheduler")
    await given_a_voicemail(engine, await given_a_line(engine, DESK))

    async def said(words: str) -> bool:
        return words in caplog.text

    async with running(tmp_path, database_url, server.url, tick_seconds=OFTEN):
        await server.receives()
        with database_away(engine, cluster):
            await eventually(lambda: said("sending mail waits, the database is away"))
        await eventually(lambda: said("sending mail goes on, the database is back"))
    own = [record for record in caplog.records if record.name == "scheduler.duty"]
    assert len(own) == 2
    assert [record.exc_info for record in own] == [None, None]


async def test_told_to_stop_it_finishes_the_mail_in_hand(
    server: MailServer, engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    server.may_reply.clear()
    async with running(tmp_path, database_url, server.url) as stop:
        await server.is_sent_data()
        stop.set()
        server.may_reply.set()
    assert (await outbox(engine))[DESK].state == "sent"
    assert server.data_commands == 1


async def test_a_mail_that_takes_too_long_is_left_to_the_next_start(
    server: MailServer, engine: AsyncEngine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.run.GRACE_SECONDS", 0.05)
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    server.may_reply.clear()
    async with running(tmp_path, database_url, server.url):
        await server.is_sent_data()
    assert (await outbox(engine))[DESK].state == "pending"
    server.may_reply.set()
    async with running(tmp_path, database_url, server.url):
        await server.receives()


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
async def test_the_command_sends_and_stops_at_a_signal(
    server: MailServer, engine: AsyncEngine, database_url: str, tmp_path: Path, signal_name: str
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    settings = {
        "VIGIE_STATE_DIR": str(tmp_path),
        "VIGIE_DATABASE_URL": database_url,
        "VIGIE_SMTP_URL": server.url,
        "VIGIE_MAIL_FROM": "Astreinte <astreinte@example.org>",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vigie", "scheduler"), env=os.environ | settings, stderr=asyncio.subprocess.PIPE
    )
    try:
        (delivery,) = await server.receives()
        await eventually(lambda: _is_sent(engine))
        process.send_signal(signal.Signals[signal_name])
        _, log = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert delivery.mail["From"] == "Astreinte <astreinte@example.org>"
    assert process.returncode == 0, log.decode()
    assert "Traceback" not in log.decode()


async def _is_sent(engine: AsyncEngine) -> bool:
    return (await outbox(engine))[DESK].state == "sent"


async def test_settings_that_cannot_be_understood_end_it_at_once(database_url: str, tmp_path: Path) -> None:
    stop = asyncio.Event()
    with pytest.raises(BadMailSetting, match="VIGIE_SMTP_URL"):
        await run_scheduler(settings_for(tmp_path, database_url, "mail.example.org"), stop)
    with pytest.raises(BadMailSetting, match="VIGIE_MAIL_FROM"):
        await run_scheduler(settings_for(tmp_path, database_url, "smtp://127.0.0.1", mail_from="Vigie"), stop)
    with pytest.raises(WrongUrl):
        await run_scheduler(settings_for(tmp_path, "mysql://127.0.0.1/vigie", "smtp://127.0.0.1"), stop)


async def test_what_is_asked_for_during_the_work_is_done_after_it() -> None:
    runs, may_end, stop = 0, asyncio.Event(), asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        await may_end.wait()

    async def ran(times: int) -> bool:
        return runs == times

    duty = Duty("counting", work)
    attending = asyncio.create_task(duty.attend(stop))
    await duty.ring()
    await eventually(lambda: ran(1))
    await duty.ring()
    await duty.ring()
    assert runs == 1, "never twice at once"
    may_end.set()
    await eventually(lambda: ran(2))
    stop.set()
    await duty.ring()
    await attending
    assert runs == 2


async def test_a_defect_in_the_work_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    runs, stop = 0, asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ZeroDivisionError

    async def ran(times: int) -> bool:
        return runs == times

    duty = Duty("dividing", work)
    attending = asyncio.create_task(duty.attend(stop))
    for times in (1, 2):
        await duty.ring()
        await eventually(lambda times=times: ran(times))
    stop.set()
    await duty.ring()
    await attending
    assert "dividing failed and will be tried again" in caplog.text
