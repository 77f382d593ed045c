"""``vigie restart``: the workers of a running stack, one after the other."""

import asyncio
from typing import Annotated

import typer

from vigie.settings import Settings, read_settings
from vigie.stack.control import restart as restarted


def restart(
    workers: Annotated[list[str] | None, typer.Argument(help="Their names, such as w1; all if none is given.")] = None,
) -> None:
    """Restart the workers of `vigie up` one after the other, each once the one before serves: no call is lost."""
    asyncio.run(_restart(read_settings(), workers or []))


async def _restart(settings: Settings, workers: list[str]) -> None:
    async for done in restarted(settings, workers):
        typer.echo(done)
