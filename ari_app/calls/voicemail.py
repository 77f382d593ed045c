"""The message a caller leaves, asked for and recorded while they are on the telephone.

What becomes of the recording is the mail room's affair (:mod:`ari_app.calls.mailroom`).
"""

import asyncio
import logging
from uuid import UUID

from ari_app.ari import AriError, HungUp, Recording, RecordingUnderWay
from ari_app.calls.call import Call
from oncall.outcomes import EventKind
from voice import prompts

log = logging.getLogger(__name__)

PREFIX = "vigie-"
LOOK_SECONDS = 1.0
"""How often it is looked at whether anything comes from somebody who is recorded."""


def recording_name(call: UUID) -> str:
    """The name under which Asterisk keeps the message of a call, until it is stored."""
    return f"{PREFIX}{call}"


def call_of_recording(name: str) -> UUID | None:
    """The call whose message has that name; None when it is nobody's."""
    try:
        return UUID(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    except ValueError:
        return None


async def take_message(call: Call) -> None:
    """Asks the caller for a message and records it until ``#``, silence, the longest time, or their hanging up."""
    caller, rules = call.caller, call.voicemail
    await call.answer()
    call.ask_for_message()
    call.tell(
        EventKind.ANNOUNCEMENT, leg=caller.id, reason=call.words("un message est demandé", "a message is asked for")
    )
    await call.say(prompts.LEAVE_MESSAGE)
    call.recording = await caller.start_recording(
        recording_name(call.id), max_seconds=rules.max_seconds, silence_seconds=rules.silence_seconds
    )
    call.tell(EventKind.VOICEMAIL_STARTED, leg=caller.id)
    await thank(call, call.recording)


async def thank(call: Call, message: RecordingUnderWay) -> None:
    """Waits for the end of the message and says what becomes of it."""
    recording = await _finished(call, message)
    kept = recording.seconds >= call.voicemail.min_seconds or not recording.was_seen
    await call.say(prompts.MESSAGE_KEPT if kept else prompts.NO_MESSAGE)


async def _finished(call: Call, message: RecordingUnderWay) -> Recording:
    """The message, once it is over. Asterisk ends it after a silence that it hears; we, after one in which nothing
    comes, as from a telephone that suppresses silence, or that has put us on hold."""
    watching = asyncio.create_task(_stop_when_nothing_comes(call, message))
    try:
        return await message.finished
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _stop_when_nothing_comes(call: Call, message: RecordingUnderWay) -> None:
    clock = asyncio.get_running_loop().time
    heard, heard_at = 0, clock()
    try:
        while clock() - heard_at < call.voicemail.silence_seconds:
            await asyncio.sleep(LOOK_SECONDS)
            if (packets := await call.caller.packets()) != heard:
                heard, heard_at = packets, clock()
        await message.stop()
    except HungUp:
        pass
    except AriError as error:
        log.warning("the message goes on to its longest time: %s", error)
