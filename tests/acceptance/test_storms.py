"""Too much of everything: keys, hangups, cancellations and answers in an order that makes no sense."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from db.models import Attempt, Call
from lab.phones import ringing
from lab.waiting import eventually
from lab.wire import Dialog, Message, Wire
from lab.wired import Side, picked_up
from lab.world import World
from oncall.outcomes import Disposition, Outcome

pytestmark = pytest.mark.usefixtures("unleaked")

STORM = 300
HANGUPS, ROUNDS = 500, 10
"""The rounds are those of the policy eve-again."""
DISORDERS = (
    ("200", "200"),
    ("200", "180", "183"),
    ("183", "180", "183", "200"),
    ("200:first", "200:second"),
    ("180:first", "180:second", "200:third"),
    ("200", "486"),
    ("486", "200"),
    ("200:mute",),
    ("200:garbage",),
    ("199", "299"),
    ("100", "100", "699"),
)


async def test_a_storm_of_keys_costs_neither_the_call_nor_anybody_elses(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    async with picked_up(world, "eve", "eve") as (caller, eve):
        await asyncio.gather(storm(caller, "1"), world.answers())
        eve.presses("1")
        await eve.reaches(caller)
        await asyncio.gather(storm(eve, "6"), storm(caller, "6"), world.answers())
        await caller.hangs_up()  # with all the keys that are still to be told
        await eve.dialog.wire.is_asked("BYE")
        await world.nothing_left()


async def test_a_storm_of_keys_instead_of_1_does_not_keep_the_call_from_others(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    async with picked_up(world, "eve", "eve") as (caller, eve):
        await asyncio.gather(storm(eve, "5"), world.answers())
        await eve.hangs_up()
        await world.phone("carol").rings()
        await caller.hangs_up()


async def storm(side: Side, key: str) -> None:
    """Presses a key hundreds of times, as packets and as SIP INFO, faster than it can be said."""
    for count in range(STORM):
        side.presses(key)
        if count % 3 == 0:
            body = f"Signal={key}\r\nDuration=80\r\n"
            side.dialog.wire.send(side.dialog.text("INFO", body=body, kind="application/dtmf-relay"))
        await asyncio.sleep(0.002)


async def test_a_phone_that_answers_and_at_once_hangs_up_five_hundred_times(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    began = datetime.now(UTC)
    answered: dict[str, Dialog] = {}
    async with world.somebody(world.carrier.host) as line, world.own_phone("eve") as phone:
        phone.on_invite = lambda invite: answered.update({invite.header("Call-ID"): phone.take(invite, 9)})
        phone.on_ack = lambda ack: phone.send(answered[ack.header("Call-ID")].text("BYE"))
        number = world.site.lines["eve-again"].numbers[0]
        calls = [await line.call(number, 9) for _ in range(HANGUPS // ROUNDS)]
        while len(answered) < HANGUPS:
            await world.answers()
            assert datetime.now(UTC) - began < timedelta(seconds=60), f"only {len(answered)} hangups"
        for call in calls:
            await call.ask("BYE")
        await world.nothing_left()

    query = select(Attempt.disposition).join(Call, Call.id == Attempt.call_id)
    query = query.where(Call.started_at >= began, Attempt.person_name == "Eve")
    unheard = {Disposition.NOT_CONFIRMED, Disposition.NO_ANSWER}

    async def otherwise() -> str:
        async with world.engine.connect() as connection:
            ends = Counter((await connection.scalars(query)).all())
        return "" if ends.total() == HANGUPS and ends.keys() <= unheard else f"the journal has {ends}"

    await eventually(otherwise, within=5, hoped="each attempt is journalled")


async def test_callers_who_cancel_at_every_moment(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    began = datetime.now(UTC)
    async with world.somebody(world.carrier.host) as line:

        async def give_up_after(seconds: float) -> None:
            invite = line.invite(world.site.lines["support"].numbers[0])
            line.send(invite)
            await asyncio.sleep(seconds)
            line.cancel(invite)
            await line.ends(invite)

        moments = [count / 1000 for count in range(60)]
        await asyncio.gather(*map(give_up_after, moments))
        await line.leave()
    await world.nothing_left()

    query = select(Call.outcome, func.count()).where(Call.started_at >= began).group_by(Call.outcome)
    async with world.engine.connect() as connection:
        assert [row[0] for row in await connection.execute(query)] == [Outcome.ABANDONED]


@pytest.mark.parametrize("order", DISORDERS, ids=" ".join)
async def test_a_phone_that_answers_in_an_order_that_makes_no_sense(world: World, order: tuple[str, ...]) -> None:
    world.phone("carol").does_by_itself(ringing)
    async with world.somebody(world.carrier.host) as line, world.own_phone("eve") as phone:
        phone.on_invite = lambda invite: [answer(phone, invite, each) for each in order] and None
        call = await line.call(world.site.lines["eve"].numbers[0], 9)
        await phone.is_asked("ACK")
        await call.ask("BYE")
        await world.nothing_left()


def answer(phone: Wire, invite: Message, status: str) -> None:
    """Answers with a code; behind it may stand who of several phones behind the same name it is, or what is said of
    sound."""
    code, _, rest = status.partition(":")
    body = {"": phone.session(), "mute": "", "garbage": "v=0\r\ngarbage"}.get(rest, phone.session())
    phone.answer(invite, f"{code} Whatever", body=body if code == "200" else "", tag=rest or "wire")


async def test_a_phone_that_answers_what_was_cancelled(world: World) -> None:
    async with world.somebody(world.carrier.host) as line, world.own_phone("eve") as phone:
        phone.on_invite = lambda invite: phone.answer(invite, "180 Ringing")
        phone.on_cancel = lambda invite: phone.answer(invite, "200 OK", body=phone.session())
        call = await line.call(world.site.lines["eve"].numbers[0], 9)
        await phone.is_asked("INVITE")
        await call.ask("BYE")
        await phone.is_asked("CANCEL")
        await phone.is_asked("BYE")  # what it has taken is given back
