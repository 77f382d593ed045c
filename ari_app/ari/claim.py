"""Taking a call that is on offer to all: whether we have it, even when Asterisk's answer was lost."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import AriError, Conflict, Disconnected, HungUp, NotFound
from .hangup import Hangup
from .leg import Leg

if TYPE_CHECKING:
    from .client import Ari

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""A claimed channel is in our hands at once; after this long we ask whether it still exists."""


async def claim(ari: "Ari", leg: Leg) -> bool:
    """Whether the leg's channel, which is on offer, is ours now. It is in our hands then, or has ended."""
    try:
        await ari.request("POST", "events/claim", once=True, channelId=leg.id, application=ari.app)
    except (Conflict, NotFound):
        return False
    except Disconnected:
        if not await _was_granted(ari, leg):
            return False
    await _in_hand(ari, leg)
    return True


async def _was_granted(ari: "Ari", leg: Leg) -> bool:
    """Whether a claim whose reply was lost came to something, asked over the next connection."""
    try:
        application = await ari.request("GET", f"applications/{ari.app}")
    except AriError as error:
        log.warning("the call %s may be ours, nobody can tell: %s", leg.id, error)
        return False
    return leg.id in application["channel_ids"]


async def _in_hand(ari: "Ari", leg: Leg) -> None:
    """Returns once a claimed leg is in our hands, or has ended: of a caller who hangs up in between Asterisk says
    nothing, and its word that all is well may fall into a cut."""
    with suppress(HungUp, TimeoutError):
        async with asyncio.timeout(CHECK_SECONDS):
            await leg.answered()
    while not leg.in_hand and leg.hangup_cause is None:
        try:
            channel = await ari.channel(leg.id)
            if channel is not None:
                leg.saw_start(channel)
            else:
                leg.end(Hangup.unseen("hung up while being claimed"))
        except Disconnected:
            await ari.wait_connected()
