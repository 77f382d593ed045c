"""``vigie ari``: one worker that serves calls."""

import asyncio
import re
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
import uvloop

from ari_app.ari import AriRefused
from ari_app.worker import AriAccess, Worker, WorkerSettings
from db.errors import DatabaseError
from db.snapshot import SnapshotStore
from oncall.errors import OnCallError
from vigie.addresses import ari_urls, database_url
from vigie.errors import SettingsError, VigieError
from vigie.logs import configure_logging
from vigie.secrets import load_secrets
from vigie.settings import Settings, read_settings
from vigie.stack.machine import held_name
from vigie.supervisor import Supervisor, supervised

STRAGGLER_SECONDS = 2.0
"""How long after the first Asterisk the others may take to be connected before we say that we serve without them."""


def ari(
    name: Annotated[str, typer.Option(help="This worker's name; no two workers of a site share one.")] = "w1",
    verbose: Annotated[bool, typer.Option("--verbose", help="Log everything, for finding faults.")] = False,
) -> None:
    """Serve calls: connect to every Asterisk of the site and take a share of the calls they offer."""
    configure_logging(verbose)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        raise SettingsError(f"{name!r} is no name for a worker.", "It has letters, digits, - and _, such as w1.")
    settings = read_settings()
    try:
        with held_name(settings.state_dir, name):
            uvloop.run(_serve(worker_settings(settings, name)))
    except (DatabaseError, OnCallError) as error:
        raise VigieError(f"The rota cannot be read: {error}", "See `vigie doctor`.") from error
    except AriRefused as error:
        raise VigieError(
            f"This worker cannot serve: {error}.",
            "VIGIE_ARI_URLS must have a user and password of each Asterisk's ari.conf, and no two workers of a site "
            "may share a name.",
        ) from error


async def _serve(settings: WorkerSettings) -> None:
    worker = Worker(settings)
    async with supervised(worker.stopping) as supervisor:
        await worker.run(lambda connected: _tell(supervisor, connected, len(settings.asterisks)))


def _tell(supervisor: Supervisor, connected: int, asterisks: int) -> None:
    """We serve: now, if all are connected, else soon; one that is away must not keep us from being called ready."""
    wait = 0 if connected == asterisks else STRAGGLER_SECONDS
    status = f"serves {connected} of {asterisks} Asterisks"
    asyncio.get_running_loop().call_later(wait, supervisor.ready, status)


def worker_settings(settings: Settings, name: str) -> WorkerSettings:
    """What the worker ``name`` must know, out of all settings."""
    secrets = load_secrets(settings)
    return WorkerSettings(
        name=name,
        asterisks=tuple(_access(url) for url in ari_urls(settings, secrets)),
        database_url=database_url(settings),
        journal=settings.state_dir / "journal",
        snapshots=SnapshotStore(settings.state_dir / "routing", secrets.snapshot_key),
        sounds=settings.state_dir / "sounds",
        language=settings.language,
        region=settings.region,
        drain_seconds=settings.drain_seconds,
    )


def _access(url: str) -> AriAccess:
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.removesuffix("/ari")).geturl()
    return AriAccess(bare, unquote(parts.username or ""), unquote(parts.password or ""))
