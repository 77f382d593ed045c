"""A call served without workers: the plan from the snapshot, whoever is on call in turn, then a message."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import msgspec

from agi_scripts.account import Account, Arrival
from agi_scripts.channel import Ask, Rang
from agi_scripts.errors import CallerGone, CommandFailed, LinkLost
from agi_scripts.hunt import Hunt
from db.records import Record
from oncall.errors import UnknownNumber
from oncall.numbers import in_one_form
from oncall.outcomes import EventKind, Outcome, Route
from oncall.plan import Plan
from oncall.routing import RoutingTable
from oncall.standing import Standing, standing_of, variable_of
from voice import prompts
from voice.prompts import Phrase

log = logging.getLogger(__name__)

current_call: ContextVar[str] = ContextVar("current_call", default="-")
"""The id of the call a log record belongs to."""

HEADER_BYTES: Final = 44
BYTES_A_SECOND: Final = 16_000
"""Of Asterisk's ``wav`` format: 8 kHz, 16 bits, after the header."""


class Caller(Protocol):
    """What a call needs of the caller's channel (see ``CallerChannel``)."""

    @property
    def id(self) -> str: ...
    def variable(self, name: str) -> str: ...
    def set(self, name: str, value: object) -> None: ...
    def answer(self) -> None: ...
    def play(self, sound: str) -> None: ...
    def ring(self, dial: str, seconds: int, ask: Ask | None, attempt: str) -> Rang: ...
    def record(self, path: str, *, max_seconds: int, silence_seconds: int) -> None: ...
    def hang_up(self) -> None: ...


