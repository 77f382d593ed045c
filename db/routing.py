"""The rota as the database holds it, in the words of ``oncall``."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Final, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import routing_queries as queries
from db.errors import BadRow, explained
from oncall.errors import BadRule
from oncall.plan import Person
from oncall.policy import Policy
from oncall.rotation import Rotation
from oncall.routing import RoutedLine, RoutedTrunk, RoutingInputs
from oncall.schedule import Absence, Override, Schedule

T = TypeVar("T")


async def load_routing(engine: AsyncEngine, since: datetime, until: datetime) -> RoutingInputs:
    """What routing depends on from ``since`` to ``until``, as of one instant. Raises DatabaseError."""
    return await RoutingReader(engine).read(since, until)


class RoutingReader:
    """Reads what routing depends on, again and again: what has not changed since is given as it was, and costs little.

    Our thread is never held up by the amount: that is worked through beside it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._span: tuple[datetime, datetime] | None = None
        self._blocks: dict[str, dict[str, Block[Any]]] = {}
        self._sound: dict[int, Schedule] = {}
        self.faults: tuple[str, ...] = ()
        """What made no sense when it was read last, and was left out; in words for people."""

    async def read(self, since: datetime, until: datetime, changed: Set[str] | None = None) -> RoutingInputs:
        """All that counts from ``since`` to ``until``, as of one instant.

        Where it is known which tables have ``changed`` since it was read last, the others are not looked at.

        :raises DatabaseError: it cannot be had; BadRow among them, for what cannot be left out.
        """
        span = (since, until)
        parts = [part for part in PARTS if changed is None or span != self._span or not part.tables.isdisjoint(changed)]
        with explained(self._engine):
            async with self._engine.connect() as connection:
                # One snapshot for all the queries: a change made meanwhile is seen whole or not at all.
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                said = {part.name: await self._said(connection, part, since, until) for part in parts}
        inputs = await asyncio.to_thread(self._understand, said)
        self._span = span
        return inputs

    async def _said(
        self, connection: AsyncConnection, part: "Part[Any]", since: datetime, until: datetime
    ) -> dict[str, str | None]:
        """The blocks of a part by their hashes, but for those that we have."""
        known = [*self._blocks.get(part.name, ())]
        rows = await connection.execute(part.query, {"since": since, "until": until, "known": known})
        return dict(iter(rows))

    def _understand(self, said: Mapping[str, Mapping[str, str | None]]) -> RoutingInputs:
        blocks = dict(self._blocks)
        for part in PARTS:
            if part.name in said:
                known = blocks.get(part.name, {})
                blocks[part.name] = {
                    hash_: known[hash_] if block is None else part.understand(block)
                    for hash_, block in said[part.name].items()
                }
        self._blocks = blocks
        found = {
            name: tuple(chain.from_iterable(block.things for block in read.values())) for name, read in blocks.items()
        }
        return RoutingInputs(**(found | {"schedules": self._schedules(blocks["schedules"].values())}))

    def _schedules(self, blocks: Iterable["Block[Schedule]"]) -> tuple[Schedule, ...]:
        """Each as it is; one with a row that makes no sense as it was before, or else without that row."""
        blocks = tuple(blocks)
        faults = {number: fault for block in blocks for number, fault in block.faults.items()}
        read = {schedule.id: schedule for block in blocks for schedule in block.things}
        self._sound = {
            number: self._sound.get(number, schedule) if number in faults else schedule
            for number, schedule in read.items()
        }
        self.faults = tuple(faults.values())
        return tuple(self._sound.values())


@dataclass(frozen=True, slots=True)
class Block(Generic[T]):
    """What one text says; ``faults`` tell, by the id of the thing, what of it made no sense."""

    things: tuple[T, ...]
    faults: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """One part of the rota: how it is asked for, which tables it is in, and how a text of it is understood."""

    name: str
    tables: frozenset[str]
    query: TextClause
    understand: Callable[[str], Block[T]]


def _understood(thing: type[T]) -> Callable[[str], Block[T]]:
    """How to understand texts that list ``thing``; what they do raises BadRow."""
    decoder, one = msgspec.json.Decoder(tuple[thing, ...]), msgspec.json.Decoder(thing)  # type: ignore[valid-type]

    def understand(text: str) -> Block[T]:
        try:
            return Block(decoder.decode(text))
        except msgspec.MsgspecError:
            wrong: list[str] = []
            _each(one, msgspec.json.decode(text, type=list[msgspec.Raw]), thing.__name__, wrong)
            raise BadRow(f"The rota makes no table: {'; '.join(wrong)}.") from None

    return understand


class _ScheduleText(msgspec.Struct):
    id: int
    slug: str
    name: str
    zone: str
    rotations: list[msgspec.Raw]
    overrides: list[msgspec.Raw]


def _zone(_kind: type, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name of a zone at all, that of a directory
        raise ValueError(f"{name!r} is not an IANA time zone") from None


_SCHEDULES: Final = msgspec.json.Decoder(list[_ScheduleText])
_ROTATION: Final = msgspec.json.Decoder(Rotation, dec_hook=_zone)
_OVERRIDE: Final = msgspec.json.Decoder(Override)


def _schedules(text: str) -> Block[Schedule]:
    schedules: list[Schedule] = []
    faults: dict[int, str] = {}
    for said in _SCHEDULES.decode(text):
        wrong: list[str] = []
        rotations = _each(_ROTATION, said.rotations, "rotation", wrong)
        overrides = _each(_OVERRIDE, said.overrides, "override", wrong)
        try:
            schedule = Schedule(said.id, said.slug, said.name, said.zone, rotations, overrides)
        except BadRule as error:
            wrong.append(str(error))
            schedule = Schedule(said.id, said.slug, said.name, said.zone, ())
        schedules.append(schedule)
        if wrong:
            faults[said.id] = f"Schedule {said.slug}: {'; '.join(wrong)}"
    return Block(tuple(schedules), faults)


def _each(decoder: msgspec.json.Decoder[T], said: Iterable[msgspec.Raw], kind: str, wrong: list[str]) -> tuple[T, ...]:
    """What is said of each, but for what makes no sense, of which ``wrong`` is told."""
    things: list[T] = []
    for text in said:
        try:
            things.append(decoder.decode(text))
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            wrong.append(f"the {kind} {bytes(text).decode()} makes no sense ({error})")
    return tuple(things)


PARTS: Final[tuple[Part[Any], ...]] = (
    Part("people", frozenset({"person", "contact_method"}), queries.PEOPLE, _understood(Person)),
    Part("lines", frozenset({"line", "did", "line_supervisor"}), queries.LINES, _understood(RoutedLine)),
    Part(
        "schedules",
        frozenset({"schedule", "rotation", "rotation_member", "rotation_window", "override"}),
        queries.SCHEDULES,
        _schedules,
    ),
    Part(
        "policies",
        frozenset({"escalation_policy", "escalation_step", "step_target"}),
        queries.POLICIES,
        _understood(Policy),
    ),
    Part("absences", frozenset({"absence"}), queries.ABSENCES, _understood(Absence)),
    Part("trunks", frozenset({"trunk"}), queries.TRUNKS, _understood(RoutedTrunk)),
)
