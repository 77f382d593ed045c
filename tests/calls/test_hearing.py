"""A telephone from which nothing comes any more: whom the hunt rings then, and for how long."""

import asyncio
from collections.abc import Callable

import pytest

from ari_app.calls import hearing
from oncall.plan import RingOrder
from tests.calls.conftest import ALICE, BOB, CAROL, Office, until
from tests.support.fake_asterisk import Party
from voice import prompts

HURRY = 50
"""How much faster than in truth everything goes."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in dir(hearing):
        if name.isupper() and isinstance(seconds := getattr(hearing, name), float):
            monkeypatch.setattr(hearing, name, seconds / HURRY)


async def talks(office: Office, user: str) -> Party:
    """Somebody's telephone rings, and they take the call."""
    party = await office.asterisk.rung(f"PJSIP/{user}")
    party.answers().presses("1")
    await until(lambda: party.bridged_with, f"{user} talks")
    return party


def told(party: Party, phrase: prompts.Phrase) -> Callable[[], bool]:
    return lambda: phrase.fr in party.heard


async def test_who_is_lost_is_rung_again_and_then_those_who_come_after(office: Office) -> None:
    office.steps([ALICE, BOB], order=RingOrder.IN_TURN)
    caller = await office.call()
    alice = await talks(office, "alice")
    alice.vanished = True
    again = await office.asterisk.rung("PJSIP/alice")
    assert told(alice, prompts.ARE_YOU_THERE)()
    assert not alice.alive
    await until(told(caller, prompts.CALLED_LOST), "the caller is told")
    again.hangs_up(17, 486)
    bob = await talks(office, "bob")
    bob.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "sound_lost"), ("Alice", "busy"), ("Bob", "accepted")]
    assert office.paper.outcomes() == ["answered"]


async def test_those_who_rang_beside_who_is_lost_ring_again(office: Office) -> None:
    office.steps([ALICE, BOB], [CAROL])
    await office.call()
    first = await office.asterisk.rung("PJSIP/bob")
    alice = await talks(office, "alice")
    await until(lambda: not first.alive, "Bob is left alone")
    alice.vanished = True
    (await office.asterisk.rung("PJSIP/alice")).hangs_up(17, 486)
    bob = await talks(office, "bob")
    bob.hangs_up()
    await office.over()
    assert "Carol" not in dict(office.paper.dispositions())


async def test_the_hunt_has_time_left_after_a_long_conversation(office: Office) -> None:
    office.steps([ALICE], max_hunt_seconds=0.2)
    await office.call()
    alice = await talks(office, "alice")
    await asyncio.sleep(0.3)
    alice.vanished = True
    again = await talks(office, "alice")
    again.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "sound_lost"), ("Alice", "accepted")]


async def test_who_is_lost_is_free_for_others(office: Office) -> None:
    await office.call()
    alice = await talks(office, "alice")
    assert office.presence.seems_engaged(ALICE.person.id)
    alice.vanished = True
    await office.asterisk.rung("PJSIP/alice")
    assert not office.presence.seems_engaged(ALICE.person.id)


async def test_who_answers_the_question_goes_on(office: Office) -> None:
    caller = await office.call()
    alice = await talks(office, "alice")
    alice.vanished = True
    await until(told(alice, prompts.ARE_YOU_THERE), "she is asked")
    alice.presses("5")
    alice.vanished = False
    await asyncio.sleep(2 * hearing.LOST_SECONDS)
    assert alice.bridged_with
    caller.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "accepted")]


async def test_when_nothing_comes_from_either_the_network_has_time_to_come_back(office: Office) -> None:
    caller = await office.call()
    alice = await talks(office, "alice")
    alice.vanished = caller.vanished = True
    await asyncio.sleep(2 * hearing.LOST_SECONDS)
    assert alice.bridged_with
    alice.vanished = caller.vanished = False
    await asyncio.sleep(2 * hearing.LOST_SECONDS)
    assert alice.bridged_with
    alice.vanished = caller.vanished = True
    await office.over()
    assert told(alice, prompts.CALLER_LOST)()
    assert office.paper.outcomes() == ["answered"]


async def test_a_defect_in_listening_ends_no_conversation(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(hearing.Hearing, "_lost_by", broken)
    await office.call()
    alice = await talks(office, "alice")
    await until(lambda: "is not watched any more" in caplog.text, "it is logged")
    assert alice.bridged_with
    alice.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "accepted")]
