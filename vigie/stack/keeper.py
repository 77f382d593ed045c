"""Keeping a program running."""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Protocol

from db.errors import DatabaseError
from lasting import persist
from vigie.errors import NotReady, StackError, VigieError
from vigie.stack.process import Child

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0
"""A program that ran for so long stays up: the pause before its next start is the first one again."""
QUESTION_SECONDS = 5.0
SILENCES = 4
"""So many questions in a row without an answer are the end of a program, after 20 to 40 s. Other workers take over the
calls of a hung one long before; and a machine that was asleep itself finds all alive when it wakes up."""


class Program(Protocol):
    """What can be kept."""

    name: str

    @property
    def log(self) -> Path:
        """What it says."""

    async def start(self) -> Child:
        """The program, once it is ready, whatever was left by the one before. Raises why it does not become ready."""

    async def answers(self) -> bool:
        """Whether it gives a sign of life, within a few seconds."""


class Keeper:
    """Starts a program again when it ends, or hangs, at first at once, then after a pause that doubles."""

    def __init__(self, program: Program, question_seconds: float = QUESTION_SECONDS) -> None:
        self.name = program.name
        self.log = program.log
        self.ready = asyncio.Event()
        """Set while it runs and serves."""
        self.hindrance: Exception | None = None
        """Why it does not, as far as is known."""
        self._program = program
        self._question_seconds = question_seconds
        self._child: Child | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def child(self) -> Child:
        """The program as it runs now, or ran last."""
        assert self._child is not None, "never started"
        return self._child

    async def start(self) -> None:
        """Returns when it is ready. Raises why it is not, and goes on trying nevertheless, until :meth:`stop`."""
        outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        name = f"keep {self.name}"
        self._keeping = asyncio.create_task(persist(name, partial(self._keep, outcome)), name=name)
        self._keeping.add_done_callback(lambda _: outcome.cancel())
        if (failure := await outcome) is not None:
            raise failure

    async def stop(self, patience: float = 10) -> None:
        """Ends the program, as :meth:`Child.stop` does, and does not start it again."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self.ready.clear()
        if self._child is not None:
            await self._child.stop(patience)

    async def restart(self, patience: float = 10) -> None:
        """Ends it in good order and starts it again; returns and raises as :meth:`start` does."""
        await self.stop(patience)
        await self.start()

    def kill(self) -> None:
        """Ends the program at once."""
        if self._child is not None:
            self._child.kill()

    async def _keep(self, outcome: asyncio.Future[Exception | None]) -> None:
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        self.kill()  # what a keeping that failed has left
        failure = await self._try()
        if not outcome.done():
            outcome.set_result(failure)
        while True:
            if failure is None:
                began = clock()
                failure = self.hindrance = await self._end()
                self.ready.clear()
                pause = FIRST_PAUSE if clock() - began > STEADY_SECONDS else pause
            log.error("%s Starting it again in %.1f s.", failure, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            failure = await self._try()
            if failure is None:
                log.info("%s is back", self.name)

    async def _try(self) -> Exception | None:
        """Starts it once. Why that failed, if it did."""
        try:
            self._child = await self._program.start()
        except (VigieError, DatabaseError) as error:
            self.hindrance = error
        except OSError as error:  # no room on the disk, no process or file to be had
            self.hindrance = StackError(f"{self.name} cannot be started: {error}.")
        except Exception as error:
            log.exception("%s cannot be started", self.name)  # whatever it is, it must not end the keeping
            self.hindrance = StackError(f"{self.name} cannot be started: {error!r}.")
        else:
            self.hindrance = None
            self.ready.set()
        return self.hindrance

    async def _end(self) -> VigieError:
        """Why it no longer serves, once it does not: it has ended, or hung and was ended by us."""
        ending = asyncio.ensure_future(self.child.wait())
        silences = 0
        try:
            while silences < SILENCES:
                await asyncio.wait({ending}, timeout=self._question_seconds)
                if ending.done():
                    return self.child.failure()
                silences = 0 if await self._answers() else silences + 1
            self.child.kill()
            await ending
            return NotReady(f"{self.name} did not answer any more and was ended.", f"See {self.child.log}.")
        finally:
            ending.cancel()

    async def _answers(self) -> bool:
        try:
            return await self._program.answers()
        except Exception:
            log.exception("%s could not be asked whether it lives", self.name)
            return True  # a fault of ours is no proof of its death
