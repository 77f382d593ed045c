"""Whether the two of a conversation are still there, or one of their telephones has vanished.

A telephone that is there sends something: sound (RTP), comfort noise, or at least reports of what it hears (RTCP). One
that sends nothing at all, and has not put the other on hold, is asked to make itself heard; what it then sends, be it a
key, says that it is there. One that has registered anew from elsewhere cannot answer, and is not waited for.

Asterisk is asked what has come from each (some 0.1 ms each time). ICMP would say more of a telephone that was switched
off, but Asterisk does not hear of it: its sockets are not connected.
"""

import asyncio
import logging

from ari_app.ari import AriError, HungUp, Leg, Received
from ari_app.calls.call import Call
from oncall.outcomes import EventKind
from oncall.plan import ContactKind, ContactMethod
from voice import prompts

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks at a telephone that is heard."""
OFTEN = 0.5
"""Seconds between two looks at one that is not."""
QUIET_SECONDS = 2.5
"""For so long nothing may come from a telephone before it is asked."""
UNREPORTED_SECONDS = 6.5
"""Likewise, from one that is known to send reports: these come every 2.1 to 6.2 s (RFC 3550, 6.3.1)."""
LOST_SECONDS = 7.5
"""After so long it is lost. Its last sign came up to EVERY before it was seen: that makes 10 s at most."""
ANSWER_SECONDS = 5.0
"""One of the quiet kind is lost so long after it was asked."""
MOVED_SECONDS = 2.0
"""After it has registered from elsewhere, so long may pass until it goes on with the conversation from there."""
MOST_FORBEARANCE = 16
OUTAGE_SECONDS = 30.0
"""When nothing comes from the other one either, it may be our own network: so long a failure of it cuts nobody."""


class SoundLost(Exception):
    """A telephone of the conversation has vanished: the party's on ``leg``."""

    def __init__(self, leg: Leg, reason: str) -> None:
        super().__init__(reason)
        self.leg = leg
        self.reason = reason


