"""One websocket to one Asterisk, from its opening to its end: frames in, frames out, replies matched to requests."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.headers import build_authorization_basic

from .errors import AriRefused, Disconnected, request_failed
from .events import AnyEvent, ApplicationReplaced, RESTResponse, decode

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class Connection:
    """An open websocket. ``undecodable`` counts the frames that could not be understood."""

    def __init__(self, socket: ClientConnection, on_event: Callable[[AnyEvent], None]) -> None:
        self._socket = socket
        self._on_event = on_event
        self._serial = 0
        self._pending: dict[str, asyncio.Future[RESTResponse]] = {}
        self.undecodable = 0

    async def request(self, method: str, uri: str, query: dict[str, Any], body: Any) -> Any:
        """The decoded body of Asterisk's reply, or None if it has none.

        Raises:
            RequestFailed: Asterisk refused (NotFound, Conflict among them).
            Disconnected: the connection ended before the reply.
        """
        self._serial += 1
        request_id = str(self._serial)
        # Registered first: Asterisk may answer before send() returns.
        reply = self._pending[request_id] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(_frame(request_id, method, uri, query, body), text=True)
            response = await reply
        except ConnectionClosed as error:
            raise Disconnected(f"{method} {uri}: {error}") from None
        finally:
            self._pending.pop(request_id, None)
        payload = msgspec.json.decode(response.message_body) if response.message_body else None
        if response.status_code >= 400:
            raise request_failed(f"{method} {uri}", response.status_code, _complaint(payload, response))
        return payload

    async def read(self) -> None:
        """Dispatches all that Asterisk sends, in order, to the end of the connection; then fails what is pending.

        Raises:
            Disconnected: always, in the end.
            AriRefused: another connection took our application's name; this one would hear nothing more.
        """
        try:
            while True:
                self._dispatch(await self._socket.recv(decode=False))
        except ConnectionClosed as error:
            raise Disconnected(f"cut: {error}") from None
        finally:
            for reply in self._pending.values():
                if not reply.done():
                    reply.set_exception(Disconnected("the connection was cut before the reply"))

    def _dispatch(self, frame: bytes) -> None:
        try:
            event = decode(frame)
        except msgspec.DecodeError as error:
            self.undecodable += 1
            log.warning("event not understood (%d so far): %s: %.200r", self.undecodable, error, frame)
            return
        if isinstance(event, RESTResponse):
            reply = self._pending.get(event.request_id)
            if reply is not None and not reply.done():
                reply.set_result(event)
            return
        if isinstance(event, ApplicationReplaced):
            raise AriRefused(f"another connection took the application's name {event.application!r}")
        try:
            self._on_event(event)
        except Exception:
            # One event's defect must not take down the connection that all calls share.
            log.exception("handling of %s failed", type(event).__name__)


def _complaint(payload: Any, response: RESTResponse) -> str:
    """Asterisk's own words; most refusals have a message, a failed allocation an error."""
    words = (payload.get("message") or payload.get("error")) if isinstance(payload, dict) else None
    return str(words or response.reason_phrase)


def _frame(request_id: str, method: str, uri: str, query: dict[str, Any], body: Any) -> bytes:
    given = {name: _text(value) for name, value in query.items() if value is not None}
    message = {
        "type": "RESTRequest",
        "request_id": request_id,
        "method": method,
        "uri": f"{uri}?{urlencode(given, quote_via=quote)}" if given else uri,
    }
    if body is not None:
        message |= {"content_type": "application/json", "message_body": _encode(body).decode()}
    return _encode(message)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@asynccontextmanager
async def open_connection(
    url: str, username: str, password: str, on_event: Callable[[AnyEvent], None]
) -> AsyncIterator[Connection]:
    """A connection to the ARI events address ``url`` (ws:// or wss://), closed on leaving.

    Raises:
        AriRefused: user name or password are wrong.
        Disconnected: Asterisk cannot be reached, or is not ready.
    """
    opening = connect(
        url,
        additional_headers={"Authorization": build_authorization_basic(username, password)},
        compression=None,
        max_size=None,
        max_queue=None,  # reading never pauses: Asterisk cuts a client that does not keep up
        open_timeout=5,
        ping_interval=10,
        ping_timeout=10,
        close_timeout=1,
        proxy=None,
    )
    try:
        socket = await opening
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (401, 403):
            raise AriRefused(f"{url}: Asterisk refuses user {username!r} or its password ({status})") from None
        raise Disconnected(f"{url}: {error}") from None
    except (OSError, TimeoutError, WebSocketException) as error:
        raise Disconnected(f"{url}: {error}") from None
    async with socket:
        yield Connection(socket, on_event)