class Speaker(Protocol):
    """Gives the sound of a phrase, or of other words that have ``otherwise`` in their place, at once or nearly so."""

    def phrase(self, phrase: Phrase, language: str, **names: str) -> str: ...
    def say(self, text: str, language: str, otherwise: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What all calls share. ``table`` raises SnapshotError while there is none; ``recordings`` is Asterisk's own."""

    table: Callable[[], RoutingTable]
    put: Callable[[Record], None]
    speaker: Speaker
    recordings: Path
    language: str
    region: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def serve(caller: Caller, means: Means) -> None:
    """Serves a caller to the end and says so to the dialplan, which goes on to its own rung whenever this is not said.

    Raises what makes a call impossible to serve: SnapshotError, OnCallError, LinkLost, or a defect of ours.
    """
    key = UUID(caller.variable("VIGIE_CALL"))
    current_call.set(str(key))
    arrival = _arrival(key, caller, means)
    account = Account(arrival, Route.AGI, means.put)
    call = Call(caller, means, arrival, account)
    account.open()
    try:
        call.run()
    except CallerGone:
        account.tell(EventKind.CALLER_HUNG_UP, means.now())
        account.close(call.outcome_of_leaving(), means.now())
    except LinkLost:
        account.close(Outcome.CUT, means.now())
        raise
    except Exception:
        account.tell(EventKind.ERROR, means.now(), reason=account.words("défaut, voir le journal", "defect, see log"))
        raise
    caller.set("VIGIE_SERVED", "yes")


def _arrival(key: UUID, caller: Caller, means: Means) -> Arrival:
    """Raises whatever the table says but UnknownNumber: that is something to tell the caller."""
    dialled = caller.variable("VIGIE_DID")
    did = in_one_form(dialled, means.region) or dialled
    now = means.now()
    try:
        plan = means.table().plan(did, now)
    except UnknownNumber:
        plan = None
    number = in_one_form(caller.variable("VIGIE_CALLER"), means.region)
    return Arrival(key, caller.id, did, number, now, plan.line if plan else None, plan)


def _stood(caller: Caller, call: UUID) -> Standing:
    """Where a worker has left the call, if one had it."""
    text = caller.variable(f"GLOBAL({variable_of(call.hex)})")
    try:
        return standing_of(text)
    except msgspec.MsgspecError as error:
        log.warning("where the call stood cannot be understood, it begins anew: %s", error)
        return Standing()


class Call:
    """One caller, and what has become of them so far."""

    def __init__(self, caller: Caller, means: Means, arrival: Arrival, account: Account) -> None:
        self._caller = caller
        self._means = means
        self._arrival = arrival
        self._account = account
        self._language = arrival.plan.line.language if arrival.plan else means.language
        self._recording = means.recordings / f"vigie-{arrival.call}.wav"
        self._asked = False
        self._hunt: Hunt | None = None
        self._standing = _stood(caller, arrival.call)

    def run(self) -> None:
        plan = self._arrival.plan
        self._caller.set("CHANNEL(language)", self._language)
        self._caller.answer()
        self._account.answered(self._means.now())
        if plan is None:
            self._tell_unknown()
        elif self._outcome_of_message(plan) is Outcome.VOICEMAIL:  # left with a worker, which then failed
            self._thank(plan)
        elif not self._standing.message and self._find_somebody(plan):
            self._account.close(Outcome.ANSWERED, self._means.now())
        else:
            self._take_message(plan)
        self._caller.hang_up()

    def outcome_of_leaving(self) -> Outcome:
        """How the call has ended now that the caller has hung up."""
        plan = self._arrival.plan
        if self._hunt is not None and self._hunt.taken:
            return Outcome.ANSWERED
        return self._outcome_of_message(plan) if plan and self._asked else Outcome.ABANDONED

    def _find_somebody(self, plan: Plan) -> bool:
        line = plan.line
        if line.greeting:
            self._account.tell(EventKind.GREETING, self._means.now(), reason=line.greeting)
            self._play(self._means.speaker.say(line.greeting, line.language, otherwise=prompts.GREETING))
        came = self._caller.variable("VIGIE_CAME")
        self._hunt = Hunt(
            self._caller,
            self._means,
            plan,
            self._arrival.caller,
            self._account,
            came_at=datetime.fromtimestamp(int(came), UTC) if came.isdecimal() else self._arrival.at,
            standing=self._standing,
        )
        return self._hunt.run()

    def _take_message(self, plan: Plan) -> None:
        rules = plan.line.voicemail
        self._asked = True
        self._caller.set("VIGIE_ASKED", int(self._means.now().timestamp()))
        self._account.tell(
            EventKind.ANNOUNCEMENT,
            self._means.now(),
            reason=self._account.words("un message est demandé", "a message is asked for"),
        )
        self._say(prompts.LEAVE_MESSAGE)
        self._account.tell(EventKind.VOICEMAIL_STARTED, self._means.now())
        self._caller.record(str(self._recording), max_seconds=rules.max_seconds, silence_seconds=rules.silence_seconds)
        self._thank(plan)

    def _thank(self, plan: Plan) -> None:
        """Tells the caller whether there is a message, which is taken in when the system is back."""
        self._asked = True
        outcome = self._outcome_of_message(plan)
        self._say(prompts.MESSAGE_KEPT if outcome is Outcome.VOICEMAIL else prompts.NO_MESSAGE)
        self._account.close(outcome, self._means.now())

    def _tell_unknown(self) -> None:
        did = self._arrival.did
        reason = self._account.words(f"le {did} ne mène à aucune ligne", f"{did} leads to no line")
        self._account.tell(EventKind.ANNOUNCEMENT, self._means.now(), reason=reason)
        self._say(prompts.NO_SUCH_NUMBER)
        self._account.close(Outcome.UNKNOWN_NUMBER, self._means.now())

    def _outcome_of_message(self, plan: Plan) -> Outcome:
        enough = seconds_recorded(self._recording) >= plan.line.voicemail.min_seconds
        return Outcome.VOICEMAIL if enough else Outcome.NO_MESSAGE

    def _say(self, phrase: Phrase) -> None:
        self._play(self._means.speaker.phrase(phrase, self._language))

    def _play(self, sound: str) -> None:
        """Plays a sound to the caller; one that cannot be played is passed over, the call goes on."""
        try:
            self._caller.play(sound)
        except CommandFailed as error:
            log.warning("the caller could not be played %s: %s", sound, error)


def seconds_recorded(recording: Path) -> float:
    """How long a recording of Asterisk's is; nothing when there is none."""
    try:
        return max(0, recording.stat().st_size - HEADER_BYTES) / BYTES_A_SECOND
    except OSError:
        return 0.0
