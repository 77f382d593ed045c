"""One call and its attempts: who has it, until when it may be hunted for, and the journal of its steps."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from ari_app.ari import Channel, Hangup, Leg, PlaybackFailed, RecordingUnderWay, RequestFailed
from ari_app.calls.attempt import Attempt, Inherited
from ari_app.calls.standing import Notebook
from db.records import CallAnswered, CallClosed, CallEvent, CallOpened
from oncall.errors import NotCovered, UnknownNumber
from oncall.numbers import in_one_form, spoken
from oncall.outcomes import Disposition, EventKind, Outcome
from oncall.plan import Candidate, ContactMethod, Plan, VoicemailRules
from oncall.printable import one_line
from oncall.standing import Standing
from voice.prompts import Phrase

if TYPE_CHECKING:
    from ari_app.calls.desk import Desk

log = logging.getLogger(__name__)

MILESTONES = frozenset(
    {
        EventKind.INCOMING,
        EventKind.ADOPTED,
        EventKind.TRUNK_FAILED,
        EventKind.CONNECTED,
        EventKind.SOUND_LOST,
        EventKind.VOICEMAIL_STARTED,
        EventKind.ERROR,
        EventKind.ENDED,
    }
)
"""What of a call is in the log; each line costs a hundredth of what a call costs a worker. The journal has it all."""
EVENTS_PER_GENERATION = 10_000
"""Each worker that has a call numbers its events from a place of its own."""


def told_last(generation: int, place: int) -> int:
    """The number of an event that others tell of a call of that generation, after all that its own worker told: the
    last but ``place``."""
    return (generation + 1) * EVENTS_PER_GENERATION - 1 - place


class Call:
    """A caller, the plan frozen for them when they came in, and what has become of it so far.

    ``standing`` is where another worker left it, ``inherited`` whom that one had on the line, by contact method.
    """

    def __init__(self, desk: "Desk", caller: Leg, standing: Standing | None = None) -> None:
        self.id = call_id(caller.channel) or uuid4()
        self.desk = desk
        self.caller = caller
        dialled = caller.channel.dialplan.exten
        self.did = in_one_form(dialled, desk.region) or dialled
        self.number = in_one_form(caller.channel.caller.number, desk.region)
        """The caller's number in E.164 form; None when it is withheld or makes no sense."""
        self.standing = standing or Standing()
        self.inherited: dict[int, Inherited] = {}
        self.outcome: Outcome | None = None
        self.taken_by: Attempt | None = None
        self.lost_on: set[int] = set()
        """The contact methods by which somebody answered whose sound was then lost."""
        self.was_talked = False
        """Whether the caller was talking with somebody when we took the call over."""
        self.recording: RecordingUnderWay | None = None
        self.message_told = False
        self.came_at = caller.channel.created_at if self.was_begun else datetime.now(UTC)
        self._plan: Plan | None = None
        self._notebook = Notebook(desk.ari, self.id)
        self._answered = self.was_begun and caller.channel.state == "Up"
        self._events = self.standing.generation * EVENTS_PER_GENERATION
        self._legs = 0
        self._limits: list[asyncio.Timeout] = []
        self._left: list[float | None] = []
        """What was left of each limit when somebody took the call."""

    @property
    def was_begun(self) -> bool:
        """Whether another worker had the call before."""
        return self.standing.generation > 0

    @property
    def plan(self) -> Plan:
        assert self._plan is not None, "a call to an unknown number has no plan"
        return self._plan

    @property
    def is_routed(self) -> bool:
        """Whether the number dialled leads to a line."""
        return self._plan is not None

    @property
    def is_answered(self) -> bool:
        return self._answered

    @property
    def is_talked(self) -> bool:
        """Whether the caller talks with somebody."""
        return self.taken_by is not None and self.taken_by.connected

    @property
    def gave_up_late(self) -> bool:
        """Whether the caller hung up after so long a wait that somebody should hear of it."""
        waited = (datetime.now(UTC) - self.came_at).total_seconds()
        return self.outcome is Outcome.ABANDONED and self.is_routed and waited >= self.voicemail.abandoned_seconds

    @property
    def voicemail(self) -> VoicemailRules:
        return self._plan.line.voicemail if self._plan else VoicemailRules()

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
        """Freezes the plan and journals that the call came in, or that we carry it on."""
        try:
            self._plan = self._planned()
        except UnknownNumber:
            log.info("%s leads to no line", self.did)
        finally:
            self._journal_opening()

    def _planned(self) -> Plan:
        """The plan of the moment at which the call came in, which for a long call may not be known any more."""
        table = self.desk.routing()
        try:
            return table.plan(self.did, self.came_at)
        except NotCovered:
            return table.plan(self.did, datetime.now(UTC))

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
            started_at=self.came_at,
            plan=self._plan,
        )
        self.desk.journal.put(opened)
        if not self.was_begun:
            self.tell(
                EventKind.INCOMING,
                leg=self.caller.id,
                who=self.number or one_line(self.caller.channel.caller.number) or None,
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
        if self.outcome is not None:
            return
        self.outcome = outcome
        self.tell(EventKind.ENDED, reason=str(outcome))
        generation = self.standing.generation
        self.desk.journal.put(
            CallClosed(id=self.id, ended_at=datetime.now(UTC), outcome=outcome, generation=generation)
        )
        self._notebook.tear_out()

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
        """Writes a step of the call into its journal, and into the log as far as it is a milestone."""
        q850, sip = (hangup.q850, hangup.sip) if hangup else (None, None)
        log.log(logging.INFO if kind in MILESTONES else logging.DEBUG, "%s %s", kind, reason or who or "")
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

    # --- where it stands, for whoever must carry it on

    def enter(self, round_: int, step: int) -> None:
        """The hunt is at this step now. That it begins at the first need not be written down."""
        began = self.standing.step == 0
        if self.standing.enter(round_, step) and not began:
            self._notebook.write(self.standing)

    def has_tried(self, candidate: Candidate, method: ContactMethod, disposition: Disposition) -> None:
        """An attempt is over without success; a person who refused is not tried by other means either."""
        refused = disposition is Disposition.REFUSED
        methods = (phone.id for phone in (candidate.person.phones if refused else (method,)))
        self.standing.try_no_more(candidate.person.id, methods, refused=refused)
        self._notebook.write(self.standing)

    def ask_for_message(self) -> None:
        """The caller is being asked for a message."""
        self.standing.message = True
        self._notebook.write(self.standing)

    # --- attempts

    @contextmanager
    def attempt(self, candidate: Candidate, method: ContactMethod, round_: int, step: int) -> Iterator[Attempt]:
        """An attempt, journalled when it opens and, with its disposition, when it closes however it closes."""
        inherited = self.inherited.pop(method.id, None)
        attempt = Attempt(self, candidate, method, inherited.leg.id if inherited else self._next_leg(), inherited)
        attempt.open(round_, step)
        try:
            yield attempt
        except Exception:
            attempt.disposition = Disposition.FAILED
            raise
        finally:
            attempt.close()

    def _next_leg(self) -> str:
        self._legs += 1
        return f"{self.id}.{self.standing.generation}.{self._legs}"

    def skip(self, candidate: Candidate, round_: int, step: int) -> None:
        """Journals that a person was not rung because they are in another conversation."""
        with self.attempt(candidate, candidate.person.phones[0], round_, step) as attempt:
            attempt.disposition, attempt.reason = (
                Disposition.ENGAGED,
                self.words("déjà en communication", "in another on-call conversation"),
            )

    @asynccontextmanager
    async def hunted_for(self, seconds: float | None) -> AsyncIterator[None]:
        """Raises TimeoutError after ``seconds`` unless somebody has taken the call by then."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.append(limit)
            try:
                yield
            finally:
                self._limits.pop()

    def take(self, attempt: Attempt) -> bool:
        """Gives the call to ``attempt`` unless another has it already; from then on no time limit applies."""
        if self.taken_by is not None or any(limit.expired() for limit in self._limits):
            return False
        self.taken_by = attempt
        now = asyncio.get_running_loop().time()
        self._left = [None if (when := limit.when()) is None else when - now for limit in self._limits]
        for limit in self._limits:
            limit.reschedule(None)
        if attempt.inherited is None or not attempt.inherited.bridged:
            attempt.tell(EventKind.ACCEPTED)
        return True

    def give_back(self, at_least: float = 0) -> None:
        """The one who took the call was lost: the hunt goes on with what was left of its limits, or ``at_least`` so
        many seconds."""
        self.taken_by = None
        now = asyncio.get_running_loop().time()
        for limit, left in zip(self._limits, self._left, strict=True):
            limit.reschedule(None if left is None else now + max(left, at_least))


def call_id(channel: Channel) -> UUID | None:
    """The id of the call to which a channel belongs: the dialplan gives it, and all its legs carry it."""
    try:
        return UUID(channel.channelvars.get("VIGIE_CALL", ""))
    except ValueError:
        return None
