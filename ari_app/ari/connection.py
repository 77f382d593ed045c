"""One websocket to one Asterisk, from its opening to its end: frames in, frames out, replies matched to requests.

It stands on picows: a call costs a worker some thirty frames, and they are much of what a call costs it.
"""

import asyncio
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

import msgspec
from picows import WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from .errors import AriError, AriRefused, Disconnected, request_failed
from .events import AnyEvent, ApplicationReplaced, RESTResponse, decode

log = logging.getLogger(__name__)

OPEN_SECONDS = 5
"""How long Asterisk may take to accept us, and how long to become a websocket."""
PING_SECONDS = 10
"""After so long a silence Asterisk is asked for a sign of life, and has as long again to give it."""
CLOSE_SECONDS = 1
SLOW_SECONDS = 0.4
"""A request that takes so long is logged: Asterisk does a connection's requests one by one, all calls are held up."""
LARGEST_FRAME = 2**20
"""More than Asterisk can send: it puts each frame on a stack of half a megabyte."""


class Request(msgspec.Struct, tag_field="type", tag="RESTRequest", omit_defaults=True):
    """A request on the socket, as Asterisk reads it."""

    request_id: str
    method: str
    uri: str
    content_type: str = ""
    message_body: str = ""


_encode = msgspec.json.Encoder().encode


class Connection(WSListener):
    """An open websocket. ``undecodable`` counts the frames that could not be understood."""

    def __init__(self, on_event: Callable[[AnyEvent], None]) -> None:
        self._on_event = on_event
        self._serial = 0
        self._replied_at = 0.0
        self._pending: dict[str, asyncio.Future[RESTResponse]] = {}
        self._parts: list[bytes] = []
        self._socket: WSTransport | None = None
        self._over = asyncio.Event()
        self._why: AriError | None = None
        self.undecodable = 0

    async def request(self, method: str, uri: str, query: dict[str, Any], body: Any) -> Any:
        """The decoded body of Asterisk's reply, or None if it has none.

        Raises:
            RequestFailed: Asterisk refused (NotFound, Conflict among them).
            Disconnected: the connection ended before the reply.
        """
        if self._why is not None or self._socket is None:
            raise Disconnected(f"{method} {uri}: {self._why or 'not open yet'}")
        self._serial += 1
        request_id = str(self._serial)
        # Registered first: Asterisk may answer before send() returns.
        begun_at = time.monotonic()
        reply = self._pending[request_id] = asyncio.get_running_loop().create_future()
        try:
            self._socket.send(WSMsgType.TEXT, _frame(request_id, method, uri, query, body))
            response = await reply
        finally:
            del self._pending[request_id]
        before, self._replied_at = self._replied_at, time.monotonic()
        if (took := self._replied_at - max(begun_at, before)) > SLOW_SECONDS:
            log.warning("Asterisk took %.2f s for request %s, %s %s", took, request_id, method, uri)
        payload = msgspec.json.decode(response.message_body) if response.message_body else None
        if response.status_code >= 400:
            raise request_failed(f"{method} {uri}", response.status_code, _complaint(payload, response))
        return payload

    async def read(self) -> None:
        """Waits for the end of the connection. What Asterisk sends until then is dispatched as it comes, in order.

        Raises:
            Disconnected: always, in the end.
            AriRefused: another connection took our application's name; this one would hear nothing more.
        """
        await self._over.wait()
        assert self._why is not None
        raise self._why

    def end(self, why: AriError) -> None:
        """Ends it for us, and fails what is pending; the first reason stands."""
        if self._why is None:
            self._why = why
            self._over.set()
            for reply in self._pending.values():
                if not reply.done():
                    reply.set_exception(Disconnected("the connection was cut before the reply"))

    async def close(self) -> None:
        """Takes leave of Asterisk, and goes without its answer if none comes."""
        self.end(Disconnected("closed by us"))
        if self._socket is not None and not self._socket.is_disconnected:
            self._socket.send_close()
            with suppress(TimeoutError, WSError):
                await asyncio.wait_for(self._socket.wait_disconnected(), CLOSE_SECONDS)
            self._socket.disconnect(graceful=False)

    # --- what picows tells; nothing may be raised here

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket = transport
        if self._why is not None:  # too late, nobody waits any more
            transport.disconnect(graceful=False)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            if frame.fin and not self._parts:
                self._dispatch(frame.get_payload_as_memoryview())  # good until we return
                return
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._dispatch(whole)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        handshake = transport.close_handshake
        farewell = handshake.recv if handshake is not None else None
        self.end(Disconnected(f"cut: {farewell.code} {farewell.reason}" if farewell else "cut without a farewell"))

    def _dispatch(self, frame: bytes | memoryview) -> None:
        try:
            event = decode(frame)
        except msgspec.DecodeError as error:
            self.undecodable += 1
            log.warning("event not understood (%d so far): %s: %.200r", self.undecodable, error, bytes(frame))
            return
        if isinstance(event, RESTResponse):
            reply = self._pending.get(event.request_id)
            if reply is not None and not reply.done():
                reply.set_result(event)
            return
        if isinstance(event, ApplicationReplaced):
            self.end(AriRefused(f"another connection took the application's name {event.application!r}"))
            return
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
    given = [f"{name}={quote(_text(value), safe='/:@,')}" for name, value in query.items() if value is not None]
    request = Request(request_id, method, f"{uri}?{'&'.join(given)}" if given else uri)
    if body is not None:
        request.content_type, request.message_body = "application/json", _encode(body).decode()
    return _encode(request)


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
    connection = Connection(on_event)
    try:
        await _open(connection, url, username, password)
        yield connection
    finally:
        await connection.close()


async def _open(connection: Connection, url: str, username: str, password: str) -> None:
    login = b64encode(f"{username}:{password}".encode()).decode()
    try:
        async with asyncio.timeout(2 * OPEN_SECONDS):
            await ws_connect(
                lambda: connection,
                url,
                websocket_handshake_timeout=OPEN_SECONDS,  # cancelled by us, picows would leave the socket open
                extra_headers={"Authorization": f"Basic {login}"},
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_SECONDS,
                auto_ping_reply_timeout=PING_SECONDS,
                max_frame_size=LARGEST_FRAME,
                max_redirects=0,
                use_aiofastnet=False,  # the loop's own transports are as quick, and TLS is OpenSSL as Python has it
            )
    except WSHandshakeError as error:
        status = error.response.status if error.response is not None else None
        if status in (401, 403):
            raise AriRefused(f"{url}: Asterisk refuses user {username!r} or its password ({status:d})") from None
        raise Disconnected(f"{url}: {error}") from None
    except (OSError, WSError) as error:
        raise Disconnected(f"{url}: {error}") from None
