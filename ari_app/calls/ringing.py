"""Ringing one contact method until somebody picks up: a phone of ours, or a number by one trunk after the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest

from ari_app.ari import HungUp, Leg
from ari_app.calls.attempt import Attempt
from ari_app.calls.trunks import first_reply, in_order
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
    trunks = await _trunks(attempt)
    attempt.tell(EventKind.RING, reason=_why(attempt, trunks))
    for number, (trunk, following) in enumerate(zip_longest(trunks, trunks[1:]), 1):
        attempt.leg_id = first_id if number == 1 else f"{first_id}.{number}"
        leg = await desk.ring(attempt, trunk)
        try:
            async with _held(attempt, leg):
                await _until_picked_up(attempt, leg, trunk, deadline)
                yield leg
                return
        except HungUp as end:
            if end.leg_id == leg.id:
                attempt.hangup = end.hangup
            # Once it rings, the trunk has done its part: what comes then is the person's doing.
            rang = leg.channel.state in ("Ringing", "Up")
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


async def _trunks(attempt: Attempt) -> Sequence[str | None]:
    """By which trunks to try, in order; the phones registered with us need none.

    A number when the site has no trunk leads nowhere: Asterisk says so, and the hunt goes on.
    """
    if attempt.method.kind is ContactKind.SIP:
        return (None,)
    return await in_order(attempt.call.desk.ari, attempt.call.plan.trunks) or ("none",)


def _why(attempt: Attempt, trunks: Sequence[str | None]) -> str:
    method, known = attempt.method, attempt.call.plan.trunks
    way = [f"{method.kind} {method.address}"]
    if len(known) > 1 and trunks[0] is not None:
        way.append(attempt.call.words(f"par {trunks[0]}", f"by {trunks[0]}"))
        if trunks[0] != known[0]:
            way.append(attempt.call.words(f"{known[0]} ne répond pas", f"{known[0]} does not answer"))
    return f"{attempt.candidate.reason} ({', '.join(way)})"


async def _until_picked_up(attempt: Attempt, leg: Leg, trunk: str | None, deadline: float) -> None:
    ringing = asyncio.create_task(_tell_ringing(attempt, leg))
    try:
        async with asyncio.timeout_at(deadline):
            if trunk is not None or attempt.method.id in attempt.call.lost_on:
                await first_reply(attempt.call.desk.ari, leg)
            await leg.answered()
    finally:
        ringing.cancel()
    attempt.answered()


async def _tell_ringing(attempt: Attempt, leg: Leg) -> None:
    await leg.ringing.wait()
    attempt.tell(EventKind.RINGING)
