"""A real SMTP server in the test's own event loop, with the moods of mail servers in the world."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

DEADLINE_SECONDS = 10


@dataclass(frozen=True)
class Delivery:
    """One mail that the server took charge of; ``connection`` numbers the connection it came over."""

    recipient: str
    mail: EmailMessage
    connection: int
    encrypted: bool
    user: str | None


@dataclass
class MailServer:
    """Listens while used as an async context; ``stop`` and ``start`` take it down and bring it back."""

    tls: ssl.SSLContext | None = None
    tls_from_start: bool = False
    login: tuple[str, str] | None = None
    refusals: dict[str, list[str]] = field(default_factory=dict)
    """Per recipient, the replies to its next RCPT commands; the last one stays for good if it is 5xx."""
    hangs_up_before_reply: int = 0
    """How many of the next mails are met with a closed connection instead of a reply."""
    closes_after_reply: bool = False
    ill_at: str | None = None
    """The command to which it does not reply as it should: EHLO, MAIL, RCPT, DATA, QUIT; or "banner", before any; or
    "end", when the whole mail has been taken in."""
    illness: str = "hangs up"
    """What it does then: "hangs up", "says nothing", or "trickles": one byte at a time, and at last the whole reply."""
    largest: int | None = None
    """The size in bytes that a mail may have; it is told to the client."""
    largest_taken: int | None = None
    """The same, but it turns out only when the mail is there."""
    may_reply: asyncio.Event = field(default_factory=asyncio.Event)
    deliveries: list[Delivery] = field(default_factory=list)
    data_commands: int = 0
    connections: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self.may_reply.set()
        self._listener: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self._open: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.may_reply.set()
        await self.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, ssl=self.tls if self.tls_from_start else None
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nobody listens any more, and open connections are cut."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self._open:
            connection.cut()
        self._open.clear()

    def falls_ill(self, at: str, illness: str) -> None:
        self.ill_at, self.illness = at, illness

    def recovers(self) -> None:
        self.ill_at = None

    def refuses(self, recipient: str, *replies: str) -> None:
        self.refusals[recipient] = list(replies)

    async def receives(self, count: int = 1) -> list[Delivery]:
        """All deliveries, once there are that many."""
        await self._until(lambda: len(self.deliveries) >= count)
        return self.deliveries

    async def is_sent_data(self, count: int = 1) -> None:
        """Returns when that many mails were sent to the server, answered or not."""
        await self._until(lambda: self.data_commands >= count)

    async def note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, condition: Any) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), self._changed:
            await self._changed.wait_for(condition)

    # What aiosmtpd calls for each command:

    async def handle_RCPT(  # noqa: N802
        self, server: "_Connection", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        replies = self.refusals.get(address)
        if replies:
            return replies[0] if len(replies) == 1 and replies[0].startswith("5") else replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: "_Connection", session: Session, envelope: Envelope
    ) -> str:
        self.data_commands += 1
        await self.note()
        await self.may_reply.wait()
        if self.hangs_up_before_reply:
            self.hangs_up_before_reply -= 1
            server.cut()
            return "421 never sent"
        assert isinstance(envelope.content, bytes)
        if self.largest_taken is not None and len(envelope.content) > self.largest_taken:
            return "552 5.3.4 message too big"
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        (recipient,) = envelope.rcpt_tos
        user = session.auth_data.login.decode() if session.auth_data else None
        self.deliveries.append(Delivery(recipient, mail, server.number, session.ssl is not None, user))
        await self.note()
        return "250 queued"


class _Connection(SMTP):
    """aiosmtpd's protocol, told to us when it opens and closes."""

    def __init__(self, mail_server: MailServer) -> None:
        login = mail_server.login
        super().__init__(
            mail_server,
            hostname="mail.test",
            data_size_limit=mail_server.largest,
            tls_context=None if mail_server.tls_from_start else mail_server.tls,
            require_starttls=mail_server.tls is not None and not mail_server.tls_from_start,
            auth_required=login is not None,
            auth_require_tls=mail_server.tls is not None and not mail_server.tls_from_start,
            authenticator=self._check if login else None,
        )
        self._mail_server = mail_server
        self.number = 0
        self._stage = "banner"
        self._smtp_methods = {name: self._staged(name, method) for name, method in self._smtp_methods.items()}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self.number:  # STARTTLS calls this again
            self._mail_server.connections += 1
            self.number = self._mail_server.connections
            self._line = transport
        self._mail_server._open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._mail_server._open.discard(self)

    def cut(self) -> None:
        self._line.close()

    async def push(self, status: Any) -> None:
        """Sends a reply, in the way in which the server replies at this stage."""
        stage, self._stage = self._stage, "end" if self._stage == "DATA" else self._stage
        if stage != self._mail_server.ill_at:
            await super().push(status)
        elif self._mail_server.illness == "hangs up":
            self.cut()
        elif self._mail_server.illness == "says nothing":
            await asyncio.Event().wait()  # to the end of the connection
        else:
            reply = status if isinstance(status, bytes) else status.encode()
            for byte in reply + b"\r\n":
                self._writer.write(bytes([byte]))
                await asyncio.sleep(0.002)

    def _staged(self, name: str, method: Any) -> Any:
        async def staged(argument: str | None) -> None:
            self._stage = name
            await method(argument)

        return staged

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        await super().smtp_DATA(arg)
        if self._mail_server.closes_after_reply:
            self.cut()

    def _check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert self._mail_server.login is not None
        user, password = self._mail_server.login
        known = LoginPassword(user.encode(), password.encode())
        return AuthResult(success=data == known, auth_data=data, handled=False)
