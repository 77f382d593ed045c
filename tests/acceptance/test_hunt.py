"""Finding somebody for the caller: who is rung, who is left alone, and what makes the hunt move on.

Telephones ring for 60 s here: the next one rings within seconds only because the hunt did not wait for that.
"""

import pytest

from lab.phones import rejecting, ringing
from lab.waiting import eventually
from lab.wired import picked_up
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome

ERINS_MOBILE = "+33612000005"
FRANKS_MOBILE = "+33612000006"


async def test_the_first_to_press_1_has_the_call_and_the_others_stop_ringing(world: World) -> None:
    caller = await world.call("together")
    alice = await world.phone("alice").rings()
    bob = await world.phone("bob").rings()
    await bob.answers()
    await bob.presses("1")
    await alice.is_left_alone()
    await bob.is_connected_to(caller)
    await bob.hangs_up()
    await caller.is_hung_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert set(trace.dispositions) == {("Bob", Disposition.ACCEPTED), ("Alice", Disposition.WITHDRAWN)}


async def test_two_who_pick_up_together_do_not_both_get_the_call(world: World) -> None:
    caller = await world.call("together")
    alice = await world.phone("alice").rings()
    bob = await world.phone("bob").rings()
    await alice.answers()
    await bob.answers()
    await alice.presses("1")
    await bob.is_hung_up()
    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up()

    trace = await world.trace(caller)
    assert set(trace.dispositions) == {("Alice", Disposition.ACCEPTED), ("Bob", Disposition.WITHDRAWN)}