class Hearing:
    """What is heard of one party, who speaks ``language`` and, if we called them, was reached by ``method``."""

    def __init__(self, call: Call, leg: Leg, language: str, method: ContactMethod | None = None) -> None:
        self.leg = leg
        self._call = call
        self._language = language
        self._user = method.address if method is not None and method.kind is ContactKind.SIP else None
        self._loop = asyncio.get_running_loop()
        self._received: Received | None = None
        self._looked_in_vain = False
        self._heard_at = self._loop.time()
        self._forbearance = 0
        self._contact = ""
        self._moved_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self.other: Hearing | None = None

    @property
    def quiet(self) -> float:
        """For how many seconds, at least, nothing has come."""
        return self._loop.time() - self._heard_at

    @property
    def seems_lost(self) -> bool:
        """Whether nothing has come for so long that nobody seems to be there, though nobody was asked."""
        return self.quiet >= LOST_SECONDS

    async def listen(self) -> None:
        """Keeps `quiet` up to date, until it is cancelled or the leg ends."""
        while True:
            await self._look()
            await self._pause()

    async def is_lost(self) -> str:
        """Returns once the party counts as lost, with the reason for the journal. Cancelling stops the question."""
        try:
            self._contact = await self._contacts()
            while True:
                await self._pause()
                if reason := await self._lost_by():
                    return reason
        except AriError:
            raise
        except Exception:
            log.exception("whether %s is still there is not watched any more", self.leg.id)
            nobody_knows: asyncio.Future[str] = self._loop.create_future()
            return await nobody_knows
        finally:
            await self._ask_no_more()

    async def _pause(self) -> None:
        if not self._looked_in_vain:
            await asyncio.sleep(EVERY)
        else:
            left = self._limit - self.quiet
            await asyncio.sleep(min(OFTEN, left) if left > 0 else OFTEN)

    async def _lost_by(self) -> str | None:
        """Why the party is lost, if they are; one that was quiet for long enough is asked."""
        await self._look()
        if self.quiet < self._patience:
            return None
        words, contact = self._call.words, await self._contacts()
        if self._has_moved(contact):
            await self._ask_no_more()
            if self._for_long_moved:
                return words("le téléphone s'est inscrit d'ailleurs", "the telephone has registered from elsewhere")
        elif (contact or not self._contact) and await self._holds():
            self._heard_at = self._loop.time()
        elif self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        elif self.quiet >= (self._limit if self._other_is_heard else OUTAGE_SECONDS):
            return words(f"plus aucun son depuis {self.quiet:.0f} s", f"no sound for {self.quiet:.0f} s")
        return None

    async def _look(self) -> None:
        """Finds out whether anything has come. When Asterisk cannot be asked, nothing is known, and nobody is lost."""
        try:
            received = await self.leg.received()
        except HungUp:
            raise
        except AriError as error:
            log.debug("what comes from %s is not known: %s", self.leg.id, error)
            self._heard_at, self._looked_in_vain = self._loop.time(), False
            return
        self._looked_in_vain = received == self._received
        if self._looked_in_vain:
            return
        self._received = received
        if self._asking is not None:
            await self._ask_no_more()
            self._forbearance = min(2 * self._forbearance or 1, MOST_FORBEARANCE)
        self._heard_at = self._loop.time()
        self._moved_at = None

    @property
    def _patience(self) -> float:
        """For how long nothing may come before the party is asked. One who turned out to be there is of the quiet kind,
        who send nothing while they say nothing: they are asked less and less."""
        reports = self._received is not None and self._received.reports
        return (UNREPORTED_SECONDS if reports else QUIET_SECONDS) * max(1, self._forbearance)

    @property
    def _limit(self) -> float:
        return max(LOST_SECONDS, self._patience + ANSWER_SECONDS if self._forbearance > 1 else 0)

    @property
    def _other_is_heard(self) -> bool:
        return self.other is None or self.other.quiet < QUIET_SECONDS

    def _has_moved(self, contact: str) -> bool:
        if not self._contact or contact in ("", self._contact):
            self._moved_at = None
            return False
        self._moved_at = self._moved_at or self._loop.time()
        return True

    @property
    def _for_long_moved(self) -> bool:
        return self._moved_at is not None and self._loop.time() - self._moved_at >= MOVED_SECONDS

    async def _contacts(self) -> str:
        """Where the phone is registered and answers OPTIONS; empty when it is not one of ours, or nowhere."""
        return await self._read(f"PJSIP_DIAL_CONTACTS({self._user})") if self._user else ""

    async def _holds(self) -> bool:
        """Whether the party has put the other one on hold (RFC 3264, 8.4): they send nothing then."""
        return await self._read("CHANNEL(rtp,hold)") == "1"

    async def _read(self, function: str) -> str:
        try:
            return await self.leg.function(function)
        except HungUp:
            raise
        except AriError as error:
            log.debug("%s of %s cannot be read: %s", function, self.leg.id, error)
            return ""

    async def _ask(self) -> None:
        call = self._call
        call.tell(
            EventKind.PROMPT,
            leg=self.leg.id,
            reason=call.words(f"plus aucun son depuis {self.quiet:.0f} s", f"no sound for {self.quiet:.0f} s"),
        )
        try:
            media = await call.desk.prompts.phrase(prompts.ARE_YOU_THERE, self._language)
            await self.leg.play(media, lang=self._language)
        except HungUp:
            pass
        except AriError as error:
            log.warning("%s could not be asked whether anybody is there: %s", self.leg.id, error)

    async def _ask_no_more(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait([asking])


async def sound_lost(caller: Hearing, called: Hearing) -> SoundLost:
    """Returns once one of the two is lost; the caller, should both be."""
    caller.other, called.other = called, caller
    waiting = {asyncio.create_task(hearing.is_lost()): hearing for hearing in (caller, called)}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        first = done.pop()
        lost = caller if caller.seems_lost else waiting[first]
        return SoundLost(lost.leg, first.result())
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
