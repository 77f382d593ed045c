"""Recordings of a leg: the handle on one under way, and what it came to."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import NotFound
from .events import LiveRecording

if TYPE_CHECKING:
    from .client import Ari


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recording came to. ``state`` is "done" or "failed"; ``seconds`` its length; ``talking`` the seconds of
    speech in it where Asterisk measured them (it does when a silence limit is set); ``cause`` why it failed."""

    name: str
    state: str
    seconds: float
    talking: float | None = None
    cause: str = ""

    was_seen: bool = True
    """Whether Asterisk told of its end; if not, ``seconds`` is a guess."""

    @property
    def done(self) -> bool:
        return self.state == "done"


class RecordingUnderWay:
    """A recording that has been started. It outlives the leg: a caller who hangs up loses nothing."""

    def __init__(self, ari: "Ari", name: str) -> None:
        self._ari = ari
        self.name = name
        self._started = asyncio.get_running_loop().time()
        self._end: asyncio.Future[Recording] = asyncio.get_running_loop().create_future()

    @property
    def finished(self) -> asyncio.Future[Recording]:
        """What it came to, to be awaited. Who is cancelled while waiting may wait again."""
        return asyncio.shield(self._end)

    @property
    def is_finished(self) -> bool:
        return self._end.done()

    def when_finished(self, call: Callable[[], None]) -> None:
        self._end.add_done_callback(lambda _: call())

    async def stop(self) -> None:
        """Ends the recording and keeps it; does nothing if it has ended."""
        with suppress(NotFound):
            await self._ari.request("POST", f"recordings/live/{self.name}/stop")

    def settle(self, state: str, live: LiveRecording) -> None:
        """Takes Asterisk's word for how it ended; the first word stands."""
        if not self._end.done():
            self._end.set_result(Recording(self.name, state, float(live.duration), live.talking_duration, live.cause))

    def settle_unseen(self, stored: bool) -> None:
        """Ends it without Asterisk's word: its length is then at most the time since its start."""
        if not self._end.done():
            elapsed = asyncio.get_running_loop().time() - self._started
            state, seconds = ("done", elapsed) if stored else ("failed", 0.0)
            self._end.set_result(Recording(self.name, state, seconds, was_seen=False))

    def forget(self) -> None:
        """Ends it as never begun."""
        self._end.cancel()
