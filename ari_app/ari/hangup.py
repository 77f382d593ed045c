"""Why a leg ended, in the words of Q.850 and SIP."""

from dataclasses import dataclass
from datetime import UTC, datetime

from .events import ChannelDestroyed, ChannelHangupRequest

UNKNOWN = 0
"""No cause is known. Q.850 has no such code; Asterisk says 0 (``AST_CAUSE_NOTDEFINED``)."""

NORMAL_CLEARING = 16

TEMPORARY_FAILURE = 41

SILENT = 1
"""The kind of soft hangup of a channel from which nothing has come for its ``rtp_timeout`` (``AST_SOFTHANGUP_DEV``)."""

CHANNEL_UNAVAILABLE = 44
"""What Asterisk then gives as the cause (Q.850: requested circuit or channel not available)."""

UNANSWERED = (408, 481)
"""The SIP responses that end an answered call of which the other side acknowledges nothing (the 200 that answered it
among that: RFC 3261, 13.3.1.4), or knows nothing any more (12.2.1.2)."""

SHUTDOWN = 4
"""The kind of soft hangup of a channel whose Asterisk is about to end (``AST_SOFTHANGUP_SHUTDOWN``)."""

SUBSCRIBER_ABSENT = 20
"""Q.850 cause 20: the phone is not registered or cannot be reached for now."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The end of one leg: ``q850`` is the hangup cause (Q.850, 0 when unknown), ``sip`` the response code that
    ended it where SIP gave one (RFC 3261), ``at`` the aware time of the end as Asterisk's clock has it."""

    q850: int
    sip: int | None
    text: str
    at: datetime
    by_restart: bool = False
    """Nobody hung up: Asterisk went down."""
    by_silence: bool = False
    """Nobody hung up: nothing came from the party any more, neither sound nor signals, and Asterisk ended it."""
    while_cut_off: bool = False
    """It ended while we had no connection, and nobody knows why: Asterisk itself hangs up on whoever picks up then."""

    @classmethod
    def destroyed(cls, event: ChannelDestroyed) -> "Hangup":
        """The hangup that a channel's end tells."""
        return cls(event.cause, event.tech_cause, event.cause_txt, event.at)

    @classmethod
    def requested(cls, event: ChannelHangupRequest) -> "Hangup":
        """The hangup that a request for it tells. A BYE or CANCEL without a reason, and our own request, are cause
        16, normal clearing (RFC 3398); that of an Asterisk that is told to stop, or hears nothing, is nobody's."""
        if event.soft and event.cause == SHUTDOWN:
            return cls.lost()
        if event.soft and event.cause == SILENT:
            return cls.silent()
        if event.tech_cause in UNANSWERED and not event.soft:
            return cls(event.cause, event.tech_cause, "answers no more", event.at, by_silence=True)
        if event.soft or event.cause in (UNKNOWN, NORMAL_CLEARING):
            return cls(NORMAL_CLEARING, None, "Normal Clearing", event.at)
        return cls(event.cause, event.tech_cause, "hung up", event.at)

    @classmethod
    def unseen(cls, text: str, q850: int = UNKNOWN, *, while_cut_off: bool = False) -> "Hangup":
        """A hangup which Asterisk told us nothing about: dated now, by our own clock."""
        return cls(q850, None, text, datetime.now(UTC), while_cut_off=while_cut_off)

    @classmethod
    def silent(cls) -> "Hangup":
        """The end of a leg from which nothing came any more."""
        return cls(CHANNEL_UNAVAILABLE, None, "nothing comes any more", datetime.now(UTC), by_silence=True)

    @classmethod
    def lost(cls) -> "Hangup":
        """The end of a leg that went down with its Asterisk."""
        return cls(TEMPORARY_FAILURE, None, "lost with Asterisk", datetime.now(UTC), by_restart=True)

    def __str__(self) -> str:
        sip = f", SIP {self.sip}" if self.sip else ""
        return f"{self.text} (Q.850 {self.q850}{sip})"
