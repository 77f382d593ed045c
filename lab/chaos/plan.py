"""What a chaos run will do, drawn from a seed: who calls, and what befalls when."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lab.chaos.afflictions import AFFLICTIONS, Affliction
from lab.chaos.town import KINDS, Kind, number_of

Thing = TypeVar("Thing")

FREE_AGAIN_SECONDS = 90
"""After which a line, and whoever is on call for it, can serve another call."""
GAP_SECONDS = (1.0, 4.0)
"""Between one affliction and the next."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A call that is to be made; the number of its ``caller`` is nobody else's."""

    caller: str
    number: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Blow:
    """An affliction that strikes ``at`` so many seconds after the first call, and lasts for ``seconds``. ``seed``
    decides the rest: which worker it is, for instance."""

    at: float
    seconds: float
    affliction: Affliction
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """``seconds`` long, with ``rate`` calls a second; ``speech_seconds`` is how long callers speak into a message."""

    seed: int
    seconds: float
    rate: float
    speech_seconds: float
    workers: int
    calls: Sequence[Placed]
    blows: Sequence[Blow]
    lines: int


def draw(
    seed: int,
    seconds: float,
    rate: float,
    afflictions: Sequence[Affliction] = tuple(AFFLICTIONS.values()),
    *,
    speech_seconds: float = 25,
    workers: int = 2,
) -> Plan:
    """The plan that belongs to a seed: the same one each time."""
    chance = random.Random(seed)  # noqa: S311
    lines = math.ceil(rate * FREE_AGAIN_SECONDS / len(KINDS))
    calls = tuple(_calls(chance, round(seconds * rate), lines))
    blows = tuple(_blows(chance, seconds, afflictions))
    return Plan(seed, seconds, rate, speech_seconds, workers, calls, blows, lines)


def _calls(chance: random.Random, count: int, lines: int) -> Iterator[Placed]:
    """As many of each kind, in no order."""
    for n, (time, kind) in zip(range(count), _shuffled(chance, range(len(KINDS))), strict=False):
        yield Placed(f"+336{70_000_000 + n}", number_of(kind, time % lines), KINDS[kind])


def _blows(chance: random.Random, seconds: float, afflictions: Sequence[Affliction]) -> Iterator[Blow]:
    """One after the other, each as often as any, up to shortly before the last call."""
    at = 1 + chance.uniform(*GAP_SECONDS)
    for _, affliction in _shuffled(chance, afflictions):
        lasts = chance.uniform(*affliction.seconds)
        if at + lasts > seconds:
            return
        yield Blow(at, lasts, affliction, chance.getrandbits(32))
        at += lasts + affliction.recovery_seconds + chance.uniform(*GAP_SECONDS)


def _shuffled(chance: random.Random, things: Sequence[Thing]) -> Iterator[tuple[int, Thing]]:
    """All ``things`` in some order, then again in another, with the number of the time, for ever."""
    time = 0
    while things:
        for thing in chance.sample(things, len(things)):
            yield time, thing
        time += 1
