"""SIPp, for what a well-behaved peer never sends, and for many calls at once."""

import asyncio
import csv
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vigie.settings import SocketAddress

SCENARIOS = Path(__file__).with_name("sipp")


@dataclass(frozen=True, slots=True)
class Tally:
    """How SIPp's calls went. ``complaints`` is what it found unexpected, in its own words."""

    successful: int
    failed: int
    complaints: str


async def sipp(
    scenario: str,
    number: str,
    *,
    source: SocketAddress,
    to: SocketAddress,
    calls: int = 1,
    rate: int = 10,
    caller: str = '"Lab" <sip:+33655000001@carrier.lab>',
    stay: float = 2,
    within: float = 30,
) -> Tally:
    """Places ``calls`` calls to ``number``, ``rate`` a second, and returns how they went.

    ``scenario`` is the name of a file in ``lab/sipp``; ``stay`` is how many seconds a caller remains, ``caller`` the
    text of the From header. SIPp gives up, and counts as failed what is not over, after ``within`` seconds.
    """
    with TemporaryDirectory(prefix="vigie-sipp-") as directory:
        statistics, errors = Path(directory, "statistics.csv"), Path(directory, "errors.log")
        script = _script(scenario, stay, Path(directory))
        process = await asyncio.create_subprocess_exec(
            *("sipp", str(to), "-sf", str(script), "-s", number),
            *("-i", source.host, "-p", str(source.port), "-mi", source.host),
            *("-m", str(calls), "-r", str(rate), "-timeout", f"{within:g}s", "-timeout_error", "-nostdin"),
            *("-key", "from", caller),
            *("-trace_stat", "-fd", "1", "-stf", str(statistics), "-trace_err", "-error_file", str(errors)),
            cwd=directory,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await asyncio.wait_for(process.communicate(), within + 10)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        return _tally(statistics, errors, said.decode(errors="replace"))


def _script(scenario: str, stay: float, directory: Path) -> Path:
    """The scenario with the caller's stay filled in: SIPp takes no keyword for a time-out."""
    script = directory / f"{scenario}.xml"
    script.write_text((SCENARIOS / script.name).read_text().replace("[stay]", str(round(stay * 1000))))
    return script


def _tally(statistics: Path, errors: Path, said: str) -> Tally:
    if not statistics.exists():
        raise RuntimeError(f"SIPp did not run: {said}")
    with statistics.open() as file:
        *_, last = csv.DictReader(file, delimiter=";")
    complaints = said + (errors.read_text() if errors.exists() else "")
    return Tally(int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), complaints.strip())
