"""SIPp as the callers, and as two carriers behind which all mobiles are; each writes down what it sees."""

from __future__ import annotations

import asyncio
import re
import signal
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lab.chaos.plan import Plan
from lab.chaos.town import CALLERS_PORT, PHONES_PORT
from lab.sipp import SCENARIOS
from lab.sound import RATE, speak
from vigie.settings import SocketAddress

if TYPE_CHECKING:
    from lab.world import World

WORDS = "La pompe du sous-sol est arrêtée, l'eau monte, rappelez-moi au plus vite. "
LONGEST_CALL = 90
"""Seconds that a caller may need, from dialling to the end, whatever befalls."""
_COMPLAINT = re.compile(r"(Abort[^']*?Call-I[dD] '([^']+)'.*?)(?='?\d{4}-\d\d-\d\d\t|\Z)", re.DOTALL)


@dataclass(slots=True)
class Seen:
    """What SIPp saw of one of its callers: what happened and when, in seconds of the epoch. See the scenario's log."""

    at: dict[str, float] = field(default_factory=dict)
    complaint: str = ""
    """What it found unexpected, in its own words."""

    @property
    def end(self) -> str | None:
        """How the call ended: ``hung_up`` by us, ``left`` by itself, ``unheard`` when we did not notice that."""
        return next((what for what in ("unheard", "hung_up", "left") if what in self.at), None)

    @property
    def ended_at(self) -> float | None:
        return max(self.at.values()) if self.end else None


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    """That something happened, ``at`` a moment, to the mobile ``number`` because of a ``caller``."""

    at: float
    caller: str
    what: str
    number: str


class Carrier:
    """One SIPp, behind which all mobiles are."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def falls_silent(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def speaks_again(self) -> None:
        self._process.send_signal(signal.SIGCONT)


class Traffic:
    """Carriers and mobiles are there while it is entered; people call from :meth:`begins` on."""

    def __init__(self, world: World, plan: Plan, directory: Path) -> None:
        self._world = world
        self._plan = plan
        self._directory = directory
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        self._directory.mkdir()
        await self._make_speech()
        rows = (f"{call.number};{call.caller};{call.kind.habit}" for call in self._plan.calls)
        (self._directory / "calls.csv").write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n")
        first, second = self._world.disorder.address.host, self._world.carrier.host
        self.carrier = Carrier(await self._sipp("first", "phone", SocketAddress(first, PHONES_PORT)))
        await self._sipp("second", "phone", SocketAddress(second, PHONES_PORT))
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def begins(self) -> None:
        """The first caller dials."""
        plan = self._plan
        self._callers = await self._sipp(
            "callers",
            "caller",
            SocketAddress(self._world.carrier.host, CALLERS_PORT),
            *(str(self._world.settings.sip_bind), "-inf", "calls.csv", "-m", str(len(plan.calls))),
            *("-r", str(round(plan.rate * 10)), "-rp", "10000", "-l", str(len(plan.calls))),
        )

    async def is_over(self) -> None:
        """Returns when the last caller's call is over, or should be."""
        try:
            await asyncio.wait_for(self._callers.wait(), LONGEST_CALL)
        except TimeoutError:
            self._callers.kill()

    def seen(self) -> dict[str, Seen]:
        """What the callers saw, by their number."""
        seen: dict[str, Seen] = {}
        callers: dict[str, str] = {}
        for at, caller, what, *call_id in self._log("callers"):
            seen.setdefault(caller, Seen()).at.setdefault(what, at)
            if call_id:
                callers[call_id[0]] = caller
        errors = self._directory / "callers.err"
        for complaint in _COMPLAINT.finditer(errors.read_text(errors="replace") if errors.exists() else ""):
            if complaint[2] in callers:
                seen[callers[complaint[2]]].complaint += complaint[1].strip()
        return seen

    def phones(self) -> Sequence[PhoneEvent]:
        """What happened to the mobiles, in order."""
        logged = (entry for name in ("first", "second") for entry in self._log(name))
        return sorted((PhoneEvent(at, caller, what, *rest) for at, caller, what, *rest in logged), key=lambda e: e.at)

    def _log(self, name: str) -> Iterator[tuple[float, str, str, *tuple[str, ...]]]:
        log = self._directory / f"{name}.log"
        for line in log.read_text().splitlines() if log.exists() else ():
            at, caller, what, *rest = line.rpartition("\t")[2].split()
            yield float(at), caller, what, *rest

    async def _sipp(self, name: str, role: str, address: SocketAddress, *options: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *("sipp", "-sf", str(SCENARIOS / f"chaos_{role}.xml"), "-nostdin", "-watchdog_interval", "0"),
            *("-i", address.host, "-p", str(address.port), "-mi", address.host),
            *("-trace_logs", "-log_file", f"{name}.log", "-trace_err", "-error_file", f"{name}.err"),
            *("-trace_shortmsg", "-shortmessage_file", f"{name}.messages"),
            *options,
            cwd=self._directory,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    async def _make_speech(self) -> None:
        """What callers say, as SIPp plays it (A-law): as long as the plan says, then silence until they leave."""
        speech = await speak(WORDS, self._directory / "speech.wav")
        samples = speech.sound.samples
        wanted = round(self._plan.speech_seconds * RATE)
        raw = (samples * (wanted // len(samples) + 1))[:wanted] + array("h", bytes(2 * LONGEST_CALL * RATE))
        pcm, alaw = self._directory / "speech.raw", self._directory / "speech.alaw"
        pcm.write_bytes(raw.tobytes())
        shape = ("-t", "raw", "-r", str(RATE), "-e", "signed", "-b", "16", "-c", "1")
        sox = await asyncio.create_subprocess_exec("sox", *shape, str(pcm), "-t", "al", str(alaw))
        if await sox.wait():
            raise RuntimeError("sox did not make the speech")
