"""``vigie scheduler``: sends what is due."""

import asyncio
import logging
import signal
from typing import Annotated

import typer

from db.errors import WrongUrl
from notify.errors import BadMailSetting
from scheduler.run import SchedulerSettings, run_scheduler
from vigie.addresses import database_url
from vigie.errors import SettingsError
from vigie.logs import configure_logging
from vigie.settings import Settings, read_settings
from vigie.supervisor import supervised


def scheduler(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log everything, for finding faults.")] = False,
) -> None:
    """Send what is due: mails with their recordings, retried until the mail server takes them."""
    configure_logging(verbose)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(scheduler_settings(read_settings())))
    except (BadMailSetting, WrongUrl) as error:
        raise SettingsError(str(error)) from error


async def _serve(settings: SchedulerSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with supervised(stop) as supervisor:
        await run_scheduler(settings, stop, supervisor.ready)


def scheduler_settings(settings: Settings) -> SchedulerSettings:
    """What the scheduler must know, out of all settings."""
    return SchedulerSettings(
        database_url=database_url(settings),
        smtp_url=settings.smtp_url,
        mail_from=settings.mail_from,
        region=settings.region,
        zone=settings.zone_info,
        receipts=settings.state_dir / "receipts",
        logs=(settings.state_dir / "log", settings.state_dir / "asterisk" / "log"),
    )
