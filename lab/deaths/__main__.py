"""``python -m lab.deaths --kills 200``: how soon calls are carried on whose worker is killed, in each phase.

Fails when one is lost, or when more than one of 100 takes longer than LIMIT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lab.deaths.stage import PHASES, Deaths, measure
from vigie.cli import give_up_root

LIMIT = 2.0
"""Seconds."""


def percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in shares.items()}


def figures(deaths: Deaths) -> dict[str, dict[str, float]]:
    """For each phase how many calls were carried on, and how soon; "resumed" is None where nothing had stopped."""
    rows: dict[str, dict[str, float]] = {}
    for phase in (*PHASES, "all"):
        of_phase = [survival for survival in deaths.survivals if phase in (survival.phase, "all")]
        resumed = [survival.resumed for survival in of_phase if survival.resumed is not None]
        if of_phase:
            rows[phase] = {"calls": len(of_phase)} | percentiles([survival.adopted for survival in of_phase])
            rows[phase] |= {
                f"resumed {name}": value for name, value in (percentiles(resumed) if resumed else {}).items()
            }
    return rows


def show(deaths: Deaths) -> None:
    rows = figures(deaths)
    table = Table(title=f"{deaths.kills} workers killed: seconds until their calls were carried on", box=box.SIMPLE)
    columns = list(rows["all"])
    for heading in ("", *columns):
        table.add_column(heading, justify="right")
    for phase, row in rows.items():
        table.add_row(phase, *(_cell(row.get(column)) for column in columns))
    console = Console(width=140, highlight=False, markup=False)
    console.print(table)
    for lost in deaths.lost:
        console.print(f"! {lost}")
    console.print(f"dropped: {len(deaths.lost)}")


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.deaths", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many workers are killed (default: 200)")
    parser.add_argument("--workers", type=int, default=2, help="workers (default: 2)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    give_up_root()
    tell = lambda what: print(what, file=sys.stderr, flush=True)  # noqa: E731
    directory = Path(tempfile.mkdtemp(prefix="vigie-deaths-"))
    deaths = asyncio.run(measure(options.kills, options.workers, directory, tell))
    if options.json:
        json.dump({"kills": deaths.kills, "phases": figures(deaths), "dropped": deaths.lost}, sys.stdout, indent=2)
    else:
        show(deaths)
    if deaths.lost or percentiles([survival.adopted for survival in deaths.survivals])["p99"] > LIMIT:
        raise SystemExit(f"All logs are in {directory}")
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
