"""Messages that are waiting to be mailed, as calls leave them in the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.models import OutboxMessage
from db.voicemails import store_missed, store_voicemail
from oncall.outcomes import Disposition
from tests.support.database import administer
from tests.support.history import StoryTeller, write
from vigie.stack.postgres import PrivateCluster

DEADLINE_SECONDS = 10
SOUND = b"RIFF" + bytes(range(256)) * 20

LINE = """
    INSERT INTO escalation_policy (slug, name, max_hunt_seconds, rounds) VALUES ('p', 'P', 60, 1);
    INSERT INTO line (slug, name, language, zone, number, policy_id, voicemail_min_seconds,
                      voicemail_max_seconds, voicemail_silence_seconds)
    SELECT 'support', 'Support', 'fr', 'Indian/Reunion', '+33199001234', id, 2, 180, 10 FROM escalation_policy
"""


async def given_a_line(engine: AsyncEngine, *recipients: str, english: str | None = None) -> int:
    """The id of a French line on Réunion whose messages go to these addresses, and to an English-speaking person."""
    async with engine.begin() as connection:
        for statement in LINE.split(";"):
            await connection.execute(text(statement))
        line_id: int | None = await connection.scalar(text("SELECT id FROM line"))
        assert line_id is not None
        for position, email in enumerate(recipients):
            await connection.execute(
                text("INSERT INTO voicemail_recipient (line_id, position, email) VALUES (:line, :position, :email)"),
                {"line": line_id, "position": position, "email": email},
            )
        if english:
            person = await connection.scalar(
                text("INSERT INTO person (slug, name, language) VALUES ('carol', 'Carol', 'en') RETURNING id")
            )
            await connection.execute(
                text("""INSERT INTO contact_method (person_id, position, kind, address, ring_seconds, confirm, shows)
                        VALUES (:person, 1, 'email', :email, 20, true, 'caller')"""),
                {"person": person, "email": english},
            )
            await connection.execute(
                text("INSERT INTO voicemail_recipient (line_id, position, person_id) VALUES (:line, 99, :person)"),
                {"line": line_id, "person": person},
            )
    return line_id


async def given_a_voicemail(engine: AsyncEngine, line_id: int, caller: str | None = "+33612345678") -> UUID:
    """The id of a call that Alice and Bob did not take, and whose caller left a message of 4.2 s."""
    call = await _given_a_call(engine, line_id, caller)
    await store_voicemail(engine, call, SOUND, 4200)
    return call


async def given_a_missed_call(engine: AsyncEngine, line_id: int) -> UUID:
    """The id of a call that nobody took, and whose caller left no message."""
    call = await _given_a_call(engine, line_id, "+33612345678")
    await store_missed(engine, call)
    return call


async def _given_a_call(engine: AsyncEngine, line_id: int, caller: str | None) -> UUID:
    teller = StoryTeller(line_id=line_id, caller=caller)
    records = [
        teller.opened(),
        *teller.attempt(Disposition.NO_ANSWER, "Alice"),
        *teller.attempt(Disposition.BUSY, "Bob"),
    ]
    await write(engine, records)
    return teller.id


async def given_outbox_rows(engine: AsyncEngine, count: int = 1, **values: Any) -> list[UUID]:
    """The ids of that many e-mails waiting, oldest first."""
    ids = [uuid4() for _ in range(count)]
    about = {"channel": "email", "recipient": "carol@example.org", "language": "fr", "template": "no_message"}
    async with engine.begin() as connection:
        for key in ids:
            row = {"id": key, "dedupe_key": str(key), "payload": {}, **about, **values}
            await connection.execute(insert(OutboxMessage).values(row))
    return ids


async def outbox(engine: AsyncEngine) -> dict[str, OutboxMessage]:
    """The outbox's rows by recipient."""
    async with engine.connect() as connection:
        rows = (await connection.execute(select(OutboxMessage.__table__))).mappings()
        return {row["recipient"]: OutboxMessage(**row) for row in rows}


async def make_due(engine: AsyncEngine) -> None:
    """Lets the time pass for which messages were put off."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET due_at = now() WHERE state = 'pending'"))


@contextmanager
def database_away(engine: AsyncEngine, cluster: PrivateCluster) -> Iterator[None]:
    """Within it, the server cuts the connections to this database and lets nobody in."""
    name = engine.url.database
    administer(cluster, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    administer(cluster, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    try:
        yield
    finally:
        administer(cluster, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns as soon as the condition holds; fails where it does not in good time."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not await condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)
