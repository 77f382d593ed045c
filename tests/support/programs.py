"""Vigie's commands as processes of their own."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from vigie.settings import Settings
from vigie.stack.process import family

PROGRAM = (sys.executable, "-m", "vigie")


class Vigie:
    """``await vigie("restart", "w1")`` gives what the command says, and checks its exit status."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, *arguments: str, status: int = 0, **environment: str) -> str:
        given = os.environ | self._settings.to_environment() | environment
        process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, env=given, stdout=PIPE, stderr=STDOUT)
        said, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == status, said.decode()
        return said.decode()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process and all that it started stand still for the time of the block."""
    members = family(pid)
    for member in members:
        _signal(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            _signal(member, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # PostgreSQL's processes come and go
        os.kill(pid, number)


@asynccontextmanager
async def heard_by_systemd(
    directory: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[tuple[Callable[[str], Awaitable[None]], Process]]:
    """A running `vigie`, and the way to wait for a word that it says to systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        (directory / "systemd").unlink(missing_ok=True)
        systemd.bind(str(directory / "systemd"))
        systemd.setblocking(False)
        told = {"NOTIFY_SOCKET": str(directory / "systemd"), "WATCHDOG_USEC": "400000"}
        program = await asyncio.create_subprocess_exec(
            *PROGRAM, *arguments, env={**environment, **told}, stdout=DEVNULL
        )

        async def words(expected: str) -> None:
            async with asyncio.timeout(30):
                while expected not in (await asyncio.get_running_loop().sock_recv(systemd, 4096)).decode():
                    assert program.returncode is None

        try:
            yield words, program
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
