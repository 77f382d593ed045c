"""One end of a conversation, outside Vigie: what somebody with a telephone in the hand does and hears."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ari_app.ari import Hangup, HungUp, Leg, NotFound
from lab.ear import Ear
from lab.sound import Sound, Speech
from lab.waiting import until

if TYPE_CHECKING:
    from lab.exchange import Exchange

Q850_OF_SIP = {403: 21, 404: 1, 408: 18, 410: 22, 480: 19, 484: 28, 486: 17, 502: 27, 503: 34, 603: 16}
"""The hangup cause for which Asterisk answers an incoming call with this SIP response."""
KEY_MS = 80
"""How long a key is pressed, and then not pressed: the least that Asterisk sends."""
PROOF = "7"
"""The key by which two parties prove to be connected; it means nothing to Vigie."""


class Party:
    """Somebody on the line; ``who`` is what failures call them."""

    def __init__(self, exchange: Exchange, who: str, leg: Leg) -> None:
        self.who = who
        self.leg = leg
        self.keys_heard: list[str] = []
        self._exchange = exchange
        self._ear: Ear | None = None
        exchange.attend(self._hear_keys())

    @property
    def is_up(self) -> bool:
        """Whether the call has been answered, at this end or the other."""
        return self.leg.channel.state == "Up"

    @property
    def is_gone(self) -> bool:
        return self.leg.hangup_cause is not None

    @property
    def hangup(self) -> Hangup:
        """How the leg ended; ``AssertionError`` while it is alive."""
        assert self.leg.hangup_cause is not None, f"{self.who} is still on the line"
        return self.leg.hangup_cause

    @property
    def ear(self) -> Ear:
        assert self._ear is not None, f"{self.who} has not been listening: nothing was answered"
        return self._ear

    @property
    def heard(self) -> Sound:
        """Everything heard since the call was answered."""
        return self.ear.heard

    async def listens(self) -> None:
        """Begins to hear; done as soon as a call is answered."""
        self._ear = await self._exchange.listen(self)

    async def presses(self, keys: str) -> None:
        """Presses keys, one after the other, and returns when the last one is released."""
        await self._request("POST", "dtmf", dtmf=keys, duration=KEY_MS, between=KEY_MS)
        await asyncio.sleep(len(keys) * 2 * KEY_MS / 1000)

    async def says(self, speech: Speech) -> None:
        """Speaks to the end of the sentence, or of the call."""
        try:
            await self.leg.play(f"sound:{speech.file.with_suffix('')}")
        except HungUp:
            return

    async def hears(self, speech: Speech, *, within: float = 10) -> None:
        """Waits until ``speech`` is heard, syllable for syllable."""
        await self.ear.hears(speech, within=within)

    async def hears_beep(self, *, within: float = 20) -> None:
        await self.ear.hears_beep(within=within)

    async def hears_something(self, *, within: float = 10) -> None:
        """Waits for half a second of sound that is not silence."""
        await self.ear.hears_something(within=within)

    async def hears_music(self, *, within: float = 10) -> None:
        """Waits for music: sound that goes on for two seconds with hardly a pause, which no speech does."""
        await self.ear.hears_music(within=within)

    async def is_connected_to(self, other: Party, *, within: float = 5) -> None:
        """Waits until each hears the keys that the other presses."""
        for one, another in ((self, other), (other, self)):
            await one.reaches(another, within=within)

    async def reaches(self, other: Party, *, within: float = 5) -> None:
        """Presses a key until ``other`` hears it, one press after the other.

        Two Asterisks that send each other keys at the same moment answer every packet by one more.
        """
        deadline = asyncio.get_running_loop().time() + within
        before = len(other.keys_heard)
        while True:
            await self.presses(PROOF)
            try:
                return await until(
                    lambda: PROOF in other.keys_heard[before:],
                    within=1,
                    hoped=f"{other.who} hears {self.who}",
                    instead=lambda: f"{self.who} is {self.state}, {other.who} is {other.state}",
                )
            except AssertionError:
                if asyncio.get_running_loop().time() > deadline or self.is_gone or other.is_gone:
                    raise

    async def hangs_up(self) -> None:
        """Ends the call; nothing if it is over."""
        await self._request("DELETE", "", reason_code=16)

    async def is_hung_up(self, *, within: float = 10) -> Hangup:
        """Waits until the call is over and returns how it ended."""
        await until(
            lambda: self.is_gone, within=within, hoped=f"{self.who} is hung up", instead=lambda: f"still {self.state}"
        )
        return self.hangup

    @property
    def state(self) -> str:
        """What is the case with this party, for a failure's message."""
        if self.leg.hangup_cause is not None:
            return f"hung up: {self.leg.hangup_cause}"
        return "on the line" if self.is_up else "ringing"

    async def _hear_keys(self) -> None:
        try:
            while True:
                self.keys_heard.append(await self.leg.digit())
        except HungUp:
            return

    async def _request(self, method: str, verb: str, **query: Any) -> None:
        """Asks for something on the channel; nothing if it is gone."""
        try:
            await self._exchange.ari.request(method, f"channels/{self.leg.id}/{verb}".rstrip("/"), **query)
        except NotFound:
            return


class Caller(Party):
    """Somebody who has dialled ``number``; the journal should know them by the number ``journalled_as``."""

    def __init__(
        self, exchange: Exchange, leg: Leg, number: str, journalled_as: str | None, placed_at: datetime
    ) -> None:
        super().__init__(exchange, f"the caller {journalled_as or 'without a number'}", leg)
        self.number = number
        self.journalled_as = journalled_as
        self.placed_at = placed_at

    async def is_answered(self, *, within: float = 10) -> None:
        """Waits until the call is answered, then listens."""
        await until(
            lambda: self.is_up or self.is_gone,
            within=within,
            hoped=f"{self.who} is answered",
            instead=lambda: "it rings on",
        )
        assert not self.is_gone, f"{self.who} is not answered but {self.state}"
        await self.listens()


class Incoming(Party):
    """A call that makes a telephone ring."""

    @property
    def caller_id(self) -> str:
        """The number shown on the telephone."""
        return self.leg.channel.caller.number

    async def answers(self) -> None:
        """Picks up and listens; ``AssertionError`` when it is too late."""
        try:
            await self.leg.answer()
        except HungUp as end:
            raise AssertionError(f"{self.who} cannot pick up any more: {end.hangup}") from None
        await self.listens()

    async def accepts(self, caller: Caller) -> None:
        """Picks up, presses 1 without listening, and is connected to ``caller``."""
        await self.answers()
        await self.presses("1")
        await self.is_connected_to(caller)

    async def rejects(self, sip: int = 486) -> None:
        """Refuses the call with this SIP response."""
        await self._request("DELETE", "", reason_code=Q850_OF_SIP[sip])

    async def redirects(self, address: str) -> None:
        """Answers with SIP 302: the call is to go to ``address`` instead, a SIP URI."""
        await self._request("POST", "redirect", endpoint=f"PJSIP/{address}")

    async def is_left_alone(self, *, within: float = 10) -> None:
        """Waits until the telephone stops ringing."""
        assert not self.is_up, f"{self.who} has answered"
        await self.is_hung_up(within=within)
