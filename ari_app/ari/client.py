"""One Asterisk: the connection that comes back, the legs on it, and the dispatch of its events."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import httpx

from . import events
from .bridge import Bridge
from .connection import Connection, open_connection
from .errors import AriError, Conflict, Disconnected, NotFound, RequestFailed
from .events import CallBroadcast, Channel, DeviceState, DeviceStateChanged, StasisStart
from .hangup import SUBSCRIBER_ABSENT, Hangup
from .leg import Leg
from .recording import RecordingUnderWay

log = logging.getLogger(__name__)

CLEANUP_SECONDS = 2.0
"""Bound on anything done while leaving a scope."""

RECORDING_GRACE_SECONDS = 2.0
"""How long after its leg's end a recording may take to say that it is finished."""

CLAIM_CHECK_SECONDS = 1.0
"""A claimed channel enters our application at once; after this long we ask whether it still exists."""


class Ari:
    """One Asterisk, under the application name ``app``. `run` keeps it connected; the callbacks are called in the order
    of Asterisk's events and must not block.

    ``url`` is Asterisk's HTTP address (``http://127.0.0.1:8088``, with the prefix of http.conf if there is one).
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        app: str,
        *,
        on_broadcast: Callable[[CallBroadcast], None] | None = None,
        on_stasis: Callable[[Leg, StasisStart], None] | None = None,
        on_connected: Callable[[], Awaitable[None]] | None = None,
        on_device_state: Callable[[DeviceStateChanged], None] | None = None,
    ) -> None:
        self.app = app
        self._base = url.rstrip("/") + "/ari"
        self._login = (username, password)
        self._on_broadcast = on_broadcast
        self._on_stasis = on_stasis
        self._on_connected = on_connected
        self._on_device_state = on_device_state
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._legs: dict[str, Leg] = {}
        self._ended: deque[str] = deque(maxlen=1000)
        self._recordings: dict[str, RecordingUnderWay] = {}
        self._subscriptions: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        await self._connected.wait()

    async def run(self) -> None:
        raise NotImplementedError

    async def request(self, method: str, uri: str, /, *, body: Any = None, **query: Any) -> Any:
        """The reply's body, decoded. Query values of None are left out.

        Raises:
            NotFound, Conflict, RequestFailed: Asterisk refused.
            Disconnected: no connection, or it was cut before the reply.
        """
        if self._connection is None:
            raise Disconnected(f"{method} {uri}: not connected")
        return await self._connection.request(method, uri, query, body)

    async def download(self, uri: str) -> bytes:
        raise NotImplementedError

    async def claim(self, broadcast: CallBroadcast) -> Leg | None:
        raise NotImplementedError

    async def originate(
        self,
        endpoint: str,
        *,
        leg_id: str,
        caller_id: str,
        timeout: int,
        variables: Mapping[str, str],
        originator: str | None = None,
    ) -> Leg:
        raise NotImplementedError

    async def bridge(self, bridge_id: str, kind: str = "mixing") -> Bridge:
        raise NotImplementedError

    async def channels(self) -> list[Channel]:
        raise NotImplementedError

    async def recordings(self) -> list[str]:
        raise NotImplementedError

    async def delete_recording(self, name: str) -> None:
        raise NotImplementedError

    async def device_states(self) -> list[DeviceState]:
        raise NotImplementedError

    async def set_device_state(self, name: str, state: str) -> None:
        raise NotImplementedError

    async def delete_device_state(self, name: str) -> None:
        raise NotImplementedError

    async def subscribe(self, event_source: str) -> None:
        raise NotImplementedError

    async def finish(self, work: Coroutine[Any, Any, object], what: str) -> None:
        raise NotImplementedError

    def expect_recording(self, name: str) -> RecordingUnderWay:
        raise NotImplementedError

    def forget_recording(self, name: str) -> None:
        raise NotImplementedError

    def settle_later(self, recording: RecordingUnderWay) -> None:
        raise NotImplementedError

    def forget_leg(self, leg: Leg) -> None:
        raise NotImplementedError
