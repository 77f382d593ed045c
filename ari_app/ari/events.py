"""Asterisk's events as typed values, decoded in one pass. Only those in `Event` are asked of Asterisk.

Every field but an object's identity has a default, so that a field which Asterisk renames or drops costs us that
field, not the event.
"""

from datetime import datetime

import msgspec
from msgspec import Struct


class CallerId(Struct, frozen=True, gc=False):
    name: str = ""
    number: str = ""


class Dialplan(Struct, frozen=True, gc=False):
    """Where a channel is in the dialplan; ``exten`` of an incoming call is the number dialled."""

    context: str = ""
    exten: str = ""
    priority: int = 0
    app_name: str = ""
    app_data: str = ""


class Channel(Struct, frozen=True, gc=False):
    """A channel as Asterisk last described it. ``channelvars`` holds those named in ari.conf."""

    id: str
    name: str = ""
    state: str = ""
    protocol_id: str = ""
    caller: CallerId = CallerId()
    connected: CallerId = CallerId()
    dialplan: Dialplan = Dialplan()
    creationtime: str = ""
    language: str = ""
    channelvars: dict[str, str] = {}

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.creationtime)


class Playback(Struct, frozen=True, gc=False):
    id: str
    media_uri: str = ""
    target_uri: str = ""
    state: str = ""


class LiveRecording(Struct, frozen=True, gc=False):
    name: str
    target_uri: str = ""
    state: str = ""
    duration: float = 0
    talking_duration: float | None = None
    cause: str = ""


class Event(Struct, frozen=True, gc=False, tag_field="type", kw_only=True):
    """What Asterisk tells on its own. ``at`` parses on demand: most time stamps are never looked at."""

    timestamp: str = ""

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.timestamp)


class CallBroadcast(Event, frozen=True, gc=False, tag=True):
    """A call is on offer to all applications; `Ari.claim` takes it."""

    channel: Channel


class StasisStart(Event, frozen=True, gc=False, tag=True):
    """A channel is in our hands now."""

    channel: Channel
    args: list[str] = []


class StasisEnd(Event, frozen=True, gc=False, tag=True):
    channel: Channel


class ChannelStateChange(Event, frozen=True, gc=False, tag=True):
    channel: Channel


class Dial(Event, frozen=True, gc=False, tag=True):
    """What becomes of a leg being called; ``forwarded`` is the channel that Asterisk made because the one called
    wants the call to go elsewhere (SIP 302)."""

    peer: Channel
    dialstatus: str = ""
    forwarded: Channel | None = None


class ChannelDtmfReceived(Event, frozen=True, gc=False, tag=True):
    channel: Channel
    digit: str


class ChannelHangupRequest(Event, frozen=True, gc=False, tag=True):
    """The far end hung up, or somebody asked Asterisk to (``soft``, and then ``cause`` is no Q.850 cause)."""

    channel: Channel
    cause: int = 0
    tech_cause: int | None = None
    soft: bool = False


class ChannelDestroyed(Event, frozen=True, gc=False, tag=True):
    channel: Channel
    cause: int = 0
    cause_txt: str = ""
    tech_cause: int | None = None


class PlaybackFinished(Event, frozen=True, gc=False, tag=True):
    playback: Playback


class RecordingFinished(Event, frozen=True, gc=False, tag=True):
    recording: LiveRecording


class RecordingFailed(Event, frozen=True, gc=False, tag=True):
    recording: LiveRecording


class ChannelUserevent(Event, frozen=True, gc=False, tag=True):
    """What another application tells us by `Ari.tell_others`."""

    eventname: str = ""
    userevent: dict[str, str] = {}


class ApplicationReplaced(Event, frozen=True, gc=False, tag=True):
    """Another connection took our application's name; this one gets no more events."""

    application: str = ""


class RESTResponse(Event, frozen=True, gc=False, tag=True):
    """The reply to a request sent on the same socket."""

    request_id: str
    status_code: int
    reason_phrase: str = ""
    message_body: str = ""


AnyEvent = (
    CallBroadcast
    | StasisStart
    | StasisEnd
    | ChannelStateChange
    | Dial
    | ChannelDtmfReceived
    | ChannelHangupRequest
    | ChannelDestroyed
    | PlaybackFinished
    | RecordingFinished
    | RecordingFailed
    | ChannelUserevent
    | ApplicationReplaced
    | RESTResponse
)

EVENT_TYPES = tuple(sorted(kind.__name__ for kind in AnyEvent.__args__))
"""Names of all events known here. Asterisk filters replies like events, so RESTResponse has to be among them."""

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def decode(frame: bytes | memoryview) -> AnyEvent:
    """The event in one websocket frame.

    Raises:
        msgspec.DecodeError: the frame is no event known here, or not JSON.
    """
    return _decoder.decode(frame)
