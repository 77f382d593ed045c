"""The trunks: in which order they are tried for a number, and which failures are theirs rather than the number's.

Asterisk sends each trunk OPTIONS (pjsip.conf); the state of its ``.watch`` endpoint says whether it answers.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ari_app.ari import Ari, AriError, Hangup, HungUp, Leg

SILENT_SECONDS = 4.0
"""How long a trunk may leave an INVITE without any reply, even "100 Trying": it has then been sent four times
(RFC 3261, 17.1.1.2: after 0, 0.5, 1.5 and 3.5 s). Asterisk itself would go on for 32 s."""

RECOVERY_ON_TIMER_EXPIRY = 102
"""The Q.850 cause of a call whose other side says nothing."""

_OF_THE_NUMBER = frozenset({404, 410, 433, 480, 484, 485, 486, 487})
"""Responses below 500 that speak of who is called: no such number, off, busy, not to be called anonymously. Others
speak of us and the trunk: not paid, not allowed, not understood, too late."""

_OF_THE_TRUNK_BY_Q850 = frozenset({2, 3, 20, 25, 27, 34, 38, 41, 42, 44, 46, 47, 58, 63, 65, 69, 79, 88, 102, 111, 127})
"""Causes that Asterisk gives, without a SIP response, for a trunk that it does not know or cannot reach, and those of
Q.850 that are the network's: no route, no circuit, out of order, congestion, not available, not implemented, timer,
protocol."""


async def in_order(ari: Ari, trunks: Sequence[str]) -> list[str]:
    """``trunks`` in the order in which to try them: the preferred ones first, those that do not answer OPTIONS last.

    Last and not never: there are carriers who take calls and answer no OPTIONS at all.
    """
    if len(trunks) < 2:
        return list(trunks)
    silent = await asyncio.gather(*(_is_silent(ari, trunk) for trunk in trunks))
    return sorted(trunks, key=dict(zip(trunks, silent, strict=True)).__getitem__)


def is_of_the_trunk(hangup: Hangup) -> bool:
    """Whether a leg that ended so, before its telephone rang, may fare better by another trunk.

    The SIP response decides: 5xx are the server's (RFC 3261, 21.5), 6xx are final for the person wherever the call
    comes by (21.6), 3xx ask to call somebody else. 480 and 487 are how carriers tell of a phone that is off or rang
    for too long (RFC 3398, 7.2.4.1), 408 that they, or those behind them, got no reply at all.
    """
    if hangup.sip is None or hangup.sip < 300:
        return hangup.q850 in _OF_THE_TRUNK_BY_Q850
    return 400 <= hangup.sip < 600 and hangup.sip not in _OF_THE_NUMBER


async def first_reply(ari: Ari, leg: Leg) -> None:
    """Returns once the trunk has replied to the leg's INVITE; ``leg`` may ring then, or not yet.

    ARI tells nothing of "100 Trying", but Asterisk keeps the last response of each channel.

    Raises:
        HungUp: it has not replied in SILENT_SECONDS (then the leg is still to be hung up), or the leg ended.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(SILENT_SECONDS):
            await leg.answered()
    if leg.in_hand or leg.ringing.is_set():
        return
    try:
        replies = await ari.request("GET", f"channels/{leg.id}/variable", variable="HANGUPCAUSE_KEYS()")
    except AriError:
        return  # the leg is just ending, or nothing can be known: it gets its whole time
    if not replies["value"]:
        raise HungUp(leg.id, Hangup.unseen("no reply from the trunk", RECOVERY_ON_TIMER_EXPIRY))


async def _is_silent(ari: Ari, trunk: str) -> bool:
    try:
        endpoint = await ari.request("GET", f"endpoints/PJSIP/trunk-{trunk}.watch")
    except AriError:
        return False  # dialling will tell
    return bool(endpoint["state"] == "offline")
