"""From an event to the leg or the recording it is about. Synchronous throughout: nothing here awaits anything."""

from collections import deque
from collections.abc import Callable
from typing import Any

from .events import (
    AnyEvent,
    CallBroadcast,
    Channel,
    ChannelDestroyed,
    ChannelDtmfReceived,
    ChannelHangupRequest,
    ChannelStateChange,
    ChannelUserevent,
    Dial,
    PlaybackFinished,
    RecordingFailed,
    RecordingFinished,
    StasisEnd,
    StasisStart,
)
from .leg import Leg
from .life import Life
from .recording import RecordingUnderWay


class Dispatcher:
    """The legs and recordings that are under way, by their ids, and what to do with each event.

    An event about anything else is dropped, but for a StasisStart: that is a new leg, made by ``adopt``.
    """

    def __init__(
        self,
        adopt: Callable[[StasisStart], None],
        refuse: Callable[[Channel], None],
        on_broadcast: Callable[[CallBroadcast], None] | None,
        on_word: Callable[[ChannelUserevent], None] | None,
    ) -> None:
        self.legs: dict[str, Leg] = {}
        self.recordings: dict[str, RecordingUnderWay] = {}
        self._adopt = adopt
        self._refuse = refuse
        # So that a late or repeated StasisStart does not bring a dead leg back.
        self._ended: deque[str] = deque(maxlen=1000)
        self._handlers: dict[type[AnyEvent], Callable[[Any], None]] = {
            CallBroadcast: on_broadcast or _ignore,
            ChannelUserevent: on_word or _ignore,
            StasisStart: self._start,
            StasisEnd: self._leaving,
            ChannelStateChange: self._state,
            Dial: self._dial,
            ChannelDtmfReceived: self._digit,
            ChannelHangupRequest: self._hangup_request,
            ChannelDestroyed: self._destroyed,
            PlaybackFinished: self._playback,
            RecordingFinished: self._recording,
            RecordingFailed: self._recording,
        }

    def __call__(self, event: AnyEvent) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def add(self, leg: Leg) -> Leg:
        """Has events about ``leg`` told to it."""
        self.legs[leg.id] = leg
        return leg

    def forget(self, leg: Life) -> None:
        """Takes an ended leg out."""
        if self.legs.pop(leg.id, None) is not None:
            self._ended.append(leg.id)

    def _start(self, event: StasisStart) -> None:
        leg = self.legs.get(event.channel.id)
        if leg is not None:
            leg.saw_start(event.channel)
        elif event.channel.id not in self._ended:
            self._adopt(event)

    def _leaving(self, event: StasisEnd) -> None:
        if leg := self.legs.get(event.channel.id):
            leg.saw_leaving()

    def _state(self, event: ChannelStateChange) -> None:
        if leg := self.legs.get(event.channel.id):
            leg.saw(event.channel)

    def _dial(self, event: Dial) -> None:
        if event.forwarded is not None:
            self._refuse(event.forwarded)
        if leg := self.legs.get(event.peer.id):
            leg.saw_dial(event)

    def _digit(self, event: ChannelDtmfReceived) -> None:
        if leg := self.legs.get(event.channel.id):
            leg.saw_digit(event.digit)

    def _hangup_request(self, event: ChannelHangupRequest) -> None:
        if leg := self.legs.get(event.channel.id):
            leg.saw_hangup_request(event)

    def _destroyed(self, event: ChannelDestroyed) -> None:
        if leg := self.legs.get(event.channel.id):
            leg.saw_destroyed(event)

    def _playback(self, event: PlaybackFinished) -> None:
        if leg := self.legs.get(event.playback.target_uri.removeprefix("channel:")):
            leg.saw_playback_end(event.playback)

    def _recording(self, event: RecordingFinished | RecordingFailed) -> None:
        if recording := self.recordings.pop(event.recording.name, None):
            recording.settle("done" if isinstance(event, RecordingFinished) else "failed", event.recording)


def _ignore(_event: object) -> None:
    """An event nobody asked to see."""
