"""The life of one call, from the moment a worker has it to its outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from ari_app.ari import HungUp, Leg
from ari_app.calls.call import Call
from ari_app.calls.comfort import comforted
from ari_app.calls.desk import Desk
from ari_app.calls.hunt import hunt
from ari_app.calls.voicemail import take_message
from oncall.outcomes import EventKind, Outcome
from voice import prompts

log = logging.getLogger(__name__)

current_call: ContextVar[str] = ContextVar("current_call", default="-")
"""The id of the call a log record belongs to."""


async def take_call(caller: Leg, desk: Desk) -> None:
    """Serves ``caller``, whose channel has just come to this worker, until the call is over and journalled."""
    await attend(Call(desk, caller), serve)


async def attend(call: Call, scenario: Callable[[Call], Awaitable[None]]) -> None:
    """Plays ``scenario`` for a caller until the call is over, and journals how it ended. Should the scenario fail by a
    defect of ours, the caller goes on to the dialplan's fallback."""
    current_call.set(str(call.id))
    serving = asyncio.current_task()
    assert serving is not None
    call.desk.calls[call] = serving
    try:
        async with call.caller:
            await _play(call, scenario)
    except HungUp as end:
        kind = EventKind.SOUND_LOST if end.hangup.by_silence else EventKind.CALLER_HUNG_UP
        call.tell(kind, leg=call.caller.id, hangup=end.hangup)
    finally:  # also when this worker is told to stop
        if call.standing.message:
            await call.desk.mailroom.take_in(call)
        call.end(_outcome(call))
        if call.gave_up_late:
            call.desk.mailroom.tell(call)
        del call.desk.calls[call]


def _outcome(call: Call) -> Outcome:
    """How a call ended that reached no end of its own."""
    if call.caller.hangup_cause is not None and call.caller.hangup_cause.by_restart:
        return Outcome.CUT
    return Outcome.ANSWERED if call.taken_by or call.was_talked else Outcome.ABANDONED


async def _play(call: Call, scenario: Callable[[Call], Awaitable[None]]) -> None:
    try:
        await scenario(call)
    except HungUp:
        raise
    except Exception:
        log.exception("the scenario failed; the caller goes on to the fallback")
        call.tell(EventKind.ERROR, leg=call.caller.id, reason=call.words("défaut, voir le journal", "defect, see log"))
        call.end(Outcome.FAILED)
        await call.caller.go_on()


async def serve(call: Call) -> None:
    """The scenario of a call that has just come in."""
    call.open()
    if call.is_routed:
        await seek_somebody(call)
    else:
        await tell_unknown(call)


async def seek_somebody(call: Call) -> None:
    """Rings who is on call and who comes after them; failing all, takes a message."""
    async with comforted(call) as comfort:
        if await hunt(call, comfort):
            return
    await take_message(call)


async def tell_unknown(call: Call) -> None:
    """Tells the caller that the number they dialled leads nowhere."""
    await call.answer()
    reason = call.words(f"le {call.did} ne mène à aucune ligne", f"{call.did} leads to no line")
    call.tell(EventKind.ANNOUNCEMENT, leg=call.caller.id, reason=reason)
    await call.say(prompts.NO_SUCH_NUMBER)
    call.end(Outcome.UNKNOWN_NUMBER)
