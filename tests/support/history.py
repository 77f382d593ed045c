"""Records of made-up calls, for tests of what is written and read back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from db.history import HistoryWriter
from db.records import (
    AttemptAnswered,
    AttemptClosed,
    AttemptOpened,
    CallAnswered,
    CallClosed,
    CallEvent,
    CallOpened,
    Record,
    encode,
)
from oncall.outcomes import Disposition, EventKind, Outcome
from oncall.plan import ContactKind

NIGHT = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)


async def write(engine: AsyncEngine, records: Iterable[Record]) -> None:
    """Has ``records``, of which none may need another, in the database."""
    writer = HistoryWriter(engine)
    try:
        assert await writer.write([encode(record) for record in records]) == []
    finally:
        await writer.close()


@dataclass
class StoryTeller:
    """Tells one call as records, in order; each step is one second after the one before."""

    line_id: int | None = None
    line_name: str = "Support"
    caller: str | None = "+33612345678"
    began: datetime = NIGHT
    id: UUID = field(default_factory=uuid4)
    seconds: int = 0
    seq: int = 0

    def now(self) -> datetime:
        self.seconds += 1
        return self.began + timedelta(seconds=self.seconds)

    def opened(self) -> CallOpened:
        return CallOpened(
            id=self.id,
            did="+33199001234",
            channel="1763867520.1",
            worker="w1",
            started_at=self.began,
            caller=self.caller,
            line_id=self.line_id,
            line_name=self.line_name,
            plan={"rounds": 1},
        )

    def event(self, kind: EventKind, who: str | None = None, reason: str | None = None) -> CallEvent:
        self.seq += 1
        return CallEvent(
            call_id=self.id, seq=self.seq, at=self.now(), kind=kind, who=who, reason=reason, q850=16, sip=200
        )

    def attempt(self, disposition: Disposition, name: str = "Alice") -> list[Record]:
        attempt_id = uuid4()
        opened = AttemptOpened(
            id=attempt_id,
            call_id=self.id,
            round=1,
            step=1,
            person_id=None,
            person_name=name,
            contact_method_id=None,
            kind=ContactKind.SIP,
            address=name.lower(),
            started_at=self.now(),
            leg=f"{self.id}.1",
        )
        return [
            opened,
            self.event(EventKind.RING, who=name),
            AttemptAnswered(id=attempt_id, answered_at=self.now()),
            AttemptClosed(id=attempt_id, ended_at=self.now(), disposition=disposition, q850=16, sip=200),
        ]

    def closed(self, outcome: Outcome) -> CallClosed:
        return CallClosed(id=self.id, ended_at=self.now(), outcome=outcome)

    def whole(self, outcome: Outcome = Outcome.ANSWERED) -> list[Record]:
        """A call that one person took: nine records."""
        return [
            self.opened(),
            self.event(EventKind.INCOMING),
            CallAnswered(id=self.id, answered_at=self.now()),
            *self.attempt(Disposition.ACCEPTED),
            self.event(EventKind.ENDED),
            self.closed(outcome),
        ]
