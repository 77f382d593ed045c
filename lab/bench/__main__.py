"""The command behind ``make bench``."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from lab.bench.lookup import measure_lookup
from lab.bench.measure import Result, Scope, measure
from lab.bench.plot import picture
from lab.bench.report import show, verdicts
from lab.bench.system import Bench
from lab.bench.ways import WAYS, Way
from vigie.errors import VigieError
from vigie.settings import read_settings

QUICK = Scope(rates=(10,), seconds=2, lowest=10, highest=11, search_seconds=2, held=20)


async def bench(ways: Sequence[Way], scope: Scope, say: Callable[[str], None]) -> list[Result]:
    """The results of ``ways``, one after the other in the same running system."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        say("starting the system")
        async with Bench(Path(directory)) as system:
            return [await measure(system, way, scope, say) for way in ways]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="What Vigie costs and bears, beside plain Dial().")
    parser.add_argument("--quick", action="store_true", help="see within a minute that all works; measures little")
    parser.add_argument("--seconds", type=int, default=Scope().seconds, help="of load at each fixed rate (%(default)s)")
    parser.add_argument("--ways", metavar="TEXT", default="", help="only Dial() and the ways whose name contains TEXT")
    parser.add_argument("--plot", type=Path, help="the file for the picture, SVG (bench.svg in the state directory)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.seconds < 1:
        parser.error("--seconds must be 1 or more")
    ways = [WAYS[0], *(way for way in WAYS[1:] if options.ways in way.name)]
    try:
        plot = options.plot or read_settings().state_dir / "bench.svg"
        results = asyncio.run(bench(ways, QUICK if options.quick else Scope(seconds=options.seconds), progress()))
    except (VigieError, AssertionError) as error:
        sys.exit(f"make bench: {error}")
    lookup = measure_lookup()
    plot.parent.mkdir(parents=True, exist_ok=True)
    plot.write_text(picture(results))
    if options.json:
        figures = {"ways": [asdict(result) for result in results], "verdicts": verdicts(results), "look-up": lookup}
        json.dump(figures | {"plot": str(plot)}, sys.stdout, indent=2)
        return
    console = Console(width=150, highlight=False)
    show(results, console)
    took = ", ".join(f"{name} {value:.3f}" for name, value in lookup.items())
    console.print(f"Who rings, out of 1,000 lines and 10,000 people: {took}")
    console.print(f"Plot: {plot}")


def progress() -> Callable[[str], None]:
    """Says on standard error what is being done, and how long it has been going on."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {what}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    main()
