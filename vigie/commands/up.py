"""``vigie up``: a whole stack on this machine, until it is told to stop."""

import asyncio
import logging
import signal
import sys
import time

from rich.console import Console
from sqlalchemy import func, select

from db.engine import make_engine
from db.errors import DatabaseError, explained
from db.models import Line
from vigie.settings import Settings, read_settings
from vigie.stack.control import listening
from vigie.stack.stack import Stack
from vigie.supervisor import supervised

console = Console(highlight=False, soft_wrap=True)


def up() -> None:
    """Run the database, Asterisk and all of Vigie on this machine until Ctrl-C, and start again whatever dies."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asyncio.run(_run(read_settings()))


async def _run(settings: Settings) -> None:
    task = asyncio.current_task()
    assert task is not None
    stack = Stack(settings)
    leaving = asyncio.Event()

    def leave() -> None:
        if leaving.is_set():
            stack.hurry()
            return
        leaving.set()
        console.print("stopping; calls in progress are let finish, unless you ask again")
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
    began = time.monotonic()
    try:
        async with supervised(leaving) as supervisor, stack, listening(stack):
            show(stack, time.monotonic() - began)
            without = ", ".join(stack.hindrances)
            supervisor.ready(f"runs without {without}" if without else "all parts run")
            await _suggest(stack)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not leaving.is_set():
            raise
        console.print("stopped")


def show(stack: Stack, seconds: float) -> None:
    """Says what runs, and what does not."""
    for part in stack.parts:
        console.print(f"{part.name:<12} {part.pid:>8}  {part.where}")
    for name, hindrance in stack.hindrances.items():
        console.print(f"[bold red]{name:<12}[/] [red]does not run[/] and is tried again:", end=" ")
        console.print(str(hindrance), markup=False)
    console.print(f"up after {seconds:.1f} s; Ctrl-C stops it")


async def _suggest(stack: Stack) -> None:
    """Says what to do first in an empty installation."""
    engine = make_engine(stack.database_url)
    try:
        with explained(engine):
            async with engine.connect() as connection:
                lines = await connection.scalar(select(func.count()).select_from(Line))
    except DatabaseError:
        return
    finally:
        await engine.dispose()
    if not lines:
        console.print("There is no line yet. Describe yours in a site file, then: vigie site import FILE")
