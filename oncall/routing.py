"""The routing table: the one answer to "who rings for this number at this instant, and then who".

Built from the rota and swapped whole when it changes; workers, fallback, simulator and pages read the same table.
Reading it costs a few look-ups and a bisection of shifts, however many lines, people or years there are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec

from oncall import reasons
from oncall.errors import BadTable, BrokenReference, NotCovered, UnknownLine, UnknownNumber
from oncall.manner import NOTHING_SPECIAL, Manner
from oncall.plan import Candidate, Line, Person, Plan, PlanStep
from oncall.policy import OnCallOf, Policy, PolicyStep, Supervisors, Target, ThePerson
from oncall.rota import Rota, Rotas
from oncall.schedule import Absence, Schedule
from oncall.span import Span, utc

PIECE: Final = 200
"""How many people, lines or rotas are encoded at once."""


@dataclass(frozen=True, slots=True)
class RoutedLine:
    """A line with the numbers that lead to it (E.164, or extensions), supervisors in order, id of its policy."""

    line: Line
    dids: tuple[str, ...]
    supervisors: tuple[int, ...]
    policy_id: int


@dataclass(frozen=True, slots=True)
class RoutedTrunk:
    slug: str
    manner: Manner = NOTHING_SPECIAL


@dataclass(frozen=True, slots=True)
class RoutingInputs:
    """All that routing depends on, as it stands at one moment; of ``trunks`` the preferred one comes first."""

    people: tuple[Person, ...]
    lines: tuple[RoutedLine, ...]
    schedules: tuple[Schedule, ...]
    policies: tuple[Policy, ...]
    absences: tuple[Absence, ...] = ()
    trunks: tuple[RoutedTrunk, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Who rings for which number at any instant from ``since`` (included) to ``until`` (excluded)."""

    since: datetime
    until: datetime
    numbers: Mapping[str, str]
    lines: Mapping[str, RoutedLine]
    policies: Mapping[int, Policy]
    rotas: Mapping[int, Rota]
    people: Mapping[int, Person]
    trunks: tuple[str, ...]
    manners: Mapping[str, Manner] = field(default_factory=dict)
    """What each trunk wants; one that is not named here wants nothing in particular."""

    def manner(self, trunk: str) -> Manner:
        return self.manners.get(trunk, NOTHING_SPECIAL)

    def plan(self, number: str, at: datetime) -> Plan:
        """The plan of a call to ``number`` (as ``oncall.numbers`` writes it) that comes in at ``at``.

        Raises UnknownNumber when no line has the number, NotCovered outside the table's span, NaiveTime.
        """
        if number not in self.numbers:
            raise UnknownNumber(number)
        return self.who(self.numbers[number], at)

    def who(self, line_slug: str, at: datetime) -> Plan:
        """The plan of a call to a line that comes in at ``at``; raises UnknownLine, NotCovered, NaiveTime."""
        at = utc(at)
        if line_slug not in self.lines:
            raise UnknownLine(line_slug)
        if not self.since <= at < self.until:
            raise NotCovered(f"{at.isoformat()} is not between {self.since.isoformat()} and {self.until.isoformat()}")
        routed = self.lines[line_slug]
        policy = self.policies[routed.policy_id]
        return Plan(
            line=routed.line,
            at=at,
            steps=tuple(self._step(step, routed, at) for step in policy.steps),
            rounds=policy.rounds,
            max_hunt_seconds=policy.max_hunt_seconds,
            trunks=self.trunks,
        )

    def encoded(self) -> Iterator[bytes]:
        """The table as JSON, for ``from_bytes``, in small pieces: all other threads stand still while one is made."""
        for number, item in enumerate(fields(self)):
            value = getattr(self, item.name)
            yield (b"," if number else b"{") + msgspec.json.encode(item.name) + b":"
            yield from _pieces(value) if isinstance(value, dict) else (msgspec.json.encode(value),)
        yield b"}"

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> "RoutingTable":
        """The table of which ``encoded`` gave the pieces; raises BadTable when ``data`` is anything else."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise BadTable(str(error)) from error

    def _step(self, step: PolicyStep, routed: RoutedLine, at: datetime) -> PlanStep:
        candidates: dict[int, Candidate] = {}
        nobody: list[str] = []
        for target in step.targets:
            for found in self._resolve(target, routed, at):
                match found:
                    case str():
                        nobody.append(found)
                    case Candidate(person=person) if person.phones:
                        candidates.setdefault(person.id, found)
                    case Candidate(person=person):
                        nobody.append(reasons.no_phone(person, routed.line.language))
        return PlanStep(
            position=step.position,
            order=step.order,
            candidates=tuple(candidates.values()),
            nobody=tuple(dict.fromkeys(nobody)),
            max_seconds=step.max_seconds,
        )

    def _resolve(self, target: Target, routed: RoutedLine, at: datetime) -> Iterator[Candidate | str]:
        """The people a target stands for at ``at``, or the words that say that it stands for nobody."""
        language = routed.line.language
        match target:
            case OnCallOf(schedule_id=schedule):
                rota = self.rotas[schedule]
                shift = rota.at(at)
                if shift is None:
                    yield rota.name
                else:
                    yield Candidate(self.people[shift.person], reasons.on_call(shift, rota.name, language))
            case ThePerson(person_id=person):
                yield Candidate(self.people[person], reasons.named(language))
            case Supervisors():
                if not routed.supervisors:
                    yield reasons.no_supervisor(language)
                for person in routed.supervisors:
                    yield Candidate(self.people[person], reasons.supervisor(language))


def _pieces(mapping: Mapping[Any, Any]) -> Iterator[bytes]:
    """The mapping as JSON."""
    items = iter(mapping.items())
    before = b"{"
    while piece := dict(islice(items, PIECE)):
        yield before + msgspec.json.encode(piece)[1:-1]
        before = b","
    yield b"}" if mapping else b"{}"


def build_table(
    inputs: RoutingInputs, since: datetime, until: datetime, known_rotas: Rotas | None = None
) -> RoutingTable:
    """The table of ``inputs`` from ``since`` to ``until``; ``known_rotas`` are those of the table before, if any.

    Raises BrokenReference when the inputs name something that they do not hold, or give one number to two lines.
    """
    span = Span(since, until)
    _check(inputs)
    return RoutingTable(
        since=span.start,
        until=span.end,
        numbers={did: routed.line.slug for routed in inputs.lines for did in routed.dids},
        lines={routed.line.slug: routed for routed in inputs.lines},
        policies={policy.id: policy for policy in inputs.policies},
        rotas=(known_rotas or Rotas()).of(inputs.schedules, inputs.absences, span),
        people={person.id: person for person in inputs.people},
        trunks=tuple(trunk.slug for trunk in inputs.trunks),
        manners={trunk.slug: trunk.manner for trunk in inputs.trunks},
    )


def _check(inputs: RoutingInputs) -> None:
    """Raises BrokenReference for the first thing named and not there: better now than in the middle of a call."""
    dids = Counter(did for routed in inputs.lines for did in routed.dids)
    for did, lines in dids.items():
        if lines > 1:
            raise BrokenReference(f"number {did} leads to {lines} lines")
    targets = [target for policy in inputs.policies for step in policy.steps for target in step.targets]
    named = {target.person_id for target in targets if isinstance(target, ThePerson)}
    named.update(*(routed.supervisors for routed in inputs.lines), *(schedule.people for schedule in inputs.schedules))
    on_call = {target.schedule_id for target in targets if isinstance(target, OnCallOf)}
    for kind, wanted, held in (
        ("person", named, {person.id for person in inputs.people}),
        ("schedule", on_call, {schedule.id for schedule in inputs.schedules}),
        ("policy", {routed.policy_id for routed in inputs.lines}, {policy.id for policy in inputs.policies}),
    ):
        if missing := wanted - held:
            raise BrokenReference(f"no {kind} with id {min(missing)}")
