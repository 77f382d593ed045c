"""Mails over real SMTP: what the server receives, and what its refusals mean to us."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest

from notify.email import EmailTransport, parse_sender
from notify.errors import BadMailSetting, ServerUnavailable, TransportError
from notify.messages import Attachment, Message, Recipient
from notify.smtp import SmtpServer
from tests.support.certificates import Certificate, make_certificate
from tests.support.mail_server import MailServer

WAV = b"RIFF" + bytes(range(256)) * 40
MESSAGE = Message(
    language="fr",
    subject="Message vocal de 06 12 34 56 78 — Support (23/11/2026 03:12)",
    text="Bonjour à tous.\n.\nFin.\n",
    html="<p>Bonjour à tous.</p>",
    attachments=(Attachment("2026-11-23_03-12_+33612345678.wav", WAV, subtype="wav"),),
)
CALL = UUID("6f3a4c1e-0000-4000-8000-000000000001")
CAROL = Recipient("carol@example.org", "Carol Durand")


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def transport_to(url: str, certificate: Certificate | None = None) -> EmailTransport:
    trusting = certificate.trusting if certificate else None
    return EmailTransport(SmtpServer.parse(url), parse_sender("Vigie <vigie@example.org>"), trusting)


async def send(url: str, recipient: Recipient = CAROL, key: UUID | None = None, **options: Certificate) -> str:
    async with transport_to(url, **options).session() as session:
        return await session.send(MESSAGE, recipient=recipient, key=key or uuid4(), call=CALL)


def part(mail: EmailMessage, kind: str) -> EmailMessage:
    (found,) = (part for part in mail.walk() if part.get_content_type() == kind)
    assert isinstance(found, EmailMessage)
    return found


async def test_the_mail_arrives_with_its_headers_words_and_sound(server: MailServer) -> None:
    key = uuid4()
    reply = await send(server.url, key=key)
    (delivery,) = await server.receives()
    mail = delivery.mail
    assert reply == "queued"
    assert delivery.recipient == CAROL.address
    assert mail["From"] == "Vigie <vigie@example.org>"
    assert mail["To"] == "Carol Durand <carol@example.org>"
    assert mail["Subject"] == MESSAGE.subject
    assert mail["Message-ID"] == f"<{key}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "fr"
    assert mail["X-Vigie-Call"] == str(CALL)
    assert mail["Date"].datetime.tzinfo is not None
    assert [part.get_content_type() for part in mail.walk()] == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "text/html", "audio/wav"),
    ]
    assert part(mail, "text/plain").get_content().splitlines() == MESSAGE.text.splitlines()
    assert part(mail, "text/html").get_content().strip() == MESSAGE.html
    sound = part(mail, "audio/wav")
    assert sound.get_filename() == "2026-11-23_03-12_+33612345678.wav"
    assert sound.get_content() == WAV


async def test_a_mail_sent_twice_carries_the_same_id(server: MailServer) -> None:
    key = uuid4()
    await send(server.url, key=key)
    await send(server.url, key=key)
    first, second = await server.receives(2)
    assert first.mail["Message-ID"] == second.mail["Message-ID"]


async def test_several_mails_share_one_connection(server: MailServer) -> None:
    async with transport_to(server.url).session() as session:
        for _ in range(3):
            await session.send(MESSAGE, recipient=CAROL, key=uuid4(), call=CALL)
    assert len(await server.receives(3)) == 3
    assert server.connections == 1


async def test_a_recipient_refused_for_good_does_not_harm_the_next_one(server: MailServer) -> None:
    server.refuses("gone@example.org", "550 5.1.1 no such user")
    async with transport_to(server.url).session() as session:
        with pytest.raises(TransportError, match="no such user") as refusal:
            await session.send(MESSAGE, recipient=Recipient("gone@example.org"), key=uuid4(), call=CALL)
        await session.send(MESSAGE, recipient=CAROL, key=uuid4(), call=CALL)
    assert refusal.value.permanent
    assert [delivery.recipient for delivery in await server.receives()] == [CAROL.address]


async def test_greylisting_is_not_for_good(server: MailServer) -> None:
    server.refuses(CAROL.address, "451 4.7.1 greylisted, come back later")
    with pytest.raises(TransportError, match="greylisted") as refusal:
        await send(server.url)
    assert not refusal.value.permanent
    assert not isinstance(refusal.value, ServerUnavailable)
    await send(server.url)
    assert len(await server.receives()) == 1


@pytest.mark.parametrize("reply", ["421 4.3.2 shutting down", "530 5.7.0 authentication required"])
async def test_what_concerns_every_mail_is_no_fault_of_this_one(server: MailServer, reply: str) -> None:
    server.refuses(CAROL.address, reply)
    with pytest.raises(ServerUnavailable) as refusal:
        await send(server.url)
    assert not refusal.value.permanent


async def test_a_server_that_hangs_up_instead_of_replying_has_not_taken_the_mail(server: MailServer) -> None:
    server.hangs_up_before_reply = 1
    async with transport_to(server.url).session() as session:
        with pytest.raises(TransportError) as refusal:
            await session.send(MESSAGE, recipient=CAROL, key=uuid4(), call=CALL)
        assert not refusal.value.permanent
        await session.send(MESSAGE, recipient=CAROL, key=uuid4(), call=CALL)
    assert len(await server.receives()) == 1


async def test_a_server_that_hangs_up_after_its_reply_has_taken_the_mail(server: MailServer) -> None:
    server.closes_after_reply = True
    assert await send(server.url) == "queued"
    async with transport_to(server.url).session() as session:
        await session.send(MESSAGE, recipient=CAROL, key=uuid4(), call=CALL)
        await session.send(MESSAGE, recipient=CAROL, key=uuid4(), call=CALL)
    assert len(await server.receives(3)) == 3


async def test_a_slow_server_is_waited_for(server: MailServer) -> None:
    server.may_reply.clear()
    sending = asyncio.create_task(send(server.url))
    await server.is_sent_data()
    assert not sending.done()
    server.may_reply.set()
    assert await sending == "queued"


async def test_a_server_that_never_replies_is_left(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.smtp.REPLY_SECONDS", 0.1)
    server.may_reply.clear()
    with pytest.raises(TransportError) as refusal:
        await send(server.url)
    assert not refusal.value.permanent


async def test_a_server_that_is_down_is_named_in_one_line(server: MailServer) -> None:
    await server.stop()
    with pytest.raises(ServerUnavailable, match=f"^smtp://127.0.0.1:{server.port}: .*$") as refusal:
        await send(server.url)
    assert "\n" not in str(refusal.value)


async def test_starttls_and_login(certificate: Certificate) -> None:
    async with MailServer(tls=certificate.server, login=("vigie@example.org", "p@ss:w/rd")) as server:
        address = f"vigie%40example.org:p%40ss%3Aw%2Frd@127.0.0.1:{server.port}"
        await send(f"smtp+starttls://{address}", certificate=certificate)
        (delivery,) = await server.receives()
        assert delivery.encrypted
        assert delivery.user == "vigie@example.org"


async def test_tls_from_the_start(certificate: Certificate) -> None:
    async with MailServer(tls=certificate.server, tls_from_start=True) as server:
        await send(f"smtps://127.0.0.1:{server.port}", certificate=certificate)
        assert len(await server.receives()) == 1


async def test_a_wrong_password_holds_mails_back_and_is_not_shown(certificate: Certificate) -> None:
    async with MailServer(tls=certificate.server, login=("vigie", "right")) as server:
        with pytest.raises(ServerUnavailable, match="535") as refusal:
            await send(f"smtp+starttls://vigie:wr0ng@127.0.0.1:{server.port}", certificate=certificate)
        assert "wr0ng" not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_server_that_nobody_vouches_for_gets_no_mail(certificate: Certificate, scheme: str) -> None:
    async with MailServer(tls=certificate.server, tls_from_start=scheme == "smtps") as server:
        with pytest.raises(ServerUnavailable, match="certificate verify failed"):
            await send(f"{scheme}://127.0.0.1:{server.port}")
        assert server.deliveries == []


async def test_a_server_without_starttls_gets_no_mail_in_clear(server: MailServer) -> None:
    with pytest.raises(ServerUnavailable, match="STARTTLS"):
        await send(f"smtp+starttls://127.0.0.1:{server.port}")
    assert server.data_commands == 0


@pytest.mark.parametrize("recipient", ["", "carol", "carol@", "a@b\r\nRCPT TO:<x@y>", "two words@example.org"])
async def test_what_is_no_address_is_refused_for_good(server: MailServer, recipient: str) -> None:
    with pytest.raises(TransportError) as refusal:
        await send(server.url, recipient=Recipient(recipient))
    assert refusal.value.permanent
    assert server.data_commands == 0


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", SmtpServer("smtp", "mail.example.org", 25)),
        ("smtp+starttls://mail.example.org", SmtpServer("smtp+starttls", "mail.example.org", 587)),
        ("smtps://mail.example.org/", SmtpServer("smtps", "mail.example.org", 465)),
        ("smtp://[::1]:2525", SmtpServer("smtp", "::1", 2525)),
        ("smtps://a%40b:c%3Ad@mail.example.org:99", SmtpServer("smtps", "mail.example.org", 99, "a@b", "c:d")),
        ("smtp://u:p@localhost", SmtpServer("smtp", "localhost", 25, "u", "p")),
    ],
)
def test_the_server_s_url(url: str, server: SmtpServer) -> None:
    assert SmtpServer.parse(url) == server


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mail.example.org:25", "must begin with"),
        ("http://mail.example.org", "must begin with"),
        ("smtp://", "must name a server"),
        ("smtp://mail.example.org:99999", "port"),
        ("smtp://mail.example.org:0", "must name a server"),
        ("smtps://user@mail.example.org", "both user and password"),
        ("smtps://user:s3cret/x@mail.example.org", "port"),
        ("smtps://mail.example.org/path", "nothing may follow"),
        ("smtp://user:s3cret@mail.example.org", "unencrypted"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(BadMailSetting, match=reason) as error:
        SmtpServer.parse(url)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("address", ["", "vigie", "Vigie <vigie>", "@example.org", "a@b\nBcc: c@d"])
def test_our_own_address_must_be_one(address: str) -> None:
    with pytest.raises(BadMailSetting, match="VIGIE_MAIL_FROM"):
        parse_sender(address)


async def test_a_name_on_several_lines_costs_no_mail(server: MailServer) -> None:
    message = replace(MESSAGE, subject="Message vocal — Support\n\u2028Bcc: eve@example.org")
    async with transport_to(server.url).session() as session:
        recipient = Recipient("carol@example.org", "Carol\r\nDurand\n")
        await session.send(message, recipient=recipient, key=uuid4(), call=CALL)
    (delivery,) = await server.receives()
    assert delivery.mail["To"] == "Carol Durand <carol@example.org>"
    assert delivery.mail["Subject"] == "Message vocal — Support Bcc: eve@example.org"
