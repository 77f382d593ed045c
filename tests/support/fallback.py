"""A caller on the fallback, and telephones that behave as they are told, without Asterisk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from agi_scripts.channel import Ask, Rang
from agi_scripts.errors import CallerGone, CommandFailed, LinkLost
from agi_scripts.scenario import BYTES_A_SECOND, HEADER_BYTES, Means, serve
from db.records import AttemptClosed, AttemptOpened, CallClosed, CallEvent, CallOpened, Record
from oncall.outcomes import Disposition, EventKind, Outcome
from oncall.routing import RoutingTable
from voice.prompts import Phrase

MONDAY = datetime(2026, 1, 12, 11, 0, tzinfo=UTC)
BUSY = Rang(q850=17, sip=486)
TRUNK_DOWN = Rang(q850=34, sip=503)
GONE = Rang(caller_gone=True)


@dataclass
class FakeCaller:
    """A caller who dials ``did``; ``answers`` says how each ringing ends, by what is dialled (else nobody answers), or
    how one after the other does."""

    did: str = "+33123456789"
    number: str = "0612345678"
    answers: dict[str, Rang | Exception | list[Rang]] = field(default_factory=dict)
    talks: timedelta = timedelta()
    """How long each conversation lasts."""
    says_seconds: float = 0
    hangs_up_at: str = ""
    """The sound during which the caller hangs up."""
    missing_sounds: Sequence[str] = ()
    states: dict[str, str] = field(default_factory=lambda: defaultdict(lambda: "NOT_INUSE"))
    id: str = "1768215600.1"
    call: UUID = field(default_factory=uuid4)
    now: datetime = MONDAY
    came_at: datetime = MONDAY
    rung: list[tuple[str, int]] = field(default_factory=list)
    asked: list[Ask | None] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    globals: dict[str, str] = field(default_factory=dict)
    recordings: Path = Path()
    answered = False
    hung_up = False

    def variable(self, name: str) -> str:
        known = {"VIGIE_CALL": str(self.call), "VIGIE_DID": self.did, "VIGIE_CALLER": self.number}
        known["VIGIE_CAME"] = str(int(self.came_at.timestamp()))
        if name.startswith("GLOBAL("):
            return self.globals.get(name.removeprefix("GLOBAL(").removesuffix(")"), "")
        return known[name] if name in known else self.states[name]

    def set(self, name: str, value: object) -> None:
        self.variables[name] = str(value)

    def answer(self) -> None:
        self.answered = True

    def play(self, sound: str) -> None:
        if sound in self.missing_sounds:
            raise CommandFailed(sound)
        self.heard.append(sound)
        if sound == self.hangs_up_at:
            raise CallerGone

    def ring(self, dial: str, seconds: int, ask: Ask | None, attempt: str) -> Rang:
        del attempt
        self.rung.append((dial, seconds))
        self.asked.append(ask)
        ended = self.answers.get(dial, Rang(q850=19))
        if isinstance(ended, Exception):
            raise ended
        if isinstance(ended, list):
            ended = ended.pop(0)
        self.now += self.talks if ended.picked_up else timedelta(seconds=1 if ended.sip else seconds)
        return ended

    def picks_up(self, key: str = "", *, taken: bool = False) -> Rang:
        """Somebody picks up and presses a key."""
        return Rang(picked_up=self.now, key=key, taken=taken)

    def record(self, path: str, *, max_seconds: int, silence_seconds: int) -> None:
        del max_seconds, silence_seconds
        Path(path).write_bytes(bytes(HEADER_BYTES + int(self.says_seconds * BYTES_A_SECOND)))

    def hang_up(self) -> None:
        self.hung_up = True


class NamedSounds:
    """Sounds that are called by their own words."""

    def phrase(self, phrase: Phrase, language: str, **names: str) -> str:
        return phrase.text(language, **names)

    def say(self, text: str, language: str, otherwise: str) -> str:
        del language, otherwise
        return text


@dataclass
class Journalled:
    """What was journalled of one call."""

    records: list[Record] = field(default_factory=list)

    @property
    def opened(self) -> CallOpened:
        return next(record for record in self.records if isinstance(record, CallOpened))

    @property
    def outcome(self) -> Outcome | None:
        return next((record.outcome for record in self.records if isinstance(record, CallClosed)), None)

    @property
    def dispositions(self) -> list[tuple[str, Disposition]]:
        names = {record.id: record.person_name for record in self.records if isinstance(record, AttemptOpened)}
        return [(names[record.id], record.disposition) for record in self.records if isinstance(record, AttemptClosed)]

    @property
    def kinds(self) -> list[EventKind]:
        return [record.kind for record in self.records if isinstance(record, CallEvent)]


def served(caller: FakeCaller, table: Callable[[], RoutingTable], recordings: Path) -> Journalled:
    """What is journalled of a call that is served to its end, or until that is not possible."""
    journalled = Journalled()
    means = Means(
        table=table,
        put=journalled.records.append,
        speaker=NamedSounds(),
        recordings=recordings,
        language="fr",
        region="FR",
        now=lambda: caller.now,
    )
    with suppress(LinkLost):
        serve(caller, means)
    return journalled
