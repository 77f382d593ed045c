"""What can go wrong between us and Asterisk.

::

    AriError
    ├── AriRefused            Asterisk will not have us: wrong password, or our application's name was taken over
    ├── Disconnected          no connection now, or it was cut before the reply came
    ├── RequestFailed         Asterisk refused a request (HTTP status 4xx or 5xx)
    │   ├── NotFound          404: what it was about no longer exists
    │   └── Conflict          409: it exists already, or is not in a state for this
    ├── PlaybackFailed        the sound could not be played
    └── HungUp                the leg ended; not a fault, the usual end of every call
"""

from .hangup import Hangup


class AriError(Exception):
    """Root of all errors of this package."""


class AriRefused(AriError):
    """Asterisk will not have us, and trying again would not help."""


class Disconnected(AriError):
    """There is no connection to Asterisk now, or it was cut before the reply; the request may have been done."""


class RequestFailed(AriError):
    """Asterisk refused a request. ``status`` is an HTTP status code."""

    def __init__(self, request: str, status: int, message: str) -> None:
        super().__init__(f"{request}: {status} {message}")
        self.request = request
        self.status = status
        self.message = message


class NotFound(RequestFailed):
    """404: the channel, bridge, playback or recording no longer exists."""


class Conflict(RequestFailed):
    """409: it exists already, or is not in a state for this."""


class PlaybackFailed(AriError):
    """Asterisk could not play a sound: no such file, or in no format that it reads."""

    def __init__(self, media: str) -> None:
        super().__init__(f"cannot be played: {media}")
        self.media = media


class HungUp(AriError):
    """The leg ended; ``hangup`` says why."""

    def __init__(self, leg_id: str, hangup: Hangup) -> None:
        super().__init__(f"{leg_id}: {hangup}")
        self.leg_id = leg_id
        self.hangup = hangup


UNSERVED = "Resource not found"
"""Asterisk's words for an address that no module serves, be it that it is only starting: they tell nothing of whether
what is asked for exists."""


def request_failed(request: str, status: int, message: str) -> RequestFailed:
    """The error for a refused request, by its status and Asterisk's words."""
    kind = {404: NotFound, 409: Conflict}.get(status, RequestFailed)
    if message == UNSERVED:
        kind = RequestFailed
    return kind(request, status, message)
