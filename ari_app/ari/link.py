"""The link to one Asterisk: a connection that comes back each time it is lost."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from .connection import Connection, open_connection
from .errors import UNSERVED, Disconnected, RequestFailed, request_failed
from .events import AnyEvent

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 0.5
"""Short, for callers wait: an Asterisk that was restarted is to be served at once."""

RECONNECT_SECONDS = 10.0
"""How long a request waits for a connection that was lost, so that a short cut costs no call its hunt."""

DOWNLOAD_SECONDS = 30.0


class Link:
    """Keeps a websocket open. ``greet`` is run on each new connection and sets ``up`` when all is in order."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        app: str,
        on_event: Callable[[AnyEvent], None],
        greet: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"an Asterisk's address begins with http:// or https://, unlike {url!r}")
        self.url = f"{url.rstrip('/')}/ari"
        self.up = asyncio.Event()
        self._login = (username, password)
        self._events_url = f"ws{self.url.removeprefix('http')}/events?app={quote(app)}"
        self._on_event = on_event
        self._greet = greet
        self._delay = FIRST_RETRY_SECONDS
        self._connection: Connection | None = None
        self._http: httpx.AsyncClient | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, though all may not be in order over it yet."""
        return self._connection is not None

    async def run(self) -> None:
        """Keeps the link, for ever.

        Raises:
            AriRefused: Asterisk will not have us.
        """
        encrypted = self.url.startswith("https:")  # else reading the certificates costs 60 ms for nothing
        async with httpx.AsyncClient(
            auth=self._login, verify=encrypted, trust_env=False, timeout=DOWNLOAD_SECONDS
        ) as self._http:
            while True:
                try:
                    async with open_connection(self._events_url, *self._login, self._on_event) as connection:
                        await self._serve(connection)
                except (Disconnected, RequestFailed) as error:
                    log.warning("no connection to Asterisk: %s", error)
                await asyncio.sleep(self._delay * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
                self._delay = min(2 * self._delay, LAST_RETRY_SECONDS)

    async def _serve(self, connection: Connection) -> None:
        """Carries one connection to its end, which always is an error."""
        self._connection = connection
        reading = asyncio.create_task(self._read(connection))
        greeting = asyncio.create_task(self._greet())
        try:
            await asyncio.wait((reading, greeting), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                greeting.result()
            await reading
        finally:
            for task in (reading, greeting):
                task.cancel()
            await asyncio.gather(reading, greeting, return_exceptions=True)

    async def _read(self, connection: Connection) -> None:
        try:
            await connection.read()
        finally:
            self._lost(connection)

    def _lost(self, connection: Connection) -> None:
        """Takes note that the connection is over, unless that is known."""
        if self._connection is connection:
            if self.up.is_set():
                self._delay = FIRST_RETRY_SECONDS
            self.up.clear()
            self._connection = None

    async def request(self, method: str, uri: str, query: dict[str, Any], body: Any, *, once: bool = False) -> Any:
        """The decoded body of the reply; None if it has none. Waits for the next connection if there is none now.

        A request whose reply was lost in a cut is asked again over the next connection, unless it may be carried out
        ``once`` only.
        """
        connection = self._connection or await self._next_connection(f"{method} {uri}")
        try:
            return await connection.request(method, uri, query, body)
        except Disconnected:
            self._lost(connection)
            if once:
                raise
        connection = await self._next_connection(f"{method} {uri}")
        return await connection.request(method, uri, query, body)

    async def _next_connection(self, request: str) -> Connection:
        """The next one over which all is in order."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RECONNECT_SECONDS):
                while self._connection is None:
                    await self.up.wait()
        if self._connection is None:
            raise Disconnected(f"{request}: not connected for {RECONNECT_SECONDS} s")
        return self._connection

    async def download(self, uri: str) -> bytes:
        """The bytes at ``uri``, over HTTP."""
        if self._http is None:
            raise Disconnected(f"GET {uri}: not connected")
        try:
            answer = await self._http.get(f"{self.url}/{uri}")
        except httpx.HTTPError as error:
            raise Disconnected(f"GET {uri}: {error!r}") from error
        if answer.is_error:
            raise request_failed(f"GET {uri}", answer.status_code, _complaint(answer))
        return answer.content


def _complaint(answer: httpx.Response) -> str:
    """ARI's own words; there are none as long as only the HTTP server is up, which knows no address at all."""
    try:
        return str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return UNSERVED if answer.status_code == HTTPStatus.NOT_FOUND else answer.reason_phrase
