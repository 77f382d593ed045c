"""The way to the mail server: its address, a connection to it, and what its refusals mean (RFC 5321)."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from notify.errors import BadMailSetting, ServerUnavailable, TooBig, TransportError

CONNECT_SECONDS = 15
REPLY_SECONDS = 120
"""A server may scan the whole message before it answers."""

DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
LOGIN_WANTED = frozenset({530, 534, 535, 538})
TOO_BIG = 552
"""Said of the mail's size (RFC 1870), and of a mailbox that is full."""
TOO_BIG_IN_DETAIL = ("5.2.3", "5.3.4")
"""Enhanced codes (RFC 3463) that some servers give with other replies."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail leaves: smtp is never encrypted, smtp+starttls and smtps always, and verified."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """The server that such a URL names: ``smtp+starttls://user:p%40ss@mail.example.org:587``.

        User and password are percent-encoded. Raises BadMailSetting, never with the password in its text.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadMailSetting("VIGIE_SMTP_URL: the port must be a number from 1 to 65535") from None
        if parts.scheme not in DEFAULT_PORTS:
            raise BadMailSetting("VIGIE_SMTP_URL must begin with smtp://, smtp+starttls:// or smtps://")
        if not parts.hostname or port == 0:
            raise BadMailSetting(f"VIGIE_SMTP_URL must name a server, such as {parts.scheme}://mail.example.org")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise BadMailSetting(
                "VIGIE_SMTP_URL: nothing may follow the port; write @ / ? # in a password as %40 %2F %3F %23"
            )
        if (parts.username is None) != (parts.password is None):
            raise BadMailSetting("VIGIE_SMTP_URL: give both user and password, or neither")
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        if user is not None and parts.scheme == "smtp" and not _is_loopback(parts.hostname):
            raise BadMailSetting(
                "VIGIE_SMTP_URL: smtp:// would send the password unencrypted; use smtp+starttls:// or smtps://"
            )
        return cls(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], user, password)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class SmtpConnection:
    """A connection made at the first message, and made again where the server has closed it."""

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext, hostname: str) -> None:
        self._server = server
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            local_hostname=hostname,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "smtp+starttls",
            tls_context=tls,
            timeout=REPLY_SECONDS,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._client.is_connected and kind is None:
                await self._client.quit(timeout=CONNECT_SECONDS)
        except (aiosmtplib.SMTPException, OSError):
            pass  # What it acknowledged stays acknowledged, however it says goodbye.
        finally:
            self._client.close()

    async def send(self, mail: EmailMessage, sender: str, recipient: str) -> str:
        """The server's words as it took charge of the mail. Raises TransportError where it did not."""
        await self._connect()
        try:
            _, reply = await self._client.send_message(mail, sender=sender, recipients=[recipient])
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._meaning_of(error) from error
        except asyncio.CancelledError:
            self._client.close()  # a reply that still comes must not be taken for one to the next mail
            raise
        return reply

    async def _connect(self) -> None:
        if self._client.is_connected:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._client.connect()
        except TimeoutError as error:
            raise ServerUnavailable(f"{self._server} does not answer") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ServerUnavailable(f"{self._server}: {_one_line(error)}") from error

    def _meaning_of(self, error: Exception) -> TransportError:
        """Whether a failed mail may be tried again, and whether the mail or the server is at fault."""
        match error:
            case aiosmtplib.SMTPRecipientsRefused(recipients=[refusal, *_]):
                return self._meaning_of(refusal)
            case aiosmtplib.SMTPResponseException(code=code) if code == 421 or code in LOGIN_WANTED:
                return ServerUnavailable(f"{self._server}: {_one_line(error)}")
            case aiosmtplib.SMTPResponseException(code=code, message=words) if code == TOO_BIG or words.startswith(
                TOO_BIG_IN_DETAIL
            ):
                return TooBig(_one_line(error))
            case aiosmtplib.SMTPSenderRefused():
                return ServerUnavailable(f"{self._server} refuses our sender address: {_one_line(error)}")
            case aiosmtplib.SMTPResponseException(code=code):
                return TransportError(_one_line(error), permanent=code >= 500)
            case aiosmtplib.SMTPNotSupported() | ValueError():
                return TransportError(f"not an address this server can take: {_one_line(error)}", permanent=True)
            case _:
                return TransportError(f"{self._server}: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    match error:
        case aiosmtplib.SMTPResponseException(code=code, message=message):
            return " ".join(f"{code} {message}".split())
        case _:
            return " ".join(str(error).split()) or type(error).__name__
