"""Calls on offer to all: one application claims each at once, and the others only what that one leaves."""

import asyncio

import pytest

from ari_app.ari import offers as offers_module
from ari_app.ari.events import CallBroadcast, CallClaimed, Channel
from ari_app.ari.offers import Offers

FAMILY = ("vigie-w1.a", "vigie-w2.b", "vigie-w3.c")
CALLS = [Channel(id=f"1795636159.{number}") for number in range(60)]


class Claimant:
    """One application, and the calls that it has claimed."""

    def __init__(self, app: str, others: list[str]) -> None:
        self.claims: list[str] = []
        self.offers = Offers(app, lambda: others, lambda offer: self.claims.append(offer.channel.id))


def family(*apps: str) -> list[Claimant]:
    return [Claimant(app, [other for other in apps if other != app]) for app in apps]


def offer(channel: Channel, *claimants: Claimant) -> None:
    for claimant in claimants:
        claimant.offers.offered(CallBroadcast(channel=channel))


def take(channel: Channel, *claimants: Claimant) -> None:
    for claimant in claimants:
        claimant.offers.claimed(CallClaimed(channel=channel))


async def test_each_call_is_claimed_at_once_by_one_and_all_have_their_share() -> None:
    claimants = family(*FAMILY)
    for channel in CALLS:
        offer(channel, *claimants)
    assert sorted(call for one in claimants for call in one.claims) == sorted(channel.id for channel in CALLS)
    assert all(len(claimant.claims) > 10 for claimant in claimants)


async def test_what_one_has_taken_the_others_leave_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers_module, "TURN_SECONDS", 0.01)
    claimants = family(*FAMILY)
    for channel in CALLS:
        offer(channel, *claimants)
        take(channel, *claimants)
    await asyncio.sleep(0.05)
    assert sum(len(claimant.claims) for claimant in claimants) == len(CALLS)


async def test_what_a_hung_one_leaves_is_claimed_by_the_others_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers_module, "TURN_SECONDS", 0.01)
    _, *others = family(*FAMILY)
    for channel in CALLS:
        offer(channel, *others)
        offer(channel, *others)  # Asterisk may say it twice
    left = {channel.id for channel in CALLS} - {call for one in others for call in one.claims}
    assert left
    async with asyncio.timeout(5):
        while not all(left <= set(claimant.claims) for claimant in others):
            await asyncio.sleep(0.01)
    take(CALLS[0], *others)


async def test_one_that_is_alone_claims_every_call_at_once() -> None:
    (alone,) = family("vigie-w1.a")
    for channel in CALLS:
        offer(channel, alone)
    assert alone.claims == [channel.id for channel in CALLS]
