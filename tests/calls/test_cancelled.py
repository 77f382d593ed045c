"""A call that is cancelled at whatever request it just made leaves nothing behind in Asterisk.

So ends a call whose worker is told to stop, an offer that is withdrawn, a hunt whose time is over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from tests.calls.conftest import ALICE, BOB, DID, PATIENCE, Office, until
from tests.support.fake_asterisk import Party


async def talks(office: Office, caller: Party) -> None:
    alice = await office.asterisk.rung("PJSIP/alice")
    alice.answers().presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    alice.hangs_up()


async def is_refused_and_leaves_a_message(office: Office, caller: Party) -> None:
    (await office.asterisk.rung("PJSIP/alice")).answers().presses("2")
    (await office.asterisk.rung("PJSIP/bob")).hangs_up(17, 486)
    await until(lambda: bool(office.asterisk.recordings), "a message is recorded")
    caller.hangs_up()


@pytest.mark.parametrize("story", [talks, is_refused_and_leaves_a_message])
async def test_nothing_is_left_wherever_a_call_is_cancelled(
    office: Office, story: Callable[[Office, Party], Awaitable[None]]
) -> None:
    office.steps([ALICE], [BOB])
    for number in count(1):
        if not await _is_cut_short(office, story, number):
            break
        await until(lambda: _left(office) == [], f"nothing is left after request {number}")
        assert len(office.paper.outcomes()) == number, "each call is closed in the journal, once"
    assert number > 5


def _left(office: Office) -> list[str]:
    """What Asterisk still has of the calls."""
    asterisk = office.asterisk
    alive = [party for party in asterisk.parties.values() if party.alive or party.music]
    return [*(party.channel.id for party in alive), *asterisk.bridges, *asterisk.recordings]


async def _is_cut_short(office: Office, story: Callable[[Office, Party], Awaitable[None]], number: int) -> bool:
    """Tells the story until its call has made so many requests, and cancels it then; False when it made fewer."""
    made = 0
    cut = asyncio.Event()

    def count_request(_: int) -> None:
        nonlocal made
        made += 1
        if made == number:
            office.calls[-1].cancel()
            cut.set()

    caller = await office.call()
    office.asterisk.after_request = count_request
    telling = asyncio.ensure_future(story(office, caller))
    await asyncio.wait({telling, asyncio.ensure_future(cut.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(office.calls, timeout=PATIENCE)
    office.asterisk.after_request = lambda _: None
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    office.asterisk.forget_rings()
    return cut.is_set()


async def test_music_is_stopped_though_who_asked_for_it_never_heard_that_it_plays(office: Office) -> None:
    party, leg = await office.asterisk.call(DID)

    async def waits() -> None:
        async with leg.music():
            await asyncio.get_running_loop().create_future()

    waiting = asyncio.create_task(waits())
    office.asterisk.after_request = lambda _: waiting.cancel() if party.music else None
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert not party.music
    party.hangs_up()
