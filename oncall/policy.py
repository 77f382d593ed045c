"""Escalation policies: whom to ring, in what order, for how long, and how long a caller may wait at worst."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import msgspec

from oncall.errors import BadRule
from oncall.plan import Person, Plan, RingOrder

CONFIRM_SECONDS = 15
"""How long somebody who answered has to press 1: one reading of the prompt (about 12 s) and time to find the key."""


# Targets are msgspec structs and not dataclasses because only a struct carries the tag that tells them apart in JSON.
class OnCallOf(msgspec.Struct, frozen=True, tag="on_call"):
    """Whoever is on call in a schedule."""

    schedule_id: int


class ThePerson(msgspec.Struct, frozen=True, tag="person"):
    """One person, on call or not."""

    person_id: int


class Supervisors(msgspec.Struct, frozen=True, tag="supervisors"):
    """The supervisors of the line, in their order."""


Target = OnCallOf | ThePerson | Supervisors


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One step; ``max_seconds`` cuts it short, None lets every contact method ring for its own time."""

    position: int
    order: RingOrder
    max_seconds: int | None
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """``rounds`` times through the steps, and never longer than ``max_hunt_seconds``."""

    id: int
    slug: str
    name: str
    max_hunt_seconds: int
    rounds: int
    steps: tuple[PolicyStep, ...]

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.max_hunt_seconds < 1:
            raise BadRule(f"policy {self.slug!r} needs at least one round and one second of hunt")

    def longest_wait(self, may_be: Callable[[Target], Collection[Person]]) -> int:
        """The seconds after which, at worst, a caller's hunt is over, whoever is on call.

        ``may_be`` gives everybody a target may stand for. Of those who may be on call the slowest to ring is
        counted, so the truth at a given instant may be shorter, never longer.
        """
        steps = (_step_seconds(step.order, step.max_seconds, _each(step, may_be)) for step in self.steps)
        return min(self.max_hunt_seconds, self.rounds * sum(steps))


def longest_wait(plan: Plan) -> int:
    """The seconds after which, at worst, the hunt of ``plan`` is over: all ring out, then answer and press nothing."""
    steps = (
        _step_seconds(step.order, step.max_seconds, [person_seconds(who.person) for who in step.candidates])
        for step in plan.steps
    )
    return min(plan.max_hunt_seconds, plan.rounds * sum(steps))


def _each(step: PolicyStep, may_be: Callable[[Target], Collection[Person]]) -> list[int]:
    """The seconds of everybody the step rings at worst, each person counted once."""
    schedules = [target for target in step.targets if isinstance(target, OnCallOf)]
    always = {person for target in step.targets if target not in schedules for person in may_be(target)}
    slowest = [
        max((person_seconds(person) for person in may_be(target) if person not in always), default=0)
        for target in dict.fromkeys(schedules)
    ]
    return [*map(person_seconds, always), *slowest]


def _step_seconds(order: RingOrder, max_seconds: int | None, people: Iterable[int]) -> int:
    total = max(people, default=0) if order is RingOrder.TOGETHER else sum(people)
    return total if max_seconds is None else min(total, max_seconds)


def person_seconds(person: Person) -> int:
    """How long it may take at worst to try a person by all their telephones."""
    return sum(phone.ring_seconds + (CONFIRM_SECONDS if phone.confirm else 0) for phone in person.phones)
