"""Keeping a program running."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from vigie.errors import ProgramFailed
from vigie.stack.process import Child

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


class Keeper:
    """Starts a program again whenever it ends, after a pause that doubles while it does not stay up."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.failure: ProgramFailed | None = None
        """Why it last ended; None as long as it never did."""
        self._command = command
        self._log = log
        self._environment = environment
        self._child: Child | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def child(self) -> Child:
        """The program as it runs now, or ran last."""
        assert self._child is not None, "not started"
        return self._child

    async def start(self) -> None:
        await self._start_once()
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self, patience: float) -> None:
        """Ends the program, as :meth:`Child.stop` does, and does not start it again."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._child is not None:
            await self._child.stop(patience)

    async def _start_once(self) -> None:
        self._child = await Child.start(self.name, self._command, log=self._log, environment=self._environment)

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            started = clock()
            await self.child.wait()
            self.failure = self.child.failure()
            pause = FIRST_PAUSE if clock() - started > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
            log.error("%s Starting it again in %.1f s.", self.failure, pause)
            await asyncio.sleep(pause)
            await self._start_once()
