"""A leg: one party's channel, as a scenario holds it."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from .errors import HungUp, NotFound, PlaybackFailed, RequestFailed
from .events import Channel, ChannelDestroyed, Dial, Playback
from .hangup import Hangup
from .recording import Recording, RecordingUnderWay
from .scope import Scope

if TYPE_CHECKING:
    from .client import Ari

GRACE_SECONDS = 0.25
"""How long the other event of one hangup may lag behind the first sign of it."""

UP = "Up"


class Leg:
    """One party's channel. Every verb raises HungUp once the leg has ended.

    As a context manager it works like `asyncio.timeout`: while inside, a hangup cancels the task that entered, and
    leaving turns that cancellation into HungUp. Leaving always hangs up. A leg is entered once.
    """

    def __init__(self, ari: "Ari", channel: Channel) -> None:
        self._ari = ari
        self.id = channel.id
        self.channel = channel
        self.hangup_cause: Hangup | None = None
        self.ringing = asyncio.Event()
        """Set once the phone is known to ring (SIP 180 or 183)."""
        self.unwanted = False
        """Nobody is left to hold this leg: it is to be hung up when the connection is back."""
        self._in_app = False
        self._released = False
        self._digits: deque[str] = deque()
        self._playbacks: dict[str, Playback | None] = {}
        self._recordings: list[RecordingUnderWay] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._scope = Scope()
        self._fading: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Leg {self.id} {self.channel.name} {self.hangup_cause or self.channel.state}>"

    # --- scope

    async def __aenter__(self) -> Self:
        self.check()
        self._scope.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hung_up = self._scope.leave(error)
        if self.hangup_cause is None:
            self.unwanted = True
            await self._ari.finish(self._hang_up_and_see(), f"hanging up {self.id}")
        if hung_up:
            raise self._hung_up() from error

    def check(self) -> None:
        """Raises HungUp if the leg has ended."""
        if self.hangup_cause is not None:
            raise self._hung_up()

    async def check_soon(self) -> None:
        """Raises HungUp if the leg has ended or is just ending; takes up to GRACE_SECONDS to know."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._until(lambda: False)

    # --- verbs

    async def answer(self) -> None:
        await self._command("POST", "answer")

    async def answered(self) -> None:
        """Returns once the party has answered and the leg is in our hands."""
        await self._until(lambda: self._in_app)

    async def play(self, *media: str, lang: str | None = None) -> None:
        """Plays media URIs (``sound:hello``) one after the other, to the end; cancelling stops the sound.

        Raises:
            PlaybackFailed: Asterisk could not play one of them.
        """
        playback_id = str(uuid4())
        self._playbacks[playback_id] = None
        try:
            await self._command("POST", f"play/{playback_id}", media=",".join(media), lang=lang)
            await self._until(lambda: self._playbacks[playback_id] is not None)
            playback = self._playbacks[playback_id]
        except asyncio.CancelledError:
            if self.hangup_cause is None:
                await self._ari.finish(self._stop_playback(playback_id), f"stopping the sound on {self.id}")
            raise
        finally:
            del self._playbacks[playback_id]
        if playback is not None and playback.state == "failed":
            raise PlaybackFailed(playback.media_uri)

    async def digit(self) -> str:
        """The next digit pressed (0-9, *, #, A-D), in order, from the first that the leg ever sent."""
        await self._until(lambda: bool(self._digits))
        return self._digits.popleft()

    def forget_digits(self) -> None:
        """Drops the digits pressed so far."""
        self._digits.clear()

    async def moh(self, moh_class: str | None = None) -> None:
        """Starts music on hold."""
        await self._command("POST", "moh", mohClass=moh_class)

    async def stop_moh(self) -> None:
        await self._command("DELETE", "moh")

    async def silence(self) -> None:
        """Starts sending silence, which keeps media flowing."""
        await self._command("POST", "silence")

    async def stop_silence(self) -> None:
        await self._command("DELETE", "silence")

    async def ring(self) -> None:
        """Starts telling the party that the other end rings."""
        await self._command("POST", "ring")

    async def stop_ring(self) -> None:
        await self._command("DELETE", "ring")

    async def start_recording(
        self,
        name: str,
        *,
        max_seconds: int,
        silence_seconds: int,
        terminate_on: str = "#",
        beep: bool = True,
        format: str = "wav",
    ) -> RecordingUnderWay:
        """A recording under way, ended by ``terminate_on``, silence, length (0: unlimited) or hangup.

        Raises:
            Conflict: a recording of that name exists.
        """
        recording = self._ari.expect_recording(name)
        self._recordings.append(recording)
        try:
            await self._command(
                "POST",
                "record",
                name=name,
                format=format,
                maxDurationSeconds=max_seconds,
                maxSilenceSeconds=silence_seconds,
                terminateOn=terminate_on,
                beep=beep,
                ifExists="fail",
            )
        except BaseException:
            self._ari.forget_recording(name)
            raise
        return recording

    async def record(
        self,
        name: str,
        *,
        max_seconds: int,
        silence_seconds: int,
        terminate_on: str = "#",
        beep: bool = True,
        format: str = "wav",
    ) -> Recording:
        """A finished recording; cancelling ends it and keeps it. To have it in spite of a hangup, await
        `start_recording`'s ``finished`` outside the scope."""
        recording = await self.start_recording(
            name,
            max_seconds=max_seconds,
            silence_seconds=silence_seconds,
            terminate_on=terminate_on,
            beep=beep,
            format=format,
        )
        try:
            return await asyncio.shield(recording.finished)
        except asyncio.CancelledError:
            await self._ari.finish(recording.stop(), f"stopping the recording {name}")
            raise

    async def set_var(self, name: str, value: str) -> None:
        """Sets a channel variable."""
        await self._command("POST", "variable", variable=name, value=value)

    async def hangup(self, reason: str = "normal") -> None:
        """Asks Asterisk to hang up (ARI's reasons: normal, busy, congestion, no_answer …); nothing if it has ended."""
        if self.hangup_cause is None:
            with suppress(NotFound):
                await self._ari.request("DELETE", f"channels/{self.id}", reason=reason)

    async def go_on(
        self, context: str | None = None, extension: str | None = None, priority: int | None = None
    ) -> None:
        """Hands the leg back to the dialplan, at the next priority if nothing is given. It is no longer ours then."""
        self._released = True
        try:
            await self._command("POST", "continue", context=context, extension=extension, priority=priority)
        except BaseException:
            self._released = False
            raise
        self.end(Hangup.unseen("continued in the dialplan"))

    # --- what Asterisk tells

    def saw(self, channel: Channel) -> None:
        """Takes the newest description of the channel. A channel that was up stays so."""
        if channel.state == UP or self.channel.state != UP:
            self.channel = channel
        if channel.state == "Ringing":
            self.ringing.set()

    def saw_start(self, channel: Channel) -> None:
        self.saw(channel)
        self._in_app = True
        self._wake()

    def saw_dial(self, event: Dial) -> None:
        if event.dialstatus in ("RINGING", "PROGRESS"):
            self.ringing.set()

    def saw_digit(self, digit: str) -> None:
        self._digits.append(digit)
        self._wake()

    def saw_playback_end(self, playback: Playback) -> None:
        if playback.id in self._playbacks:
            self._playbacks[playback.id] = playback
            self._wake()

    def saw_leaving(self) -> None:
        """One sign of the end came; the cause may come with the other."""
        if self._fading is None and self.hangup_cause is None:
            gone = Hangup.unseen("left the application")
            self._fading = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.end, gone)

    def saw_destroyed(self, event: ChannelDestroyed) -> None:
        if self.hangup_cause is None:
            self.end(Hangup(event.cause, event.tech_cause, event.cause_txt, event.at))

    def end(self, hangup: Hangup) -> None:
        """Ends the leg; the first cause stands."""
        if self.hangup_cause is not None:
            return
        self.hangup_cause = hangup
        if self._fading is not None:
            self._fading.cancel()
        self._ari.forget_leg(self)
        for recording in self._recordings:
            self._ari.settle_later(recording)
        self._wake()
        if not self._released:
            self._scope.cancel()

    # --- within

    def _hung_up(self) -> HungUp:
        assert self.hangup_cause is not None
        return HungUp(self.id, self.hangup_cause)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, ready: Callable[[], bool]) -> None:
        self.check()
        while not ready():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
            self.check()

    async def _command(self, method: str, verb: str, **query: Any) -> Any:
        self.check()
        try:
            return await self._ari.request(method, f"channels/{self.id}/{verb}", **query)
        except NotFound:
            self.saw_leaving()
            await self._until(lambda: False)
        except RequestFailed as error:
            # In no state for this: most often because it is just being hung up.
            if error.status in (409, 412):
                await self.check_soon()
            raise

    async def _hang_up_and_see(self) -> None:
        await self.hangup()
        with suppress(HungUp):
            await self._until(lambda: False)

    async def _stop_playback(self, playback_id: str) -> None:
        with suppress(NotFound):
            await self._ari.request("DELETE", f"playbacks/{playback_id}")
