"""The rota as the database holds it, in the words of ``oncall``."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import models
from db.errors import explained
from db.models import TargetKind
from oncall.plan import CallerIdShown, ContactKind, ContactMethod, Line, Person, RingOrder, VoicemailRules
from oncall.policy import OnCallOf, Policy, PolicyStep, Supervisors, Target, ThePerson
from oncall.rotation import Rotation, RotationUnit, Window
from oncall.routing import RoutedLine, RoutingInputs
from oncall.schedule import Absence, Override, Schedule

AnyRow = Row[Any]
T = TypeVar("T")


async def load_routing(engine: AsyncEngine) -> RoutingInputs:
    """All that routing depends on, as of one instant. Raises DatabaseError."""
    with explained(engine):
        async with engine.connect() as connection:
            # One snapshot for all the queries: a change made meanwhile is seen whole or not at all.
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return RoutingInputs(
                people=await _people(connection),
                lines=await _lines(connection),
                schedules=await _schedules(connection),
                policies=await _policies(connection),
                absences=await _absences(connection),
                trunks=await _trunks(connection),
            )


async def _people(connection: AsyncConnection) -> tuple[Person, ...]:
    methods = await _grouped(
        connection,
        select(models.ContactMethod.__table__).order_by(models.ContactMethod.position),
        "person_id",
        lambda row: ContactMethod(
            row.id, ContactKind(row.kind), row.address, row.ring_seconds, row.confirm, CallerIdShown(row.shows)
        ),
    )
    rows = await connection.execute(select(models.Person.__table__).order_by(models.Person.id))
    return tuple(Person(row.id, row.name, row.language, methods[row.id]) for row in rows)


async def _lines(connection: AsyncConnection) -> tuple[RoutedLine, ...]:
    dids = await _grouped(
        connection, select(models.Did.__table__).order_by(models.Did.id), "line_id", lambda row: str(row.number)
    )
    supervisors = await _grouped(
        connection,
        select(models.LineSupervisor.__table__).order_by(models.LineSupervisor.position),
        "line_id",
        lambda row: int(row.person_id),
    )
    rows = await connection.execute(select(models.Line.__table__).order_by(models.Line.id))
    return tuple(RoutedLine(_line(row), dids[row.id], supervisors[row.id], row.policy_id) for row in rows)


def _line(row: AnyRow) -> Line:
    rules = VoicemailRules(row.voicemail_min_seconds, row.voicemail_max_seconds, row.voicemail_silence_seconds)
    return Line(row.id, row.slug, row.name, row.language, row.number, row.greeting, rules)


async def _schedules(connection: AsyncConnection) -> tuple[Schedule, ...]:
    rotations = await _rotations(connection)
    overrides = await _grouped(
        connection,
        select(models.Override.__table__).order_by(models.Override.starts_at),
        "schedule_id",
        lambda row: Override(row.starts_at, row.ends_at, row.person_id, row.reason or ""),
    )
    rows = await connection.execute(select(models.Schedule.__table__).order_by(models.Schedule.id))
    return tuple(Schedule(row.id, row.slug, row.name, row.zone, rotations[row.id], overrides[row.id]) for row in rows)


async def _rotations(connection: AsyncConnection) -> defaultdict[int, tuple[Rotation, ...]]:
    members = await _grouped(
        connection,
        select(models.RotationMember.__table__).order_by(models.RotationMember.position),
        "rotation_id",
        lambda row: int(row.person_id),
    )
    windows = await _grouped(
        connection,
        select(models.RotationWindow.__table__).order_by(models.RotationWindow.position),
        "rotation_id",
        lambda row: Window(frozenset(row.weekdays), row.starts, row.ends),
    )
    rotations = models.Rotation
    return await _grouped(
        connection,
        select(rotations.__table__, models.Schedule.zone)
        .join(models.Schedule, models.Schedule.id == rotations.schedule_id)
        .order_by(rotations.layer),
        "schedule_id",
        lambda row: Rotation(
            layer=row.layer,
            name=row.name,
            people=members[row.id],
            starts=row.starts,
            handover=row.handover,
            zone=ZoneInfo(row.zone),
            length=row.length,
            unit=RotationUnit(row.unit),
            windows=windows[row.id],
        ),
    )


async def _policies(connection: AsyncConnection) -> tuple[Policy, ...]:
    targets = await _grouped(
        connection, select(models.StepTarget.__table__).order_by(models.StepTarget.position), "step_id", _target
    )
    steps = await _grouped(
        connection,
        select(models.EscalationStep.__table__).order_by(models.EscalationStep.position),
        "policy_id",
        lambda row: PolicyStep(row.position, RingOrder(row.ring_order), row.max_seconds, targets[row.id]),
    )
    rows = await connection.execute(select(models.EscalationPolicy.__table__).order_by(models.EscalationPolicy.id))
    return tuple(Policy(row.id, row.slug, row.name, row.max_hunt_seconds, row.rounds, steps[row.id]) for row in rows)


def _target(row: AnyRow) -> Target:
    match TargetKind(row.kind):
        case TargetKind.ON_CALL:
            return OnCallOf(row.schedule_id)
        case TargetKind.PERSON:
            return ThePerson(row.person_id)
        case TargetKind.SUPERVISORS:
            return Supervisors()


async def _absences(connection: AsyncConnection) -> tuple[Absence, ...]:
    rows: Iterable[AnyRow] = await connection.execute(
        select(models.Absence.__table__).order_by(models.Absence.starts_at)
    )
    return tuple(Absence(row.starts_at, row.ends_at, row.person_id) for row in rows)


async def _trunks(connection: AsyncConnection) -> tuple[str, ...]:
    return tuple(await connection.scalars(select(models.Trunk.slug).order_by(models.Trunk.position)))


async def _grouped(
    connection: AsyncConnection, query: Select[Any], key: str, make: Callable[[AnyRow], T]
) -> defaultdict[int, tuple[T, ...]]:
    """What ``make`` makes of the rows of ``query``, in order, by the value of their column ``key``."""
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for row in await connection.execute(query):
        groups[getattr(row, key)].append(make(row))
    return defaultdict(tuple, {owner: tuple(group) for owner, group in groups.items()})