async def test_pressing_2_sends_the_call_on(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.presses("2")
    await world.phone("carol").rings()
    await alice.is_hung_up()
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert trace.dispositions == [("Alice", Disposition.REFUSED), ("Carol", Disposition.CALLER_GONE)]


async def test_pressing_1_while_the_callers_number_is_read_out_connects_at_once(world: World) -> None:
    async with picked_up(world, "eve", "eve") as (caller, eve):
        await eve.sound.hears_sound(packets=130)  # 2.6 s: "Appel pour Eve, de la part du", and some of the digits
        eve.presses("1")
        await eve.is_connected_to(caller, within=2)
        await caller.hangs_up()


async def test_keys_that_mean_nothing_are_passed_over(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    await alice.presses("5#1")
    await alice.is_connected_to(caller)
    await caller.hangs_up()
    await alice.is_hung_up()

    assert (await world.trace(caller)).dispositions == [("Alice", Disposition.ACCEPTED)]


@pytest.mark.parametrize(
    ("sip", "disposition"),
    [
        (486, Disposition.BUSY),
        (603, Disposition.REFUSED),
        (480, Disposition.UNREACHABLE),
        (404, Disposition.DEAD_NUMBER),
    ],
)
async def test_a_phone_that_rejects_the_call_is_not_waited_for(
    world: World, sip: int, disposition: Disposition
) -> None:
    world.phone("alice").does_by_itself(rejecting(sip))
    caller = await world.call("support")
    await world.phone("carol").rings()
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert trace.dispositions[0] == ("Alice", disposition)
    assert trace.attempt("Alice").sip == sip


@pytest.mark.parametrize(
    ("sip", "disposition"),
    [
        (486, Disposition.BUSY),
        (480, Disposition.UNREACHABLE),
        (404, Disposition.DEAD_NUMBER),
        (503, Disposition.UNREACHABLE),
    ],
)
async def test_a_number_that_the_trunk_cannot_reach_is_not_waited_for(
    world: World, sip: int, disposition: Disposition
) -> None:
    world.mobile(FRANKS_MOBILE).does_by_itself(rejecting(sip))
    caller = await world.call("mobile")
    await world.phone("carol").rings()
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert trace.dispositions[0] == ("Frank", disposition)
    assert trace.attempt("Frank").sip == sip


async def test_the_next_contact_method_is_tried_when_a_softphone_is_off(world: World) -> None:
    mobile = world.mobile(ERINS_MOBILE)
    caller = await world.call("methods")
    erin = await mobile.rings()
    await erin.accepts(caller)
    await caller.hangs_up()
    await erin.is_hung_up()

    trace = await world.trace(caller)
    assert [(attempt.kind, attempt.disposition) for attempt in trace.attempts] == [
        ("sip", Disposition.UNREACHABLE),
        ("phone", Disposition.ACCEPTED),
    ]


async def test_a_desk_phone_takes_the_call_without_any_key(world: World) -> None:
    caller = await world.call("desk")
    dave = await world.phone("dave").rings()
    await dave.answers()
    await dave.is_connected_to(caller)
    await dave.hangs_up()
    await caller.is_hung_up()

    assert (await world.trace(caller)).dispositions == [("Dave", Disposition.ACCEPTED)]


async def test_each_sees_the_number_that_their_contact_method_asks_for(world: World) -> None:
    caller = await world.call("support")
    assert (await world.phone("alice").rings()).caller_id == caller.journalled_as
    await caller.hangs_up()

    mobile = world.mobile(FRANKS_MOBILE)
    other = await world.call("mobile")
    assert (await mobile.rings()).caller_id == world.site.lines["mobile"].numbers[0]
    await other.hangs_up()


async def test_a_line_with_nobody_on_call_goes_straight_to_the_next_step(world: World) -> None:
    caller = await world.call("gap")
    await world.phone("carol").rings()
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert "Astreinte sans personne" in (trace.event(EventKind.NOBODY_ON_CALL).reason or "")
    assert trace.dispositions == [("Carol", Disposition.CALLER_GONE)]


async def test_the_whole_hunt_is_capped(world: World) -> None:
    caller = await world.call("capped")
    alice = await world.phone("alice").rings()
    await alice.is_left_alone(within=15)
    await caller.hangs_up()

    trace = await world.trace(caller)
    assert trace.dispositions == [("Alice", Disposition.WITHDRAWN)]
    assert EventKind.HUNT_OVER in trace.kinds


async def test_a_person_in_conversation_is_not_rung_by_another_call_on_any_worker(world: World) -> None:
    first = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.accepts(first)
    workers = set()

    async def another_is_for_bob() -> str:
        """Calls until both workers have had one: which of them takes a call is chance."""
        second = await world.call("in-turn")
        await world.phone("bob").rings()
        await second.hangs_up()
        trace = await world.trace(second)
        assert trace.dispositions == [("Alice", Disposition.ENGAGED), ("Bob", Disposition.CALLER_GONE)]
        workers.add(trace.call.worker)
        return "" if len(workers) == 2 else f"only {workers} had a call"

    await eventually(another_is_for_bob, within=20, hoped="a call on each worker", grain=0)
    await first.hangs_up()
    await alice.is_hung_up()

    third = await world.call("in-turn")
    await world.phone("alice").rings()
    await third.hangs_up()


async def test_a_ringing_call_is_withdrawn_from_somebody_who_takes_another(world: World) -> None:
    phone = world.phone("alice")
    first = await world.call("support")
    waiting = await phone.rings(showing=first.journalled_as)
    second = await world.call("in-turn")
    taken = await phone.rings(showing=second.journalled_as)
    await taken.answers()
    await taken.presses("1")
    await waiting.is_left_alone()
    await world.phone("carol").rings(showing=first.journalled_as)
    await taken.is_connected_to(second)
    await first.hangs_up()
    await second.hangs_up()
    await taken.is_hung_up()

    trace = await world.trace(first)
    assert trace.dispositions == [("Alice", Disposition.WITHDRAWN), ("Carol", Disposition.CALLER_GONE)]
    assert (await world.trace(second)).dispositions == [("Alice", Disposition.ACCEPTED)]


@pytest.mark.parametrize(
    "user", ["+33899000001", "PJSIP%2F+33899000001%40trunk-lab", "Local%2F+33180000001%40vigie-in"]
)
async def test_a_phone_that_sends_its_calls_elsewhere_connects_nobody_there(world: World, user: str) -> None:
    mobile, elsewhere = world.mobile("+33612000006"), world.mobile("+33899000001")
    elsewhere.does_by_itself(ringing)  # it may begin to ring; that is stopped at once
    caller = await world.call("mobile")
    frank = await mobile.rings()
    await frank.redirects(f"sip:{user}@{world.carrier}")
    carol = await world.phone("carol").rings()
    for attempt in elsewhere.calls:
        await attempt.is_left_alone(within=2)
    await caller.hangs_up()
    await carol.is_left_alone()

    trace = await world.trace(caller)
    assert trace.dispositions == [("Frank", Disposition.UNREACHABLE), ("Carol", Disposition.CALLER_GONE)]
