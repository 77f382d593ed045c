"""Finding somebody for the caller: steps, people and their contact methods."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from ari_app.calls.call import Call
from ari_app.calls.comfort import Comfort
from ari_app.calls.offer import Offer
from oncall.outcomes import Disposition, EventKind
from oncall.plan import Candidate, ContactMethod, PlanStep, RingOrder
from oncall.standing import LEAST_HUNT_SECONDS

log = logging.getLogger(__name__)


async def hunt(call: Call, comfort: Comfort) -> bool:
    """Rings step after step; True when somebody took the call and the conversation is over."""
    try:
        async with call.hunted_for(_seconds_left(call)):
            for round_, step in _steps_left(call):
                call.enter(round_, step.position)
                if await Ring(call, comfort, step, round_).run():
                    return True
    except TimeoutError:
        call.tell(
            EventKind.HUNT_OVER, reason=call.words("temps maximal de recherche écoulé", "the longest hunt is over")
        )
        return False
    call.tell(EventKind.HUNT_OVER, reason=call.words("personne n'a pris l'appel", "nobody took the call"))
    return False


def _seconds_left(call: Call) -> float:
    if not call.was_begun or call.lost_on:
        return call.plan.max_hunt_seconds
    return max(call.plan.max_hunt_seconds - (datetime.now(UTC) - call.came_at).total_seconds(), LEAST_HUNT_SECONDS)


def _steps_left(call: Call) -> Iterator[tuple[int, PlanStep]]:
    """The steps to come, each with its round; whoever is on the line from before is asked first of all."""
    for round_ in range(1, call.plan.rounds + 1):
        for step in call.plan.steps:
            if call.standing.has_passed(round_, step.position):
                continue
            known = {candidate.person.id for candidate in step.candidates}
            more = tuple(who.candidate for who in call.inherited.values() if who.candidate.person.id not in known)
            yield round_, replace(step, candidates=more + step.candidates)


class Ring:
    """One step of the hunt: its people rung together or in turn, until one of them has the call."""

    def __init__(self, call: Call, comfort: Comfort, step: PlanStep, round_: int) -> None:
        self._call = call
        self._comfort = comfort
        self._step = step
        self._round = round_
        self._offers: dict[asyncio.Task[None], Candidate] = {}
        self._withdrawn: tuple[Candidate, ...] = ()
        """Who rang beside somebody who took the call: they ring again should that one be lost."""

    async def run(self) -> bool:
        """True when somebody took the call; False when the step is over without anybody."""
        call, step = self._call, self._step
        for nobody in step.nobody:
            call.tell(EventKind.NOBODY_ON_CALL, reason=nobody)
        if not step.candidates:
            return False
        who = ", ".join(candidate.person.name for candidate in step.candidates)
        call.tell(EventKind.STEP, who=who, reason=self._described(), round=self._round)
        try:
            async with call.hunted_for(step.max_seconds):
                if step.order is RingOrder.TOGETHER:
                    waiting = step.candidates
                    while waiting and call.taken_by is None:
                        await self._ring(*waiting)
                        waiting, self._withdrawn = self._withdrawn, ()
                else:
                    for candidate in step.candidates:
                        await self._ring(candidate)
                        if call.taken_by is not None:
                            break
        except TimeoutError:
            call.tell(
                EventKind.STEP, reason=call.words(f"étape {step.position} terminée", f"step {step.position} is over")
            )
        return call.taken_by is not None

    def _described(self) -> str:
        step, together = self._step, self._step.order is RingOrder.TOGETHER
        return self._call.words(
            f"étape {step.position}, {'ensemble' if together else 'à tour de rôle'}",
            f"step {step.position}, {'together' if together else 'in turn'}",
        )

    async def _ring(self, *candidates: Candidate) -> None:
        async with asyncio.TaskGroup() as group:
            self._offers = {group.create_task(self._offer(candidate)): candidate for candidate in candidates}
            self._comfort.start()  # after the offers: Asterisk does one request at a time, and answering is slow

    async def _offer(self, candidate: Candidate) -> None:
        """Offers the call to one person; a defect in it ends this offer and nothing else."""
        try:
            await self._ring_person(candidate)
        except Exception:
            log.exception("the offer to %s failed, the hunt goes on", candidate.person.name)
            self._call.tell(
                EventKind.ERROR,
                who=candidate.person.name,
                reason=self._call.words("défaut, voir le journal", "defect, see log"),
            )

    async def _ring_person(self, candidate: Candidate) -> None:
        """Tries the person's contact methods in order, unless they are, or come to be, in another conversation."""
        call, person = self._call, candidate.person
        phones = [phone for phone in person.phones if phone.id not in call.standing.tried]
        presence = call.desk.presence
        on_the_line = any(phone.id in call.inherited for phone in phones)
        if phones and not on_the_line and await presence.is_engaged(person.id):
            call.skip(candidate, self._round, self._step.position)
            return
        try:
            async with asyncio.timeout(None) as free:
                with presence.when_engaged(person.id, lambda: self._withdraw(candidate, free)):
                    for phone in phones:
                        ending = await self._attempt(candidate, phone)
                        if ending in (Disposition.CUT, Disposition.SOUND_LOST):  # they may be there, or come back
                            ending = await self._attempt(candidate, phone)
                        if ending in (Disposition.ACCEPTED, Disposition.REFUSED):
                            return
        except TimeoutError:
            log.info("%s has taken another call", person.name)

    def _withdraw(self, candidate: Candidate, free: asyncio.Timeout) -> None:
        taker = self._call.taken_by
        in_this_call = taker is not None and taker.candidate.person.id == candidate.person.id
        if not in_this_call and not free.expired():
            free.reschedule(0)

    async def _attempt(self, candidate: Candidate, method: ContactMethod) -> Disposition:
        """Rings one contact method, asks for "1" and, given it, stays until the conversation is over."""
        with self._call.attempt(candidate, method, self._round, self._step.position) as attempt:
            return await Offer(attempt, self._comfort, self._withdraw_others).make()

    def _withdraw_others(self) -> None:
        others = {
            offer: candidate
            for offer, candidate in self._offers.items()
            if offer is not asyncio.current_task() and not offer.done()
        }
        self._withdrawn = tuple(others.values())
        for offer in others:
            offer.cancel()
