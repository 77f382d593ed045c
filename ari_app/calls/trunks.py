"""The trunks: in which order they are tried for a number, and whether they reply.

Asterisk sends each trunk OPTIONS (pjsip.conf); the state of its ``.in`` endpoint says whether it answers.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ari_app.ari import Ari, AriError, Hangup, HungUp, Leg
from oncall.diversion import is_fresh, note_of

SILENT_SECONDS = 4.0
"""How long a trunk may leave an INVITE without any reply, even "100 Trying", before the next trunk is tried: it has
then been sent four times (RFC 3261, 17.1.1.2: after 0, 0.5, 1.5 and 3.5 s)."""
LAST_SILENT_SECONDS = 10.0
"""The same where there is no further trunk: the sixth would be sent after 15.5 s. Asterisk itself goes on for 32 s,
also after we have hung up; a trunk that replies then is sent CANCEL at once."""

RECOVERY_ON_TIMER_EXPIRY = 102
"""The Q.850 cause of a call whose other side says nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ring a contact method: by a ``trunk``, or without one a phone registered with us. ``as_line`` says
    that the line's number is shown in any case: the trunk has refused the caller's."""

    trunk: str | None = None
    as_line: bool = False


async def in_order(ari: Ari, trunks: Sequence[str]) -> list[str]:
    """``trunks`` in the order in which to try them: the preferred ones first, those that do not answer OPTIONS last.

    Last and not never: there are carriers who take calls and answer no OPTIONS at all.
    """
    if len(trunks) < 2:
        return list(trunks)
    silent = await asyncio.gather(*(_is_silent(ari, trunk) for trunk in trunks))
    return sorted(trunks, key=dict(zip(trunks, silent, strict=True)).__getitem__)


async def first_reply(ari: Ari, leg: Leg, within: float) -> None:
    """Returns once the trunk, or phone, has replied to the leg's INVITE; ``leg`` may ring then, or not yet.

    ARI tells nothing of "100 Trying", but Asterisk keeps the last response of each channel.

    Raises:
        HungUp: it has not replied ``within`` so many seconds (then the leg is still to be hung up), or the leg ended.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await leg.answered()
    if leg.in_hand or leg.ringing.is_set():
        return
    try:
        replies = await ari.request("GET", f"channels/{leg.id}/variable", variable="HANGUPCAUSE_KEYS()")
    except AriError:
        return  # the leg is just ending, or nothing can be known: it gets its whole time
    if not replies["value"]:
        raise HungUp(leg.id, Hangup.unseen("no reply", RECOVERY_ON_TIMER_EXPIRY))


async def has_come_back(ari: Ari, end: HungUp) -> bool:
    """Whether a leg that a trunk has ended was diverted to us, and ended because we refused our own call."""
    note = note_of(end.leg_id)
    try:
        said = await ari.variable(note)
    except AriError:
        return False
    if not said:
        return False
    ari.later(ari.set_variable(note, None), f"removing {note}")
    return is_fresh(said, end.hangup.at.timestamp())


async def _is_silent(ari: Ari, trunk: str) -> bool:
    try:
        endpoint = await ari.request("GET", f"endpoints/PJSIP/trunk-{trunk}.in")
    except AriError:
        return False  # dialling will tell
    return bool(endpoint["state"] == "offline")
