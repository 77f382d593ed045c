"""Asterisk's REST interface (ARI) over one websocket: legs, bridges, playbacks, recordings.

Its place is under the call scenarios; it must not know what the calls are about.
"""

from .admission import admitted
from .bridge import Bridge
from .client import Ari, Kin
from .errors import (
    AriError,
    AriRefused,
    Conflict,
    Disconnected,
    HungUp,
    NotFound,
    PlaybackFailed,
    RequestFailed,
)
from .events import CallBroadcast, CallerId, Channel, ChannelUserevent, Dialplan, StasisStart
from .hangup import Hangup
from .inheritance import Estate, arrived, dismiss, estate_of, inherit, left_recording, members
from .leg import Leg
from .recording import Recording, RecordingUnderWay
from .sound import Received

__all__ = [
    "Ari",
    "AriError",
    "AriRefused",
    "Bridge",
    "CallBroadcast",
    "CallerId",
    "Channel",
    "ChannelUserevent",
    "Conflict",
    "Dialplan",
    "Disconnected",
    "Estate",
    "Hangup",
    "HungUp",
    "Kin",
    "Leg",
    "NotFound",
    "PlaybackFailed",
    "Received",
    "Recording",
    "RecordingUnderWay",
    "RequestFailed",
    "StasisStart",
    "admitted",
    "arrived",
    "dismiss",
    "estate_of",
    "inherit",
    "left_recording",
    "members",
]
