"""How a leg's end is learnt, from whichever sign comes first, and what its cause is."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from ari_app.ari import Conflict, Hangup, HungUp, Leg
from tests.ari.conftest import Called, Talking
from tests.support.ari_server import AriServer


async def test_the_cause_of_a_refused_call(asterisk: AriServer, called: Called) -> None:
    leg = await called("alice")
    asterisk.is_destroyed("alice", 21, "Call Rejected", tech_cause=603)
    at = datetime(2026, 11, 24, 3, 12, 5, 250_000, UTC)
    assert await end_of(leg) == Hangup(21, 603, "Call Rejected", at)


@pytest.mark.parametrize("destroyed_first", [True, False])
async def test_both_events_of_one_hangup_are_one_end(
    asterisk: AriServer, talking: Talking, destroyed_first: bool
) -> None:
    leg = await talking("alice")
    if destroyed_first:
        asterisk.is_destroyed("alice", 17, "User busy")
        asterisk.leaves("alice")
    else:
        asterisk.leaves("alice")
        asterisk.is_destroyed("alice", 17, "User busy")
    assert (await end_of(leg)).q850 == 17


async def test_repeated_events_are_one_end(asterisk: AriServer, talking: Talking) -> None:
    asterisk.copies = 3
    leg = await talking("alice")
    asterisk.hangs_up("alice", 17, "User busy")
    assert (await end_of(leg)).q850 == 17


@pytest.mark.parametrize("request_first", [True, False])
async def test_a_caller_who_says_goodbye(asterisk: AriServer, talking: Talking, request_first: bool) -> None:
    """Of a channel that came from the dialplan there is no ChannelDestroyed, and a BYE has no cause."""
    leg = await talking("caller")
    signs = [asterisk.requests_hangup, asterisk.leaves]
    for sign in signs if request_first else reversed(signs):
        sign("caller")
    assert (await end_of(leg)).q850 == 16


async def test_a_caller_who_gives_up_while_it_rings(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.requests_hangup("caller", cause=127, tech_cause=487)
    asterisk.leaves("caller")
    end = await end_of(leg)
    assert (end.q850, end.sip) == (127, 487)


async def test_a_hangup_on_request_has_no_cause_of_its_own(asterisk: AriServer, talking: Talking) -> None:
    """Asterisk gives the kind of soft hangup (32: explicit) where the cause is in other events."""
    leg = await talking("caller")
    asterisk.requests_hangup("caller", cause=32, soft=True)
    asterisk.leaves("caller")
    assert (await end_of(leg)).q850 == 16


async def test_nobody_hung_up_when_asterisk_is_told_to_stop(asterisk: AriServer, talking: Talking) -> None:
    """It hangs up on everybody first, and tells so (4: shutdown)."""
    leg = await talking("caller")
    asterisk.requests_hangup("caller", cause=4, soft=True)
    asterisk.leaves("caller")
    assert (await end_of(leg)).by_restart


@pytest.mark.parametrize(
    ("told", "q850", "sip"),
    [
        ({"cause": 1, "soft": True}, 44, None),  # no sound for the endpoint's rtp_timeout
        ({"cause": 18, "tech_cause": 408}, 18, 408),  # our 200 was never acknowledged
        ({"cause": 127, "tech_cause": 481}, 127, 481),  # started anew, it knows no call
    ],
)
@pytest.mark.parametrize("destroyed", [True, False])
async def test_nobody_hung_up_when_nothing_came_any_more(
    asterisk: AriServer, talking: Talking, told: dict[str, Any], q850: int, sip: int | None, destroyed: bool
) -> None:
    """Asterisk tells next that the channel has come to the end of its way through the dialplan (16)."""
    leg = await talking("caller")
    asterisk.requests_hangup("caller", **told)
    asterisk.requests_hangup("caller", cause=16, soft=True)
    if destroyed:
        asterisk.is_destroyed("caller", q850, "what is known of it")
    else:
        asterisk.leaves("caller")
    end = await end_of(leg)
    assert end.by_silence
    assert (end.q850, end.sip) == (q850, sip)


async def test_a_leg_that_left_for_another_application(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.leaves("caller")
    assert (await end_of(leg)).text == "left the application"


async def test_a_request_about_a_channel_that_is_gone_is_a_hangup(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.will_answer("POST channels/caller/answer", 404, {"message": "Channel not found"})
    with pytest.raises(HungUp):
        await leg.answer()


@pytest.mark.parametrize(
    ("status", "words"), [(409, "Channel not in Stasis application"), (500, "Failed to answer channel")]
)
async def test_the_cause_arrives_after_a_request_has_failed(
    asterisk: AriServer, talking: Talking, status: int, words: str
) -> None:
    leg = await talking("caller")
    asterisk.will_answer("POST channels/caller/answer", status, {"message": words})
    answering = asyncio.create_task(leg.answer())
    await asterisk.asked("POST channels/caller/answer")
    asterisk.hangs_up("caller", 38, "Network out of order")
    with pytest.raises(HungUp) as hung_up:
        await answering
    assert hung_up.value.hangup.q850 == 38


async def test_a_conflict_on_a_leg_that_lives_is_a_conflict(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.will_answer("POST channels/caller/answer", 409, {"message": "no"})
    with pytest.raises(Conflict, match="no"):
        await leg.answer()


async def test_every_verb_of_an_ended_leg_says_so_and_asks_nothing(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.hangs_up("caller")
    await end_of(leg)
    asked = len(asterisk.requests)
    for verb in (leg.answer, leg.answered, leg.moh, leg.digit, leg.go_on, leg.stop_moh):
        with pytest.raises(HungUp):
            await verb()
    with pytest.raises(HungUp):
        await leg.play("sound:hello")
    await leg.hangup()
    assert len(asterisk.requests) == asked


async def test_a_leg_handed_back_to_the_dialplan_is_not_hung_up(asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("POST channels/caller/continue", lambda: asterisk.leaves("caller"))
    async with await talking("caller") as leg:
        await leg.go_on("vigie-fallback", "s", 1)
    assert asterisk.count("DELETE channels/caller") == 0
    asked = await asterisk.asked("POST channels/caller/continue")
    assert asked.query == {"context": "vigie-fallback", "extension": "s", "priority": "1"}


async def end_of(leg: Leg) -> Hangup:
    """Why the leg ended, as soon as it has."""
    with pytest.raises(HungUp) as hung_up:
        await leg.digit()
    return hung_up.value.hangup
