"""Calls that are refused unanswered: our own that come back from a diverted mobile, and too many at once."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import select

from db.models import Call
from lab.phones import ringing
from lab.waiting import eventually, until
from lab.world import World
from oncall.outcomes import Disposition, Outcome
from tests.support.diversion import TOLD, diverts_to
from vigie.site.importer import import_site

ERINS_MOBILE = "+33612000005"
BUSY = "SIP/2.0 486 Busy Here"


@pytest_asyncio.fixture(loop_scope="session")
async def preferring_the_other_trunk(world: World) -> AsyncIterator[World]:
    """Mobiles are called by the carrier who is out of order, as soon as that is obeyed."""
    backwards = dict(reversed(world.site.trunks.items()))
    await import_site(world.engine, world.site.model_copy(update={"trunks": backwards}))
    try:
        await eventually(lambda: _by_the_first_trunk(world), within=20, hoped="the other trunk is tried first")
        yield world
    finally:
        await import_site(world.engine, world.site, prune=True)


async def _by_the_first_trunk(world: World) -> str:
    """Complains as long as Erin's mobile rings by the other one."""
    world.disorder.called.clear()
    mobile, carol = world.mobile(ERINS_MOBILE), world.phone("carol")
    rung = len(mobile.calls)
    for phone in (mobile, carol):
        phone.does_by_itself(ringing)
    caller = await world.call("methods")
    await until(
        lambda: ERINS_MOBILE in world.disorder.called or len(mobile.calls) > rung,
        within=10,
        hoped="the mobile is called",
        instead=lambda: "it is not",
    )
    await caller.hangs_up()
    await world.nothing_left()
    for phone in (mobile, carol):
        phone.is_forgotten()
    return "" if ERINS_MOBILE in world.disorder.called else "it is not tried"


@pytest.mark.parametrize("told", TOLD)
async def test_the_call_that_comes_back_is_refused_and_the_next_person_rung(
    preferring_the_other_trunk: World, told: str
) -> None:
    world = preferring_the_other_trunk
    async with world.diverting() as carrier:
        diverts_to(carrier, world.site.lines["methods"].numbers[0], told)
        caller = await world.call("methods")
        carol = await world.phone("carol").rings(within=5)
        channels = (await world.pbx.command("core show channels concise")).splitlines()
        assert len(channels) <= 3, channels
        assert carrier.answers == [BUSY]
        await carol.accepts(caller)
        await caller.hangs_up()
        await carol.is_hung_up()
    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [
        ("Erin", Disposition.UNREACHABLE),
        ("Erin", Disposition.DIVERTED_TO_US),
        ("Carol", Disposition.ACCEPTED),
    ]
    letter = await world.mailbox.receives("erin@societe.example", within=30)  # once in six hours
    assert "Erin" in letter.subject


async def test_more_calls_at_once_than_a_line_takes_or_a_caller_makes_are_refused(world: World) -> None:
    number = world.site.lines["narrow"].numbers[0]
    one = await world.call("narrow", from_="+33655009001")
    await one.is_answered()
    async with world.somebody(world.carrier.host) as trunk:
        again = trunk.invite(number, from_="<sip:0655009001@carrier.lab>")
        assert (await trunk.ask(again)).first_line == BUSY
        other = await world.call("narrow", from_="")
        await other.is_answered()
        assert (await trunk.ask(trunk.invite(number, from_="<sip:+33655009002@carrier.lab>"))).status == 503
        await other.hangs_up()
        await one.hangs_up()
        await world.nothing_left()
        free = await world.call("narrow", from_="+33655009001")
        await free.is_answered()
        await free.hangs_up()

    async def missing() -> str:
        async with world.engine.connect() as connection:
            refused = select(Call.caller).where(Call.did == number, Call.outcome == Outcome.REFUSED)
            told = sorted((await connection.scalars(refused)).all())
        return "" if told == ["+33655009001", "+33655009002"] else str(told)

    await eventually(missing, within=10, hoped="the refusals are in the journal")
