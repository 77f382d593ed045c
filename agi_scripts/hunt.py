"""Finding somebody for the caller, one contact method after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agi_scripts.account import LOST, Account, Told
from agi_scripts.channel import Ask, Rang
from agi_scripts.dialling import dial_strings, shown_by, trunk_of
from agi_scripts.errors import CallerGone, CommandFailed, LinkLost
from oncall.causes import disposition_of, is_of_the_trunk
from oncall.diversion import leg_variables, note_of
from oncall.numbers import spoken
from oncall.outcomes import Disposition, EventKind
from oncall.plan import CallerIdShown, Candidate, ContactKind, ContactMethod, Plan, PlanStep
from oncall.printable import caller_name
from oncall.standing import LEAST_HUNT_SECONDS, Standing
from voice import prompts

if TYPE_CHECKING:
    from agi_scripts.scenario import Caller, Means

log = logging.getLogger(__name__)

LEAST_SECONDS = 2
"""A telephone that could ring for less than this is left alone: the time of the step or of the hunt is over."""


class Hunt:
    """The plan of one call, gone through person by person: those whom a step rings together are rung in their order.

    The call came at ``came_at``, and stands where a worker has left it: the time spent and the people tried count.
    """

    def __init__(
        self,
        caller: Caller,
        means: Means,
        plan: Plan,
        number: str | None,
        account: Account,
        *,
        came_at: datetime,
        standing: Standing,
    ) -> None:
        self.taken = False
        """Whether somebody has accepted the call."""
        self._caller = caller
        self._means = means
        self._plan = plan
        self._number = number
        self._account = account
        self._standing = standing
        self._refused = standing.refused()
        self._until = means.now() + timedelta(seconds=_seconds_left(plan.max_hunt_seconds, came_at, means.now()))
        self._talked = timedelta()
        """For how long the caller has talked with people whose sound was then lost: that is no time of the hunt's."""

    def run(self) -> bool:
        """True when somebody took the call and the conversation is over."""
        self._caller.set("CALLERID(pres)", "allowed")
        self._caller.set("CALLERID(name)", caller_name(self._plan.line.name))
        for round_ in range(1, self._plan.rounds + 1):
            for step in self._plan.steps:
                if self._ring_step(step, round_):
                    return True
        words = self._account.words
        reason = (
            words("temps maximal de recherche écoulé", "the longest hunt is over")
            if self._left(self._until) < LEAST_SECONDS
            else words("personne n'a pris l'appel", "nobody took the call")
        )
        self._account.tell(EventKind.HUNT_OVER, self._means.now(), reason=reason)
        return False

    def _left(self, until: datetime) -> int:
        return int((until + self._talked - self._means.now()).total_seconds())

    def _ring_step(self, step: PlanStep, round_: int) -> bool:
        if self._standing.has_passed(round_, step.position):
            return False
        self._standing.enter(round_, step.position)
        until = self._until
        if step.max_seconds is not None:
            until = min(until, self._means.now() + timedelta(seconds=step.max_seconds))
        if self._left(until) < LEAST_SECONDS:
            return False
        for nobody in step.nobody:
            self._account.tell(EventKind.NOBODY_ON_CALL, self._means.now(), reason=nobody)
        if step.candidates:
            who = ", ".join(candidate.person.name for candidate in step.candidates)
            reason = self._account.words(f"étape {step.position}", f"step {step.position}")
            self._account.tell(EventKind.STEP, self._means.now(), who=who, reason=reason)
        return any(self._ring_person(candidate, until, round_, step.position) for candidate in step.candidates)

    def _ring_person(self, candidate: Candidate, until: datetime, round_: int, step: int) -> bool:
        if candidate.person.id in self._refused:
            return False
        for method in candidate.person.phones:
            if method.id in self._standing.tried:
                continue
            seconds = min(method.ring_seconds, self._left(until))
            if seconds < LEAST_SECONDS:
                return False
            for _ in range(2):  # whose sound was lost is rung again, once
                told = self._account.attempt(candidate, method, self._means.now(), round_=round_, step=step)
                disposition = self._attempt_to_its_end(told, candidate, method, seconds)
                if disposition is not Disposition.SOUND_LOST:
                    break
            self._has_tried(candidate, method, refused=disposition is Disposition.REFUSED)
            if disposition in (Disposition.ACCEPTED, Disposition.REFUSED):
                return disposition is Disposition.ACCEPTED
        return False

    def _has_tried(self, candidate: Candidate, method: ContactMethod, *, refused: bool) -> None:
        """Tells the dialplan, which would go on without us."""
        self._standing.try_no_more(candidate.person.id, [method.id], refused=refused)
        self._caller.set("VIGIE_DONE", self._standing.done.strip("|"))

    def _attempt_to_its_end(self, told: Told, candidate: Candidate, method: ContactMethod, seconds: int) -> Disposition:
        """The attempt, closed however it ends; what Asterisk does not do ends this attempt and nothing else."""
        try:
            return self._attempt(told, candidate, method, seconds)
        except CommandFailed as error:
            log.error("the offer to %s failed, the hunt goes on: %s", candidate.person.name, error)
            told.close(Disposition.FAILED, self._means.now())
            return Disposition.FAILED
        except LinkLost:
            told.close(Disposition.CUT, self._means.now())
            raise

    def _attempt(self, told: Told, candidate: Candidate, method: ContactMethod, seconds: int) -> Disposition:
        """Rings one contact method, by the next trunk when one fails, and tells how it ended."""
        line, number = self._plan.line, self._number
        table = self._means.table()
        ask = self._ask(candidate) if method.confirm else None
        note = f"{told.id}:{candidate.person.id}/{method.id}:{int(self._means.now().timestamp())}"
        dials = self._answering_first(dial_strings(method, self._plan.trunks, table.manner, self._means.region))
        rang = Rang(q850=_NO_ROUTE)
        until = self._means.now() + timedelta(seconds=seconds)
        name = str(self._account.call)
        for dial in dials:
            shows_caller = shown_by(table, method, dial, number) is CallerIdShown.CALLER
            shown = number if shows_caller and number else line.number
            if method.kind is ContactKind.PHONE:
                for variable, value in leg_variables(line.id, shown, method.address, name).items():
                    self._caller.set(variable, value)
            written = table.manner(trunk_of(dial) or "").written(shown, self._means.region)
            self._caller.set("CALLERID(num)", written)
            rang = self._caller.ring(dial, max(LEAST_SECONDS, self._left(until)), ask, note)
            self._caller.set(f"GLOBAL_DELETE({note_of(name)})", "")
            if rang.caller_gone or rang.came_back or rang.rang or rang.picked_up or dial == dials[-1]:
                break
            if not is_of_the_trunk(rang.q850, rang.sip):
                break
            told.tell(EventKind.TRUNK_FAILED, self._means.now(), dial.rpartition("@")[2], q850=rang.q850, sip=rang.sip)
        return self._closed(told, rang)

    def _answering_first(self, dials: Sequence[str]) -> Sequence[str]:
        """The ways to dial in order, those by trunks that do not answer OPTIONS last (see pjsip.conf)."""
        if len(dials) < 2:
            return dials
        endpoints = (f"PJSIP/{dial.rpartition('@')[2]}.in" for dial in dials)
        silent = [self._caller.variable(f"DEVICE_STATE({endpoint})") == "UNAVAILABLE" for endpoint in endpoints]
        return [dial for _, dial in sorted(zip(silent, dials, strict=True), key=lambda pair: pair[0])]

    def _closed(self, told: Told, rang: Rang) -> Disposition:
        now = self._means.now()
        if rang.picked_up:
            told.answered(rang.picked_up, rang.key)
        if rang.taken:
            self.taken = True
            told.tell(EventKind.ACCEPTED, now)
        disposition = _disposition(rang)
        told.close(disposition, now, q850=rang.q850, sip=rang.sip)
        if rang.caller_gone:
            raise CallerGone
        if disposition is Disposition.SOUND_LOST:
            self._talked += now - (rang.picked_up or now)
            self._tell_of_loss()
        return disposition

    def _tell_of_loss(self) -> None:
        try:
            self._caller.play(self._means.speaker.phrase(prompts.CALLED_LOST, self._plan.line.language))
        except CommandFailed as error:
            log.warning("the caller could not be told: %s", error)

    def _ask(self, candidate: Candidate) -> Ask:
        """Who calls for which line, and what to press, in the language of the person called."""
        language, line = candidate.person.language, self._plan.line.name
        phrase = self._means.speaker.phrase
        if self._number is None:
            who = [phrase(prompts.CALL_WITHHELD, language, line=line)]
        else:
            digits = spoken(self._number, self._means.region)
            who = [phrase(prompts.CALL_FROM, language, line=line), *(f"digits/{digit}" for digit in digits)]
        return Ask((*who, phrase(prompts.ACCEPT_OR_REFUSE, language)), language)


_NO_ROUTE = 3


def _disposition(rang: Rang) -> Disposition:
    if rang.taken:
        return Disposition.ACCEPTED
    if rang.caller_gone:
        return Disposition.CALLER_GONE
    if rang.key == LOST:
        return Disposition.SOUND_LOST
    if rang.picked_up:
        return Disposition.REFUSED if rang.key == "2" else Disposition.NOT_CONFIRMED
    return Disposition.DIVERTED_TO_US if rang.came_back else disposition_of(rang.q850, rang.sip)


def _seconds_left(longest: int, came_at: datetime, now: datetime) -> float:
    """How long a call may still be hunted for that came at ``came_at``."""
    return min(longest, max(longest - (now - came_at).total_seconds(), LEAST_HUNT_SECONDS))
