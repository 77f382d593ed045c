"""One call and its attempts: who has it, until when it may be hunted for, and the journal of its steps."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from ari_app.ari import Hangup, Leg, PlaybackFailed, RecordingUnderWay, RequestFailed
from db.records import (
    AttemptAnswered,
    AttemptClosed,
    AttemptOpened,
    CallAnswered,
    CallClosed,
    CallEvent,
    CallOpened,
)
from oncall.errors import UnknownNumber
from oncall.numbers import e164, spoken
from oncall.outcomes import Disposition, EventKind, Outcome
from oncall.plan import Candidate, ContactMethod, Plan
from voice.prompts import Phrase

if TYPE_CHECKING:
    from ari_app.calls.desk import Desk

log = logging.getLogger(__name__)


class Attempt:
    """One try at reaching a person by one contact method; its ``leg_id`` names the channel to be made."""

    def __init__(self, call: "Call", candidate: Candidate, method: ContactMethod, leg_id: str) -> None:
        self.id = uuid4()
        self.call = call
        self.candidate = candidate
        self.method = method
        self.leg_id = leg_id
        self.disposition: Disposition | None = None
        self.reason: str | None = None
        self.hangup: Hangup | None = None
        self.picked_up = False
        self.connected = False

    @property
    def who(self) -> str:
        return self.candidate.person.name

    def answered(self) -> None:
        """Somebody, or something, picked up."""
        self.picked_up = True
        self.call.desk.journal.put(AttemptAnswered(id=self.id, answered_at=datetime.now(UTC)))
        self.tell(EventKind.LEG_ANSWERED)

    def tell(self, kind: EventKind, reason: str | None = None, hangup: Hangup | None = None) -> None:
        """Writes a step of this attempt into the call's journal."""
        self.call.tell(kind, leg=self.leg_id, who=self.who, reason=reason, hangup=hangup)


