"""From the stored message to the recipient's mail server, whatever that server does."""

import asyncio
import logging
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import DatabaseError
from notify.backoff import Backoff
from notify.outbox import Outbox, Parcel
from notify.receipts import Receipts
from notify.stories import StoryReader
from notify.story import CallStory
from tests.notify.conftest import by_recipient, sender_to, states
from tests.support.mail_server import MailServer
from tests.support.post import (
    SOUND,
    database_away,
    given_a_line,
    given_a_missed_call,
    given_a_voicemail,
    given_outbox_rows,
    make_due,
    outbox,
)
from vigie.stack.postgres import PrivateCluster

DESK, CAROL = "desk@example.org", "carol@example.org"


async def test_each_recipient_reads_the_message_in_their_language_and_hears_it(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    call = await given_a_voicemail(engine, await given_a_line(engine, DESK, english=CAROL))
    await sender_to(server, engine, receipts).send_due()
    mails = by_recipient(await server.receives(2))
    assert mails[DESK].mail["Subject"] == "Message vocal de 06 12 34 56 78 — Support (23/11/2026 07:12)"
    assert mails[CAROL].mail["Subject"] == "Voicemail from 06 12 34 56 78 — Support (23 Nov 2026 07:12)"
    assert mails[CAROL].mail["To"] == f"Carol <{CAROL}>"
    for delivery in mails.values():
        assert delivery.mail["X-Vigie-Call"] == str(call)
        (sound,) = delivery.mail.iter_attachments()
        assert sound.get_content() == SOUND
        assert sound.get_filename() == "2026-11-23_07-12_+33612345678.wav"
    text = mails[DESK].mail.get_body(("plain",))
    assert text is not None
    assert "Alice (softphone) : n’a pas répondu" in text.get_content()
    assert "Bob (softphone) : occupé" in text.get_content()
    assert await states(engine) == {DESK: "sent", CAROL: "sent"}


async def test_a_call_without_a_message_is_told_of_without_sound(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    await given_a_missed_call(engine, await given_a_line(engine, DESK))
    await sender_to(server, engine, receipts).send_due()
    (delivery,) = await server.receives()
    assert str(delivery.mail["Subject"]).startswith("Appel sans message de 06 12 34 56 78")
    assert list(delivery.mail.iter_attachments()) == []


async def test_through_a_server_that_is_down_then_back_mails_are_sent_once(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "notify")
    await given_a_voicemail(engine, await given_a_line(engine, DESK, english=CAROL))
    sender = sender_to(server, engine, receipts)
    await server.stop()
    for _ in range(3):
        await sender.send_due()
    waiting = (await outbox(engine))[DESK]
    assert (waiting.state, waiting.attempts) == ("pending", 0), "the outage is not the message's fault"
    assert "Connect call failed" in str(waiting.last_error)

    await server.start()
    for _ in range(3):
        await sender.send_due()
    assert set(by_recipient(await server.receives(2))) == {DESK, CAROL}
    assert await states(engine) == {DESK: "sent", CAROL: "sent"}
    complaints = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(complaints) == 1, "one line for the whole outage"
    assert complaints[0].exc_info is None
    assert "The server can be used again" in caplog.messages


async def test_a_server_that_cannot_be_used_is_left_alone_for_a_while(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    sender = sender_to(server, engine, receipts, hold=Backoff(timedelta(hours=1), timedelta(hours=1)))
    server.refuses(DESK, "421 4.3.2 try again later")
    await sender.send_due()
    await sender.send_due()
    assert server.connections == 1
    assert await states(engine) == {DESK: "pending"}


async def test_greylisting_puts_off_one_mail_only(server: MailServer, engine: AsyncEngine, receipts: Receipts) -> None:
    server.refuses(DESK, "451 4.7.1 greylisted, come back later")
    await given_a_voicemail(engine, await given_a_line(engine, DESK, CAROL))
    sender = sender_to(server, engine, receipts)
    await sender.send_due()
    assert await states(engine) == {DESK: "pending", CAROL: "sent"}
    await sender.send_due()
    assert len(server.deliveries) == 1, "not before its time"
    await make_due(engine)
    await sender.send_due()
    assert set(by_recipient(await server.receives(2))) == {DESK, CAROL}


async def test_one_recipient_refused_for_good_fails_alone_and_is_named(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses(DESK, "550 5.1.1 no such user")
    await given_a_voicemail(engine, await given_a_line(engine, DESK, CAROL))
    sender = sender_to(server, engine, receipts)
    await sender.send_due()
    await make_due(engine)
    await sender.send_due()
    assert await states(engine) == {DESK: "failed", CAROL: "sent"}
    assert (await outbox(engine))[DESK].last_error == "550 5.1.1 no such user"
    (complaint,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert DESK in complaint.message


async def test_no_reply_to_a_mail_means_it_is_sent_again_under_the_same_id(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    server.hangs_up_before_reply = 1
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    sender = sender_to(server, engine, receipts)
    await sender.send_due()
    assert await states(engine) == {DESK: "pending"}
    await make_due(engine)
    await sender.send_due()
    (delivery,) = await server.receives()
    assert server.data_commands == 2
    assert delivery.mail["Message-ID"] == f"<{(await outbox(engine))[DESK].id}@example.org>"


async def test_hanging_up_after_the_reply_is_no_reason_to_send_again(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    server.closes_after_reply = True
    line = await given_a_line(engine, DESK)
    for _ in range(5):
        await given_a_voicemail(engine, line)
    sender = sender_to(server, engine, receipts)
    await sender.send_due()
    await make_due(engine)
    await sender.send_due()
    assert server.data_commands == len(server.deliveries) == 5


async def test_many_mails_go_over_few_connections(server: MailServer, engine: AsyncEngine, receipts: Receipts) -> None:
    line = await given_a_line(engine, DESK)
    for _ in range(12):
        await given_a_missed_call(engine, line)
    await sender_to(server, engine, receipts).send_due()
    assert len(await server.receives(12)) == 12
    assert server.connections <= 4


async def test_two_schedulers_share_the_work(server: MailServer, engine: AsyncEngine, receipts: Receipts) -> None:
    line = await given_a_line(engine, DESK)
    for _ in range(12):
        await given_a_missed_call(engine, line)
    await asyncio.gather(*(sender_to(server, engine, receipts).send_due() for _ in range(2)))
    ids = [delivery.mail["Message-ID"] for delivery in await server.receives(12)]
    assert len(ids) == len(set(ids)) == 12


async def test_a_mail_that_cannot_be_written_holds_up_no_other(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, caplog: pytest.LogCaptureFixture
) -> None:
    await given_outbox_rows(engine, recipient="odd@example.org", template="no_such_template", payload={})
    await given_a_missed_call(engine, await given_a_line(engine, DESK))
    await sender_to(server, engine, receipts).send_due()
    assert await states(engine) == {"odd@example.org": "pending", DESK: "sent"}
    assert "cannot be written" in caplog.text


async def test_a_mail_taken_while_the_database_is_away_is_not_sent_again(
    server: MailServer, engine: AsyncEngine, receipts: Receipts, cluster: PrivateCluster
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    sender = sender_to(server, engine, receipts)
    server.may_reply.clear()
    sending = asyncio.create_task(sender.send_due())
    await server.is_sent_data()
    with database_away(engine, cluster):
        server.may_reply.set()
        with pytest.raises(DatabaseError):
            await sending
        with pytest.raises(DatabaseError):
            await sender.send_due()
    await sender.send_due()
    assert await states(engine) == {DESK: "sent"}
    assert server.data_commands == 1


async def test_a_mail_that_takes_long_is_not_sent_by_others_meanwhile(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    lease = timedelta(seconds=0.6)
    server.may_reply.clear()
    sending = asyncio.create_task(sender_to(server, engine, receipts, lease=lease).send_due())
    await server.is_sent_data()
    claimed_until = (await outbox(engine))[DESK].deadline
    async with asyncio.timeout(10):
        while (await outbox(engine))[DESK].deadline < claimed_until + lease:
            await asyncio.sleep(0.01)
    await sender_to(server, engine, receipts, lease=lease).send_due()
    server.may_reply.set()
    await sending
    assert await states(engine) == {DESK: "sent"}
    assert server.data_commands == 1


async def test_a_mail_in_hand_when_the_database_goes_away_is_sent_as_soon_as_it_is_back(
    server: MailServer,
    engine: AsyncEngine,
    receipts: Receipts,
    cluster: PrivateCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    sender = sender_to(server, engine, receipts)
    read = StoryReader.read

    async def read_too_late(reader: StoryReader, parcel: Parcel) -> CallStory:
        with database_away(engine, cluster):
            return await read(reader, parcel)

    monkeypatch.setattr(StoryReader, "read", read_too_late)
    with pytest.raises(DatabaseError):
        await sender.send_due()
    monkeypatch.undo()
    assert server.data_commands == 0
    await sender.send_due()
    assert await states(engine) == {DESK: "sent"}


async def test_told_to_stop_it_finishes_the_mail_in_hand_and_begins_no_other(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    line = await given_a_line(engine, DESK)
    for _ in range(8):
        await given_a_missed_call(engine, line)
    sender = sender_to(server, engine, receipts)
    server.may_reply.clear()
    sending = asyncio.create_task(sender.send_due())
    await server.is_sent_data(4)
    sender.stop()
    server.may_reply.set()
    await sending
    assert len(server.deliveries) == 4
    assert await Outbox(engine).count_due("email") == 4


async def test_cut_short_it_leaves_the_mail_to_the_next_scheduler(
    server: MailServer, engine: AsyncEngine, receipts: Receipts
) -> None:
    await given_a_voicemail(engine, await given_a_line(engine, DESK))
    sender = sender_to(server, engine, receipts)
    server.may_reply.clear()
    sending = asyncio.create_task(sender.send_due())
    await server.is_sent_data()
    sending.cancel()
    await asyncio.wait({sending})
    await sender.close()
    assert await Outbox(engine).count_due("email") == 1
    server.may_reply.set()
    await sender_to(server, engine, receipts).send_due()
    assert await states(engine) == {DESK: "sent"}
