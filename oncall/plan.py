"""Who is rung for a call, how, and in what order: the answer of the routing table, frozen for one call."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ContactKind(StrEnum):
    SIP = "sip"
    """A softphone or desk phone registered with us; the address is its SIP user name."""
    PHONE = "phone"
    """A telephone number reached through the trunk; the address is E.164 (+33612345678)."""
    EMAIL = "email"
    SMS = "sms"


class CallerIdShown(StrEnum):
    """Whose number the person called sees."""

    CALLER = "caller"
    LINE = "line"


class RingOrder(StrEnum):
    TOGETHER = "together"
    IN_TURN = "in_turn"


@dataclass(frozen=True, slots=True)
class ContactMethod:
    """One way to reach a person. ``ring_seconds`` (5 to 120) is how long it may ring."""

    id: int
    kind: ContactKind
    address: str
    ring_seconds: int = 20
    confirm: bool = True
    shows: CallerIdShown = CallerIdShown.CALLER

    @property
    def can_ring(self) -> bool:
        return self.kind in (ContactKind.SIP, ContactKind.PHONE)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be rung; ``contact_methods`` are in the order in which they are tried."""

    id: int
    name: str
    language: str
    contact_methods: tuple[ContactMethod, ...]

    @property
    def phones(self) -> tuple[ContactMethod, ...]:
        return tuple(method for method in self.contact_methods if method.can_ring)


@dataclass(frozen=True, slots=True)
class VoicemailRules:
    """Bounds of a recorded message, in seconds; ``abandoned_seconds`` is after how long a wait the recipients are told
    of a caller who gave up before anybody took the call."""

    min_seconds: int = 2
    max_seconds: int = 180
    silence_seconds: int = 10
    abandoned_seconds: int = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One on-call service as a call sees it. ``number`` (E.164) is the one shown when the line calls out.

    More calls at once than ``max_calls``, or than ``max_calls_per_caller`` from one number, are refused.
    """

    id: int
    slug: str
    name: str
    language: str
    number: str
    greeting: str | None
    voicemail: VoicemailRules
    max_calls: int = 30
    max_calls_per_caller: int = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person to ring and why it is them, in words for the journal (line's language)."""

    person: Person
    reason: str


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of the hunt. ``nobody`` names the schedules that had nobody on call, for the journal.

    ``max_seconds`` cuts the step short; None lets every contact method ring for its own time.
    """

    position: int
    order: RingOrder
    candidates: tuple[Candidate, ...]
    nobody: tuple[str, ...] = ()
    max_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one call needs to be routed, frozen at the moment ``at`` at which it came in."""

    line: Line
    at: datetime
    steps: tuple[PlanStep, ...]
    rounds: int
    max_hunt_seconds: int
    trunks: tuple[str, ...]
