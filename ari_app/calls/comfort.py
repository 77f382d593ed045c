"""What the caller hears while somebody is sought: the greeting, then music, and a word every so often.

It runs beside the hunt, so that telephones ring from the first moment: the caller's time is the dearest.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ari_app.ari import AriError, HungUp, Leg
from ari_app.calls.call import Call
from oncall.outcomes import EventKind
from voice import prompts
from voice.prompts import Phrase

log = logging.getLogger(__name__)

TELEPHONES_FIRST = 0.1
"""Seconds before the caller is answered. Asterisk does a worker's requests one at a time, and answering is the slowest:
the telephones' INVITEs, this call's and those of the call beside it, go before."""
REASSURE_EVERY = 20.0
"""Seconds of music between two words of reassurance."""


class Comfort:
    """The sounds of waiting, played beside the hunt."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, or begins again after :meth:`stop`; the greeting is played once only."""
        if self._task is None:
            self._task = asyncio.create_task(self._greet_and_wait())
        elif self._task.done():
            self._task = asyncio.create_task(self._wait())

    def resume(self, phrase: Phrase) -> None:
        """Begins again after :meth:`stop`, with a sentence."""
        self._task = asyncio.create_task(self._tell_and_wait(phrase))

    async def stop(self) -> None:
        """Silence: what was being played has been stopped when this returns."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        error = None if self._task.cancelled() else self._task.exception()
        if error is not None and not isinstance(error, HungUp):
            log.error("the caller waited in silence", exc_info=error)

    async def _greet_and_wait(self) -> None:
        line, caller = self._call.plan.line, self._call.caller
        if self._call.is_answered:  # by a worker that is gone, and its last sound was cut
            await caller.stop_moh()
            await self._reassure()
            await self._wait()
        await asyncio.sleep(TELEPHONES_FIRST)
        await self._call.answer()
        if line.greeting:
            self._call.tell(EventKind.GREETING, leg=caller.id, reason=line.greeting)
            await self._call.play(
                await self._call.desk.prompts.say(line.greeting, line.language, otherwise=prompts.GREETING)
            )
        await self._wait()

    async def _tell_and_wait(self, phrase: Phrase) -> None:
        await self._call.say(phrase)
        await self._wait()

    async def _wait(self) -> None:
        call = self._call
        while True:
            async with _music(call.caller):
                await asyncio.sleep(REASSURE_EVERY)
            await self._reassure()

    async def _reassure(self) -> None:
        self._call.tell(EventKind.REASSURANCE, leg=self._call.caller.id)
        await self._call.say(prompts.REASSURANCE)


@asynccontextmanager
async def comforted(call: Call) -> AsyncIterator[Comfort]:
    """While inside, the caller is kept company from the moment it is started; there is silence after."""
    comfort = Comfort(call)
    try:
        yield comfort
    finally:
        await comfort.stop()


@asynccontextmanager
async def _music(caller: Leg) -> AsyncIterator[None]:
    """Music on hold, or silence where Asterisk has none to play."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(caller.music())
        except AriError as error:
            log.warning("the caller waits in silence: %s", error)
        yield
