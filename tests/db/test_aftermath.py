"""What is found of calls that nobody closed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ari_app.ari import Channel
from ari_app.calls.aftermath import LOOKS_A_MINUTE, Aftermath
from db.aftermath import left_call, open_calls
from db.journal import Journal
from db.records import AttemptClosed, AttemptOpened, CallClosed, CallEvent, CallOpened, Record, encode
from db.spool import Spool
from oncall.outcomes import Disposition, EventKind, Outcome
from oncall.plan import ContactKind
from tests.support.history import write

CAME = datetime(2026, 11, 25, 3, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return CAME + timedelta(seconds=seconds)


def opened(call: UUID, **facts: object) -> CallOpened:
    return CallOpened(id=call, did="+33188000001", channel=f"1795.{call}", worker="w1", started_at=CAME, **facts)  # type: ignore[arg-type]


def event(call: UUID, seq: int, kind: EventKind) -> CallEvent:
    return CallEvent(call_id=call, seq=seq, at=later(seq), kind=kind)


def attempt(call: UUID) -> AttemptOpened:
    return AttemptOpened(
        id=uuid4(),
        call_id=call,
        round=1,
        step=1,
        person_id=None,
        person_name="Alice",
        contact_method_id=None,
        kind=ContactKind.SIP,
        address="alice",
        started_at=CAME,
    )


async def journal(engine: AsyncEngine, *records: Record) -> None:
    await write(engine, records)


async def test_a_call_that_was_closed_is_not_open(engine: AsyncEngine) -> None:
    call = uuid4()
    await journal(engine, opened(call), CallClosed(id=call, ended_at=later(9), outcome=Outcome.ANSWERED))
    assert await open_calls(engine) == []


async def test_an_open_call_tells_how_far_it_had_come(engine: AsyncEngine) -> None:
    call = uuid4()
    rung, refused = attempt(call), attempt(call)
    await journal(
        engine,
        opened(call),
        rung,
        refused,
        AttemptClosed(id=refused.id, ended_at=later(2), disposition=Disposition.REFUSED),
        event(call, 1, EventKind.INCOMING),
        event(call, 2, EventKind.ACCEPTED),
    )
    [found] = await open_calls(engine)
    assert (found.id, found.generation, found.accepted, found.asked) == (call, 0, True, False)
    assert found.last_told_at == later(2)
    assert found.attempts == (rung.id,)


@pytest.mark.parametrize(("outcome", "lacks"), [(Outcome.ANSWERED, True), (Outcome.ABANDONED, False)])
async def test_a_call_that_was_answered_has_somebody_who_took_it(
    engine: AsyncEngine, outcome: Outcome, lacks: bool
) -> None:
    """As of somebody who took it, and hung up while no worker was there."""
    call = uuid4()
    took = attempt(call)
    over = CallClosed(id=call, ended_at=later(9), outcome=outcome)
    await journal(engine, opened(call), took, event(call, 1, EventKind.CONNECTED), over)
    [found] = await open_calls(engine)
    assert (found.is_over, found.accepted, found.lacks_taker, found.attempts) == (True, True, lacks, (took.id,))
    again = attempt(call)
    await journal(engine, again, AttemptClosed(id=took.id, ended_at=later(8), disposition=Disposition.ACCEPTED))
    [found] = await open_calls(engine)
    assert (found.lacks_taker, found.attempts) == (False, (again.id,))


async def test_of_those_who_may_have_taken_a_call_the_last_who_did_comes_first(engine: AsyncEngine) -> None:
    """As of one who picked up while no worker was there, and another one who was then rung, took it and hung up."""
    call = uuid4()
    names = ("1", "2", "3")
    first, took, last = (replace(attempt(call), leg=f"{call}.0.{name}") for name in names)
    connected = replace(event(call, 2, EventKind.CONNECTED), leg=f"{took.leg}.2")
    await journal(engine, opened(call), first, took, last, event(call, 1, EventKind.INCOMING), connected)
    [found] = await open_calls(engine)
    assert found.attempts[0] == took.id
    assert set(found.attempts) == {first.id, took.id, last.id}


async def test_the_generation_of_a_call_shows_in_its_events(engine: AsyncEngine) -> None:
    call = uuid4()
    await journal(engine, opened(call), event(call, 1, EventKind.INCOMING), event(call, 20_001, EventKind.ADOPTED))
    [found] = await open_calls(engine)
    assert found.generation == 2


async def test_a_call_of_which_nothing_else_is_known_was_last_heard_of_when_it_came(engine: AsyncEngine) -> None:
    call = uuid4()
    await journal(engine, opened(call))
    [found] = await open_calls(engine)
    assert (found.last_told_at, found.attempts) == (CAME, ())


@pytest.mark.parametrize(
    ("plan", "least"), [(None, 2), ({"line": {"voicemail": {"min_seconds": 5}}}, 5)], ids=["no plan", "of the plan"]
)
async def test_the_least_length_of_a_message_that_was_left_behind(
    engine: AsyncEngine, plan: object, least: int
) -> None:
    call = uuid4()
    await journal(engine, opened(call, plan=plan))
    found = await left_call(engine, call)
    assert found is not None
    assert (found.min_seconds, found.is_open) == (least, True)


async def test_a_message_whose_call_is_not_journalled_yet_must_wait(engine: AsyncEngine) -> None:
    assert await left_call(engine, uuid4()) is None


async def test_a_call_whose_end_is_on_its_way_is_left_to_its_owner(engine: AsyncEngine, tmp_path: Path) -> None:
    """As after an hour without the database: what w1 has on disk takes its time, and w2 must not guess meanwhile."""
    call = uuid4()
    await write(engine, [opened(call)])
    spool = Spool(tmp_path, "w1")
    spool.append(encode(CallClosed(id=call, ended_at=later(9), outcome=Outcome.VOICEMAIL)))
    aftermath = Aftermath((), engine, survivor := Journal(engine, tmp_path, "w2"))
    for _ in range(3):
        await aftermath.look()
    assert survivor.pending == 0
    spool.release(spool.read(1))
    for _ in range(2):
        await aftermath.look()
    assert survivor.pending == 2, "its last event and its end"
    spool.close()


async def test_an_asterisk_that_cannot_be_seen_keeps_its_calls_and_holds_up_no_other(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    here, there, homeless = [uuid4() for _ in range(3)]
    for call in (here, there, homeless):
        await write(engine, [opened(call)])
    seen, unseen = an_asterisk(here), an_asterisk(there)
    paper = Paper(tmp_path)
    aftermath = Aftermath((seen, unseen), engine, paper)  # type: ignore[arg-type]
    await aftermath.look()
    unseen.ari.connected = False
    seen.ari.alive.clear()
    for _ in range(3):
        await aftermath.look()
    assert {record.id for record in paper if isinstance(record, CallClosed)} == {here}, "of the others nobody knows"


LINE = """
    WITH policy AS (
        INSERT INTO escalation_policy (slug, name, max_hunt_seconds, rounds) VALUES ('p', 'P', 60, 1) RETURNING id
    ), support AS (
        INSERT INTO line (slug, name, language, zone, number, policy_id, voicemail_min_seconds,
                          voicemail_max_seconds, voicemail_silence_seconds)
        SELECT 'support', 'Support', 'fr', 'Europe/Paris', '+33199001234', id, 2, 180, 10 FROM policy RETURNING id
    )
    INSERT INTO voicemail_recipient (line_id, position, email) SELECT id, 1, 'desk@example.org' FROM support
    RETURNING line_id
