"""A load of calls through the trunk, and what it took: SIPp calls, SIPp answers, and both say when.

The delay measured is that from the caller's INVITE going in to the called telephone's INVITE coming out, matched by
the caller's number, which is different for each call. Both ends write their messages with microseconds.
"""

import asyncio
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.sipp import SCENARIOS
from vigie.settings import SocketAddress

_MESSAGE = re.compile(
    r"^-{20,} (?P<at>[-\d]+ [:\d]+\.\d+)\n"
    r"UDP message (?P<way>sent|received) .*?\n\nINVITE .*?^From: [^\n]*?<sip:(?P<caller>\+?\d+)@",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load came to. ``delays`` are in milliseconds, sorted, one for each call that reached its telephone."""

    calls: int
    answered: int
    delays: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """The delay that ``share`` (0 to 1) of the calls did not exceed, in milliseconds."""
        if not self.delays:
            return float("nan")
        return self.delays[min(len(self.delays) - 1, int(share * len(self.delays)))]


async def load(
    numbers: Sequence[str],
    *,
    pbx: SocketAddress,
    trunk: SocketAddress,
    calls: int,
    rate: int,
    hold_seconds: float = 1,
) -> Measured:
    """Places ``calls`` calls, ``rate`` a second, to ``numbers`` in turn; the telephones are all behind ``trunk``.

    The callers call from the address of the trunk too, from a port of their own.
    """
    patience = calls / rate + hold_seconds + 30
    with TemporaryDirectory(prefix="vigie-load-") as directory:
        where = Path(directory)
        rows = (f"{numbers[n % len(numbers)]};+336{n:08d}" for n in range(10_000_000, 10_000_000 + calls))
        (where / "calls.csv").write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n")
        telephones = await _sipp(where, "callee", trunk, ["-timeout", f"{patience:.0f}s"])
        try:
            callers = await _sipp(
                where,
                "caller",
                SocketAddress(trunk.host, trunk.port + 1),
                [
                    *(str(pbx), "-inf", "calls.csv", "-m", str(calls), "-r", str(rate), "-l", str(rate * 10)),
                    *("-d", str(int(hold_seconds * 1000)), "-timeout", f"{patience:.0f}s"),
                ],
            )
            await asyncio.wait_for(callers.wait(), patience + 10)
            statistics = (where / "caller.csv").read_text().splitlines()
        finally:
            if telephones.returncode is None:
                telephones.kill()  # on SIGTERM it would wait for calls that are still open
            await telephones.wait()
        sent, received = _invites(where / "caller.log"), _invites(where / "callee.log")
        done = dict(zip(statistics[0].split(";"), statistics[-1].split(";"), strict=False))
        delays = sorted((received[who] - at) * 1000 for who, at in sent.items() if who in received)
        return Measured(calls, int(done["SuccessfulCall(C)"]), tuple(delays))


async def _sipp(where: Path, role: str, address: SocketAddress, options: Iterable[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIOS / f"bench_{role}.xml"), "-i", address.host, "-p", str(address.port)),
        *("-nostdin", "-trace_msg", "-message_file", f"{role}.log", "-trace_stat", "-stf", f"{role}.csv", "-fd", "1"),
        *options,
        cwd=where,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


def _invites(log: Path) -> dict[str, float]:
    """When each caller's INVITE was first sent or received, in seconds."""
    seen: dict[str, float] = {}
    for message in _MESSAGE.finditer(log.read_text(errors="replace")):
        at = datetime.fromisoformat(message["at"]).timestamp()
        seen.setdefault(message["caller"], at)
    return seen


def cpu_seconds(pids: Iterable[int]) -> float:
    """The processor time that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
