"""What came out, as tables for a terminal: the figures, the ratios to plain ``Dial()``, and the numbers to hold."""

from collections.abc import Iterable, Sequence
from math import isfinite

from rich import box
from rich.console import Console
from rich.table import Table

from lab.bench.measure import Result, Run
from lab.bench.usage import KINDS

DELAY_ALLOWED_MS = 10
RATE_WANTED = 0.67
CPU_ALLOWED = 0.5


def show(results: Sequence[Result], console: Console) -> None:
    """Prints all of it; the first result is what the others are compared with."""
    base = results[0]
    for index, first in enumerate(base.runs):
        console.print(f"{first.rate:g} calls/s: INVITE in → INVITE out, ms; processor time per call, ms")
        columns = ["calls", "answered", "p50", "p90", "p99", "max", *KINDS, "SIPp", "idle %", "stolen %"]
        console.print(_table(columns, ((result.way, _run(result.runs[index])) for result in results)))
    console.print("Highest rate with all calls answered and p99 < 100 ms; memory with so many calls in progress, MB")
    columns = ["calls/s", "calls", *KINDS, "kB per call"]
    console.print(_table(columns, ((result.way, _limits(result)) for result in results)))
    console.print(f"Beside {base.way}")
    columns = [*(f"p99 − at {run.rate:g}/s, ms" for run in base.runs), "rate ÷", "processor ÷", "memory ÷"]
    columns.append("Python + PostgreSQL ÷ Asterisk")
    console.print(_table(columns, ((result.way, _ratios(result, base)) for result in results)))
    for line in verdicts(results):
        console.print(line)


def _table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, values in rows:
        table.add_row(name, *map(_number, values))
    return table


def _number(value: float) -> str:
    if not isfinite(value):
        return "–"
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _run(run: Run) -> list[float]:
    delays = (run.p50, run.p90, run.p99, run.max)
    return [run.calls, run.answered, *delays, *run.cpu.values(), run.idle, run.stolen]


def _limits(result: Result) -> list[float]:
    grown = sum(result.memory.values()) - sum(result.memory_before.values())
    return [result.highest, result.held, *result.memory.values(), 1024 * grown / max(1, result.held)]


def _ratios(result: Result, base: Result) -> list[float]:
    """Delays are differences in milliseconds; the rest are multiples."""
    cpu, own = (sum(r.runs[0].cpu[kind] for kind in KINDS) for r in (result, base))
    return [
        *(run.p99 - its.p99 for run, its in zip(result.runs, base.runs, strict=True)),
        _ratio(result.highest, base.highest),
        _ratio(cpu, own),
        _ratio(sum(result.memory.values()), sum(base.memory.values())),
        python_share(result.runs[0]),
    ]


def python_share(run: Run) -> float:
    """What Python and PostgreSQL take of the processor, as a multiple of what Asterisk takes."""
    return _ratio(run.cpu["Python"] + run.cpu["PostgreSQL"], run.cpu["Asterisk"])


def _ratio(value: float, base: float) -> float:
    return value / base if base else float("nan")


def verdicts(results: Sequence[Result]) -> list[str]:
    """Whether each number that Vigie must hold was held in this run, with both its sides."""
    base, *others = results
    return [
        f"{result.way}: {'held' if held else 'NOT HELD'}: {claim}"
        for result in others
        if result.way.startswith("Vigie") and result.confirms is base.confirms
        for claim, held in _claims(result, base)
    ]


def _claims(result: Result, base: Result) -> Iterable[tuple[str, bool]]:
    run, its = result.runs[-1], base.runs[-1]
    yield (
        f"setup p99 at {run.rate:g} calls/s, {run.p99:.1f} ms, ≤ {its.p99:.1f} of {base.way} + {DELAY_ALLOWED_MS} ms",
        run.p99 <= its.p99 + DELAY_ALLOWED_MS,
    )
    yield (
        f"highest rate, {result.highest} calls/s, ≥ {RATE_WANTED} × {base.highest} of {base.way}",
        result.highest >= RATE_WANTED * base.highest,
    )
    for run in result.runs:
        share = python_share(run)
        yield (
            f"processor time of Python + PostgreSQL at {run.rate:g} calls/s, {share:.2f}, ≤ {CPU_ALLOWED} × Asterisk's",
            share <= CPU_ALLOWED,
        )
