"""One try at reaching a person by one contact method, and its story in the journal of the call."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid5

from ari_app.ari import Hangup, Leg
from db.records import AttemptAnswered, AttemptClosed, AttemptOpened
from oncall.outcomes import Disposition, EventKind
from oncall.plan import Candidate, ContactMethod

if TYPE_CHECKING:
    from ari_app.calls.call import Call


@dataclass(slots=True)
class Inherited:
    """A leg that picked up for another worker, which is gone: who it is, by which contact method, and whether they are
    ``bridged``, talking with the caller."""

    leg: Leg
    candidate: Candidate
    method: ContactMethod
    bridged: bool = False


class Attempt:
    """One try at reaching a person by one contact method; its ``leg_id`` names the channel to be made, or inherited."""

    def __init__(
        self, call: "Call", candidate: Candidate, method: ContactMethod, leg_id: str, inherited: Inherited | None = None
    ) -> None:
        self.id = uuid5(call.id, first_leg(leg_id))
        self.call = call
        self.candidate = candidate
        self.method = method
        self.leg_id = leg_id
        self.inherited = inherited
        self.disposition: Disposition | None = None
        self.reason: str | None = None
        self.hangup: Hangup | None = None
        self.picked_up = inherited is not None
        self.came_back = False
        """Whether the phone is diverted to a number of ours, so that the call came in again and was refused."""
        self.connected = False

    @property
    def who(self) -> str:
        return self.candidate.person.name

    def open(self, round_: int, step: int) -> None:
        """Journals the attempt; one that is inherited is there already, unless its worker took it with it."""
        self.call.desk.journal.put(
            AttemptOpened(
                id=self.id,
                call_id=self.call.id,
                round=round_,
                step=step,
                person_id=self.candidate.person.id,
                person_name=self.candidate.person.name,
                contact_method_id=self.method.id,
                kind=self.method.kind,
                address=self.method.address,
                leg=self.leg_id,
                started_at=self.inherited.leg.channel.created_at if self.inherited else datetime.now(UTC),
            )
        )

    def answered(self) -> None:
        """Somebody, or something, picked up."""
        self.picked_up = True
        self.call.desk.journal.put(AttemptAnswered(id=self.id, answered_at=datetime.now(UTC)))
        self.tell(EventKind.LEG_ANSWERED)

    def tell(self, kind: EventKind, reason: str | None = None, hangup: Hangup | None = None) -> None:
        """Writes a step of this attempt into the call's journal."""
        self.call.tell(kind, leg=self.leg_id, who=self.who, reason=reason, hangup=hangup)

    def close(self) -> None:
        """Journals how it ended; one that reached no end of its own was stopped by something else in the call."""
        if self.disposition is None:
            self.disposition, self.reason = self._why_stopped()
        hangup = self.hangup
        self.tell(EventKind.LEG_ENDED, reason=": ".join(filter(None, (self.disposition, self.reason))), hangup=hangup)
        self.call.desk.journal.put(
            AttemptClosed(
                id=self.id,
                ended_at=datetime.now(UTC),
                disposition=self.disposition,
                q850=hangup.q850 if hangup else None,
                sip=hangup.sip if hangup else None,
                generation=self.call.standing.generation,
            )
        )

    def _why_stopped(self) -> tuple[Disposition, str | None]:
        call = self.call
        if call.taken_by is self:
            return Disposition.ACCEPTED, None
        if call.taken_by is not None:
            return Disposition.WITHDRAWN, call.words(
                f"{call.taken_by.who} a pris l'appel", f"{call.taken_by.who} has taken the call"
            )
        if call.caller.hangup_cause is not None:
            lost = call.caller.hangup_cause.by_restart
            return (Disposition.CUT, None) if lost else (Disposition.CALLER_GONE, None)
        if call.desk.presence.seems_engaged(self.candidate.person.id):
            return Disposition.WITHDRAWN, call.words("a pris un autre appel", "has taken another call")
        return Disposition.WITHDRAWN, call.words("temps écoulé", "its time was over")


def first_leg(leg_id: str) -> str:
    """The id of the first leg of the attempt to which a leg belongs."""
    return ".".join(leg_id.split(".")[:3])
