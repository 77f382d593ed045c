"""``make chaos``: calls, and everything that can befall Vigie meanwhile; fails unless four books agree in the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from lab.chaos.afflictions import AFFLICTIONS, Affliction
from lab.chaos.plan import Plan, draw
from lab.chaos.report import as_json, show
from lab.chaos.run import Teller, Verdict, run
from vigie.cli import give_up_root


def main() -> None:
    plan, quiet = _options()
    give_up_root()
    began = time.monotonic()
    out = sys.stderr if quiet else sys.stdout

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", file=out, flush=True)

    tell(f"seed {plan.seed}: {plan.seconds:.0f} s, {len(plan.blows)} blows")
    directory = Path(tempfile.mkdtemp(prefix="vigie-chaos-"))
    verdict = asyncio.run(run(plan, directory, tell))
    if quiet:
        json.dump(as_json(plan, verdict), sys.stdout, indent=2)
    else:
        show(plan, verdict)
    _leave(verdict, directory, tell)


def _options() -> tuple[Plan, bool]:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long people call (default: 600)")
    parser.add_argument("--seed", type=int, help="of what happens when (default: another one each time)")
    parser.add_argument("--rate", type=float, default=3, help="calls per second (default: 3)")
    parser.add_argument("--workers", type=int, default=2, help="workers (default: 2)")
    parser.add_argument(
        "--faults",
        help=f"what may befall, separated by commas; the beginning of a name will do: {', '.join(AFFLICTIONS)}",
    )
    parser.add_argument("--lasts", type=float, help="seconds that each lasts which may be long or short")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    options = parser.parse_args()
    prefixes = tuple(filter(None, options.faults.split(","))) if options.faults is not None else ("",)
    chosen = [affliction for name, affliction in AFFLICTIONS.items() if name.startswith(prefixes)]
    if unknown := [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in AFFLICTIONS)]:
        parser.error(f"nothing that can befall is called {', '.join(unknown)}")
    if options.lasts is not None:
        chosen = [_lasting(affliction, options.lasts) for affliction in chosen]
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    return draw(seed, options.seconds, options.rate, chosen, workers=options.workers), options.json


def _lasting(affliction: Affliction, seconds: float) -> Affliction:
    return replace(affliction, seconds=(seconds, seconds)) if any(affliction.seconds) else affliction


def _leave(verdict: Verdict, directory: Path, tell: Teller) -> None:
    """Ends the program; what it leaves behind is of use when the books disagree."""
    if not verdict.disagreements:
        shutil.rmtree(directory)
        return
    tell(f"all logs are in {directory}")
    raise SystemExit(1)


if __name__ == "__main__":
    main()
