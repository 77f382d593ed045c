"""What is journalled of one call that the fallback serves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from db.records import (
    AttemptAnswered,
    AttemptClosed,
    AttemptOpened,
    CallAnswered,
    CallClosed,
    CallEvent,
    CallOpened,
    Record,
)
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import Candidate, ContactMethod, Line, Plan

log = logging.getLogger(__name__)

FIRST_EVENT: Final = {Route.AGI: 300_000_000, Route.DIALPLAN: 310_000_000}
"""Each rung's events come after those of the rungs above, which may have begun to tell the same call."""
LOST: Final = "lost"
"""What the dialplan notes in place of the key pressed by somebody who took the call, and whose sound was then lost."""
GENERATION: Final = {Route.AGI: 30_000, Route.DIALPLAN: 31_000}
"""Each rung's word on how a call or an attempt ended counts more than that of the rungs above."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as it came in; ``line`` is None for a number that leads to none.

    ``did`` and ``caller`` are in E.164 form where they can be.
    """

    call: UUID
    channel: str
    did: str
    caller: str | None
    at: datetime
    line: Line | None
    plan: Plan | None = None


class Account:
    """Tells one call to ``put``, event after event."""

    def __init__(self, arrival: Arrival, route: Route, put: Callable[[Record], None]) -> None:
        self.call = arrival.call
        self.language = arrival.line.language if arrival.line else "fr"
        self.outcome: Outcome | None = None
        self._arrival = arrival
        self._route = route
        self._put = put
        self.generation = GENERATION[route]
        self._events = FIRST_EVENT[route]

    def words(self, fr: str, en: str) -> str:
        """A reason, in the line's language."""
        return fr if self.language == "fr" else en

    def refuse(self, reason: str) -> None:
        """The call came in and was refused unanswered."""
        at = self._arrival.at
        self._open()
        self.tell(EventKind.REFUSED, at, who=self._arrival.caller, reason=reason)
        self.close(Outcome.REFUSED, at)

    def open(self) -> None:
        """The call came in, and came down to this rung."""
        self._open()
        reason = (
            self.words("secours : d'après la dernière copie du planning", "fallback: by the last copy of the rota")
            if self._route is Route.AGI
            else self.words("secours : d'après les derniers numéros connus", "fallback: by the last known numbers")
        )
        self.tell(EventKind.FALLBACK, self._arrival.at, who=self._arrival.caller, reason=reason)

    def _open(self) -> None:
        arrival = self._arrival
        line = arrival.line
        self._put(
            CallOpened(
                id=arrival.call,
                line_id=line.id if line else None,
                line_name=line.name if line else None,
                did=arrival.did,
                caller=arrival.caller,
                channel=arrival.channel,
                worker=None,
                route=self._route,
                started_at=arrival.at,
                plan=arrival.plan,
            )
        )

    def answered(self, at: datetime) -> None:
        self._put(CallAnswered(id=self.call, answered_at=at))
        self.tell(EventKind.ANSWERED, at)

    def close(self, outcome: Outcome, at: datetime) -> None:
        """Settles how the call ended; the first outcome stands."""
        if self.outcome is None:
            self.outcome = outcome
            self.tell(EventKind.ENDED, at, reason=str(outcome))
            self._put(CallClosed(id=self.call, ended_at=at, outcome=outcome, generation=self.generation))

    def attempt(
        self,
        candidate: Candidate,
        method: ContactMethod,
        at: datetime,
        *,
        key: UUID | None = None,
        round_: int = 1,
        step: int = 1,
    ) -> Told:
        """Somebody is about to be rung."""
        told = Told(self, key or uuid4(), candidate.person.name)
        self._put(
            AttemptOpened(
                id=told.id,
                call_id=self.call,
                round=round_,
                step=step,
                person_id=candidate.person.id,
                person_name=candidate.person.name,
                contact_method_id=method.id,
                kind=method.kind,
                address=method.address,
                leg=None,
                started_at=at,
            )
        )
        told.tell(EventKind.RING, at, reason=f"{candidate.reason} ({method.kind} {method.address})")
        return told

    def resume(self, key: UUID, candidate: Candidate) -> Told:
        """An attempt that another rung has begun to tell."""
        return Told(self, key, candidate.person.name)

    def put(self, record: Record) -> None:
        self._put(record)

    def tell(
        self,
        kind: EventKind,
        at: datetime,
        *,
        who: str | None = None,
        reason: str | None = None,
        q850: int | None = None,
        sip: int | None = None,
    ) -> None:
        """One line of the call's story."""
        log.info("%s %s", kind, reason or who or "")
        self._put(
            CallEvent(
                call_id=self.call,
                seq=self._events,
                at=at,
                kind=kind,
                who=who,
                reason=reason,
                q850=q850 or None,
                sip=sip,
            )
        )
        self._events += 1


class Told:
    """One attempt, as it is told."""

    def __init__(self, account: Account, key: UUID, who: str) -> None:
        self.id = key
        self._account = account
        self._who = who

    def tell(
        self,
        kind: EventKind,
        at: datetime,
        reason: str | None = None,
        *,
        q850: int | None = None,
        sip: int | None = None,
    ) -> None:
        self._account.tell(kind, at, who=self._who, reason=reason, q850=q850, sip=sip)

    def answered(self, at: datetime, key: str = "") -> None:
        """Somebody, or something, picked up, and pressed ``key``, if any (or is LOST)."""
        self._account.put(AttemptAnswered(id=self.id, answered_at=at))
        self.tell(EventKind.LEG_ANSWERED, at)
        if key == LOST:
            self.tell(EventKind.SOUND_LOST, at)
        elif key:
            self.tell(EventKind.DIGIT, at, self._account.words(f"touche {key}", f"pressed {key}"))

    def close(self, disposition: Disposition, at: datetime, *, q850: int | None = None, sip: int | None = None) -> None:
        self.tell(EventKind.LEG_ENDED, at, str(disposition), q850=q850, sip=sip)
        self._account.put(
            AttemptClosed(
                id=self.id,
                ended_at=at,
                disposition=disposition,
                q850=q850 or None,
                sip=sip,
                generation=self._account.generation,
            )
        )
