"""What a program tells whoever keeps it running, systemd or `vigie up`, in the words of sd_notify(3).

It says when it serves, that it is stopping, and, as long as its event loop turns, that it lives: one that hangs falls
silent, and is killed and started again. With nobody listening, nothing is said.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, NoReturn

from lasting import beside

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""The environment in which the supervisor says where and how often it wants to hear from us, and nobody else."""


class Supervisor:
    """Whoever ``environment`` says is listening."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._silence = int(environment.get("WATCHDOG_USEC", 0)) if ours else 0
        self._ready = False

    def ready(self, status: str) -> None:
        """We serve; ``status`` is for people."""
        self._ready = True
        self._say("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """We were told to stop, and finish what is in progress."""
        self._say("STOPPING=1", "STATUS=finishing what is in progress")

    @property
    def listens(self) -> bool:
        """Whether anybody wants to hear from us."""
        return bool(self._address and self._silence)

    async def beat(self) -> NoReturn:
        """Says that we live, twice in the longest silence that is allowed, for ever."""
        while True:
            # Said again lest it was lost. Before, the silence allowed is how long we may take, anew with each word.
            self._say("WATCHDOG=1", "READY=1" if self._ready else f"EXTEND_TIMEOUT_USEC={self._silence}")
            await asyncio.sleep(self._silence / 2e6)

    def _say(self, *words: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            # A supervisor that is away or does not keep up is no reason to stop serving, nor to wait.
            line.setblocking(False)
            line.sendto("\n".join(words).encode(), self._address)


@asynccontextmanager
async def supervised(stopping: asyncio.Event) -> AsyncIterator[Supervisor]:
    """Our supervisor, who hears for the time of the block that we live, and of ``stopping`` once it is set."""
    supervisor = Supervisor(os.environ)

    async def tell() -> NoReturn:
        await stopping.wait()
        supervisor.stopping()
        while True:
            await asyncio.Event().wait()

    async with AsyncExitStack() as speaking:
        await speaking.enter_async_context(beside("saying that we stop", tell))
        if supervisor.listens:
            await speaking.enter_async_context(beside("saying that we live", supervisor.beat))
        yield supervisor
