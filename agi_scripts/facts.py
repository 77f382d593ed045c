"""What the dialplan noted of a call that it served alone, and the journal's records of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from agi_scripts.account import LOST, Account, Arrival
from agi_scripts.scenario import seconds_recorded
from db.records import Record
from oncall.causes import disposition_of
from oncall.numbers import in_one_form
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import Candidate, ContactKind, ContactMethod, Line, Person
from oncall.routing import RoutingTable

REFUSALS: Final = {
    "loop": (
        "appel de notre part, revenu d'un téléphone renvoyé vers ce numéro",
        "a call of our own, come back from a phone that is diverted to this number",
    ),
    "busy": ("trop d'appels à la fois de ce numéro", "too many calls at once from this number"),
    "full": ("trop d'appels à la fois sur cette ligne", "too many calls at once on this line"),
}
"""Why the dialplan refuses a call unanswered, in French and in English."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt; ``key`` is None when the dialplan itself began it. ``who`` is ``person/method``."""

    key: UUID | None
    who: str
    started_at: datetime
    ended_at: datetime
    picked_up: datetime | None
    pressed: str
    taken: bool
    status: str
    q850: int


@dataclass(frozen=True, slots=True)
class Facts:
    """A call. ``asked_at`` is when the caller was asked for a message, if they were; one who was not ``served`` at all,
    for want of any number, has heard an apology. ``refused`` says why the call was refused unanswered, if it was.
    """

    call: UUID
    did: str
    caller: str
    channel: str
    came_at: datetime
    ended_at: datetime
    served: bool
    asked_at: datetime | None
    tried: tuple[Tried, ...]
    refused: str | None = None


def read_facts(key: str, value: str) -> Facts:
    """The facts under a key of AstDB; raises ValueError when they make no sense."""
    did, caller, channel, came, ended, line, asked, tried = value.split("|")
    return Facts(
        call=UUID(key),
        did=did,
        caller=caller,
        channel=channel,
        came_at=_moment(came),
        ended_at=_moment(ended),
        served=line != "none",
        asked_at=_moment(asked) if asked else None,
        tried=tuple(map(_tried, filter(None, tried.split("~")))),
        refused=line if line in REFUSALS else None,
    )


def _tried(text: str) -> Tried:
    key, who, started, ended, picked_up, pressed, taken, status, q850 = text.split(":")
    return Tried(
        key=None if key == "-" else UUID(key),
        who=who,
        started_at=_moment(started),
        ended_at=_moment(ended),
        picked_up=_moment(picked_up) if picked_up else None,
        pressed=pressed,
        taken=bool(taken),
        status=status,
        q850=int(q850 or 0),
    )


def _moment(epoch: str) -> datetime:
    return datetime.fromtimestamp(int(epoch), UTC)


def journal(
    facts: Facts,
    table: RoutingTable,
    recordings: Path,
    region: str,
    put: Callable[[Record], None],
    *,
    cut: bool = False,
) -> None:
    """Tells a call by its facts, the names taken from ``table``. Told twice, it is as told once.

    ``cut`` says that Asterisk ended with it, and that the facts are of a moment before.
    """
    did = in_one_form(facts.did, region) or facts.did
    line = table.lines[table.numbers[did]].line if did in table.numbers else None
    arrival = Arrival(facts.call, facts.channel, did, in_one_form(facts.caller, region), facts.came_at, line)
    account = Account(arrival, Route.DIALPLAN, put)
    if facts.refused is not None:
        account.refuse(account.words(*REFUSALS[facts.refused]))
        return
    account.open()
    for number, tried in enumerate(facts.tried):
        person, method = _whom(table, tried.who)
        candidate = Candidate(person, account.words("derniers numéros connus", "last known numbers"))
        if tried.key is not None:
            told = account.resume(tried.key, candidate)
        else:
            key = uuid5(facts.call, f"attempt {number}")
            told = account.attempt(candidate, method, tried.started_at, key=key)
        if tried.picked_up:
            told.answered(tried.picked_up, tried.pressed)
        told.close(_disposition(tried), tried.ended_at, q850=tried.q850)
    if facts.asked_at:
        account.tell(EventKind.VOICEMAIL_STARTED, facts.asked_at)
    recorded = seconds_recorded(recordings / f"vigie-{facts.call}.wav")
    account.close(_outcome(facts, line, recorded, cut), facts.ended_at)


def _outcome(facts: Facts, line: Line | None, recorded: float, cut: bool) -> Outcome:
    if any(tried.taken for tried in facts.tried):
        return Outcome.ANSWERED
    if line is None:
        return Outcome.UNKNOWN_NUMBER
    if not facts.served:
        return Outcome.FAILED
    if recorded >= line.voicemail.min_seconds:
        return Outcome.VOICEMAIL
    if cut:
        return Outcome.CUT
    return Outcome.NO_MESSAGE if facts.asked_at else Outcome.ABANDONED


def _disposition(tried: Tried) -> Disposition:
    if tried.taken:
        return Disposition.ACCEPTED
    if tried.pressed == LOST:
        return Disposition.SOUND_LOST
    if tried.picked_up:
        return Disposition.REFUSED if tried.pressed == "2" else Disposition.NOT_CONFIRMED
    if tried.status == "DIVERTED":
        return Disposition.DIVERTED_TO_US
    if tried.status in ("CANCEL", ""):
        return Disposition.CALLER_GONE
    return Disposition.NO_ANSWER if tried.status == "NOANSWER" else disposition_of(tried.q850, None)


def _whom(table: RoutingTable, who: str) -> tuple[Person, ContactMethod]:
    """Who was rung and how; by their numbers alone when the table does not know them any more."""
    person_id, method_id = map(int, who.split("/"))
    person = table.people.get(person_id)
    if person is None:
        person = Person(person_id, f"n° {person_id}", "fr", ())
    unknown = ContactMethod(method_id, ContactKind.PHONE, "")
    method = next((method for method in person.contact_methods if method.id == method_id), unknown)
    return person, method
