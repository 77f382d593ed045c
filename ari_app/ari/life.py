"""A leg's life: how it begins, what is waited for, how it ends, and the scope that an end interrupts."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .errors import HungUp, NotFound, RequestFailed
from .events import Channel, ChannelDestroyed, ChannelHangupRequest, Dial, Playback
from .hangup import Hangup
from .recording import RecordingUnderWay
from .scope import Scope

if TYPE_CHECKING:
    from .client import Ari

GRACE_SECONDS = 0.25
"""How long the event of a hangup that has the cause may lag behind the first sign of it."""

DIGITS_KEPT = 100
"""How many digits that nobody has asked for yet are kept, the newest ones."""

UP = "Up"


class Life:
    """What is known of one channel, and a scope that its end interrupts.

    The scope works like `asyncio.timeout`: while inside, a hangup cancels the task that entered, and leaving turns
    that cancellation into HungUp. Leaving always hangs up. It is entered once.
    """

    def __init__(self, ari: "Ari", channel: Channel) -> None:
        self._ari = ari
        self.id = channel.id
        self.channel = channel
        self.hangup_cause: Hangup | None = None
        self.ringing = asyncio.Event()
        """Set once the phone is known to ring (SIP 180 or 183)."""
        self.unwanted = False
        """Nobody holds this leg any more; should it still live after a reconnection, it is hung up."""
        self.in_hand = False
        """Asterisk has put the channel under our control; a call of ours has then been answered."""
        self._released = False
        self.keys_pressed = 0
        self._digits: deque[str] = deque(maxlen=DIGITS_KEPT)
        self._playbacks: dict[str, Playback | None] = {}
        self._unstopped: set[str] = set()
        """Playbacks that nobody waits for any more, though Asterisk has not said yet that it has stopped them."""
        self._turn = 0
        self._recordings: list[RecordingUnderWay] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._scope = Scope()
        self._cause: Hangup | None = None
        self._fading: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Leg {self.id} {self.channel.name} {self.hangup_cause or self.channel.state}>"

    async def __aenter__(self) -> Self:
        self.check()
        self._scope.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = self._scope.leave()
        if self.hangup_cause is None:
            self.unwanted = True
            await self._ari.finish(self._hang_up_and_see(), f"hanging up {self.id}")
        if interrupted and error is not None and _only_interruption(error):
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

    async def quiet(self) -> None:
        """Returns once no sound is played or recorded on the leg.

        Asterisk carries out some requests (answer, variable, addChannel) only then, and serves no other request of
        ours before: sent earlier, one of them would hold up all calls for the length of a prompt.
        """
        for playback_id in tuple(self._unstopped):
            with suppress(RequestFailed):  # it is just ending, and will say so
                await self._stop_playback(playback_id)
        await self._until(
            lambda: (
                not any(playback is None for playback in self._playbacks.values())
                and all(recording.is_finished for recording in self._recordings)
            )
        )

    @property
    def playback_ids(self) -> tuple[str, str]:
        """The ids of our playbacks, in turn: known to whoever inherits the leg, so that they can be stopped."""
        return (f"{self.id}-0", f"{self.id}-1")

    def playbacks_under_way(self) -> list[str]:
        return [playback_id for playback_id, end in self._playbacks.items() if end is None]

    # --- what Asterisk tells

    def saw(self, channel: Channel) -> None:
        """Takes the newest description of the channel. One that was up stays so, should events be out of order."""
        if channel.state == UP or self.channel.state != UP:
            self.channel = channel
        if channel.state == "Ringing":
            self.ringing.set()

    def saw_start(self, channel: Channel) -> None:
        self.saw(channel)
        self.in_hand = True
        self._wake()

    def saw_again(self, channel: Channel) -> None:
        """Takes what Asterisk says of the channel after a cut, in which a StasisStart may have been lost. One that is
        up is in our hands."""
        if channel.state == UP:
            self.saw_start(channel)
        else:
            self.saw(channel)

    def saw_dial(self, event: Dial) -> None:
        if event.dialstatus in ("RINGING", "PROGRESS"):
            self.ringing.set()

    def saw_digit(self, digit: str) -> None:
        self.keys_pressed += 1
        self._digits.append(digit)
        self._wake()

    def saw_playback_end(self, playback: Playback) -> None:
        if playback.id in self._playbacks:
            self._playbacks[playback.id] = playback
            self._wake()

    def saw_hangup_request(self, event: ChannelHangupRequest) -> None:
        """Keeps the cause, the first one: others are of our own making. The end comes later: a recording is finished
        first."""
        self._cause = self._cause or Hangup.requested(event)
        if self._fading is not None:
            self.end(self._cause)

    def saw_leaving(self) -> None:
        """The channel is not in our hands any more: hung up, or gone elsewhere if no cause follows."""
        if self._cause is not None:
            self.end(self._cause)
        elif self._fading is None and self.hangup_cause is None:
            gone = Hangup.unseen("left the application")
            self._fading = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.end, gone)

    def saw_destroyed(self, event: ChannelDestroyed) -> None:
        if self.hangup_cause is None:
            silence = self._cause if self._cause is not None and self._cause.by_silence else None
            self.end(silence or Hangup.destroyed(event))

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
        # The scope first: the tasks that wait within it are then cancelled with it, rather than each raise HungUp.
        if not self._released:
            self._scope.cancel()
        self._wake()

    def is_recorded(self, recording: RecordingUnderWay) -> None:
        """Takes note of a recording that is being made of this leg."""
        recording.when_finished(self._wake)
        self._recordings.append(recording)

    # --- for the verbs

    async def _until(self, ready: Callable[[], bool]) -> None:
        self.check()
        while not ready():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
            self.check()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _command(self, method: str, verb: str, **query: Any) -> None:
        self.check()
        try:
            await self._ari.request(method, f"channels/{self.id}/{verb}", **query)
        except NotFound:
            self.saw_leaving()
            await self._until(lambda: False)
        except RequestFailed:  # 409, 412 or 500, as the verb will have it: most often it is just being hung up
            await self.check_soon()
            raise

    async def _stop_playback(self, playback_id: str) -> None:
        with suppress(NotFound):
            await self._ari.request("DELETE", f"playbacks/{playback_id}")
        self._unstopped.discard(playback_id)
        self._playbacks.pop(playback_id, None)
        self._wake()

    async def hangup(self, reason: str = "normal") -> None:
        """Asks Asterisk to hang up; does nothing if the leg has ended. ``reason`` is one of ARI's: normal, busy,
        congestion, no_answer, rejected …"""
        if self.hangup_cause is None:
            try:
                await self._ari.request("DELETE", f"channels/{self.id}", reason=reason)
            except NotFound:
                self.saw_leaving()

    async def gone(self) -> None:
        """Returns once the leg has ended."""
        with suppress(HungUp):
            await self._until(lambda: False)

    async def _hang_up_and_see(self) -> None:
        await self.hangup()
        await self.gone()

    def _hung_up(self) -> HungUp:
        assert self.hangup_cause is not None
        return HungUp(self.id, self.hangup_cause)


def _only_interruption(error: BaseException) -> bool:
    """True for a cancellation, and for a group of tasks that found the hangup out by themselves."""
    if isinstance(error, BaseExceptionGroup):
        return all(_only_interruption(part) for part in error.exceptions)
    return isinstance(error, asyncio.CancelledError | HungUp)
