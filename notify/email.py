"""Messages as e-mail: what a mail is made of, and the transport that takes it to the mail server."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from uuid import UUID

from notify.errors import BadMailSetting, TransportError
from notify.messages import Message, Recipient
from notify.smtp import SmtpConnection, SmtpServer
from oncall.printable import one_line


def parse_sender(text: str) -> Address:
    """Our own address, from « Vigie <vigie@example.org> » or a bare address. Raises BadMailSetting."""
    name, address = parseaddr(text)
    try:
        sender = Address(name, addr_spec=address)
    except (ValueError, MessageError, IndexError):
        sender = Address()
    if not sender.username or not sender.domain:
        raise BadMailSetting(f"VIGIE_MAIL_FROM: {text!r} is not an e-mail address such as Vigie <vigie@example.org>")
    return sender


def compose(
    message: Message, *, sender: Address, recipient: Recipient, key: UUID, call: UUID, now: datetime
) -> EmailMessage:
    """The whole mail. Its Message-ID depends on ``key`` only, so that a mail sent twice is known as one.

    Raises TransportError (permanent) where the recipient is not an address.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    try:
        mail["To"] = Address(one_line(recipient.name or ""), addr_spec=recipient.address)
    except (ValueError, MessageError, IndexError) as error:
        raise TransportError(f"{recipient.address!r} is not an e-mail address", permanent=True) from error
    mail["Subject"] = one_line(message.subject)
    mail["Date"] = now
    mail["Message-ID"] = f"<{key}@{_ascii(sender.domain)}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps holiday notices from answering
    mail["X-Vigie-Call"] = str(call)
    mail.set_content(message.text, cte="quoted-printable")
    mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
    for attachment in message.attachments:
        mail.add_attachment(attachment.content, maintype="audio", subtype=attachment.subtype, filename=attachment.name)
    mail["Content-Language"] = message.language  # last: wrapping moves Content-… headers into the wrapped part
    return mail


class EmailTransport:
    """The way out for e-mail. ``tls`` replaces the system's trusted authorities."""

    channel = "email"

    def __init__(self, server: SmtpServer, sender: Address, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._sender = sender
        self._tls = tls or ssl.create_default_context()

    @asynccontextmanager
    async def session(self) -> AsyncIterator["EmailSession"]:
        """A connection to send over, for one coroutine; nothing is connected before the first mail."""
        # The sender's domain greets the server: the machine's own name is rarely one that servers accept.
        async with SmtpConnection(self._server, self._tls, hostname=_ascii(self._sender.domain)) as connection:
            yield EmailSession(connection, self._sender)


class EmailSession:
    def __init__(self, connection: SmtpConnection, sender: Address) -> None:
        self._connection = connection
        self._sender = sender

    async def send(self, message: Message, *, recipient: Recipient, key: UUID, call: UUID) -> str:
        """The server's words as it took charge of the mail. Raises TransportError where it did not."""
        mail = compose(message, sender=self._sender, recipient=recipient, key=key, call=call, now=datetime.now(UTC))
        return await self._connection.send(mail, self._sender.addr_spec, recipient.address)


def _ascii(domain: str) -> str:
    return domain.encode("idna").decode("ascii")
