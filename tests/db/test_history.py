"""The rows that a call's records become do not depend on the order in which they are written, nor how often."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from db.records import AttemptClosed, CallAnswered, Record, encode
from db.scribe import Scribe
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from tests.support.history import StoryTeller
from tests.support.journal import COUNTS, counts, files, rows


def adopted(story: StoryTeller) -> list[Record]:
    """A call that w1 had, w2 took over when w1 hung, and w1 went on with when it woke up; the fallback had the end."""
    opened, began = story.opened(), story.event(EventKind.INCOMING)
    answered = CallAnswered(id=story.id, answered_at=story.now())
    alice_opened, rang, *alice = story.attempt(Disposition.ACCEPTED)
    alice_closed = alice[-1]
    assert isinstance(alice_closed, AttemptClosed)
    bob = story.attempt(Disposition.ACCEPTED, "Bob")
    woke_up = replace(alice_closed, disposition=Disposition.WITHDRAWN, ended_at=story.now())
    fallback = replace(opened, route=Route.AGI, worker=None, plan=None, started_at=story.now())
    return [
        *(opened, began, answered, alice_opened, rang, *alice),
        replace(alice_closed, disposition=Disposition.CUT, generation=1, ended_at=story.now()),
        replace(answered, answered_at=story.now()),
        *(replace(each, generation=1) if isinstance(each, AttemptClosed) else each for each in bob),
        *(woke_up, story.closed(Outcome.ABANDONED)),
        *(fallback, replace(story.closed(Outcome.VOICEMAIL), generation=2)),
        replace(story.closed(Outcome.FAILED), generation=2),
    ]


async def told(engine: AsyncEngine, call: UUID) -> dict[str, Any]:
    """All that the database says of a call, in which nothing but the call's own ids differs from another's."""
    return {
        "call": await rows(
            engine,
            f"SELECT worker, route, caller, started_at, answered_at, ended_at, outcome, generation, plan FROM call"
            f" WHERE id = '{call}'",
        ),
        "attempts": await rows(
            engine,
            f"SELECT person_name, answered_at, ended_at, disposition, generation FROM attempt WHERE call_id = '{call}'"
            " ORDER BY person_name",
        ),
        "events": await rows(
            engine, f"SELECT seq, at, kind, who FROM call_event WHERE call_id = '{call}' ORDER BY seq"
        ),
    }


@pytest.fixture
async def scribe(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Scribe]:
    scribe = Scribe(engine, tmp_path, "w1")
    yield scribe
    await scribe.close()
    assert not files(tmp_path), "something was set aside"


async def write_in_bits(scribe: Scribe, records: list[Record], bits: random.Random) -> None:
    """Writes ``records`` in batches of any size; what waits for others comes again after all others."""
    left = [encode(record) for record in records]
    while left:
        size = bits.randint(1, 6)
        batch, left = left[:size], left[size:]
        left += await scribe.attempt(batch)


async def test_the_order_of_records_changes_nothing(scribe: Scribe, engine: AsyncEngine) -> None:
    in_order = StoryTeller()
    await write_in_bits(scribe, adopted(in_order), random.Random(0))
    for seed in range(20):
        shuffled, order = StoryTeller(), random.Random(seed)
        records = adopted(shuffled)
        records += order.sample(records, 5)
        order.shuffle(records)
        await write_in_bits(scribe, records, order)
        assert await told(engine, shuffled.id) == await told(engine, in_order.id), f"seed {seed}"


async def test_the_last_owner_has_the_last_word(scribe: Scribe, engine: AsyncEngine) -> None:
    story = StoryTeller()
    assert await scribe.attempt([encode(record) for record in adopted(story)]) == []
    history = await told(engine, story.id)
    ((worker, route, *_, outcome, generation, plan),) = history["call"]
    assert (worker, route, outcome, generation, plan) == ("w1", "agi", "voicemail", 2, {"rounds": 1})
    assert [(row[0], row[3], row[4]) for row in history["attempts"]] == [("Alice", "cut", 1), ("Bob", "accepted", 1)]


async def test_what_has_no_row_to_belong_to_is_given_back(scribe: Scribe, engine: AsyncEngine) -> None:
    story, other = StoryTeller(), StoryTeller()
    opened, *rest = map(encode, story.whole())
    waiting = await scribe.attempt([*rest, *map(encode, other.whole())])
    assert sorted(waiting) == sorted(rest)
    assert await counts(engine) == COUNTS
    assert await scribe.attempt([opened, *waiting]) == []
    assert await counts(engine) == {table: 2 * count for table, count in COUNTS.items()}


async def test_a_fallback_that_knows_less_takes_nothing_away(scribe: Scribe, engine: AsyncEngine) -> None:
    story = StoryTeller()
    poor = replace(story.opened(), caller=None, plan=None, line_name=None, worker=None, route=Route.DIALPLAN)
    for opening in (poor, story.opened(), replace(poor, route=Route.AGI)):
        await scribe.attempt([encode(opening)])
    assert await rows(engine, "SELECT caller, line_name, worker, route, plan FROM call") == [
        ("+33612345678", "Support", "w1", "dialplan", {"rounds": 1})
    ]
