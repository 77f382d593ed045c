"""Why a leg ended, in the words of Q.850 and SIP."""

from dataclasses import dataclass
from datetime import UTC, datetime

UNKNOWN = 0
"""No cause is known. Q.850 has no such code; Asterisk says 0 (``AST_CAUSE_NOTDEFINED``)."""

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

    @classmethod
    def unseen(cls, text: str, q850: int = UNKNOWN) -> "Hangup":
        """A hangup which Asterisk told us nothing about: dated now, by our own clock."""
        return cls(q850, None, text, datetime.now(UTC))

    def __str__(self) -> str:
        sip = f", SIP {self.sip}" if self.sip else ""
        return f"{self.text} (Q.850 {self.q850}{sip})"
