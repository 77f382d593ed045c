"""Child processes that never outlive us."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from vigie.errors import ProgramFailed, ProgramMissing
from vigie.supervisor import VARIABLES

TAIL_LINES = 12

T = TypeVar("T")


class Child:
    """A running program, in a process group of its own so that Ctrl-C reaches only us, who stop it in order.

    The kernel sends it ``last_signal`` should we die first. Its output goes to ``log``.
    """

    def __init__(self, name: str, process: Process, log: Path, stop_signal: signal.Signals) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._stop_signal = stop_signal

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        last_signal: signal.Signals = signal.SIGTERM,
    ) -> Self:
        """The program just started, by default in our environment less our supervisor.

        Raises ProgramMissing when there is no such program.
        """
        if shutil.which(command[0]) is None:
            raise _missing(command[0], "no such program")
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        deathsig = ("setpriv", "--pdeathsig", last_signal.name.removeprefix("SIG"), "--")
        with log.open("ab") as output:
            process = await _spawn(
                [*deathsig, *map(str, command)],
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                env=_unsupervised() if environment is None else environment,
                cwd=directory,
                start_new_session=True,
            )
        return cls(name, process, log, stop_signal)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """The exit status, once it has ended; negative for the signal that killed it."""
        return await self._process.wait()

    async def stop(self, patience: float = 10) -> None:
        """Asks it to end, then makes it, with whatever it started, after ``patience`` seconds."""
        if self.running:
            self._process.send_signal(self._stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """Ends it at once, with whatever it started, frozen or not; nothing if it has ended."""
        if not self.running:
            return
        _, *others = family(self.pid)  # PostgreSQL's have groups of their own, and would hold its memory if frozen
        os.killpg(self.pid, signal.SIGKILL)
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def while_running(self, wish: Coroutine[Any, Any, T]) -> T:
        """What ``wish`` comes to; :meth:`failure` is raised when the program ends first."""
        wishing, ending = asyncio.ensure_future(wish), asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait((wishing, ending), return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                raise self.failure()
            return wishing.result()
        finally:
            for task in (wishing, ending):
                task.cancel()
            await asyncio.gather(wishing, ending, return_exceptions=True)

    def failure(self) -> ProgramFailed:
        """What to raise when it ended on its own."""
        status = self._process.returncode
        killed = status is not None and status < 0
        ending = f"was killed by signal {-(status or 0)}" if killed else f"ended with status {status}"
        return ProgramFailed(f"{self.name} {ending}. It last said:\n{tail(self.log)}", f"See {self.log}.")


async def run(
    command: Sequence[str | Path], *, timeout: float = 30, environment: Mapping[str, str] | None = None
) -> str:
    """What a short program printed. Raises ProgramMissing, or ProgramFailed with what it said."""
    process = await _spawn([*map(str, command)], stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=environment)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    text = output.decode(errors="replace")
    if process.returncode:
        raise ProgramFailed(f"{Path(command[0]).name} failed ({process.returncode}): {text.strip()}")
    return text


def family(pid: int) -> list[int]:
    """A process, then all that it and its descendants have started and that still runs."""
    members = [pid]
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                members += family(int(child))
    return members


def _unsupervised() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}


async def _spawn(command: Sequence[str], **options: object) -> Process:
    try:
        return await asyncio.create_subprocess_exec(*command, **options)  # type: ignore[arg-type]
    except (FileNotFoundError, PermissionError) as error:
        raise _missing(command[0], error.strerror or str(error)) from error


def _missing(program: str | Path, reason: str) -> ProgramMissing:
    return ProgramMissing(f"{program} cannot be started: {reason}.", "Run ./install.sh.")


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, or nothing."""
    try:
        with log.open(errors="replace") as file:
            return "".join(deque(file, lines)).rstrip()
    except FileNotFoundError:
        return ""
