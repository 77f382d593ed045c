"""A leg's scope: a hangup interrupts what is done inside, and only that; a leg never outlives its scope."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from ari_app.ari import Hangup, HungUp, Leg
from tests.ari.conftest import Called, Talking
from tests.support.ari_server import AriServer


async def test_a_hangup_during_a_greeting_ends_the_scope(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")

    async def greet() -> None:
        with pytest.raises(HungUp) as hung_up:
            async with leg:
                await leg.play("sound:greeting")
        assert hung_up.value.hangup.q850 == 16

    greeting = asyncio.create_task(greet())
    await asterisk.asked("POST channels/caller/play")
    asterisk.hangs_up("caller")
    await greeting
    assert greeting.cancelling() == 0
    assert asterisk.count("DELETE channels/caller") == 0


async def test_leaving_hangs_up_and_waits_for_the_cause(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/caller", lambda: asterisk.hangs_up("caller"))
    async with await talking("caller") as leg:
        pass
    assert leg.hangup_cause is not None
    assert leg.hangup_cause.text == "Normal Clearing"


async def test_an_error_inside_hangs_up_and_stays_that_error(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/caller", lambda: asterisk.hangs_up("caller"))
    with pytest.raises(ZeroDivisionError):
        async with await talking("caller"):
            raise ZeroDivisionError
    assert asterisk.count("DELETE channels/caller") == 1


async def test_a_leg_that_has_ended_cannot_be_entered(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.hangs_up("caller")
    with pytest.raises(HungUp):
        await leg.digit()
    with pytest.raises(HungUp):
        async with leg:
            pytest.fail("entered")


async def test_a_scope_is_entered_once(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/caller", lambda: asterisk.hangs_up("caller"))
    leg = await talking("caller")
    async with leg:
        with pytest.raises(RuntimeError, match="entered once"):
            async with leg:
                pass


async def test_a_cancellation_from_outside_stays_one(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/caller", lambda: asterisk.hangs_up("caller"))
    leg = await talking("caller")
    call = asyncio.create_task(_hold(leg))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert leg.hangup_cause is not None


async def test_a_cancellation_from_outside_wins_over_a_hangup_at_the_same_time(
    asterisk: AriServer, talking: Talking
) -> None:
    leg = await talking("caller")
    call = asyncio.create_task(_hold(leg))
    call.get_loop().call_soon(call.cancel)
    await asyncio.sleep(0)
    leg.saw_leaving()
    asterisk.is_destroyed("caller")
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()


@pytest.mark.parametrize("outside_first", [True, False])
async def test_hangup_and_cancellation_within_one_turn_of_the_loop(talking: Talking, outside_first: bool) -> None:
    leg = await talking("caller")
    call = asyncio.create_task(_hold(leg))
    await asyncio.sleep(0)
    ending: list[Callable[[], object]] = [call.cancel, lambda: leg.end(_hangup())]
    for end in ending if outside_first else reversed(ending):
        end()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_hanging_up_on_leaving_survives_a_second_cancellation(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_hold("DELETE channels/caller")
    leg = await talking("caller")
    call = asyncio.create_task(_hold(leg))
    await asyncio.sleep(0)
    call.cancel()
    await asterisk.asked("DELETE channels/caller")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    asterisk.release("DELETE channels/caller")
    asterisk.hangs_up("caller")
    with pytest.raises(HungUp):
        await leg.digit()


async def test_leaving_is_bounded_when_asterisk_is_silent(
    asterisk: AriServer, talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.ari.client.LEAVING_SECONDS", 0.05)
    asterisk.will_hold("DELETE channels/caller")
    async with asyncio.timeout(1):
        async with await talking("caller") as leg:
            pass
    assert leg.hangup_cause is None


async def test_a_callee_who_hangs_up_leaves_the_caller_alone(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/caller", lambda: asterisk.hangs_up("caller"))
    async with await talking("caller") as caller:
        alice = await talking("alice")
        asterisk.hangs_up("alice", 17, "User busy")
        with pytest.raises(HungUp) as hung_up:
            await _hold(alice)
        assert hung_up.value.leg_id == "alice"
        assert hung_up.value.hangup.q850 == 17
        assert caller.hangup_cause is None


async def test_a_caller_who_hangs_up_stops_the_callee(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/alice", lambda: asterisk.hangs_up("alice"))
    caller, alice = await talking("caller"), await talking("alice")

    async def call() -> None:
        async with caller:
            await _hold(alice)

    asterisk.hangs_up("caller")
    with pytest.raises(HungUp) as hung_up:
        await call()
    assert hung_up.value.leg_id == "caller"
    assert asterisk.count("DELETE channels/alice") == 1


async def test_both_hang_up_at_once(talking: Talking) -> None:
    caller, alice = await talking("caller"), await talking("alice")

    async def call() -> None:
        async with caller, alice:
            await alice.digit()

    calling = asyncio.create_task(call())
    await asyncio.sleep(0)
    alice.end(_hangup())
    caller.end(_hangup())
    with pytest.raises(HungUp) as hung_up:
        await calling
    assert hung_up.value.leg_id == "caller"


async def test_a_caller_who_hangs_up_stops_all_who_are_rung_together(
    asterisk: AriServer, talking: Talking, called: Called
) -> None:
    rung = ["alice", "bob", "carol"]
    for name in rung:
        asterisk.will_do(f"DELETE channels/{name}", partial(asterisk.is_destroyed, name))

    async def offer(name: str) -> None:
        async with await called(name) as leg:
            await leg.answered()

    async def hunt(caller: Leg) -> None:
        async with caller, asyncio.TaskGroup() as offers:
            for name in rung:
                offers.create_task(offer(name))

    hunting = asyncio.create_task(hunt(await talking("caller")))
    for name in rung:
        await asterisk.asked(f"POST channels/{name}")
    asterisk.hangs_up("caller")
    with pytest.raises(HungUp) as hung_up:
        await hunting
    assert hung_up.value.leg_id == "caller"
    assert asterisk.channels == {}


async def test_a_task_of_the_scope_that_finds_the_leg_gone_ends_it_as_one_hangup(
    asterisk: AriServer, talking: Talking
) -> None:
    asterisk.will_answer("POST channels/caller/moh", 404, {"message": "Channel not found"})

    async def wait_with_music(leg: Leg) -> None:
        async with leg, asyncio.TaskGroup() as tasks:
            tasks.create_task(leg.moh())
            tasks.create_task(leg.digit())

    with pytest.raises(HungUp):
        await wait_with_music(await talking("caller"))


async def _hold(leg: Leg) -> None:
    async with leg:
        await leg.digit()


def _hangup() -> Hangup:
    return Hangup.unseen("test")
