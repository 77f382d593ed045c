"""``vigie db``: the database's tables."""

import asyncio

import typer

from db.migrations import latest, upgrade
from vigie.commands.database import served
from vigie.settings import Settings, read_settings

app = typer.Typer(help="The database's tables.", no_args_is_help=True)


@app.callback()
def db() -> None:
    """The database's tables."""


@app.command("upgrade")
def upgrade_tables() -> None:
    """Make the tables, or bring them up to this version of Vigie; nothing is lost, and nothing changes twice."""
    asyncio.run(_upgrade(read_settings()))
    typer.echo(f"The tables are up to date (revision {latest()}).")


async def _upgrade(settings: Settings) -> None:
    async with served(settings) as url:
        await asyncio.to_thread(upgrade, url)
