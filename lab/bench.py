"""``make bench``: how long a call takes to reach a telephone, beside a plain ``Dial()`` in the same run.

Two hundred lines with one person each, all behind one trunk; SIPp is the carrier on both sides. Everything is on:
PostgreSQL, the journal, the scheduler. A call lasts one second once it is answered.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from db.engine import make_engine
from lab.load import Measured, cpu_seconds, load
from lab.lookup import measure_lookup
from vigie.settings import PortRange, Settings, SocketAddress
from vigie.site.check import read_site
from vigie.site.importer import import_site
from vigie.stack.stack import Stack
from vigie.stack.telephony import reload_telephony

LINES = 200
TRUNK = SocketAddress("127.0.0.30", 5062)
PLAIN = "+3399"
"""Numbers that the benchmark's own extension of the dialplan hands to Dial() and to nothing else."""


async def bench(rate: int, seconds: int, workers: int) -> dict[str, dict[str, float]]:
    """The figures of each way, by its name."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        settings = Settings(
            state_dir=Path(directory),
            sip_bind=SocketAddress("127.0.0.1", 5066),
            ari_port=8099,
            rtp_ports=PortRange(30000, 39999),
            workers=workers,
        )
        async with Stack(settings) as stack:
            await populate(stack.database_url)
            await reload_telephony(settings)
            assert stack.asterisk is not None
            dial = "Dial(PJSIP/+336${EXTEN:5}@trunk-bench)"
            await stack.asterisk.command("module load app_dial.so")
            await stack.asterisk.command(f"dialplan add extension _{PLAIN}XXXXXXXX,1,{dial} into vigie-in")
            ways = {"Dial()": [f"{PLAIN}{n:08d}" for n in range(LINES)], "Vigie": [did(n) for n in range(LINES)]}
            results = {}
            for name, numbers in ways.items():
                await load(numbers, pbx=settings.sip_bind, trunk=TRUNK, calls=rate * 2, rate=rate)  # warm up
                before, machine = cpu(stack), machine_seconds()
                measured = await load(numbers, pbx=settings.sip_bind, trunk=TRUNK, calls=rate * seconds, rate=rate)
                used = {part: (after - before[part]) * 1000 / measured.calls for part, after in cpu(stack).items()}
                results[name] = figures(measured) | used | taken_from_us(machine, machine_seconds())
            await check_journal(stack.database_url, calls=rate * (2 + seconds))
            return results


def did(number: int) -> str:
    return f"+331880{number:05d}"


def cpu(stack: Stack) -> dict[str, float]:
    """Processor seconds used so far by Asterisk, by our own processes and by PostgreSQL."""
    totals = {"cpu Asterisk": 0.0, "Python": 0.0, "PostgreSQL": 0.0}
    for part in stack.parts:
        kind = {"Asterisk": "cpu Asterisk", "PostgreSQL": "PostgreSQL"}.get(part.name, "Python")
        totals[kind] += cpu_seconds([part.pid, *_children(part.pid)])
    return totals


def machine_seconds() -> list[int]:
    """What the machine's processors have done so far, in ticks, as proc(5) lists it under "cpu"."""
    return [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def taken_from_us(before: list[int], after: list[int]) -> dict[str, float]:
    """How much of the processors' time was idle, and how much a hypervisor gave to others, in percent."""
    spent = [now - then for then, now in zip(before, after, strict=True)]
    return {"idle %": 100 * spent[3] / sum(spent), "stolen %": 100 * spent[7] / sum(spent)}


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def figures(measured: Measured) -> dict[str, float]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {"calls": measured.calls, "answered": measured.answered} | {
        name: measured.percentile(share) for name, share in shares.items()
    }


async def check_journal(url: str, calls: int) -> None:
    """Fails unless the journal has all calls as answered and closed."""
    engine = make_engine(url)
    async with asyncio.timeout(30), engine.connect() as connection:
        while await connection.scalar(text("SELECT count(*) FROM call WHERE ended_at IS NULL")):
            await asyncio.sleep(0.1)
        answered = await connection.scalar(text("SELECT count(*) FROM call WHERE outcome = 'answered'"))
    await engine.dispose()
    if answered != calls:
        raise SystemExit(f"the journal has {answered} answered calls, not {calls}")


async def populate(url: str) -> None:
    """Lines, each with a number, a policy of one step and a person behind the trunk who need not press 1."""
    everyone = range(LINES)
    site = {
        "people": {
            f"p{n}": {"name": f"Person {n}", "contact_methods": [{"phone": f"+3361{n:07d}", "confirm": False}]}
            for n in everyone
        },
        "trunks": {"bench": {"host": TRUNK.host, "port": TRUNK.port}},
        "policies": {f"p{n}": {"name": f"Policy {n}", "steps": [{"ring": [{"person": f"p{n}"}]}]} for n in everyone},
        "lines": {f"l{n}": {"name": f"Line {n}", "numbers": [did(n)], "policy": f"p{n}"} for n in everyone},
    }
    engine = make_engine(url)
    await import_site(engine, read_site(yaml.safe_dump(site), "FR"))
    await engine.dispose()


def show(ways: dict[str, dict[str, float]], rate: int, seconds: int) -> None:
    table = Table(title=f"INVITE in → INVITE out: {rate} calls/s for {seconds} s", box=box.SIMPLE)
    table.add_column("")
    for name in next(iter(ways.values())):
        table.add_column(name, justify="right")
    for way, values in ways.items():
        table.add_row(way, *(f"{value:.0f}" if value == int(value) else f"{value:.1f}" for value in values.values()))
    console = Console(width=118, highlight=False)
    console.print(table)
    console.print(
        "p50 … max: milliseconds of delay; cpu: milliseconds of processor per call; "
        "stolen: given to others by the hypervisor"
    )


def show_lookup(figures: dict[str, float]) -> None:
    took = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
    print(f"Who rings, out of 1,000 lines and 10,000 people: {took}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rate", type=int, default=20, help="calls per second (default: 20)")
    parser.add_argument("--seconds", type=int, default=30, help="how long (default: 30)")
    parser.add_argument("--workers", type=int, default=2, help="workers (default: 2)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    ways = asyncio.run(bench(options.rate, options.seconds, options.workers))
    lookup = measure_lookup()
    if options.json:
        json.dump({"calls": ways, "look-up": lookup}, sys.stdout, indent=2)
    else:
        show(ways, options.rate, options.seconds)
        show_lookup(lookup)


if __name__ == "__main__":
    main()
