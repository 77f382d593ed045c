"""One attempt, played out: a contact method is rung, whoever answers is asked for "1" and connected to the caller."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ari_app.ari import AriError, Bridge, Conflict, Hangup, HungUp, Leg, PlaybackFailed, RequestFailed
from ari_app.calls.attempt import Attempt
from ari_app.calls.call import Call
from ari_app.calls.comfort import Comfort
from ari_app.calls.confirmation import confirmed
from ari_app.calls.hearing import Hearing, SoundLost, sound_lost
from ari_app.calls.ringing import picked_up
from oncall.causes import disposition_of
from oncall.outcomes import Disposition, EventKind
from oncall.policy import person_seconds
from voice import prompts

log = logging.getLogger(__name__)


class Offer:
    """Offers the call by one contact method; ``withdraw_others`` ends all other offers once this one has the caller."""

    def __init__(self, attempt: Attempt, comfort: Comfort, withdraw_others: Callable[[], None]) -> None:
        self._attempt = attempt
        self._call: Call = attempt.call
        self._comfort = comfort
        self._withdraw_others = withdraw_others

    async def make(self) -> Disposition:
        """How the attempt ended; given "1", it ends with the conversation."""
        attempt, call = self._attempt, self._call
        try:
            await self._play_out()
        except TimeoutError:
            attempt.disposition = Disposition.NO_ANSWER
        except HungUp as end:
            attempt.disposition = self._ended(end)
        except SoundLost as loss:
            attempt.disposition, attempt.reason, attempt.hangup = Disposition.SOUND_LOST, loss.reason, Hangup.silent()
        except AriError as error:
            log.warning("%s could not be offered the call: %s", attempt.who, error)
            attempt.disposition, attempt.reason = Disposition.FAILED, str(error)
        finally:
            if attempt.disposition is Disposition.SOUND_LOST:
                self._lost()
            elif call.taken_by is attempt and not attempt.connected:
                call.give_back()
        if attempt.disposition not in (None, Disposition.ACCEPTED, Disposition.CUT, Disposition.SOUND_LOST):
            call.has_tried(attempt.candidate, attempt.method, attempt.disposition)
        return attempt.disposition or Disposition.WITHDRAWN

    async def _play_out(self) -> None:
        attempt = self._attempt
        async with picked_up(attempt) as leg:
            refusal = await confirmed(attempt, leg) if self._must_confirm() else None
            if refusal is not None:
                attempt.disposition = refusal
            elif self._call.take(attempt):
                await self._connect(leg)

    def _must_confirm(self) -> bool:
        inherited = self._attempt.inherited
        return self._attempt.method.confirm and not (inherited and inherited.bridged)

    def _ended(self, end: HungUp) -> Disposition:
        """What the person's hanging up means at this point of the attempt."""
        if end.hangup.by_silence and self._attempt.picked_up:
            return Disposition.SOUND_LOST
        if self._attempt.connected:
            return Disposition.ACCEPTED
        if end.hangup.by_restart or (end.hangup.while_cut_off and not self._attempt.picked_up):
            return Disposition.CUT
        if self._attempt.came_back:
            return Disposition.DIVERTED_TO_US
        return Disposition.NOT_CONFIRMED if self._attempt.picked_up else disposition_of(end.hangup.q850, end.hangup.sip)

    async def _connect(self, leg: Leg) -> None:
        """Puts caller and person together until one of them hangs up; all other offers are withdrawn."""
        attempt, call, desk = self._attempt, self._call, self._call.desk
        async with desk.presence.engaged(desk.ari, attempt.candidate.person.id, leg.id):
            await self._comfort.stop()
            await call.answer()
            async with self._bridge(leg):
                attempt.connected = True
                self._withdraw_others()
                loss = await self._sound_lost(leg)
            if loss.leg is call.caller:
                attempt.disposition = Disposition.ACCEPTED
                await self._tell_of_the_caller(leg, loss)
        if loss.leg is leg:
            raise loss

    async def _sound_lost(self, leg: Leg) -> SoundLost:
        """Returns once caller or person are not heard any more though they have not hung up."""
        call, attempt = self._call, self._attempt
        caller = Hearing(call, call.caller, call.language)
        called = Hearing(call, leg, attempt.candidate.person.language, attempt.method)
        return await sound_lost(caller, called)

    async def _tell_of_the_caller(self, leg: Leg, loss: SoundLost) -> None:
        """The caller is lost: the person is told, and the call is over."""
        call, language = self._call, self._attempt.candidate.person.language
        call.tell(EventKind.SOUND_LOST, leg=call.caller.id, reason=loss.reason, hangup=Hangup.silent())
        try:
            await leg.play(await call.desk.prompts.phrase(prompts.CALLER_LOST, language), lang=language)
        except (PlaybackFailed, RequestFailed) as error:
            log.warning("%s could not be told that the caller is lost: %s", self._attempt.who, error)

    def _lost(self) -> None:
        """The person is not heard any more: they can be rung again, and the caller is told."""
        attempt, call = self._attempt, self._call
        attempt.tell(EventKind.SOUND_LOST, reason=attempt.reason, hangup=attempt.hangup)
        call.lost_on.add(attempt.method.id)
        call.was_talked = False
        if call.taken_by is attempt:
            call.give_back(at_least=person_seconds(attempt.candidate.person))
            self._comfort.resume(prompts.CALLED_LOST)

    async def _new_bridge(self) -> Bridge:
        call = self._call
        try:
            return await call.desk.ari.bridge(str(call.id))
        except Conflict:  # a worker that is gone came so far
            return Bridge(call.desk.ari, str(call.id))

    @asynccontextmanager
    async def _bridge(self, leg: Leg) -> AsyncIterator[None]:
        """While inside, caller and person hear each other, as they may have done before."""
        attempt, call = self._attempt, self._call
        if attempt.inherited and attempt.inherited.bridged:
            async with Bridge(call.desk.ari, str(call.id)):
                yield
        else:
            async with await self._new_bridge() as bridge:
                await bridge.add(call.caller, leg)
                attempt.tell(EventKind.CONNECTED)
                yield
