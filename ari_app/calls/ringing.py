"""Ringing one contact method until somebody picks up: a phone of ours, or a number by one trunk after the other."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from ari_app.ari import HungUp, Leg
from ari_app.calls import trunks
from ari_app.calls.attempt import Attempt
from ari_app.calls.trunks import Way
from oncall.causes import is_of_the_trunk
from oncall.manner import REFUSALS
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
    ways = deque(await _ways(attempt))
    attempt.tell(EventKind.RING, reason=_why(attempt, ways[0]))
    for number in count(1):
        way = ways.popleft()
        attempt.leg_id = first_id if number == 1 else f"{first_id}.{number}"
        leg = await desk.ring(attempt, way)
        try:
            async with _held(attempt, leg):
                await _until_picked_up(attempt, leg, _patience(attempt, way, is_last=not ways), deadline)
                yield leg
                return
        except HungUp as end:
            if end.leg_id == leg.id:
                attempt.hangup = end.hangup
                if way.trunk is not None and not attempt.picked_up and await trunks.has_come_back(desk.ari, end):
                    attempt.came_back = True
                    raise
            # Once it rings (180), or may (183: ring-back or an announcement in the sound), the trunk has done its part:
            # what comes then is the person's doing, and nobody is rung again who has just heard it ring.
            rang = leg.ringing.is_set() or leg.in_hand
            if rang or way.trunk is None:
                raise
            if end.hangup.sip in REFUSALS and desk.shows_caller(attempt, way):
                desk.is_refused(way.trunk)
                ways.appendleft(Way(way.trunk, as_line=True))
            elif not ways or not is_of_the_trunk(end.hangup.q850, end.hangup.sip):
                raise
            attempt.tell(EventKind.TRUNK_FAILED, reason=_what_now(attempt, way, ways[0]), hangup=attempt.hangup)


@asynccontextmanager
async def _held(attempt: Attempt, leg: Leg) -> AsyncIterator[Leg]:
    """The leg as the attempt's, hung up on leaving; how it ended is kept."""
    try:
        async with leg:
            yield leg
    finally:
        attempt.hangup = leg.hangup_cause


def _what_now(attempt: Attempt, failed: Way, following: Way) -> str:
    if following.as_line:
        return attempt.call.words(
            f"{failed.trunk} refuse le numéro de l'appelant, essai avec celui de la ligne",
            f"{failed.trunk} refuses the caller's number, now the line's",
        )
    return attempt.call.words(
        f"{failed.trunk} en défaut, essai par {following.trunk}", f"{failed.trunk} failed, now {following.trunk}"
    )


async def _ways(attempt: Attempt) -> Sequence[Way]:
    """By which trunks to try, in order; the phones registered with us need none.

    A number to which no trunk of the site leads goes nowhere: Asterisk says so, and the hunt goes on.
    """
    if attempt.method.kind is ContactKind.SIP:
        return (Way(),)
    in_order = await trunks.in_order(attempt.call.desk.ari, _known(attempt))
    return [Way(trunk) for trunk in in_order or ("none",)]


def _known(attempt: Attempt) -> Sequence[str]:
    """The trunks by which the contact method can be called, the preferred one first."""
    manner = attempt.call.desk.routing().manner
    return [trunk for trunk in attempt.call.plan.trunks if manner(trunk).leads_to(attempt.method.address)]


def _why(attempt: Attempt, first: Way) -> str:
    method, known = attempt.method, _known(attempt)
    way = [f"{method.kind} {method.address}"]
    if len(known) > 1 and first.trunk is not None:
        way.append(attempt.call.words(f"par {first.trunk}", f"by {first.trunk}"))
        if first.trunk != known[0]:
            way.append(attempt.call.words(f"{known[0]} ne répond pas", f"{known[0]} does not answer"))
    return f"{attempt.candidate.reason} ({', '.join(way)})"


def _patience(attempt: Attempt, way: Way, *, is_last: bool) -> float | None:
    """How long the first reply may take; None where it is waited for as long as the rest: from a phone of ours, unless
    it has just vanished."""
    if way.trunk is None:
        return trunks.SILENT_SECONDS if attempt.method.id in attempt.call.lost_on else None
    return trunks.LAST_SILENT_SECONDS if is_last else trunks.SILENT_SECONDS


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
