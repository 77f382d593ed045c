"""A load of calls through the trunk, and what it took: SIPp calls, SIPp answers, and both say when.

The delay measured is that from the caller's INVITE going in to the called telephone's INVITE coming out, matched by
the caller's number, which is different for each call. Both ends note it with microseconds, and nothing else: that and
the calls cost SIPp about 1 ms of processor time a call, its log of all messages would cost a fifth more.
"""

import asyncio
import resource
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.sipp import SCENARIOS
from lab.waiting import until
from vigie.settings import SocketAddress

CONFIRM_AFTER = 1
"""Seconds after which a telephone that confirms presses 1, as its scenario says."""
PATIENCE = 6
"""Seconds that a load may take longer than it should; a call that is not over by then has failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """``calls`` calls, ``rate`` a second, to ``numbers`` in turn, all of whose telephones are behind the trunk.

    A telephone answers at once and hangs up ``least`` to ``most`` seconds later, or later than it has pressed 1 if it
    ``confirms``.
    """

    numbers: Sequence[str]
    calls: int
    rate: float
    confirms: bool
    least: float = 0.5
    most: float = 1.5

    @property
    def seconds(self) -> float:
        """How long it takes when nothing is slow."""
        return self.calls / self.rate + self.most + CONFIRM_AFTER * self.confirms


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load came to. ``delays`` are in milliseconds, sorted, one for each call that reached its telephone;
    ``answered`` counts the calls of which caller and telephone saw all, to the end; ``sipp_seconds`` is processor
    time of SIPp itself."""

    calls: int
    answered: int
    delays: tuple[float, ...]
    sipp_seconds: float

    def percentile(self, share: float) -> float:
        """The delay that ``share`` (0 to 1) of the calls did not exceed, in milliseconds."""
        if not self.delays:
            return float("nan")
        return self.delays[min(len(self.delays) - 1, int(share * len(self.delays)))]


async def put_through(load: Load, *, pbx: SocketAddress, trunk: SocketAddress) -> Measured:
    """Places the calls, from the trunk's address but from a port of its own, and waits until they are over."""
    before = _sipp_seconds()
    with TemporaryDirectory(prefix="vigie-load-") as directory:
        where = Path(directory)
        numbers = load.numbers
        rows = (f"{numbers[n % len(numbers)]};+336{10_000_000 + n}" for n in range(load.calls))
        (where / "calls.csv").write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n")
        every = ("-inf", "calls.csv", "-m", str(load.calls), "-r", f"{load.rate:g}", "-l", str(load.calls))
        async with AsyncExitStack() as ends:
            telephones = await _sipp(where, "callee", trunk, load)
            ends.push_async_callback(_ended, telephones, 1)
            # "End after the last call": counting does not do, as the trunk's OPTIONS are calls to it.
            ends.callback(telephones.send_signal, signal.SIGUSR1)
            await until(lambda: _bound(trunk), within=5, hoped=f"SIPp answers at {trunk}", instead=lambda: "nobody")
            callers = await _sipp(where, "caller", SocketAddress(trunk.host, trunk.port + 1), load, str(pbx), *every)
            ends.push_async_callback(_ended, callers, 0)
            await _ended(callers, load.seconds + PATIENCE)
        sent, received = _invites(where / "caller.log"), _invites(where / "callee.log")
        answered = min(_successful(where / f"{role}.csv") for role in ("caller", "callee"))
    delays = sorted((received[who] - at) * 1000 for who, at in sent.items() if who in received)
    return Measured(load.calls, answered, tuple(delays), _sipp_seconds() - before)


async def _sipp(
    where: Path, role: str, address: SocketAddress, load: Load, *options: str
) -> asyncio.subprocess.Process:
    script = (SCENARIOS / f"bench_{role}.xml").read_text()
    blanks = {"then": "confirm" if load.confirms else "talk", "least": load.least * 1000, "most": load.most * 1000}
    for blank, value in blanks.items():
        script = script.replace(f"[{blank}]", value if isinstance(value, str) else str(round(value)))
    (where / f"{role}.xml").write_text(script)
    return await asyncio.create_subprocess_exec(
        *("sipp", "-sf", f"{role}.xml", "-i", address.host, "-p", str(address.port), "-nostdin"),
        *("-trace_stat", "-stf", f"{role}.csv", "-fd", "1"),
        *("-trace_logs", "-log_file", f"{role}.log"),
        *options,
        cwd=where,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _ended(process: asyncio.subprocess.Process, patience: float) -> None:
    """Returns when it has ended, by force if need be: on SIGTERM SIPp would wait for the calls that are still open."""
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _bound(address: SocketAddress) -> bool:
    """Whether somebody listens on a UDP port of this machine, as proc(5) writes it."""
    host = "".join(f"{int(part):02X}" for part in reversed(address.host.split(".")))
    return f" {host}:{address.port:04X} " in Path("/proc/net/udp").read_text()


def _invites(log: Path) -> dict[str, float]:
    """When each caller's INVITE was first sent or received, in seconds: number, date, time, seconds."""
    seen: dict[str, float] = {}
    for line in log.read_text().splitlines():
        match line.split():  # the last line may have been cut
            case [caller, _, _, at]:
                seen.setdefault(caller, float(at))
    return seen


def _successful(statistics: Path) -> int:
    first, *_, last = statistics.read_text().splitlines()
    return int(dict(zip(first.split(";"), last.split(";"), strict=False))["SuccessfulCall(C)"])


def _sipp_seconds() -> float:
    """Processor time of all our children that have ended: while a load runs, those are SIPp."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
