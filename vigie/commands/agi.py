"""``vigie agi``: the fallback that serves calls when no worker does."""

import asyncio
import signal
from socket import SOCK_STREAM
from typing import Annotated

import typer

from agi_scripts.agent import FallbackSettings, run_fallback
from agi_scripts.scenario import current_call
from agi_scripts.server import HOST
from vigie.addresses import database_url
from vigie.errors import SettingsError
from vigie.logs import configure_logging
from vigie.secrets import load_secrets
from vigie.settings import Settings, read_settings
from vigie.stack.machine import check_port
from vigie.supervisor import supervised


def agi(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log everything, for finding faults.")] = False,
) -> None:
    """Serve the calls that no worker takes, from the snapshot of the routing table, without the database."""
    configure_logging(verbose, current_call)
    settings = read_settings()
    if not settings.has_own_asterisk:
        raise SettingsError(
            "The fallback serves an Asterisk of our own only; VIGIE_ARI_URLS names others.",
            "Unset VIGIE_ARI_URLS, or do without `vigie agi`.",
        )
    check_port(SOCK_STREAM, HOST, settings.agi_port, "VIGIE_AGI_PORT")
    asyncio.run(_serve(fallback_settings(settings)))


async def _serve(settings: FallbackSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with supervised(stop) as supervisor:
        await run_fallback(settings, stop, supervisor.ready)


def fallback_settings(settings: Settings) -> FallbackSettings:
    """What the fallback must know, out of all settings."""
    secrets = load_secrets(settings)
    asterisk = settings.state_dir / "asterisk"
    return FallbackSettings(
        port=settings.agi_port,
        password=secrets.agi_password,
        snapshots=settings.state_dir / "routing",
        snapshot_key=secrets.snapshot_key,
        control=asterisk / "run" / "asterisk.ctl",
        recordings=asterisk / "spool" / "recording",
        database_url=database_url(settings),
        journal=settings.state_dir / "journal",
        sounds=settings.state_dir / "sounds",
        language=settings.language,
        region=settings.region,
    )
