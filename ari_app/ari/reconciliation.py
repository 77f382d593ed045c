"""After a cut: what became, meanwhile, of the legs and recordings that were under way."""

from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import NotFound
from .events import Playback
from .hangup import Hangup
from .leg import Leg
from .recording import RecordingUnderWay

if TYPE_CHECKING:
    from .client import Ari


async def reconcile(ari: "Ari", legs: list[Leg], recordings: list[RecordingUnderWay], *, restarted: bool) -> None:
    """Ends the legs whose channels are gone, brings the others up to date, and settles what has finished unseen.

    ``restarted`` says that Asterisk itself was started anew, which no leg can have outlived.
    Events do the same at the same time; each of these may be told twice.
    """
    alive = {channel.id: channel for channel in await ari.channels()} if legs else {}
    for leg in legs:
        channel = alive.get(leg.id)
        if channel is None:
            unseen = Hangup.unseen("lost while disconnected", while_cut_off=True)
            leg.end(Hangup.lost() if restarted else unseen)
        elif leg.unwanted:
            await leg.hangup()
        else:
            leg.saw_again(channel)
            await _settle_playbacks(ari, leg)
    for recording in recordings:
        await settle(ari, recording)


async def settle(ari: "Ari", recording: RecordingUnderWay) -> None:
    """Finds out how a recording ended whose end was not seen; nothing if it goes on."""
    with suppress(NotFound):
        await ari.request("GET", f"recordings/live/{recording.name}")
        return
    stored = True
    try:
        await ari.request("GET", f"recordings/stored/{recording.name}")
    except NotFound:
        stored = False
    recording.settle_unseen(stored)


async def _settle_playbacks(ari: "Ari", leg: Leg) -> None:
    for playback_id in leg.playbacks_under_way():
        try:
            await ari.request("GET", f"playbacks/{playback_id}")
        except NotFound:
            leg.saw_playback_end(Playback(id=playback_id, state="done"))
