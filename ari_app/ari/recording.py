"""Recordings of a leg: the handle on one under way, and what it came to."""

import asyncio
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

    @property
    def done(self) -> bool:
        return self.state == "done"


class RecordingUnderWay:
    """A recording that has been started. ``finished`` outlives the leg, so that a caller who hangs up loses nothing:
    await it outside the leg's scope."""

    def __init__(self, ari: "Ari", name: str) -> None:
        self._ari = ari
        self.name = name
        self.started = asyncio.get_running_loop().time()
        self.finished: asyncio.Future[Recording] = asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        """Ends the recording and keeps it; nothing if it has ended."""
        try:
            await self._ari.request("POST", f"recordings/live/{self.name}/stop")
        except NotFound:
            return

    def settle(self, state: str, live: LiveRecording) -> None:
        """Takes Asterisk's word for how it ended; the first word stands."""
        if not self.finished.done():
            self.finished.set_result(
                Recording(self.name, state, float(live.duration), live.talking_duration, live.cause)
            )

    def settle_unseen(self, stored: bool) -> None:
        """Ends it without Asterisk's word: ``seconds`` is then the time passed since its start."""
        elapsed = asyncio.get_running_loop().time() - self.started
        if not self.finished.done():
            state, seconds = ("done", elapsed) if stored else ("failed", 0.0)
            self.finished.set_result(Recording(self.name, state, seconds, None, "its end was not seen"))
