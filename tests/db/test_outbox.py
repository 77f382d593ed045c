"""The outbox on a real database: who holds a message, for how long, and when it is given up."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import make_engine
from db.errors import DatabaseError
from db.models import OutboxMessage
from notify.backoff import Backoff
from notify.outbox import Outbox, Parcel
from tests.support.post import given_outbox_rows, make_due, outbox

LONG_AGO = text("UPDATE outbox SET created_at = now() - interval '4 days'")


async def the_row(engine: AsyncEngine) -> OutboxMessage:
    (row,) = (await outbox(engine)).values()
    return row


async def claimed(engine: AsyncEngine, lease: timedelta = timedelta(minutes=10)) -> Parcel:
    parcel = await Outbox(engine, lease=lease).claim("email")
    assert parcel is not None
    return parcel


async def test_the_message_due_for_longest_goes_first(engine: AsyncEngine) -> None:
    ids = [*await given_outbox_rows(engine), *await given_outbox_rows(engine)]
    assert [(await claimed(engine)).id for _ in ids] == ids
    assert await Outbox(engine).claim("email") is None


async def test_only_what_is_due_on_the_channel_is_taken(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine, channel="sms")
    await given_outbox_rows(engine, due_at=datetime.now(UTC) + timedelta(hours=1))
    assert await Outbox(engine).count_due("email") == 0
    assert await Outbox(engine).claim("email") is None
    assert await Outbox(engine).count_due("sms") == 1


async def test_many_hands_never_take_the_same_message(engine: AsyncEngine) -> None:
    ids = await given_outbox_rows(engine, 20)

    async def hand() -> list[Parcel]:
        taken = []
        while parcel := await Outbox(engine).claim("email"):
            taken.append(parcel)
        return taken

    hands = await asyncio.gather(*(hand() for _ in range(5)))
    assert sorted(parcel.id for taken in hands for parcel in taken) == sorted(ids)


async def test_a_claim_that_ran_out_makes_the_message_due_again(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    lost = await claimed(engine, lease=timedelta(0))
    assert await Outbox(engine).reclaim_overdue() == 1
    again = await claimed(engine)
    assert again.id == lost.id
    assert again.attempts == 2
    assert await Outbox(engine).reclaim_overdue() == 0


async def test_who_lost_the_message_cannot_settle_it_for_who_has_it_now(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    lost = await claimed(engine, lease=timedelta(0))
    await Outbox(engine).reclaim_overdue()
    held = await claimed(engine)
    await Outbox(engine).fail(lost, "too late to say")
    await Outbox(engine).postpone(lost, "too late to say")
    await Outbox(engine).release(lost, "too late to say")
    row = await the_row(engine)
    assert (row.state, row.deadline, row.last_error) == ("sending", held.deadline, None)


async def test_sent_is_a_fact_whoever_holds_the_message(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    lost = await claimed(engine, lease=timedelta(0))
    await Outbox(engine).reclaim_overdue()
    await Outbox(engine).mark_sent(lost.id)
    assert await Outbox(engine).claim("email") is None
    row = await the_row(engine)
    assert row.state == "sent"
    assert row.sent_at is not None


async def test_a_refused_message_waits_longer_each_time_within_bounds(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    retries = Backoff(first=timedelta(minutes=1), most=timedelta(minutes=3), draw=lambda _, most: most)
    waits = []
    for _ in range(4):
        await make_due(engine)
        assert await Outbox(engine, retries).postpone(await claimed(engine), "451 greylisted")
        async with engine.connect() as connection:
            waits.append(await connection.scalar(text("SELECT round(extract(epoch FROM due_at - now())) FROM outbox")))
    assert waits == [60, 120, 180, 180]
    row = await the_row(engine)
    assert (row.state, row.attempts, row.last_error) == ("pending", 4, "451 greylisted")


@pytest.mark.parametrize("attempts", range(1, 12))
def test_waits_are_spread_but_never_beyond_the_longest(attempts: int) -> None:
    backoff = Backoff(first=timedelta(seconds=5), most=timedelta(minutes=15))
    whole = replace(backoff, draw=lambda _, most: most).after(attempts)
    assert whole <= timedelta(minutes=15)
    assert {whole / 2 <= backoff.after(attempts) <= whole for _ in range(50)} == {True}


async def test_a_message_is_given_up_after_days_and_many_attempts_only(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine, attempts=11)
    assert await Outbox(engine).postpone(await claimed(engine), "451"), "it is young"
    async with engine.begin() as connection:
        await connection.execute(LONG_AGO)
        await connection.execute(text("UPDATE outbox SET attempts = 3"))
    await make_due(engine)
    assert await Outbox(engine).postpone(await claimed(engine), "451"), "the server was away for days"
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET attempts = 11"))
    await make_due(engine)
    assert not await Outbox(engine).postpone(await claimed(engine), "451")
    assert (await the_row(engine)).state == "failed"


async def test_a_released_message_is_as_before_its_claim(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    before = await the_row(engine)
    await Outbox(engine).release(await claimed(engine), "server away")
    after = await the_row(engine)
    assert (after.state, after.attempts, after.due_at) == ("pending", 0, before.due_at)
    assert after.last_error == "server away"


async def test_a_refusal_for_good_ends_it(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    await Outbox(engine).fail(await claimed(engine), "550 no such user")
    await make_due(engine)
    assert await Outbox(engine).claim("email") is None
    assert (await the_row(engine)).last_error == "550 no such user"


async def test_without_a_database_the_error_says_so() -> None:
    engine = make_engine("postgresql://vigie@127.0.0.1:1/vigie")
    with pytest.raises(DatabaseError):
        await Outbox(engine).claim("email")
    await engine.dispose()


async def test_a_message_that_failed_may_be_tried_again_as_if_it_were_new(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine, attempts=11)
    parcel = await claimed(engine)
    await Outbox(engine).fail(parcel, "550 no such user")
    assert await Outbox(engine).retry(parcel.id)
    again = await claimed(engine)
    assert (again.id, again.attempts) == (parcel.id, 1)


async def test_a_message_that_was_put_off_may_be_tried_now(engine: AsyncEngine) -> None:
    (key,) = await given_outbox_rows(engine, due_at=datetime.now(UTC) + timedelta(hours=1))
    assert await Outbox(engine).retry(key)
    assert (await claimed(engine)).id == key


async def test_a_message_that_is_sent_or_being_sent_is_not_tried_again(engine: AsyncEngine) -> None:
    await given_outbox_rows(engine)
    parcel = await claimed(engine)
    assert not await Outbox(engine).retry(parcel.id)
    await Outbox(engine).mark_sent(parcel.id)
    assert not await Outbox(engine).retry(parcel.id)
    assert await Outbox(engine).retry_failed() == 0


async def test_all_that_failed_is_tried_again_and_nothing_else(engine: AsyncEngine) -> None:
    ids = await given_outbox_rows(engine, 3, state="failed", last_error="550 no such user")
    await given_outbox_rows(engine, due_at=datetime.now(UTC) + timedelta(hours=1))
    assert await Outbox(engine).retry_failed() == 3
    assert sorted([(await claimed(engine)).id for _ in ids]) == sorted(ids)
    assert await Outbox(engine).claim("email") is None
