"""A mail server, and a sender that sends to it what waits in a database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notify.backoff import Backoff
from notify.email import EmailTransport, parse_sender
from notify.messages import MessageWriter
from notify.outbox import LEASE, Outbox
from notify.receipts import Receipts
from notify.sender import Sender
from notify.smtp import SmtpServer
from notify.stories import StoryReader
from tests.support.mail_server import Delivery, MailServer
from tests.support.post import outbox

AT_ONCE = Backoff(first=timedelta(0), most=timedelta(0))


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    return Receipts(tmp_path / "receipts")


def sender_to(
    server: MailServer,
    engine: AsyncEngine,
    receipts: Receipts,
    *,
    hold: Backoff = AT_ONCE,
    connections: int = 4,
    lease: timedelta = LEASE,
) -> Sender:
    return Sender(
        Outbox(engine, lease=lease),
        StoryReader(engine, ZoneInfo("Europe/Paris")),
        MessageWriter("FR"),
        EmailTransport(SmtpServer.parse(server.url), parse_sender("Vigie <vigie@example.org>")),
        receipts,
        hold=hold,
        connections=connections,
    )


def by_recipient(deliveries: list[Delivery]) -> dict[str, Delivery]:
    found = {delivery.recipient: delivery for delivery in deliveries}
    assert len(found) == len(deliveries), "nobody receives a mail twice"
    return found


async def states(engine: AsyncEngine) -> dict[str, str]:
    return {recipient: row.state for recipient, row in (await outbox(engine)).items()}
