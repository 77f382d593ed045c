"""Finding somebody for the caller: steps, people, contact methods, and "press 1"."""

import asyncio
import logging

from ari_app.ari import AriError, HungUp, Leg
from ari_app.calls import prompts
from ari_app.calls.call import Attempt, Call
from ari_app.calls.comfort import Comfort
from ari_app.calls.disposition import disposition_of
from oncall.outcomes import Disposition, EventKind
from oncall.plan import Candidate, ContactMethod, PlanStep, RingOrder
from oncall.policy import CONFIRM_SECONDS

log = logging.getLogger(__name__)


async def hunt(call: Call, comfort: Comfort) -> bool:
    """Rings step after step; True when somebody took the call and the conversation is over."""
    try:
        async with call.hunted_for(call.plan.max_hunt_seconds):
            for round_ in range(1, call.plan.rounds + 1):
                for step in call.plan.steps:
                    if await Ring(call, comfort, step, round_).run():
                        return True
    except TimeoutError:
        call.tell(
            EventKind.HUNT_OVER, reason=call.words("temps maximal de recherche écoulé", "the longest hunt is over")
        )
        return False
    call.tell(EventKind.HUNT_OVER, reason=call.words("personne n'a pris l'appel", "nobody took the call"))
    return False


class Ring:
    """One step of the hunt: its people rung together or in turn, until one of them has the call."""

    def __init__(self, call: Call, comfort: Comfort, step: PlanStep, round_: int) -> None:
        self._call = call
        self._comfort = comfort
        self._step = step
        self._round = round_
        self._offers: set[asyncio.Task[None]] = set()

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
                    await self._ring(*step.candidates)
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
            self._offers = {group.create_task(self._offer(candidate)) for candidate in candidates}
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
        presence = call.desk.presence
        if await presence.is_engaged(person.id):
            call.skip(candidate, self._round, self._step.position)
            return
        try:
            async with asyncio.timeout(None) as free:
                with presence.when_engaged(person.id, lambda: self._withdraw(candidate, free)):
                    for method in person.phones:
                        if await self._attempt(candidate, method) in (
                            Disposition.ACCEPTED,
                            Disposition.REFUSED,
                        ):
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
            try:
                await self._offer_call(attempt)
            except TimeoutError:
                attempt.disposition = Disposition.NO_ANSWER
            except HungUp as end:
                attempt.disposition = self._ended(attempt, end)
            except AriError as error:
                log.warning("%s could not be offered the call: %s", attempt.who, error)
                attempt.disposition, attempt.reason = Disposition.FAILED, str(error)
            finally:
                if self._call.taken_by is attempt and not attempt.connected:
                    self._call.give_back()
            return attempt.disposition or Disposition.WITHDRAWN

    async def _offer_call(self, attempt: Attempt) -> None:
        call, method = self._call, attempt.method
        leg = await call.desk.ring(attempt)
        try:
            async with leg:
                await self._until_answered(attempt, leg, method)
                refusal = await confirmed(attempt, leg) if method.confirm else None
                if refusal is not None:
                    attempt.disposition = refusal
                elif call.take(attempt):
                    await self._connect(attempt, leg)
        finally:
            attempt.hangup = leg.hangup_cause

    async def _until_answered(self, attempt: Attempt, leg: Leg, method: ContactMethod) -> None:
        ringing = asyncio.create_task(_tell_ringing(attempt, leg))
        try:
            async with asyncio.timeout(method.ring_seconds):
                await leg.answered()
        finally:
            ringing.cancel()
        attempt.answered()

    def _ended(self, attempt: Attempt, end: HungUp) -> Disposition:
        """What the person's hanging up means at this point of the attempt."""
        if attempt.connected:
            return Disposition.ACCEPTED
        return Disposition.NOT_CONFIRMED if attempt.picked_up else disposition_of(end.hangup)

    async def _connect(self, attempt: Attempt, leg: Leg) -> None:
        """Puts caller and person together until one of them hangs up; all other offers of the step are withdrawn."""
        call, desk = self._call, self._call.desk
        async with desk.presence.engaged(desk.ari, attempt.candidate.person.id):
            await self._comfort.stop()
            await call.answer()
            async with await desk.ari.bridge(str(call.id)) as bridge:
                await bridge.add(call.caller, leg)
                attempt.connected = True
                for offer in self._offers - {asyncio.current_task()}:
                    offer.cancel()
                attempt.tell(EventKind.CONNECTED)
                await asyncio.get_running_loop().create_future()


async def _tell_ringing(attempt: Attempt, leg: Leg) -> None:
    await leg.ringing.wait()
    attempt.tell(EventKind.RINGING)


async def confirmed(attempt: Attempt, leg: Leg) -> Disposition | None:
    """Asks the one who answered to press 1; None when they did, otherwise what their answer, or silence, means."""
    asking = asyncio.create_task(_ask(attempt, leg))
    try:
        async with asyncio.timeout(CONFIRM_SECONDS):
            while True:
                digit = await leg.digit()
                attempt.tell(EventKind.DIGIT, reason=attempt.call.words(f"touche {digit}", f"pressed {digit}"))
                if digit == "1":
                    return None
                if digit == "2":
                    return Disposition.REFUSED
    except TimeoutError:
        return Disposition.NOT_CONFIRMED
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def _ask(attempt: Attempt, leg: Leg) -> None:
    """Says who calls for which line and what to press, over and over."""
    call, language = attempt.call, attempt.candidate.person.language
    say, line = call.desk.prompts.phrase, call.plan.line.name
    if call.number:
        # Digit by digit: Asterisk cannot stop "digits:", and the one who pressed 1 would hear it all, then the rest.
        number = [f"sound:digits/{digit}" for digit in call.spoken_number]
        media = [await say(prompts.CALL_FROM, language, line=line), *number]
    else:
        media = [await say(prompts.CALL_WITHHELD, language, line=line)]
    media.append(await say(prompts.ACCEPT_OR_REFUSE, language))
    attempt.tell(EventKind.PROMPT)
    try:
        while True:
            await leg.play(*media, lang=language)
            await asyncio.sleep(1)
    except HungUp:
        pass
    except AriError as error:
        log.warning("%s could not be asked to press 1: %s", attempt.who, error)
