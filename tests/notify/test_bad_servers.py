"""Mail servers that are slow, that lie, and that die at the worst moment: each mail arrives, once if they said so."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import DatabaseError
from notify.outbox import Outbox
from notify.receipts import Receipts
from tests.notify.conftest import by_recipient, sender_to, states
from tests.support.mail_server import MailServer
from tests.support.post import (
    SOUND,
    database_away,
    eventually,
    given_a_line,
    given_a_voicemail,
    make_due,
    outbox,
)
from vigie.stack.postgres import PrivateCluster

Impatience = Callable[[], AbstractContextManager[None]]

DESK, CAROL, HOME = "desk@example.org", "carol@example.org", "home@example.org"
BEFORE_THE_END = ["banner", "EHLO", "MAIL", "RCPT", "DATA"]


async def given_a_message_for(engine: AsyncEngine, *recipients: str) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, *recipients))


@pytest.fixture
def impatience() -> Impatience:
    """Within it, a server that says nothing is soon given up."""

    @contextmanager
    def within() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patience:
            for wait in ("REPLY_SECONDS", "CONNECT_SECONDS"):
                patience.setattr(f"notify.smtp.{wait}", 0.5)
            yield

    return within


@pytest.mark.parametrize("illness", ["hangs up", "says nothing"])
@pytest.mark.parametrize("at", BEFORE_THE_END)
async def test_a_server_that_falls_ill_before_it_has_the_mail_gets_it_once_when_it_is_well(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, impatience: Impatience, at: str, illness: str
) -> None:
    await given_a_message_for(engine, DESK, CAROL)
    sender = sender_to(server, engine, receipts)
    server.falls_ill(at, illness)
    with impatience():
        await sender.send_due()
    assert await states(engine) == {DESK: "pending", CAROL: "pending"}
    assert server.deliveries == []

    server.recovers()
    await make_due(engine)
    await sender.send_due()
    assert set(by_recipient(await server.receives(2))) == {DESK, CAROL}
    assert await states(engine) == {DESK: "sent", CAROL: "sent"}


@pytest.mark.parametrize("illness", ["hangs up", "says nothing"])
async def test_a_server_that_takes_the_mail_and_does_not_say_so_gets_it_again_under_the_same_id(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, impatience: Impatience, illness: str
) -> None:
    await given_a_message_for(engine, DESK)
    sender = sender_to(server, engine, receipts)
    server.falls_ill("end", illness)
    with impatience():
        await sender.send_due()
    assert await states(engine) == {DESK: "pending"}, "whether it was taken, nobody can know"

    server.recovers()
    await make_due(engine)
    await sender.send_due()
    first, again = await server.receives(2)
    assert first.mail["Message-ID"] == again.mail["Message-ID"]
    assert await states(engine) == {DESK: "sent"}


@pytest.mark.parametrize("illness", ["hangs up", "says nothing"])
async def test_a_server_that_falls_ill_when_all_is_said_has_the_mail(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, impatience: Impatience, illness: str
) -> None:
    await given_a_message_for(engine, DESK)
    server.falls_ill("QUIT", illness)
    with impatience():
        await sender_to(server, engine, receipts).send_due()
    assert await states(engine) == {DESK: "sent"}
    assert len(server.deliveries) == 1


@pytest.mark.parametrize("at", [*BEFORE_THE_END, "end", "QUIT"])
async def test_a_server_whose_words_trickle_is_heard_out(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, at: str
) -> None:
    await given_a_message_for(engine, DESK)
    server.falls_ill(at, "trickles")
    await sender_to(server, engine, receipts).send_due()
    assert await states(engine) == {DESK: "sent"}
    assert server.data_commands == 1


async def test_a_mail_that_takes_too_long_does_not_lend_its_reply_to_the_next(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await given_a_message_for(engine, DESK, CAROL)
    sender = sender_to(server, engine, receipts, connections=1)
    server.may_reply.clear()
    with monkeypatch.context() as patience:
        patience.setattr("notify.sender.SEND_SECONDS", 1)
        await sender.send_due()
    assert server.data_commands == server.connections == 2, "a connection is given up with its mail"
    assert await states(engine) == {DESK: "pending", CAROL: "pending"}

    server.may_reply.set()
    await make_due(engine)
    await sender.send_due()
    assert await states(engine) == {DESK: "sent", CAROL: "sent"}
    assert {delivery.recipient for delivery in server.deliveries} == {DESK, CAROL}


@pytest.mark.parametrize("reply", ["450 4.2.0 greylisted", "451 4.7.1 greylisted"])
async def test_of_three_recipients_one_is_greylisted_one_refused_and_one_served(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, reply: str
) -> None:
    server.refuses(DESK, reply, reply)
    server.refuses(HOME, "550 5.1.1 no such user")
    await given_a_message_for(engine, DESK, CAROL, HOME)
    sender = sender_to(server, engine, receipts)
    await sender.send_due()
    assert await states(engine) == {DESK: "pending", CAROL: "sent", HOME: "failed"}
    for _ in range(2):
        await make_due(engine)
        await sender.send_due()
    assert set(by_recipient(await server.receives(2))) == {DESK, CAROL}
    assert await states(engine) == {DESK: "sent", CAROL: "sent", HOME: "failed"}


async def test_what_was_refused_for_good_is_sent_when_that_is_mended(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    server.refuses(DESK, "550 5.1.1 no such user")
    await given_a_message_for(engine, DESK, CAROL)
    sender = sender_to(server, engine, receipts)
    await sender.send_due()
    server.refuses(DESK)
    await sender.send_due()
    assert await states(engine) == {DESK: "failed", CAROL: "sent"}
    assert await Outbox(engine).retry_failed() == 1
    await sender.send_due()
    assert set(by_recipient(await server.receives(2))) == {DESK, CAROL}


@pytest.mark.parametrize("limit", ["largest", "largest_taken"])
async def test_a_mail_that_is_too_big_goes_without_its_sound(
    engine: AsyncEngine, receipts: Receipts, limit: str
) -> None:
    await given_a_message_for(engine, DESK)
    async with MailServer(**{limit: len(SOUND)}) as server:
        await sender_to(server, engine, receipts).send_due()
        (delivery,) = await server.receives()
    assert await states(engine) == {DESK: "sent"}
    assert list(delivery.mail.iter_attachments()) == []
    text = delivery.mail.get_body(("plain",))
    assert text is not None
    assert "vigie voicemails --save" in text.get_content()


async def test_a_mail_that_is_too_big_even_without_its_sound_is_refused_for_good(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    server.refuses(DESK, "552 5.2.2 mailbox full")
    await given_a_message_for(engine, DESK)
    await sender_to(server, engine, receipts).send_due()
    row = (await outbox(engine))[DESK]
    assert (row.state, row.last_error) == ("failed", "552 5.2.2 mailbox full")


async def test_a_sender_killed_before_it_could_write_down_that_a_mail_was_taken_does_not_send_it_again(
    server: MailServer, engine: AsyncEngine, database_url: str, cluster: PrivateCluster, tmp_path: Path
) -> None:
    await given_a_message_for(engine, DESK)
    server.may_reply.clear()
    environment = os.environ | {
        "VIGIE_STATE_DIR": str(tmp_path),
        "VIGIE_DATABASE_URL": database_url,
        "VIGIE_SMTP_URL": server.url,
        "VIGIE_MAIL_FROM": "vigie@example.org",
    }
    command = (sys.executable, "-m", "vigie", "scheduler")
    killed = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.DEVNULL)
    try:
        await server.is_sent_data()
        with database_away(engine, cluster):
            server.may_reply.set()
            await eventually(lambda: _has_receipt(tmp_path / "receipts"))
            killed.kill()
            await killed.wait()
    finally:
        with suppress(ProcessLookupError):
            killed.kill()
        await killed.wait()
    assert await states(engine) == {DESK: "sending"}

    await sender_to(server, engine, Receipts(tmp_path / "receipts")).send_due()
    assert await states(engine) == {DESK: "sent"}
    assert server.data_commands == 1
    assert list((tmp_path / "receipts").iterdir()) == []


async def _has_receipt(directory: Path) -> bool:
    return bool(Receipts(directory).all())


async def test_another_scheduler_does_not_send_again_what_this_one_could_not_write_down(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, cluster: PrivateCluster, tmp_path: Path
) -> None:
    await given_a_message_for(engine, DESK)
    sender = sender_to(server, engine, receipts)
    server.may_reply.clear()
    sending = asyncio.create_task(sender.send_due())
    await server.is_sent_data()
    with database_away(engine, cluster):
        server.may_reply.set()
        with pytest.raises(DatabaseError):
            await sending
    await sender_to(server, engine, Receipts(tmp_path / "receipts")).send_due()
    assert await states(engine) == {DESK: "sent"}
    await sender.send_due()
    assert server.data_commands == 1


async def test_a_receipt_that_cannot_be_written_stops_no_mail(
    server: MailServer, engine: AsyncEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "receipts").write_text("a file where the directory should be")
    await given_a_message_for(engine, DESK)
    await sender_to(server, engine, Receipts(tmp_path / "receipts")).send_due()
    assert await states(engine) == {DESK: "sent"}
    assert "only in memory" in caplog.text


async def test_what_lies_among_the_receipts_and_is_none_is_left_alone(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, tmp_path: Path
) -> None:
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts" / "README").touch()
    await given_a_message_for(engine, DESK)
    await sender_to(server, engine, receipts).send_due()
    assert [file.name for file in (tmp_path / "receipts").iterdir()] == ["README"]
