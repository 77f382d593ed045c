"""The scheduler process: APScheduler as the alarm clock that rings each duty's bell."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from db.engine import make_engine
from db.errors import DatabaseError
from db.listen import listen
from db.models import OUTBOX_CHANNEL
from lasting import beside
from notify.email import EmailTransport, parse_sender
from notify.messages import MessageWriter
from notify.outbox import Outbox
from notify.receipts import Receipts
from notify.sender import Sender
from notify.smtp import SmtpServer
from notify.stories import StoryReader
from scheduler.duty import Duty
from scheduler.logs import keep_short

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 5
"""The longest that a message stays due when no hint comes."""

LOG_SECONDS: Final = 60
"""How often the logs are looked at."""

GRACE_SECONDS: Final = 10
"""How long mails that are being sent may take to finish once we are told to stop."""


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """What the scheduler must know. ``receipts`` is a directory of its own that outlives it; ``tls`` replaces the
    system's trusted authorities; ``logs`` are the directories whose logs are kept short."""

    database_url: str = field(repr=False)
    smtp_url: str = field(repr=False)
    mail_from: str
    region: str
    zone: ZoneInfo
    receipts: Path
    tls: ssl.SSLContext | None = None
    tick_seconds: float = TICK_SECONDS
    logs: tuple[Path, ...] = ()


async def run_scheduler(
    settings: SchedulerSettings, stop: asyncio.Event, on_ready: Callable[[str], None] = lambda _: None
) -> None:
    """Attends to all duties until ``stop`` is set, then finishes the mails that are being sent.

    ``on_ready`` is told what is done from then on.
    Raises BadMailSetting or WrongUrl at once where a setting cannot be understood; a database or a mail server that
    is away is waited for.
    """
    server = SmtpServer.parse(settings.smtp_url)
    transport = EmailTransport(server, parse_sender(settings.mail_from), settings.tls)
    engine = make_engine(settings.database_url)
    sender = Sender(
        Outbox(engine),
        StoryReader(engine, settings.zone),
        MessageWriter(settings.region),
        transport,
        Receipts(settings.receipts),
    )
    mail = Duty("sending mail", sender.send_due)
    clock = _alarm_clock(mail, settings.tick_seconds)
    clock.add_job(keep_short, "interval", args=[settings.logs], seconds=LOG_SECONDS)
    attending, stopping = asyncio.create_task(mail.attend(stop)), asyncio.create_task(stop.wait())
    try:
        async with beside("listening for mail", partial(_ring_on_hints, settings.database_url, mail)):
            log.info("mail leaves through %s", server)
            on_ready(f"mail leaves through {server}")
            await asyncio.wait({attending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            sender.stop()
            await mail.ring()
            await asyncio.wait({attending}, timeout=GRACE_SECONDS)
        if attending.done():
            attending.result()  # a fault of ours ends this process, which is started again
    finally:
        clock.shutdown(wait=False)
        for task in (attending, stopping):
            task.cancel()
        await asyncio.wait({attending, stopping})
        with suppress(DatabaseError):  # then the claims run out by themselves
            await sender.close()
        await engine.dispose()


def _alarm_clock(duty: Duty, seconds: float) -> AsyncIOScheduler:
    clock = AsyncIOScheduler(
        timezone=UTC,
        # APScheduler's own defaults skip a job that is more than a second late.
        job_defaults={"misfire_grace_time": None, "coalesce": True},
    )
    clock.add_job(duty.ring, "interval", seconds=seconds, next_run_time=datetime.now(UTC))
    clock.start()
    return clock


async def _ring_on_hints(database_url: str, duty: Duty) -> None:
    async for _ in listen(database_url, OUTBOX_CHANNEL):
        await duty.ring()
