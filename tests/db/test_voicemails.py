"""A message and the mails that tell of it are stored together, once."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.aftermath import untold_calls
from db.errors import CallNotJournalled
from db.records import CallClosed, CallOpened
from db.voicemails import Recipient, store_missed, store_voicemail
from oncall.outcomes import Outcome
from tests.support.history import StoryTeller, write

SPOKEN = b"RIFF....WAVEfmt "

SITE = """
    INSERT INTO person (slug, name, language) VALUES ('carol', 'Carol', 'en'), ('dave', 'Dave', 'fr');
    INSERT INTO contact_method (person_id, position, kind, address, ring_seconds, confirm, shows)
    SELECT id, 1, 'email', 'carol@example.org', 20, true, 'caller' FROM person WHERE slug = 'carol';
    INSERT INTO escalation_policy (slug, name, max_hunt_seconds, rounds) VALUES ('p', 'P', 60, 1);
    INSERT INTO line (slug, name, language, zone, number, policy_id, voicemail_min_seconds,
                      voicemail_max_seconds, voicemail_silence_seconds)
    SELECT 'support', 'Support', 'fr', 'Europe/Paris', '+33199001234', id, 2, 180, 10 FROM escalation_policy;
    INSERT INTO voicemail_recipient (line_id, position, person_id)
    SELECT line.id, person.id, person.id FROM line, person;
    INSERT INTO voicemail_recipient (line_id, position, email) SELECT id, 9, 'desk@example.org' FROM line;
    INSERT INTO voicemail_recipient (line_id, position, email) SELECT id, 8, 'carol@example.org' FROM line;
"""

CAROL = Recipient("carol@example.org", "Carol", "en")
DESK = Recipient("desk@example.org", None, "fr")


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


@pytest.fixture
async def call(engine: AsyncEngine) -> CallOpened:
    """A call to a line whose messages go to Carol, to Dave who has no e-mail, and to a shared address."""
    async with engine.begin() as connection:
        for statement in filter(str.strip, SITE.split(";")):
            await connection.execute(text(statement))
        line_id = await connection.scalar(text("SELECT id FROM line"))
    call = StoryTeller(line_id=line_id).opened()
    await write(engine, [call])
    return call


async def test_a_message_is_stored_with_a_mail_for_each_recipient(engine: AsyncEngine, call: CallOpened) -> None:
    assert await store_voicemail(engine, call.id, SPOKEN, 4200) == [CAROL, DESK]
    (voicemail,) = await rows(engine, "SELECT call_id, line_name, caller, duration_ms, audio, sha256 FROM voicemail")
    assert voicemail == (call.id, "Support", "+33612345678", 4200, SPOKEN, hashlib.sha256(SPOKEN).digest())
    assert await rows(
        engine,
        "SELECT recipient, language, template, state, voicemail.id = voicemail_id, payload "
        "FROM outbox, voicemail ORDER BY recipient",
    ) == [
        (CAROL.email, "en", "voicemail", "pending", True, {"call_id": str(call.id), "name": "Carol"}),
        (DESK.email, "fr", "voicemail", "pending", True, {"call_id": str(call.id), "name": None}),
    ]


async def test_storing_twice_stores_once(engine: AsyncEngine, call: CallOpened) -> None:
    await store_voicemail(engine, call.id, SPOKEN, 4200)
    await store_voicemail(engine, call.id, b"another", 1)
    assert await rows(engine, "SELECT duration_ms FROM voicemail") == [(4200,)]
    assert len(await rows(engine, "SELECT FROM outbox")) == 2


async def test_a_caller_who_left_no_message_is_told_of_without_one(engine: AsyncEngine, call: CallOpened) -> None:
    for _ in range(2):
        assert await store_missed(engine, call.id) == [CAROL, DESK]
    assert await rows(engine, "SELECT FROM voicemail") == []
    assert await rows(engine, "SELECT DISTINCT template, voicemail_id FROM outbox") == [("no_message", None)]


async def test_no_mail_without_its_message(engine: AsyncEngine, call: CallOpened) -> None:
    with pytest.raises(IntegrityError):
        await store_voicemail(engine, call.id, SPOKEN, duration_ms=-1)
    assert await rows(engine, "SELECT FROM outbox") == []


async def test_a_message_waits_for_its_call(engine: AsyncEngine) -> None:
    with pytest.raises(CallNotJournalled):
        await store_voicemail(engine, uuid4(), SPOKEN, 4200)


async def test_a_message_for_a_line_removed_meanwhile_is_kept(engine: AsyncEngine, call: CallOpened) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM line"))
    assert await store_voicemail(engine, call.id, SPOKEN, 4200) == []
    assert await rows(engine, "SELECT line_id, line_name FROM voicemail") == [(None, "Support")]


async def test_the_server_refuses_a_sound_that_is_not_the_one_recorded(engine: AsyncEngine, call: CallOpened) -> None:
    await store_voicemail(engine, call.id, SPOKEN, 4200)
    with pytest.raises(IntegrityError, match="voicemail_sha256_check"):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE voicemail SET audio = 'x'"))


async def test_whose_callers_nobody_was_told_of_is_found(engine: AsyncEngine, call: CallOpened) -> None:
    ended = datetime.now(UTC) - timedelta(hours=1)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE call SET started_at = :at"), {"at": ended})
    await write(engine, [CallClosed(id=call.id, ended_at=ended, outcome=Outcome.NO_MESSAGE)])
    assert await untold_calls(engine) == [call.id]
    assert await store_missed(engine, call.id) == [CAROL, DESK]
    assert await untold_calls(engine) == []


async def test_nobody_is_told_of_a_missing_message_that_is_there(engine: AsyncEngine, call: CallOpened) -> None:
    await store_voicemail(engine, call.id, SPOKEN, 4200)
    assert await store_missed(engine, call.id) == []
    assert await rows(engine, "SELECT DISTINCT template FROM outbox") == [("voicemail",)]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.NO_MESSAGE, "no_message"),
        (Outcome.ABANDONED, "abandoned"),
        (Outcome.CUT, "cut"),
        (Outcome.FAILED, "cut"),
    ],
)
async def test_what_is_told_of_a_call_without_a_message_is_how_it_ended(
    engine: AsyncEngine, call: CallOpened, outcome: Outcome, words: str
) -> None:
    await write(engine, [CallClosed(id=call.id, ended_at=call.started_at + timedelta(minutes=1), outcome=outcome)])
    await store_missed(engine, call.id)
    assert {row[0] for row in await rows(engine, "SELECT template FROM outbox")} == {words}


async def test_a_line_that_names_nobody_tells_its_supervisors(engine: AsyncEngine, call: CallOpened) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM voicemail_recipient"))
        supervise = "INSERT INTO line_supervisor SELECT line.id, person.id, person.id FROM line, person"
        await connection.execute(text(supervise))
    assert await store_missed(engine, call.id) == [CAROL]


@pytest.mark.parametrize(("waited", "is_told"), [(19, False), (20, True), (95, True)])
async def test_a_caller_who_gave_up_is_told_of_after_a_while(
    engine: AsyncEngine, call: CallOpened, waited: int, is_told: bool
) -> None:
    """Also when the worker that served them, or the fallback, told nobody."""
    began = datetime.now(UTC) - timedelta(minutes=10)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE call SET started_at = :began"), {"began": began})
    ended = began + timedelta(seconds=waited)
    await write(engine, [CallClosed(id=call.id, ended_at=ended, outcome=Outcome.ABANDONED)])
    assert (call.id in await untold_calls(engine)) == is_told
