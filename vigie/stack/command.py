"""One of Vigie's own programs, which says by itself when it serves and that it lives (see :mod:`vigie.supervisor`)."""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from vigie.errors import NotReady
from vigie.settings import Settings
from vigie.stack.keeper import QUESTION_SECONDS
from vigie.stack.machine import check_socket_path
from vigie.stack.process import Child
from vigie.stack.render import PROJECT
from vigie.supervisor import VARIABLES

LONGEST_START_SECONDS = 20.0
"""How long a program may be silent before it is ready; it may take longer, as when Asterisk is away, if it says so."""


class Ear:
    """Hears what one program says on a socket of its own."""

    def __init__(self, path: Path) -> None:
        self.ready = asyncio.Event()
        """Set once it says that it serves."""
        self._heard = False
        self.path = path
        check_socket_path(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.setblocking(False)
        self._line.bind(os.fspath(path))
        asyncio.get_running_loop().add_reader(self._line, self._hear)

    def heard_since_last_asked(self) -> bool:
        heard, self._heard = self._heard, False
        return heard

    def open_until_the_end_of(self, child: Child) -> None:
        self._ending = asyncio.ensure_future(child.wait())
        self._ending.add_done_callback(lambda _: self.close())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._line)
        self._line.close()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            words = self._line.recv(4096).decode(errors="replace").splitlines()
            self._heard = True
            if "READY=1" in words:
                self.ready.set()


class Command:
    """``vigie ARGUMENTS`` as a program to keep, with these settings whatever the environment says.

    It is to give a sign of life every ``beat_seconds``.
    """

    def __init__(self, name: str, settings: Settings, *arguments: str, beat_seconds: float = QUESTION_SECONDS) -> None:
        self.name = name
        self._beat_seconds = beat_seconds
        self._command = [sys.executable, "-P", "-m", "vigie", *arguments]
        self._settings = settings
        self._ear: Ear | None = None

    @property
    def log(self) -> Path:
        return self._settings.state_dir / "log" / f"{self.name.replace(' ', '-')}.log"

    async def start(self) -> Child:
        ear = self._ear = Ear(self._settings.state_dir / "notify" / self.name)
        try:
            child = await Child.start(self.name, self._command, log=self.log, environment=self._environment(ear))
        except BaseException:
            ear.close()
            raise
        ear.open_until_the_end_of(child)
        try:
            await child.while_running(self._until_ready(ear))
        except BaseException:
            await child.stop()
            raise
        return child

    async def answers(self) -> bool:
        """Whether it has said anything since it was asked last."""
        return self._ear is not None and self._ear.heard_since_last_asked()

    async def _until_ready(self, ear: Ear) -> None:
        while not ear.ready.is_set():
            try:
                async with asyncio.timeout(LONGEST_START_SECONDS):
                    await ear.ready.wait()
            except TimeoutError:
                if not ear.heard_since_last_asked():
                    raise NotReady(f"{self.name} hung before it was ready.", f"See {self.log}.") from None

    def _environment(self, ear: Ear) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("VIGIE_") and name not in VARIABLES
        }
        watched = {"NOTIFY_SOCKET": str(ear.path), "WATCHDOG_USEC": str(round(2e6 * self._beat_seconds))}
        return inherited | self._settings.to_environment() | watched | {"PYTHONPATH": str(PROJECT)}
