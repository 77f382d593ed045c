"""The caller: who they are, what they dial, and when they give up."""

import pytest

from lab.phones import ringing
from lab.sipp import sipp
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome


async def test_hanging_up_while_the_person_called_is_asked_to_press_1(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.hears_something()
    await caller.hangs_up()
    await alice.is_hung_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ABANDONED
    assert trace.dispositions == [("Alice", Disposition.CALLER_GONE)]


async def test_hanging_up_at_once(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    caller = await world.call("support")
    await caller.hangs_up()


async def test_hanging_up_while_a_message_is_asked_for(world: World) -> None:
    caller = await world.call("answering-machine")
    await caller.is_answered()
    await caller.hears_something()
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.NO_MESSAGE


async def test_a_number_that_leads_nowhere_is_said_to_be_out_of_service(world: World) -> None:
    caller = await world.call("+33180000099")
    await caller.is_answered()
    await caller.hears_something()
    await caller.is_hung_up(within=15)

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.UNKNOWN_NUMBER
    assert EventKind.ANNOUNCEMENT in trace.kinds


async def test_nobody_calls_out_through_the_trunk(world: World) -> None:
    victim = world.mobile("+33612999999")
    caller = await world.call("+33612999999")
    await caller.is_answered()
    await caller.hangs_up()

    assert (await world.trace(caller)).outcome is Outcome.ABANDONED
    assert not victim.calls


async def test_a_withheld_number_is_shown_as_the_lines(world: World) -> None:
    caller = await world.call("support", from_="")
    alice = await world.phone("alice").rings()
    assert alice.caller_id == world.site.lines["support"].numbers[0]
    await alice.answers()
    await alice.hears_something()
    await alice.presses("1")
    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.call.caller is None


@pytest.mark.parametrize("number", ["+", "abc", "0", "0" * 40, "+33;drop", "%s%n"])
async def test_a_malformed_number_does_not_cost_the_call(world: World, number: str) -> None:
    caller = await world.call("support", from_=number)
    caller.journalled_as = None
    await world.phone("alice").rings()
    await caller.hangs_up()

    assert (await world.trace(caller)).outcome is Outcome.ABANDONED


async def test_a_stranger_is_refused(world: World) -> None:
    number = world.site.lines["support"].numbers[0]
    tally = await sipp("refused", number, source=world.outsider, to=world.settings.sip_bind, within=5)
    assert (tally.successful, tally.failed) == (1, 0), tally.complaints


async def test_a_phone_with_a_wrong_password_is_refused(world: World) -> None:
    assert (await world.exchange.registrations())["mallory"] == "Rejected"


async def test_phones_may_dial_nothing(world: World) -> None:
    victim = world.mobile("+33612999998")
    for number in ("+33612999998", world.site.lines["support"].numbers[0], "bob"):
        caller = await world.exchange.call(number, via="alice")
        assert (await caller.is_hung_up()).sip == 404
    assert not victim.calls
    assert not world.phone("bob").calls
