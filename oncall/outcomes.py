"""How calls and attempts end, and what a journal row can say: the closed vocabularies of the trace."""

from enum import StrEnum


class Outcome(StrEnum):
    """How a call ended, seen from the caller."""

    ANSWERED = "answered"
    """Somebody accepted the call and was connected to the caller."""
    VOICEMAIL = "voicemail"
    """The caller left a message."""
    NO_MESSAGE = "no_message"
    """The caller was invited to leave a message and left none worth keeping."""
    ABANDONED = "abandoned"
    """The caller hung up before anybody accepted the call."""
    UNKNOWN_NUMBER = "unknown_number"
    """The dialled number leads to no line; the caller was told so."""
    FAILED = "failed"
    """A defect of ours ended the scenario; the dialplan's fallback took the caller."""
    CUT = "cut"
    """Asterisk, or all that served the call, went down in the midst of it."""


class Route(StrEnum):
    """Which rung of the ladder served a call."""

    WORKER = "worker"
    AGI = "agi"
    """The fallback that reads the snapshot of the routing table."""
    DIALPLAN = "dialplan"
    """The fallback of the fallback: the last known numbers in Asterisk's own database."""


class Disposition(StrEnum):
    """How one attempt at reaching one contact method ended."""

    ACCEPTED = "accepted"
    """Pressed 1 (or answered, where no confirmation is asked) and was connected."""
    REFUSED = "refused"
    """Pressed 2, or declined on the phone (SIP 603)."""
    NOT_CONFIRMED = "not_confirmed"
    """Answered and pressed nothing: a voicemail, or somebody who does not want the call."""
    NO_ANSWER = "no_answer"
    """Rang for its whole time."""
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    """Phone off, not registered, or no route to it for now."""
    DEAD_NUMBER = "dead_number"
    """The number does not exist or is not complete (Q.850 1, 22, 28; SIP 404, 410, 484, 604)."""
    ENGAGED = "engaged"
    """Not rung: already in an on-call conversation."""
    WITHDRAWN = "withdrawn"
    """Stopped by us: somebody else took the call, its time was over, or the person took another call."""
    CALLER_GONE = "caller_gone"
    """Stopped because the caller hung up."""
    FAILED = "failed"
    """A defect of ours, or of Asterisk; the hunt went on."""
    CUT = "cut"
    """Lost together with the worker that rang it, or with Asterisk."""


class EventKind(StrEnum):
    """What a row of a call's journal tells."""

    INCOMING = "incoming"
    ANSWERED = "answered"
    GREETING = "greeting"
    STEP = "step"
    NOBODY_ON_CALL = "nobody_on_call"
    RING = "ring"
    RINGING = "ringing"
    LEG_ANSWERED = "leg_answered"
    PROMPT = "prompt"
    DIGIT = "digit"
    ACCEPTED = "accepted"
    LEG_ENDED = "leg_ended"
    CONNECTED = "connected"
    REASSURANCE = "reassurance"
    HUNT_OVER = "hunt_over"
    VOICEMAIL_STARTED = "voicemail_started"
    VOICEMAIL_RECORDED = "voicemail_recorded"
    VOICEMAIL_STORED = "voicemail_stored"
    ANNOUNCEMENT = "announcement"
    CALLER_HUNG_UP = "caller_hung_up"
    ERROR = "error"
    ENDED = "ended"
    ADOPTED = "adopted"
    """Another worker carries the call on."""
    TRUNK_FAILED = "trunk_failed"
    """An outgoing leg failed on one trunk and is tried on the next."""
    FALLBACK = "fallback"
    """A step told by the fallback, which knows no more than a sentence about it."""
