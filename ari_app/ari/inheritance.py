"""What an application that is gone has left on Asterisk, and how it becomes ours: its channels are alive, bridged and
sounding as they were, but nobody hears of them."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import HungUp, NotFound
from .events import Channel
from .leg import Leg
from .reconciliation import settle
from .recording import RecordingUnderWay

if TYPE_CHECKING:
    from .client import Ari

MOVE_SECONDS = 1.0
"""How long a channel may take to come to us; one that is being recorded comes when the recording is over."""


@dataclass(frozen=True, slots=True)
class Estate:
    """Ids of the channels that an application has or, of those it called, had; and of its bridges."""

    channels: frozenset[str] = frozenset()
    bridges: frozenset[str] = frozenset()


async def estate_of(ari: "Ari", app: str) -> Estate:
    """What ``app`` holds on its Asterisk."""
    try:
        application = await ari.request("GET", f"applications/{app}")
    except NotFound:
        return Estate()
    return Estate(frozenset(application["channel_ids"]), frozenset(application["bridge_ids"]))


async def members(ari: "Ari", bridge: str) -> frozenset[str]:
    """The ids of the channels in a bridge; none when there is no such bridge."""
    try:
        return frozenset((await ari.request("GET", f"bridges/{bridge}"))["channels"])
    except NotFound:
        return frozenset()


async def inherit(ari: "Ari", channel: Channel) -> Leg:
    """The leg of a channel that was under another application's control, under ours from now on. What was being played
    to it stops; a recording and a conversation go on.

    Raises:
        HungUp: it has ended.
        Conflict: it is under no application's control.
    """
    leg = await ari.watch(channel)
    try:
        await _silence(ari, leg)
        await leg.move_here()
    except BaseException:
        ari.forget_leg(leg)
        raise
    return leg


async def arrived(ari: "Ari", leg: Leg) -> None:
    """Returns once an inherited leg has come to us, or is known to come later. Raises HungUp when it has ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(MOVE_SECONDS / 2):
            await leg.answered()
            return
    await _silence(ari, leg)  # of what was asked for last by the application that is gone
    with suppress(TimeoutError):
        async with asyncio.timeout(MOVE_SECONDS / 2):
            await leg.answered()


async def _silence(ari: "Ari", leg: Leg) -> None:
    """Stops what another application plays on a leg."""
    for playback in leg.playback_ids:
        with suppress(NotFound):
            await ari.request("DELETE", f"playbacks/{playback}")


async def dismiss(ari: "Ari", channel: Channel) -> None:
    """Hangs a channel up and returns when it is gone, or as good as gone."""
    leg = await ari.watch(channel)
    with suppress(HungUp, TimeoutError):
        async with asyncio.timeout(MOVE_SECONDS):
            await leg.hangup()
            await leg.gone()
    ari.forget_leg(leg)


async def left_recording(ari: "Ari", leg: Leg, name: str) -> RecordingUnderWay | None:
    """The recording of that name that is being made, or was made, of an inherited leg; None if there is none."""
    recording = ari.expect_recording(name)
    await settle(ari, recording)
    if recording.is_finished and not (await recording.finished).done:
        ari.forget_recording(recording)
        return None
    leg.is_recorded(recording)
    return recording
