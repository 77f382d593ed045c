"""The question that keeps calls out of voicemail boxes: whoever answered must press 1."""

import asyncio
import logging

from ari_app.ari import AriError, HungUp, Leg
from ari_app.calls.attempt import Attempt
from ari_app.calls.hearing import Hearing
from oncall.outcomes import Disposition, EventKind
from oncall.policy import CONFIRM_SECONDS
from voice import prompts

log = logging.getLogger(__name__)


async def confirmed(attempt: Attempt, leg: Leg) -> Disposition | None:
    """Asks the one who answered to press 1; None when they did, otherwise what their answer, or silence, means."""
    hearing = Hearing(attempt.call, leg, attempt.candidate.person.language)
    beside = [asyncio.create_task(_ask(attempt, leg)), asyncio.create_task(hearing.listen())]
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
        return Disposition.SOUND_LOST if hearing.seems_lost else Disposition.NOT_CONFIRMED
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)


async def _ask(attempt: Attempt, leg: Leg) -> None:
    """Says who calls for which line and what to press, over and over."""
    call, language = attempt.call, attempt.candidate.person.language
    say, line = call.desk.prompts.phrase, call.plan.line.name
    if call.number:
        # One sound a digit: what Asterisk reads out by itself (digits:…) it cannot stop, and serves nobody meanwhile.
        media = [await say(prompts.CALL_FROM, language, line=line)]
        media += [f"sound:digits/{digit}" for digit in call.spoken_number]
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
