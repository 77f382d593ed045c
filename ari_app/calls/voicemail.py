"""The message a caller leaves, asked for and recorded while they are on the telephone.

What becomes of the recording is the mail room's affair (:mod:`ari_app.calls.mailroom`).
"""

from uuid import UUID

from ari_app.ari import RecordingUnderWay
from ari_app.calls.call import Call
from oncall.outcomes import EventKind
from voice import prompts

PREFIX = "vigie-"


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
    recording = await message.finished
    kept = recording.seconds >= call.voicemail.min_seconds or not recording.was_seen
    await call.say(prompts.MESSAGE_KEPT if kept else prompts.NO_MESSAGE)
