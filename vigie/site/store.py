"""The site as the database holds it, in the words of the site file."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from pydantic import ValidationError
from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.errors import BadRow
from db.models import TargetKind
from vigie.site.canonical import in_zone
from vigie.site.schema import (
    ContactEntry,
    LineEntry,
    OverrideEntry,
    PersonEntry,
    PolicyEntry,
    RotationEntry,
    ScheduleEntry,
    Site,
    SpanEntry,
    StepEntry,
    TargetEntry,
    TrunkEntry,
    VoicemailEntry,
    WindowEntry,
)


async def load_site(connection: AsyncConnection, zone: str = "Europe/Paris") -> Site:
    """The whole site, in canonical form; absences are told by the clock of ``zone``.

    Raises BadRow for what a site file cannot say.
    """
    try:
        return await _site(_Reader(connection), zone)
    except (ValidationError, ZoneInfoNotFoundError) as error:
        raise BadRow(
            f"The database holds what no site file can say: {error}\nCorrect that row; `vigie doctor` may name it."
        ) from error


async def _site(reader: "_Reader", zone: str) -> Site:
    people = await reader.names(models.Person)
    return Site(
        zone=zone,
        people=await _people(reader, zone),
        trunks={
            row.slug: TrunkEntry.model_validate({name: row._mapping[name] for name in TrunkEntry.model_fields})
            for row in await reader.rows(select(models.Trunk.__table__).order_by(models.Trunk.position))
        },
        schedules=await _schedules(reader, people),
        policies=await _policies(reader, people),
        lines=await _lines(reader, people),
    )


class _Reader:
    """Reads tables of one connection, grouped by the row that theirs belong to."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rows(self, query: Select[Any]) -> Iterable[Row[Any]]:
        result: Iterable[Row[Any]] = await self._connection.execute(query)
        return result

    async def names(self, table: Any) -> dict[int, str]:
        """The short name of each row of ``table``, by key."""
        return {row.id: row.slug for row in await self.rows(select(table.id, table.slug))}

    async def grouped(
        self, table: Any, order: Any, owner: str, make: Callable[[Row[Any]], Any]
    ) -> defaultdict[int, tuple[Any, ...]]:
        groups: defaultdict[int, tuple[Any, ...]] = defaultdict(tuple)
        for row in await self.rows(select(table.__table__).order_by(order)):
            groups[getattr(row, owner)] += (make(row),)
        return groups


async def _people(reader: _Reader, zone: str) -> dict[str, PersonEntry]:
    methods = await reader.grouped(
        models.ContactMethod,
        models.ContactMethod.position,
        "person_id",
        lambda row: ContactEntry.model_validate(
            {
                row.kind: row.address,
                "ring_seconds": row.ring_seconds,
                "confirm": row.confirm,
                "shows": row.shows,
            }
        ),
    )
    absences = await reader.grouped(
        models.Absence, models.Absence.starts_at, "person_id", lambda row: SpanEntry(**_span(row, zone))
    )
    return {
        row.slug: PersonEntry(
            name=row.name,
            language=row.language,
            contact_methods=methods[row.id],
            absences=absences[row.id],
        )
        for row in await reader.rows(select(models.Person.__table__).order_by(models.Person.slug))
    }


async def _schedules(reader: _Reader, people: dict[int, str]) -> dict[str, ScheduleEntry]:
    zones = {row.id: row.zone for row in await reader.rows(select(models.Schedule.__table__))}
    members = await reader.grouped(
        models.RotationMember,
        models.RotationMember.position,
        "rotation_id",
        lambda row: people[row.person_id],
    )
    windows = await reader.grouped(
        models.RotationWindow,
        models.RotationWindow.position,
        "rotation_id",
        lambda row: WindowEntry.model_validate(
            {"days": frozenset(row.weekdays), "from": row.starts, "until": row.ends}
        ),
    )
    rotations = await reader.grouped(
        models.Rotation,
        models.Rotation.layer,
        "schedule_id",
        lambda row: RotationEntry(
            name=row.name,
            people=members[row.id],
            starts=row.starts,
            handover=row.handover,
            every=(row.length, row.unit),
            windows=windows[row.id],
        ),
    )
    overrides = await reader.grouped(
        models.Override,
        models.Override.starts_at,
        "schedule_id",
        lambda row: OverrideEntry(**_span(row, zones[row.schedule_id]), person=people[row.person_id]),
    )
    return {
        row.slug: ScheduleEntry(name=row.name, zone=row.zone, rotations=rotations[row.id], overrides=overrides[row.id])
        for row in await reader.rows(select(models.Schedule.__table__).order_by(models.Schedule.slug))
    }


async def _policies(reader: _Reader, people: dict[int, str]) -> dict[str, PolicyEntry]:
    schedules = await reader.names(models.Schedule)

    def target(row: Row[Any]) -> TargetEntry:
        match TargetKind(row.kind):
            case TargetKind.ON_CALL:
                return TargetEntry(on_call=schedules[row.schedule_id])
            case TargetKind.PERSON:
                return TargetEntry(person=people[row.person_id])
            case TargetKind.SUPERVISORS:
                return TargetEntry(supervisors=True)

    targets = await reader.grouped(models.StepTarget, models.StepTarget.position, "step_id", target)
    steps = await reader.grouped(
        models.EscalationStep,
        models.EscalationStep.position,
        "policy_id",
        lambda row: StepEntry(ring=targets[row.id], order=row.ring_order, max_seconds=row.max_seconds),
    )
    query = select(models.EscalationPolicy.__table__).order_by(models.EscalationPolicy.slug)
    return {
        row.slug: PolicyEntry(
            name=row.name, rounds=row.rounds, max_hunt_seconds=row.max_hunt_seconds, steps=steps[row.id]
        )
        for row in await reader.rows(query)
    }


async def _lines(reader: _Reader, people: dict[int, str]) -> dict[str, LineEntry]:
    policies = await reader.names(models.EscalationPolicy)
    numbers = await reader.grouped(models.Did, models.Did.number, "line_id", lambda row: row.number)
    supervisors = await reader.grouped(
        models.LineSupervisor, models.LineSupervisor.position, "line_id", lambda row: people[row.person_id]
    )
    recipients = await reader.grouped(
        models.VoicemailRecipient,
        models.VoicemailRecipient.position,
        "line_id",
        lambda row: row.email or people[row.person_id],
    )
    return {
        row.slug: LineEntry(
            name=row.name,
            language=row.language,
            zone=row.zone,
            numbers=numbers[row.id],
            number=row.number,
            greeting=row.greeting,
            max_calls=row.max_calls,
            max_calls_per_caller=row.max_calls_per_caller,
            policy=policies[row.policy_id],
            supervisors=supervisors[row.id],
            voicemail=VoicemailEntry(
                to=recipients[row.id],
                min_seconds=row.voicemail_min_seconds,
                max_seconds=row.voicemail_max_seconds,
                silence_seconds=row.voicemail_silence_seconds,
                abandoned_seconds=row.abandoned_seconds,
            ),
        )
        for row in await reader.rows(select(models.Line.__table__).order_by(models.Line.slug))
    }


def _span(row: Row[Any], zone: str) -> dict[str, Any]:
    return {"from": in_zone(row.starts_at, zone), "until": in_zone(row.ends_at, zone), "reason": row.reason}
