"""The message a caller leaves, asked for and recorded while they are on the telephone.

What becomes of the recording is the mail room's affair (:mod:`ari_app.calls.mailroom`).
"""

from ari_app.calls.call import Call
from oncall.outcomes import EventKind
from voice import prompts


async def take_message(call: Call) -> None:
    """Asks the caller for a message and records it until ``#``, silence, the longest time, or their hanging up."""
    caller, rules = call.caller, call.plan.line.voicemail
    await call.answer()
    call.message_asked = True
    call.tell(
        EventKind.ANNOUNCEMENT, leg=caller.id, reason=call.words("un message est demandé", "a message is asked for")
    )
    await call.say(prompts.LEAVE_MESSAGE)
    call.recording = await caller.start_recording(
        f"vigie-{call.id}", max_seconds=rules.max_seconds, silence_seconds=rules.silence_seconds
    )
    call.tell(EventKind.VOICEMAIL_STARTED, leg=caller.id)
    recording = await call.recording.finished
    await call.say(prompts.MESSAGE_KEPT if recording.seconds >= rules.min_seconds else prompts.NO_MESSAGE)
