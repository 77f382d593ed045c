"""``vigie ari``: one worker that serves calls."""

from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer
import uvloop

from ari_app.ari import AriRefused
from ari_app.worker import AriAccess, Worker, WorkerSettings
from db.errors import DatabaseError
from db.snapshot import SnapshotStore
from vigie.addresses import ari_urls, database_url
from vigie.errors import VigieError
from vigie.logs import configure_logging
from vigie.secrets import load_secrets
from vigie.settings import Settings, read_settings


def ari(
    name: Annotated[str, typer.Option(help="This worker's name; no two workers of a site share one.")] = "w1",
    verbose: Annotated[bool, typer.Option("--verbose", help="Log everything, for finding faults.")] = False,
) -> None:
    """Serve calls: connect to every Asterisk of the site and take a share of the calls they offer."""
    configure_logging(verbose)
    try:
        uvloop.run(_serve(worker_settings(read_settings(), name)))
    except DatabaseError as error:
        raise VigieError(f"The rota cannot be read: {error}", "See `vigie doctor`.") from error
    except AriRefused as error:
        raise VigieError(
            f"Asterisk refuses this worker: {error}",
            "Its ari.conf must have the user and password of VIGIE_ARI_URLS; no two workers may share a name.",
        ) from error


async def _serve(settings: WorkerSettings) -> None:
    await Worker(settings).run()


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
    )


def _access(url: str) -> AriAccess:
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.removesuffix("/ari")).geturl()
    return AriAccess(bare, unquote(parts.username or ""), unquote(parts.password or ""))
