"""Carriers that are out of order: one takes no call, and says so, or says nothing; one sends each call back to us."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Self

from lab.wire import Message, Wire
from vigie.settings import SocketAddress

_COPIED = re.compile(r"^(?:via|from|to|call-id|cseq)\s*:", re.IGNORECASE)
"""The headers that a response takes over from its request (RFC 3261, 8.2.6)."""


class CarrierOutOfOrder(asyncio.DatagramProtocol):
    """Listens for SIP over UDP while it is entered. Change its two answers at any time; None is silence."""

    def __init__(self, address: SocketAddress) -> None:
        self.address = address
        self.to_invite: str | None = "503 Service Unavailable"
        self.to_options: str | None = "200 OK"
        self.called: list[str] = []
        """The numbers it was asked to call, each once for each INVITE that reached it."""
        self.invites: list[str] = []
        """Those INVITEs, up to their bodies."""
        self.cancelled: list[str] = []
        """Those that it was asked to call no more."""
        self._invites: dict[str, tuple[list[str], tuple[str, int]]] = {}

    async def __aenter__(self) -> Self:
        where = (self.address.host, self.address.port)
        self._closed = asyncio.Event()
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=where)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        await self._closed.wait()

    def connection_lost(self, _: Exception | None) -> None:
        self._closed.set()

    def in_its_usual_disorder(self) -> None:
        """Refuses all calls, but answers OPTIONS."""
        self.to_invite, self.to_options = "503 Service Unavailable", "200 OK"
        self.called.clear()
        self.invites.clear()
        self.cancelled.clear()
        self._invites.clear()

    def says_nothing(self) -> None:
        self.to_invite = self.to_options = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        head = data.decode(errors="replace").partition("\r\n\r\n")[0].split("\r\n")
        method, uri, *_ = head[0].split(" ")
        if method in ("INVITE", "CANCEL"):
            asked = self.called if method == "INVITE" else self.cancelled
            asked.append(uri.removeprefix("sip:").partition("@")[0])
        status = {"INVITE": self.to_invite, "OPTIONS": self.to_options, "CANCEL": "200 OK"}.get(method)
        if status is not None:
            self._answer(head[1:], status, sender)
        if method == "INVITE":
            self.invites.append("\r\n".join([*head, ""]))
            self._invites[_call_id(head)] = head[1:], sender
        elif method == "CANCEL" and (invite := self._invites.pop(_call_id(head), None)):
            self._answer(invite[0], "487 Request Terminated", sender)

    def ends_calls(self, status: str) -> None:
        """Gives this final response to all calls that it has not ended yet."""
        for request, sender in self._invites.values():
            self._answer(request, status, sender)
        self._invites.clear()

    def _answer(self, request: Sequence[str], status: str, sender: tuple[str, int]) -> None:
        copied = [_tagged(line) for line in request if _COPIED.match(line)]
        response = "\r\n".join([f"SIP/2.0 {status}", *copied, "Content-Length: 0", "", ""])
        self._transport.sendto(response.encode(), sender)


def _call_id(head: Sequence[str]) -> str:
    return next(line for line in head if line.lower().startswith("call-id"))


class DivertingCarrier(Wire):
    """Sends calls for mobiles on to an on-call number, ``to``, as the subscribers wish, and hands the answers back."""

    def __init__(self, address: SocketAddress, pbx: SocketAddress) -> None:
        super().__init__(address, pbx)
        self.to = ""
        self.from_: str | None = None
        """Who calls, as the diverted call says it; None: whoever called the mobile."""
        self.telling: Callable[[str, str], str] = lambda _mobile, _to: ""
        """The header that tells of the diversion of a mobile; none when it is empty."""
        self.answers: list[str] = []
        """What became of each call that was sent on."""
        self.on_invite = self._diverts
        self._diverting: set[asyncio.Task[None]] = set()

    def diverts(self, to: str, telling: Callable[[str, str], str], from_: str | None = None) -> None:
        self.to, self.telling, self.from_ = to, telling, from_
        self.answers.clear()

    def _diverts(self, invite: Message) -> None:
        if invite.header("Call-ID") not in {task.get_name() for task in self._diverting}:
            self._diverting.add(asyncio.create_task(self._divert(invite), name=invite.header("Call-ID")))

    async def _divert(self, invite: Message) -> None:
        self.answer(invite, "181 Call Is Being Forwarded")
        mobile = invite.first_line.partition("sip:")[2].partition("@")[0]
        header = self.telling(mobile, self.to)
        from_ = self.from_ or invite.header("From").partition(";tag=")[0]
        response = await self.ask(
            self.invite(self.to, from_=from_, headers=[header] if header else [], body=self.session()), within=20
        )
        self.answers.append(response.first_line)
        self.answer(invite, response.first_line.removeprefix("SIP/2.0 "))


def _tagged(header: str) -> str:
    is_untagged_to = header.lower().startswith("to") and "tag=" not in header
    return f"{header};tag=disorder" if is_untagged_to else header
