"""SIP as text on a UDP socket, for peers that do what no telephone would: nothing is checked, nothing is sent again."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from uuid import uuid4

from lab.waiting import until
from vigie.settings import SocketAddress

SESSION = """\
v=0
o=- 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
"""
_COPIED = re.compile(r"^(?:via|record-route|from|call-id|cseq):", re.IGNORECASE)
"""What a response takes over from its request as it is (RFC 3261, 8.2.6)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response."""

    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\r\n")[0]

    @property
    def status(self) -> int:
        """The code of a response; 0 for a request."""
        return int(self.first_line.split(" ")[1]) if self.first_line.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """What is asked for, or what a response answers."""
        return self.header("CSeq").rpartition(" ")[2]

    def header(self, name: str) -> str:
        """The value of the first header of that name; empty when there is none."""
        found = re.search(rf"^{name}: *(.*?)\r$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    @property
    def media(self) -> SocketAddress:
        """Where its sender wants to hear sound."""
        found = re.search(r"^c=IN IP4 (\S+).*^m=audio (\d+)", self.text, re.MULTILINE | re.DOTALL)
        assert found, f"no address for sound in {self.text}"
        return SocketAddress(found[1], int(found[2]))


class Wire(asyncio.DatagramProtocol):
    """The socket of somebody at ``address`` (port 0: any) who talks to ``pbx``, while it is entered.

    By itself it answers what it is asked, but for an INVITE, with 200. A call goes to ``on_invite``, what acknowledges
    our answer to ``on_ack``, and the INVITE of a call that is cancelled to ``on_cancel``.
    """

    def __init__(self, address: SocketAddress, pbx: SocketAddress) -> None:
        self.address = address
        self.pbx = pbx
        self.heard: list[Message] = []
        self.vanished = False
        """Nobody is there any more: nothing is heard, nothing answered."""
        self.on_invite: Callable[[Message], None] = lambda _: None
        self.on_ack: Callable[[Message], None] = lambda _: None
        self.on_cancel: Callable[[Message], None] = lambda invite: self.answer(invite, "487 Request Terminated")

    async def __aenter__(self) -> Self:
        self._closed = asyncio.Event()
        where = (self.address.host, self.address.port)
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=where)
        self.address = SocketAddress(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        await self._closed.wait()

    def connection_lost(self, _: Exception | None) -> None:
        self._closed.set()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if self.vanished:
            return
        message = Message(data.decode(errors="surrogateescape"))
        self.heard.append(message)
        if message.status:
            return
        if message.method in ("INVITE", "ACK"):
            (self.on_invite if message.method == "INVITE" else self.on_ack)(message)
            return
        self.answer(message, "200 OK")
        if message.method == "CANCEL":
            call = message.header("Call-ID")
            self.on_cancel(next(each for each in self.heard if each.header("Call-ID") == call))

    def send(self, message: str | bytes) -> None:
        """Sends it as it is; what is not UTF-8 in a text, it holds as surrogates (``surrogateescape``)."""
        data = message.encode(errors="surrogateescape") if isinstance(message, str) else message
        self._transport.sendto(data, (self.pbx.host, self.pbx.port))

    def uri(self, user: str = "") -> str:
        """The address of somebody or something at the PBX."""
        return f"sip:{user}@{self.pbx}" if user else f"sip:{self.pbx}"

    def session(self, port: int = 9) -> str:
        """An offer or answer of G.711 sound and keys at a port of ours."""
        return SESSION.format(host=self.address.host, port=port).replace("\n", "\r\n")

    def request(
        self,
        method: str,
        uri: str,
        *,
        from_: str = "<sip:+33655000002@carrier.lab>",
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        contact: str = "",
        headers: Iterable[str] = (),
        body: str = "",
        kind: str = "application/sdp",
    ) -> str:
        """The text of a request; ``kind`` is its body's."""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};rport;branch=z9hG4bK{uuid4().hex}",
            f"From: {from_ if ';tag=' in from_ else f'{from_};tag=wire'}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or uuid4().hex}",
            f"CSeq: {cseq} {method}",
            f"Contact: {contact or f'<sip:wire@{self.address}>'}",
            "Max-Forwards: 70",
            *headers,
            *([f"Content-Type: {kind}"] if body else []),
            f"Content-Length: {len(body.encode(errors='surrogateescape'))}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def invite(self, user: str, **parts: Any) -> str:
        """The text of a call to somebody at the PBX."""
        return self.request("INVITE", self.uri(user), **{"body": self.session(), **parts})

    def answer(self, request: Message, status: str, *, body: str = "", tag: str = "wire", contact: str = "") -> None:
        """Sends the response ``status`` ("180 Ringing") to a request."""
        to = request.header("To")
        lines = [
            f"SIP/2.0 {status}",
            *(line for line in request.text.split("\r\n") if _COPIED.match(line)),
            f"To: {to if ';tag=' in to else f'{to};tag={tag}'}",
            f"Contact: {contact or f'<sip:wire@{self.address}>'}",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.send("\r\n".join(lines) + "\r\n\r\n" + body)

    async def hears(self, what: Callable[[Message], bool], hoped: str, *, within: float = 5) -> Message:
        """The first message, come already or to come, for which ``what`` holds."""
        await until(
            lambda: any(map(what, self.heard)),
            within=within,
            hoped=hoped,
            instead=lambda: f"last heard {[message.first_line for message in self.heard[-9:]]}",
        )
        return next(filter(what, self.heard))

    async def is_asked(self, method: str, *, within: float = 5) -> Message:
        """The first request of that method."""
        return await self.hears(lambda said: not said.status and said.method == method, method, within=within)

    async def ask(self, request: str, *, within: float = 5) -> Message:
        """Sends a request and returns its final response; that to an INVITE is acknowledged."""
        self.send(request)
        asked = Message(request)
        key = asked.header("Call-ID"), asked.header("CSeq")
        response = await self.hears(
            lambda said: said.status >= 200 and (said.header("Call-ID"), said.header("CSeq")) == key,
            f"an answer to {asked.first_line[:200]!r}",
            within=within,
        )
        if asked.method == "INVITE":
            self.acknowledge(asked, response)
        return response

    async def call(self, user: str, port: int, *, within: float = 5, **parts: Any) -> Dialog:
        """Our side of a call to somebody at the PBX, once it is answered; we hear at ``port``."""
        answer = await self.ask(self.invite(user, **{"body": self.session(port), **parts}), within=within)
        assert answer.status == 200, answer.first_line
        return Dialog.of_caller(self, answer)

    def take(self, invite: Message, port: int) -> Dialog:
        """Answers a call, and returns our side of it; we hear at ``port``."""
        self.answer(invite, "200 OK", body=self.session(port))
        return Dialog.of_called(self, invite)

    def acknowledge(self, invite: Message, response: Message) -> None:
        """Sends the ACK for a final response: part of the INVITE's transaction unless it is a success."""
        head = _about(invite.text, "ACK").replace(f"To: {invite.header('To')}", f"To: {response.header('To')}", 1)
        self.send(head.replace("branch=z9hG4bK", "branch=z9hG4bKack") if response.status < 300 else head)

    def cancel(self, invite: str) -> None:
        """Takes back a call that has not been answered."""
        self.send(_about(invite, "CANCEL"))

    async def ends(self, invite: str) -> Message:
        """The final response to a call."""
        call = Message(invite).header("Call-ID")
        return await self.hears(partial(_is_final, call), f"how {call} ends", within=15)

    async def leave(self) -> None:
        """Waits for the answers to all calls of ours that are being tried, acknowledges them and hangs up."""
        calls = {said.header("Call-ID") for said in self.heard if said.status == 100}
        for call in calls:
            answer = await self.hears(partial(_is_final, call), f"the answer to {call}")
            if answer.status == 200:
                dialog = Dialog.of_caller(self, answer)
                self.send(dialog.text("ACK", cseq=int(answer.header("CSeq").split(" ")[0])))
                await dialog.ask("BYE")

    async def log_in(self, method: str, uri: str, user: str, password: str, **parts: Any) -> Message:
        """The response to a request of the phone ``user`` that is sent again with the password when it is asked for."""
        parts = {"from_": f"<{self.uri(user)}>", "call_id": uuid4().hex, **parts}
        challenge = await self.ask(self.request(method, uri, **parts))
        if challenge.status != 401:
            return challenge
        login = _login(challenge.header("WWW-Authenticate"), user, password, method, uri)
        parts["headers"] = [*parts.get("headers", ()), login]
        return await self.ask(self.request(method, uri, cseq=2, **parts))

    async def register(self, user: str, password: str, *, contact: str = "", seconds: int = 60) -> Message:
        """The response to a registration of the phone ``user`` at this address, or at the SIP URI ``contact``."""
        contact = f"<{contact or f'sip:{user}@{self.address}'}>;expires={seconds}"
        return await self.log_in("REGISTER", self.uri(), user, password, to=f"<{self.uri(user)}>", contact=contact)


@dataclass(slots=True)
class Dialog:
    """One side of a call that has been answered."""

    wire: Wire
    local: str
    remote: str
    call_id: str
    target: str
    media: SocketAddress
    """Where the other side wants to hear us."""
    cseq: int = 10

    @classmethod
    def of_caller(cls, wire: Wire, answer: Message) -> Self:
        return cls(
            wire, answer.header("From"), answer.header("To"), answer.header("Call-ID"), _bare(answer), answer.media
        )

    @classmethod
    def of_called(cls, wire: Wire, invite: Message) -> Self:
        local = f"{invite.header('To')};tag=wire"
        return cls(wire, local, invite.header("From"), invite.header("Call-ID"), _bare(invite), invite.media)

    def text(self, method: str, **parts: Any) -> str:
        """A further request of the call."""
        self.cseq += 1
        parts = {"from_": self.local, "to": self.remote, "call_id": self.call_id, "cseq": self.cseq, **parts}
        return self.wire.request(method, self.target, **parts)

    async def ask(self, method: str, **parts: Any) -> Message:
        """The response to a further request of the call."""
        return await self.wire.ask(self.text(method, **parts))


def _is_final(call_id: str, said: Message) -> bool:
    return said.status >= 200 and said.method == "INVITE" and said.header("Call-ID") == call_id


def _about(invite: str, method: str) -> str:
    """The text of the request ``method`` that goes with an INVITE."""
    lines = [line for line in invite.partition("\r\n\r\n")[0].split("\r\n") if not line.startswith("Content-")]
    text = "\r\n".join([*lines, "Content-Length: 0", "", ""])
    return text.replace("INVITE ", f"{method} ", 1).replace(" INVITE\r", f" {method}\r")


def _bare(message: Message) -> str:
    """The URI in a message's Contact."""
    return message.header("Contact").partition("<")[2].partition(">")[0]


def _login(challenge: str, user: str, password: str, method: str, uri: str) -> str:
    """The header that proves who we are (RFC 7616, MD5)."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))

    def digest(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    secret, what = digest(user, given["realm"], password), digest(method, uri)
    response = digest(secret, given["nonce"], "00000001", "c", "auth", what)
    return (
        f'Authorization: Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm=MD5, qop=auth, cnonce="c", nc=00000001, opaque="{given.get("opaque", "")}"'
    )
