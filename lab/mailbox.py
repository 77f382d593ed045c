"""A real mail server that keeps what it receives, and that can be down, be slow, or refuse somebody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from lab.sound import Sound
from lab.waiting import until


@dataclass(frozen=True, slots=True)
class Letter:
    """One received mail: the envelope's recipient and the message."""

    recipient: str
    message: EmailMessage
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def about(self) -> str:
        """The id of the call that it tells of."""
        return str(self.message["X-Vigie-Call"])

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The plain-text body."""
        body = self.message.get_body(("plain",))
        assert body is not None, f"a mail without text: {self.message}"
        return str(body.get_content())

    @property
    def attachment_names(self) -> list[str]:
        return [part.get_filename() or "" for part in self.message.iter_attachments()]

    @property
    def sound(self) -> Sound:
        """What the attached WAV file sounds like; ``AssertionError`` when none is attached."""
        for part in self.message.iter_attachments():
            if part.get_content_type() in ("audio/wav", "audio/x-wav", "audio/vnd.wave"):
                content = part.get_content()
                assert isinstance(content, bytes)
                return Sound.from_wav(content)
        raise AssertionError(f"no WAV file among the attachments {self.attachment_names}")


class Mailbox:
    """The mail server, listening on ``host:port`` while it is entered and up."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.letters: list[Letter] = []
        self.turned_away: list[str] = []
        """Recipients refused so far, in order."""
        self.slowness = 0.0
        """How many seconds it takes to acknowledge a mail."""
        self._refused: dict[str, str] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.comes_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.goes_down()

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    async def comes_up(self) -> None:
        loop = asyncio.get_running_loop()
        make = lambda: SMTP(self, hostname="mail.lab", loop=loop, enable_SMTPUTF8=True)  # noqa: E731
        self._server = await loop.create_server(make, self.host, self.port)

    async def goes_down(self) -> None:
        """Stops listening: from now on connections are refused."""
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def refuses(self, recipient: str, answer: str = "550 5.1.1 No such mailbox") -> None:
        """Turns mail to ``recipient`` away with this SMTP answer (4xx for now, 5xx for good)."""
        self._refused[recipient] = answer

    def refuses_nobody(self) -> None:
        """From now on takes everybody's mail."""
        self._refused.clear()

    def letters_to(self, recipient: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.recipient == recipient]

    async def receives(self, recipient: str, *, about: str | None = None, within: float = 15) -> Letter:
        """The first mail for ``recipient`` (about this call), waiting for it at most ``within`` seconds."""

        def found() -> list[Letter]:
            return [letter for letter in self.letters_to(recipient) if about in (None, letter.about)]

        await until(
            lambda: bool(found()),
            within=within,
            hoped=f"a mail to {recipient}",
            instead=lambda: f"mails came for {[letter.recipient for letter in self.letters]}",
        )
        return found()[0]

    async def turns_away(self, recipient: str, *, within: float = 15) -> None:
        """Waits until a mail to ``recipient`` has been refused."""
        await until(
            lambda: recipient in self.turned_away,
            within=within,
            hoped=f"a mail to {recipient} turned away",
            instead=lambda: f"turned away so far: {self.turned_away}",
        )

    # What aiosmtpd calls.

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if answer := self._refused.get(address):
            self.turned_away.append(address)
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        assert isinstance(envelope.content, bytes)
        message = BytesParser(policy=policy.default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.letters += [Letter(recipient, message) for recipient in envelope.rcpt_tos]
        await asyncio.sleep(self.slowness)
        return "250 OK"
