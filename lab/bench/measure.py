"""One way, put through everything that is measured."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.bench.load import CONFIRM_AFTER, Load
from lab.bench.search import highest, ladder
from lab.bench.system import Bench
from lab.bench.usage import Machine, cpu_seconds, memory_mb
from lab.bench.ways import LINES, Way

BEARABLE_MS = 100
"""A rate holds when all its calls are answered and 99 % of the telephones have their INVITE within this time."""
HELD_CALLS_RATE = 50
WARM_UP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured. At each of ``rates`` calls a second the load stays for ``seconds``; the highest rate is
    sought between ``lowest`` and ``highest``, ``search_seconds`` each; memory is taken with ``held`` calls."""

    rates: tuple[int, ...] = (20, 100)
    seconds: int = 10
    lowest: int = 20
    highest: int = 400
    search_seconds: int = 4
    held: int = 500


@dataclass(frozen=True, slots=True)
class Run:
    """One load. Delays are in milliseconds; ``cpu`` is processor time per call in milliseconds, by program."""

    rate: float
    calls: int
    answered: int
    p50: float
    p90: float
    p99: float
    max: float
    cpu: dict[str, float]
    idle: float
    stolen: float

    @property
    def bearable(self) -> bool:
        return self.answered == self.calls and self.p99 < BEARABLE_MS


@dataclass(slots=True)
class Result:
    """What came out for one way: the loads at fixed rates, those of the search, the highest rate that held, and the
    memory in MB by program before and with ``held`` calls in progress."""

    way: str
    confirms: bool
    runs: list[Run] = field(default_factory=list)
    trials: list[Run] = field(default_factory=list)
    highest: int = 0
    held: int = 0
    memory_before: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


async def measure(bench: Bench, way: Way, scope: Scope, say: Callable[[str], None]) -> Result:
    """Everything about ``way``; ``say`` is told what is being done.

    Raises:
        AssertionError: calls were lost on the way to the journal, or did not end.
    """
    result = Result(way.name, way.confirms)

    def doing(what: str) -> None:
        say(f"{way.name}: {what}")

    await bench.staff(*way.staff)
    doing("waiting until Asterisk is at rest")
    await bench.calm()
    doing("warming up")
    await run(bench, way, scope.rates[0], WARM_UP_SECONDS)
    for rate in scope.rates:
        doing(f"{rate} calls/s for {scope.seconds} s")
        result.runs.append(await run(bench, way, rate, scope.seconds))

    async def holds(rate: int) -> bool:
        doing(f"highest rate: {rate} calls/s for {scope.search_seconds} s")
        result.trials.append(await run(bench, way, rate, scope.search_seconds))
        return result.trials[-1].bearable

    rates = ladder(scope.lowest, scope.highest, 1.12)
    held = max((run.rate for run in result.runs if run.bearable), default=0)
    begin = sum(rate <= held for rate in rates)
    result.highest = await highest(holds, rates, min(begin + 1, len(rates) - 1))
    doing(f"memory with {scope.held} calls in progress")
    await measure_memory(bench, way, scope.held, result)
    return result


async def run(bench: Bench, way: Way, rate: float, seconds: float) -> Run:
    """One load and what it came to.

    Raises:
        AssertionError: calls were lost on the way to the journal, or did not end.
    """
    programs = bench.programs
    before, machine, journal = cpu_seconds(programs), Machine.now(), await bench.journalled()
    measured = await bench.put_through(Load(way.numbers, round(rate * seconds), rate, way.confirms))
    idle, stolen = Machine.now().since(machine)
    after = cpu_seconds(bench.programs)
    cpu = {kind: after[kind] - before[kind] for kind in after} | {"SIPp": measured.sipp_seconds}
    if bench.programs != programs:  # a worker was superseded and started anew: what it used is not known
        cpu["Python"] = float("nan")
    answered = measured.answered
    if way.application is None:  # Vigie knows whether it brought the two together; SIPp does not
        calls, connected = (now - then for then, now in zip(journal, await bench.journalled(), strict=True))
        assert calls >= answered, f"{way.name}: {answered} calls answered, {calls} in the journal"
        answered = min(answered, connected)
    return Run(
        rate=rate,
        calls=measured.calls,
        answered=answered,
        p50=measured.percentile(0.5),
        p90=measured.percentile(0.9),
        p99=measured.percentile(0.99),
        max=measured.percentile(1),
        cpu={kind: 1000 * spent / measured.calls for kind, spent in cpu.items()},
        idle=idle,
        stolen=stolen,
    )


async def measure_memory(bench: Bench, way: Way, calls: int, result: Result) -> None:
    """Holds ``calls`` calls, or as many as come about, until it was seen what memory they take."""
    assert calls <= LINES, "somebody would be in two conversations"
    result.memory_before = memory_mb(bench.programs)
    seconds = calls / HELD_CALLS_RATE
    load = Load(way.numbers, calls, HELD_CALLS_RATE, way.confirms, least=seconds + 30, most=seconds + 30)
    holding = asyncio.create_task(bench.put_through(load))
    try:
        await asyncio.sleep(seconds + CONFIRM_AFTER * way.confirms)
        for _ in range(20):
            result.held = await bench.calls_in_progress()
            if result.held >= calls:
                break
            await asyncio.sleep(0.2)
        result.memory = memory_mb(bench.programs)
        await bench.hang_up_all()
    finally:
        await holding