class Call:
    """A caller, the plan frozen for them when they came in, and what has become of it so far."""

    def __init__(self, desk: "Desk", caller: Leg) -> None:
        self.id: UUID = uuid4()
        self.desk = desk
        self.caller = caller
        dialled = caller.channel.dialplan.exten
        self.did = e164(dialled, desk.region) or dialled
        self.number = e164(caller.channel.caller.number, desk.region)
        """The caller's number in E.164 form; None when it is withheld or makes no sense."""
        self.outcome: Outcome | None = None
        self.taken_by: Attempt | None = None
        self.message_asked = False
        self.recording: RecordingUnderWay | None = None
        self._plan: Plan | None = None
        self._answered = False
        self._events = 0
        self._legs = 0
        self._limits: list[tuple[asyncio.Timeout, float | None]] = []

    @property
    def plan(self) -> Plan:
        assert self._plan is not None, "a call to an unknown number has no plan"
        return self._plan

    @property
    def is_routed(self) -> bool:
        """Whether the number dialled leads to a line."""
        return self._plan is not None

    @property
    def language(self) -> str:
        return self._plan.line.language if self._plan else self.desk.language

    def words(self, fr: str, en: str) -> str:
        """A reason for the journal, in the line's language."""
        return fr if self.language == "fr" else en

    async def say(self, phrase: Phrase) -> None:
        """Speaks to the caller."""
        await self.play(await self.desk.prompts.phrase(phrase, self.language))

    async def play(self, media: str) -> None:
        """Plays a sound to the caller; one that cannot be played is passed over, the call goes on."""
        try:
            await self.caller.play(media, lang=self.language)
        except (PlaybackFailed, RequestFailed) as error:
            log.warning("the caller could not be played %s: %s", media, error)

    @property
    def spoken_number(self) -> str:
        """The digits of the caller's number, which must be known, as they are read out."""
        assert self.number is not None
        return spoken(self.number, self.desk.region)

    def open(self) -> None:
        """Freezes the plan and journals that the call came in."""
        try:
            self._plan = self.desk.routing().plan(self.did, datetime.now(UTC))
        except UnknownNumber:
            log.info("%s leads to no line", self.did)
        finally:
            self._journal_opening()

    def _journal_opening(self) -> None:
        line = self._plan.line if self._plan else None
        opened = CallOpened(
            id=self.id,
            line_id=line.id if line else None,
            line_name=line.name if line else None,
            did=self.did,
            caller=self.number,
            channel=self.caller.id,
            worker=self.desk.worker,
            started_at=datetime.now(UTC),
            plan=self._plan,
        )
        self.desk.journal.put(opened)
        self.tell(
            EventKind.INCOMING,
            leg=self.caller.id,
            who=self.number or self.caller.channel.caller.number or None,
        )

    async def answer(self) -> None:
        """Answers the caller, unless that is done already."""
        if self._answered:
            return
        await self.caller.answer()
        self._answered = True
        self.desk.journal.put(CallAnswered(id=self.id, answered_at=datetime.now(UTC)))
        self.tell(EventKind.ANSWERED, leg=self.caller.id)

    def end(self, outcome: Outcome) -> None:
        """Settles how the call ended; the first outcome stands."""
        if self.outcome is None:
            self.outcome = outcome
            self.tell(EventKind.ENDED, reason=str(outcome))
            self.desk.journal.put(CallClosed(id=self.id, ended_at=datetime.now(UTC), outcome=outcome))

    def tell(
        self,
        kind: EventKind,
        *,
        leg: str | None = None,
        who: str | None = None,
        reason: str | None = None,
        hangup: Hangup | None = None,
        **detail: Any,
    ) -> None:
        """Writes a step of the call into its journal, and into the log."""
        q850, sip = (hangup.q850, hangup.sip) if hangup else (None, None)
        log.info("%s %s", kind, reason or who or "")
        self._events += 1
        self.desk.journal.put(
            CallEvent(
                call_id=self.id,
                seq=self._events,
                at=datetime.now(UTC),
                kind=kind,
                leg=leg,
                who=who,
                q850=q850,
                sip=sip,
                reason=reason,
                detail=detail or None,
            )
        )

    @contextmanager
    def attempt(self, candidate: Candidate, method: ContactMethod, round_: int, step: int) -> Iterator[Attempt]:
        """An attempt, journalled when it opens and, with its disposition, when it closes however it closes."""
        self._legs += 1
        attempt = Attempt(self, candidate, method, leg_id=f"{self.id}.{self._legs}")
        self.desk.journal.put(
            AttemptOpened(
                id=attempt.id,
                call_id=self.id,
                round=round_,
                step=step,
                person_id=candidate.person.id,
                person_name=candidate.person.name,
                contact_method_id=method.id,
                kind=method.kind,
                address=method.address,
                leg=attempt.leg_id,
                started_at=datetime.now(UTC),
            )
        )
        try:
            yield attempt
        except Exception:
            attempt.disposition = Disposition.FAILED
            raise
        finally:
            self._close(attempt)

    def skip(self, candidate: Candidate, round_: int, step: int) -> None:
        """Journals that a person was not rung because they are in another conversation."""
        with self.attempt(candidate, candidate.person.phones[0], round_, step) as attempt:
            attempt.disposition, attempt.reason = (
                Disposition.ENGAGED,
                self.words("déjà en communication", "in another on-call conversation"),
            )

    def _close(self, attempt: Attempt) -> None:
        if attempt.disposition is None:
            attempt.disposition, attempt.reason = self._why_stopped(attempt)
        hangup = attempt.hangup
        attempt.tell(
            EventKind.LEG_ENDED,
            reason=": ".join(filter(None, (attempt.disposition, attempt.reason))),
            hangup=hangup,
        )
        self.desk.journal.put(
            AttemptClosed(
                id=attempt.id,
                ended_at=datetime.now(UTC),
                disposition=attempt.disposition,
                q850=hangup.q850 if hangup else None,
                sip=hangup.sip if hangup else None,
            )
        )

    def _why_stopped(self, attempt: Attempt) -> tuple[Disposition, str | None]:
        """Why an attempt that reached no end of its own was stopped."""
        if self.taken_by is attempt:
            return Disposition.ACCEPTED, None
        if self.taken_by is not None:
            return Disposition.WITHDRAWN, self.words(
                f"{self.taken_by.who} a pris l'appel", f"{self.taken_by.who} has taken the call"
            )
        if self.caller.hangup_cause is not None:
            return Disposition.CALLER_GONE, None
        if self.desk.presence.seems_engaged(attempt.candidate.person.id):
            return Disposition.WITHDRAWN, self.words("a pris un autre appel", "has taken another call")
        return Disposition.WITHDRAWN, self.words("temps écoulé", "its time was over")

    @asynccontextmanager
    async def hunted_for(self, seconds: float | None) -> AsyncIterator[None]:
        """Raises TimeoutError after ``seconds`` unless somebody has taken the call by then."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.append((limit, limit.when()))
            try:
                yield
            finally:
                self._limits.pop()

    def take(self, attempt: Attempt) -> bool:
        """Gives the call to ``attempt`` unless another has it already; from then on no time limit applies."""
        if self.taken_by is not None or any(limit.expired() for limit, _ in self._limits):
            return False
        self.taken_by = attempt
        for limit, _ in self._limits:
            limit.reschedule(None)
        attempt.tell(EventKind.ACCEPTED)
        return True

    def give_back(self) -> None:
        """The one who took the call was lost before being connected: the hunt goes on under its old limits."""
        self.taken_by = None
        for limit, when in self._limits:
            limit.reschedule(when)
