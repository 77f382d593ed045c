"""How commands print what they found: tables for people, JSON for programs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

WIDTH_OF_A_FILE = 160


def print_json(data: Any) -> None:
    """Prints ``data``, which may hold dataclasses, times and keys, as one indented JSON text."""
    typer.echo(msgspec.json.format(msgspec.json.encode(data)).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints ``rows`` under ``columns``; None is an empty cell."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_OF_A_FILE
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table if table.rows else "None yet.")


def local(at: datetime, zone: ZoneInfo) -> str:
    """``at`` by the wall clock of ``zone``, to the second."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """``1:05`` for 65 seconds; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
