"""The story of one call as its messages tell it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from oncall.outcomes import Disposition
from oncall.plan import ContactKind


@dataclass(frozen=True, slots=True)
class AttemptStory:
    """Who was tried, how, and how it ended (None: still going on when the story was read)."""

    started_at: datetime
    person: str
    kind: ContactKind
    disposition: Disposition | None


@dataclass(frozen=True, slots=True)
class Recording:
    """What the caller left. ``audio`` is a whole WAV file."""

    duration_ms: int
    silent: bool
    audio: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallStory:
    """One call: aware instants, and the ``zone`` in which its readers live.

    ``caller`` is as the trunk gave it: chosen by whoever called, not to be trusted; None when withheld.
    """

    call: UUID
    line: str
    did: str
    caller: str | None
    started_at: datetime
    zone: ZoneInfo
    attempts: tuple[AttemptStory, ...] = ()
    waited_seconds: int = 0
    """From the call's beginning to its end."""
    by_fallback: bool = False
    """Whether it was served, at least in the end, without any worker."""
    recording: Recording | None = None
