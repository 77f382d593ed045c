"""A websocket server that speaks ARI as Asterisk does and has all of a network's faults on request.

It keeps no calls of its own: the test says what happens (`rings`, `answers`, `hangs_up`), in which order, how often and
how late. Requests are answered with success unless the test said otherwise.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.headers import build_authorization_basic
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

PATIENCE = 2.0
"""Seconds after which a condition that does not come true fails the test."""

USER = ("vigie", "secret")
NOW = "2026-11-24T03:12:05.250+0000"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as Asterisk got it."""

    method: str
    path: str
    query: dict[str, str]
    body: Any = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class AriServer:
    """The server; ``url`` is what `Ari` is given. ``channels`` is what a listing shows."""

    requests: list[Request] = field(default_factory=list)
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    connections: int = 0
    variables: dict[str, str] = field(default_factory=lambda: {"EPOCH": "1795636159"})
    """The global variables."""
    applications: list[str] = field(default_factory=list)
    startup_time: str = NOW
    copies: int = 1
    """How often each event is sent."""
    late: bool = False
    """Replies come after the events that are sent next."""
    refuses_everybody: HTTPStatus | None = None
    not_found: str = '{"message": "Recording not found"}'
    """The page that is there instead of a file."""
    _replies: dict[str, tuple[int, Any]] = field(default_factory=dict)
    _reactions: dict[str, Callable[[], None]] = field(default_factory=dict)
    _held: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _overdue: list[dict[str, Any]] = field(default_factory=list)
    _server: Server | None = None
    _port: int = 0
    _socket: ServerConnection | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _sending: asyncio.Queue[str | tuple[str, ...]] = field(default_factory=asyncio.Queue)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self) -> None:
        self._server = await serve(self._carry, "127.0.0.1", self._port, process_request=self._admit, compression=None)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away altogether: the connection is cut and new ones are refused."""
        assert self._server is not None
        self.cut()
        for socket in self._server.connections:
            socket.transport.abort()  # also one that hangs
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # --- what Asterisk answers

    def will_answer(self, request: str, status: int, body: Any = None) -> None:
        """From now on ``request`` ("POST channels/1/answer") is answered so."""
        self._replies[request] = (status, body)

    def will_hold(self, request: str) -> None:
        """From now on the replies to ``request`` are held back until `release`."""
        self._held[request] = []

    def will_do(self, request: str, reaction: Callable[[], None]) -> None:
        """From now on ``reaction`` comes before the reply to ``request``."""
        self._reactions[request] = reaction

    def release(self, request: str) -> None:
        for reply in self._held.pop(request):
            self._send(reply)

    def count(self, name: str) -> int:
        return sum(request.name == name for request in self.requests)

    async def asked(self, name: str, times: int = 1) -> Request:
        """The newest request that begins with ``name``, as soon as there have been ``times`` of them."""
        return (await self.until(lambda: [r for r in self.requests if r.name.startswith(name)], times))[-1]

    async def until(self, found: Callable[[], list[Request]], times: int = 1) -> list[Request]:
        async with asyncio.timeout(PATIENCE):
            while len(result := found()) < times:
                self._changed.clear()
                await self._changed.wait()
        return result

    async def connected(self, times: int) -> None:
        """Returns once there have been ``times`` connections."""
        async with asyncio.timeout(PATIENCE):
            while self.connections < times:
                self._changed.clear()
                await self._changed.wait()

    # --- what happens on the telephone network

    def rings(self, leg_id: str) -> None:
        self.tell("ChannelStateChange", channel=self.known(leg_id, "Ringing"))

    def answers(self, leg_id: str) -> None:
        """Up, and in the application's hands."""
        self.tell("ChannelStateChange", channel=self.known(leg_id, "Up"))
        self.starts(leg_id)

    def starts(self, leg_id: str) -> None:
        self.tell("StasisStart", channel=self.known(leg_id, "Up"), args=[])

    def offers(self, leg_id: str, dialled: str = "+33123456789") -> None:
        channel = self.known(leg_id, "Ring", dialled)
        self.tell("CallBroadcast", channel=channel, called=dialled)

    def presses(self, leg_id: str, digits: str) -> None:
        for digit in digits:
            self.tell("ChannelDtmfReceived", channel=self.known(leg_id), digit=digit, duration_ms=90)

    def requests_hangup(self, leg_id: str, **cause: Any) -> None:
        self.tell("ChannelHangupRequest", channel=self.known(leg_id), **cause)

    def leaves(self, leg_id: str) -> None:
        self.tell("StasisEnd", channel=self.known(leg_id))

    def is_destroyed(self, leg_id: str, cause: int = 16, text: str = "Normal Clearing", **sip: int) -> None:
        channel = self.known(leg_id)
        del self.channels[leg_id]
        self.tell("ChannelDestroyed", channel=channel, cause=cause, cause_txt=text, **sip)

    def hangs_up(self, leg_id: str, cause: int = 16, text: str = "Normal Clearing", **sip: int) -> None:
        self.leaves(leg_id)
        self.is_destroyed(leg_id, cause, text, **sip)

    def finishes_playing(self, request: Request, state: str = "done") -> None:
        """Ends the sound which ``request`` (POST channels/ID/play/ID) began."""
        _, leg_id, _, playback_id = request.path.split("/")
        playback = {"id": playback_id, "media_uri": request.query["media"], "state": state}
        self.tell("PlaybackFinished", playback=playback | {"target_uri": f"channel:{leg_id}"})

    def finishes_recording(self, name: str, event: str = "RecordingFinished", **facts: Any) -> None:
        self.tell(event, recording={"name": name, "format": "wav", "state": "done", **facts})

    def tell(self, event: str, **fields: Any) -> None:
        """Sends an event, ``copies`` times."""
        for _ in range(self.copies):
            self._send({"type": event, "timestamp": NOW, "application": "vigie-w1", **fields})
        while self._overdue:
            self._send(self._overdue.pop(0))

    def babble(self, frame: str) -> None:
        """Sends a frame that is no event at all."""
        self._sending.put_nowait(frame)

    def fragment(self, *parts: str) -> None:
        """Sends one frame in parts."""
        self._sending.put_nowait(parts)

    def hang(self) -> None:
        """From now on hears nothing of what comes over this connection, not even a ping."""
        assert self._socket is not None
        self._socket.transport.pause_reading()

    async def bid_farewell(self, code: int, reason: str) -> None:
        """Ends the connection as the protocol wants it, and waits for the answer."""
        assert self._socket is not None
        await self._socket.close(code, reason)

    def cut(self) -> None:
        """Cuts the connection as a broken network does: no farewell, and what was not sent yet is lost."""
        self._sending = asyncio.Queue()
        self._held.clear()
        if self._socket is not None:
            self._socket.transport.abort()

    def known(self, leg_id: str, state: str | None = None, dialled: str = "s") -> dict[str, Any]:
        channel = self.channels.setdefault(
            leg_id,
            {
                "id": leg_id,
                "name": f"PJSIP/trunk-{leg_id}",
                "state": "Down",
                "caller": {"name": "", "number": "+33612345678"},
                "dialplan": {"context": "vigie-in", "exten": dialled, "priority": 1},
                "creationtime": NOW,
                "language": "fr",
                "channelvars": {"VIGIE_CALL": "c1"},
            },
        )
        if state is not None:
            channel = self.channels[leg_id] = channel | {"state": state}
        return channel

    # --- the wire

    def _admit(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        if self.refuses_everybody is not None:
            return connection.respond(self.refuses_everybody, "")
        if request.headers.get("Authorization") != build_authorization_basic(*USER):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "")
        if request.path.startswith("/ari/events?"):
            return None
        content = self._content(request.path.removeprefix("/ari/"))
        if content is None:
            return connection.respond(HTTPStatus.NOT_FOUND, self.not_found)
        response = connection.respond(HTTPStatus.OK, "")
        response.body = content
        del response.headers["Content-Length"]
        response.headers["Content-Length"] = str(len(content))
        return response

    def _content(self, path: str) -> bytes | None:
        """What there is to fetch: listings, which are too long for the socket, and files."""
        listings = {"channels": list(self.channels.values()), "bridges": [], "recordings/stored": []}
        return json.dumps(listings[path]).encode() if path in listings else self.files.get(path)

    async def _carry(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.connections += 1
        self._changed.set()
        sending = asyncio.create_task(self._send_all(socket, self._sending))
        try:
            async for frame in socket:
                self._answer(json.loads(frame))
        except ConnectionClosed:
            pass
        finally:
            sending.cancel()

    async def _send_all(self, socket: ServerConnection, frames: asyncio.Queue[str | tuple[str, ...]]) -> None:
        while True:
            await socket.send(await frames.get())

    def _answer(self, message: dict[str, Any]) -> None:
        address = urlsplit(message["uri"])
        body = json.loads(message["message_body"]) if "message_body" in message else None
        query = dict(parse_qsl(address.query, keep_blank_values=True, strict_parsing=bool(address.query)))
        request = Request(message["method"], address.path, query, body)
        self.requests.append(request)
        self._changed.set()
        if reaction := self._reactions.get(request.name):
            reaction()
        status, payload = self._replies.get(request.name) or self._usual(request)
        reply = {"type": "RESTResponse", "request_id": message["request_id"], "status_code": status}
        reply |= {"reason_phrase": HTTPStatus(status).phrase, "uri": address.path}
        if payload is not None:
            reply |= {"content_type": "application/json", "message_body": json.dumps(payload)}
        if request.name in self._held:
            self._held[request.name].append(reply)
        elif self.late:
            self._overdue.append(reply)
        else:
            self._send(reply)

    def _usual(self, request: Request) -> tuple[int, Any]:
        if request.name == "GET asterisk/info":
            return 200, {"status": {"startup_time": self.startup_time}}
        if request.name == "GET asterisk/variable":
            return 200, {"value": self.variables.get(request.query["variable"], "")}
        if request.name == "POST asterisk/variable":
            if "value" in request.query:
                self.variables[request.query["variable"]] = request.query["value"]
            else:
                self.variables.pop(request.query["variable"], None)
        if request.name == "GET applications":
            return 200, [{"name": name} for name in self.applications]
        if request.method == "POST" and request.path.count("/") == 1 and request.path.startswith("channels/"):
            return 200, self.known(request.path.removeprefix("channels/"))
        return 204, None

    def _send(self, message: dict[str, Any]) -> None:
        self._sending.put_nowait(json.dumps(message))
