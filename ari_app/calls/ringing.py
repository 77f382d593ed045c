"""Ringing one contact method until somebody picks up: a phone of ours, or a number by one trunk after the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest

from ari_app.ari import HungUp, Leg
from ari_app.calls import trunks
from ari_app.calls.attempt import Attempt
from oncall.causes import is_of_the_trunk
from oncall.outcomes import EventKind
from oncall.plan import ContactKind


@asynccontextmanager
async def picked_up(attempt: Attempt) -> AsyncIterator[Leg]:
    """The leg on which somebody, or something, has picked up; it is hung up on leaving.

    A trunk that fails is followed by the next one, all within the contact method's one ring time. Each try has a
    channel of its own: ``attempt.leg_id``, which is ``CALL.0.2`` at first, is then ``CALL.0.2.2``, ``CALL.0.2.3`` …
    A leg that was inherited has been picked up already.

    Raises:
        TimeoutError: nobody picked up in time.
        HungUp: how the last try ended, or that who had picked up hung up.
        AriError: Asterisk would not ring it.
    """
    if attempt.inherited is not None:
        async with _held(attempt, attempt.inherited.leg) as leg:
            yield leg
        return
    desk, first_id = attempt.call.desk, attempt.leg_id
    deadline = asyncio.get_running_loop().time() + attempt.method.ring_seconds
    ways = await _ways(attempt)
    attempt.tell(EventKind.RING, reason=_why(attempt, ways))
    for number, (trunk, following) in enumerate(zip_longest(ways, ways[1:]), 1):
        attempt.leg_id = first_id if number == 1 else f"{first_id}.{number}"
        leg = await desk.ring(attempt, trunk)
        try:
            async with _held(attempt, leg):
                await _until_picked_up(attempt, leg, _patience(attempt, trunk, following), deadline)
                yield leg
                return
        except HungUp as end:
            if end.leg_id == leg.id:
                attempt.hangup = end.hangup
            # Once it rings (180), or may (183: ring-back or an announcement in the sound), the trunk has done its part:
            # what comes then is the person's doing, and nobody is rung again who has just heard it ring.
            rang = leg.ringing.is_set() or leg.in_hand
            if following is None or rang or not is_of_the_trunk(end.hangup.q850, end.hangup.sip):
                raise
            reason = attempt.call.words(f"{trunk} en défaut, essai par {following}", f"{trunk} failed, now {following}")
            attempt.tell(EventKind.TRUNK_FAILED, reason=reason, hangup=attempt.hangup)


@asynccontextmanager
async def _held(attempt: Attempt, leg: Leg) -> AsyncIterator[Leg]:
    """The leg as the attempt's, hung up on leaving; how it ended is kept."""
    try:
        async with leg:
            yield leg
    finally:
        attempt.hangup = leg.hangup_cause


async def _ways(attempt: Attempt) -> Sequence[str | None]:
    """By which trunks to try, in order; the phones registered with us need none.

    A number when the site has no trunk leads nowhere: Asterisk says so, and the hunt goes on.
    """
    if attempt.method.kind is ContactKind.SIP:
        return (None,)
    return await trunks.in_order(attempt.call.desk.ari, attempt.call.plan.trunks) or ("none",)


def _why(attempt: Attempt, ways: Sequence[str | None]) -> str:
    method, known = attempt.method, attempt.call.plan.trunks
    way = [f"{method.kind} {method.address}"]
    if len(known) > 1 and ways[0] is not None:
        way.append(attempt.call.words(f"par {ways[0]}", f"by {ways[0]}"))
        if ways[0] != known[0]:
            way.append(attempt.call.words(f"{known[0]} ne répond pas", f"{known[0]} does not answer"))
    return f"{attempt.candidate.reason} ({', '.join(way)})"


def _patience(attempt: Attempt, trunk: str | None, following: str | None) -> float | None:
    """How long the first reply may take; None where it is waited for as long as the rest: from a phone of ours, unless
    it has just vanished."""
    if trunk is None:
        return trunks.SILENT_SECONDS if attempt.method.id in attempt.call.lost_on else None
    return trunks.LAST_SILENT_SECONDS if following is None else trunks.SILENT_SECONDS


async def _until_picked_up(attempt: Attempt, leg: Leg, patience: float | None, deadline: float) -> None:
    ringing = asyncio.create_task(_tell_ringing(attempt, leg))
    try:
        async with asyncio.timeout_at(deadline):
            if patience is not None:
                await trunks.first_reply(attempt.call.desk.ari, leg, patience)
            await leg.answered()
    finally:
        ringing.cancel()
    attempt.answered()


async def _tell_ringing(attempt: Attempt, leg: Leg) -> None:
    await leg.ringing.wait()
    attempt.tell(EventKind.RINGING)