"""


async def test_nobody_is_told_of_a_failed_call_while_the_fallback_serves_it(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async def told() -> int | None:
        async with engine.connect() as connection:
            return await connection.scalar(text("SELECT count(*) FROM outbox"))

    async with engine.begin() as connection:
        line = await connection.scalar(text(LINE))
    call, ended = uuid4(), datetime.now(UTC) - timedelta(minutes=2)
    over = CallClosed(id=call, ended_at=ended, outcome=Outcome.FAILED)
    await journal(engine, replace(opened(call, line_id=line, line_name="Support"), started_at=ended), over)
    asterisk = an_asterisk(call)
    aftermath = Aftermath((asterisk,), engine, Paper(tmp_path))  # type: ignore[arg-type]
    for _ in range(LOOKS_A_MINUTE):
        await aftermath.look()
    assert await told() == 0
    asterisk.ari.alive.clear()
    for _ in range(LOOKS_A_MINUTE):
        await aftermath.look()
    assert await told() == 1


def an_asterisk(*calls: UUID) -> Any:
    """One on which these calls are."""
    alive = [Channel(id=f"channel of {call}", channelvars={"VIGIE_CALL": str(call)}) for call in calls]

    async def channels() -> list[Channel]:
        return list(alive)

    async def nothing(*_: object) -> list[object]:
        return []

    ari = SimpleNamespace(
        connected=True,
        alive=alive,
        channels=channels,
        started_at=CAME,
        later=lambda work, _: work.close(),
        set_variable=nothing,
    )
    return Hashable(ari=ari, calls={}, mailroom=SimpleNamespace(left_messages=nothing))


class Hashable(SimpleNamespace):
    __hash__ = object.__hash__


class Paper(list[Record]):
    """A journal on paper, whose spool lies in ``directory``."""

    put = list.append

    def __init__(self, directory: Path) -> None:
        self.directory = directory
