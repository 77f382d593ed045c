"""Writing a site's objects into the tables: each object's own row is updated in place, its parts are replaced."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import models
from db.models import TargetKind
from vigie.site.schema import Site, TargetEntry

Names: TypeAlias = Collection[str]
Rows: TypeAlias = list[dict[str, Any]]

KINDS: Mapping[str, Any] = {
    "person": models.Person,
    "trunk": models.Trunk,
    "schedule": models.Schedule,
    "policy": models.EscalationPolicy,
    "line": models.Line,
}
"""The table of each kind of object, in the order in which they name each other."""


_LINE_FIELDS = {"name", "language", "zone", "number", "greeting", "max_calls", "max_calls_per_caller"}


class SiteWriter:
    """Makes the tables say what ``site`` says of the objects that are named to it."""

    def __init__(self, connection: AsyncConnection, site: Site) -> None:
        self._connection = connection
        self._site = site
        self._ids: dict[str, dict[str, int]] = {}

    async def write(self, written: Mapping[str, Names], removed: Mapping[str, Names]) -> None:
        """Writes objects and removes others; both are named by kind, as in ``KINDS``."""
        for kind, table in KINDS.items():
            self._ids[kind] = await self._read_ids(table)
        await self._free_unique_addresses(written, removed)
        await self._people(written["person"])
        if written["trunk"] or removed["trunk"]:
            await self._trunks()
        await self._schedules(written["schedule"])
        await self._policies(written["policy"])
        await self._lines(written["line"])
        for kind in reversed(list(KINDS)):
            await self._connection.execute(delete(KINDS[kind]).where(KINDS[kind].slug.in_(removed[kind])))

    async def _free_unique_addresses(self, written: Mapping[str, Names], removed: Mapping[str, Names]) -> None:
        """A number or SIP user may pass from one object to another: the old owner lets go first."""
        lines = [*self._owners("line", written["line"]), *self._owners("line", removed["line"])]
        await self._connection.execute(delete(models.Did).where(models.Did.line_id.in_(lines)))
        people = [*self._owners("person", written["person"]), *self._owners("person", removed["person"])]
        method = models.ContactMethod
        staying = [
            (self._ids["person"][slug], *contact.key)
            for slug in written["person"]
            for contact in self._site.people[slug].contact_methods
            if slug in self._ids["person"]
        ]
        await self._connection.execute(
            delete(method).where(
                method.person_id.in_(people),
                tuple_(method.person_id, method.kind, method.address).not_in(staying),
            )
        )

    async def _people(self, names: Names) -> None:
        people = {slug: self._site.people[slug] for slug in names}
        await self._upsert(
            "person",
            [{"slug": slug, "name": person.name, "language": person.language} for slug, person in people.items()],
        )
        ids = self._ids["person"]
        methods = [
            {
                "person_id": ids[slug],
                "position": position,
                "kind": contact.key[0],
                "address": contact.key[1],
                "ring_seconds": contact.ring_seconds,
                "confirm": contact.confirm,
                "shows": contact.shows,
            }
            for slug, person in people.items()
            for position, contact in enumerate(person.contact_methods, 1)
        ]
        # Kept in place and not replaced, since attempts of the past point at them.
        await self._upsert_rows(models.ContactMethod, ("person_id", "kind", "address"), methods)
        absences = [
            {"person_id": ids[slug], "starts_at": span.starts, "ends_at": span.ends, "reason": span.reason}
            for slug, person in people.items()
            for span in person.absences
        ]
        await self._replace(models.Absence.person_id, self._owners("person", names), absences)

    async def _trunks(self) -> None:
        """All of them: a position means something only among the others'."""
        rows = [
            {"slug": slug, "position": position, **trunk.model_dump()}
            for position, (slug, trunk) in enumerate(self._site.trunks.items(), 1)
        ]
        await self._upsert("trunk", rows)

    async def _schedules(self, names: Names) -> None:
        schedules = {slug: self._site.schedules[slug] for slug in names}
        await self._upsert(
            "schedule", [{"slug": slug, "name": entry.name, "zone": entry.zone} for slug, entry in schedules.items()]
        )
        await self._rotations(names)
        await self._overrides(names)

    async def _rotations(self, names: Names) -> None:
        owners = self._owners("schedule", names)
        rotations = {
            (self._ids["schedule"][slug], layer): rotation
            for slug in names
            for layer, rotation in enumerate(self._site.schedules[slug].rotations, 1)
        }
        rows = [
            {
                "schedule_id": schedule,
                "layer": layer,
                "name": rotation.name,
                "starts": rotation.starts,
                "handover": rotation.handover,
                "length": rotation.every[0],
                "unit": rotation.every[1],
            }
            for (schedule, layer), rotation in rotations.items()
        ]
        await self._replace(models.Rotation.schedule_id, owners, rows)
        table = models.Rotation
        keys = await self._keys(table, table.schedule_id, table.layer, owners)
        members = [
            {"rotation_id": keys[place], "position": position, "person_id": self._ids["person"][person]}
            for place, rotation in rotations.items()
            for position, person in enumerate(rotation.people, 1)
        ]
        await self._insert(models.RotationMember, members)
        windows = [
            {
                "rotation_id": keys[place],
                "position": position,
                "weekdays": sorted(window.days),
                "starts": window.starts,
                "ends": window.ends,
            }
            for place, rotation in rotations.items()
            for position, window in enumerate(rotation.windows, 1)
        ]
        await self._insert(models.RotationWindow, windows)

    async def _overrides(self, names: Names) -> None:
        rows = [
            {
                "schedule_id": self._ids["schedule"][slug],
                "person_id": self._ids["person"][override.person],
                "starts_at": override.starts,
                "ends_at": override.ends,
                "reason": override.reason,
            }
            for slug in names
            for override in self._site.schedules[slug].overrides
        ]
        await self._replace(models.Override.schedule_id, self._owners("schedule", names), rows)

    async def _policies(self, names: Names) -> None:
        policies = {slug: self._site.policies[slug] for slug in names}
        await self._upsert(
            "policy",
            [
                {
                    "slug": slug,
                    "name": policy.name,
                    "max_hunt_seconds": policy.max_hunt_seconds,
                    "rounds": policy.rounds,
                }
                for slug, policy in policies.items()
            ],
        )
        ids, owners = self._ids["policy"], self._owners("policy", names)
        steps = {
            (ids[slug], position): step
            for slug, policy in policies.items()
            for position, step in enumerate(policy.steps, 1)
        }
        rows = [
            {"policy_id": policy, "position": position, "ring_order": step.order, "max_seconds": step.max_seconds}
            for (policy, position), step in steps.items()
        ]
        await self._replace(models.EscalationStep.policy_id, owners, rows)
        table = models.EscalationStep
        keys = await self._keys(table, table.policy_id, table.position, owners)
        targets = [
            {"step_id": keys[place], "position": position, **self._target(target)}
            for place, step in steps.items()
            for position, target in enumerate(step.ring, 1)
        ]
        await self._insert(models.StepTarget, targets)

    def _target(self, target: TargetEntry) -> dict[str, Any]:
        schedule = None if target.on_call is None else self._ids["schedule"][target.on_call]
        person = None if target.person is None else self._ids["person"][target.person]
        kind = TargetKind.ON_CALL if schedule else TargetKind.PERSON if person else TargetKind.SUPERVISORS
        return {"kind": kind, "schedule_id": schedule, "person_id": person}

    async def _lines(self, names: Names) -> None:
        lines = {slug: self._site.lines[slug] for slug in names}
        rows = [
            {
                "slug": slug,
                "policy_id": self._ids["policy"][line.policy],
                **line.model_dump(include=_LINE_FIELDS),
                "voicemail_min_seconds": line.voicemail.min_seconds,
                "voicemail_max_seconds": line.voicemail.max_seconds,
                "voicemail_silence_seconds": line.voicemail.silence_seconds,
                "abandoned_seconds": line.voicemail.abandoned_seconds,
            }
            for slug, line in lines.items()
        ]
        await self._upsert("line", rows)
        ids, people, owners = self._ids["line"], self._ids["person"], self._owners("line", names)
        dids = [{"line_id": ids[slug], "number": did} for slug, line in lines.items() for did in line.numbers]
        await self._insert(models.Did, dids)
        supervisors = [
            {"line_id": ids[slug], "position": position, "person_id": people[person]}
            for slug, line in lines.items()
            for position, person in enumerate(line.supervisors, 1)
        ]
        await self._replace(models.LineSupervisor.line_id, owners, supervisors)
        recipients = [
            {
                "line_id": ids[slug],
                "position": position,
                "person_id": None if "@" in to else people[to],
                "email": to if "@" in to else None,
            }
            for slug, line in lines.items()
            for position, to in enumerate(line.voicemail.to, 1)
        ]
        await self._replace(models.VoicemailRecipient.line_id, owners, recipients)

    def _owners(self, kind: str, names: Names) -> list[int]:
        """The keys of those objects that have one yet."""
        return [self._ids[kind][slug] for slug in names if slug in self._ids[kind]]

    async def _upsert(self, kind: str, rows: Rows) -> None:
        """Writes objects by their slug, and learns the keys of new ones."""
        await self._upsert_rows(KINDS[kind], ("slug",), rows)
        self._ids[kind] = await self._read_ids(KINDS[kind])

    async def _upsert_rows(self, table: Any, key: tuple[str, ...], rows: Rows) -> None:
        if rows:
            statement = insert(table)
            news = {column: statement.excluded[column] for column in rows[0] if column not in key}
            await self._connection.execute(statement.on_conflict_do_update(index_elements=key, set_=news), rows)

    async def _replace(self, owner: Any, owners: Collection[int], rows: Rows) -> None:
        """Removes what belongs to ``owners`` by the column ``owner``, then inserts ``rows``."""
        await self._connection.execute(delete(owner.class_).where(owner.in_(owners)))
        await self._insert(owner.class_, rows)

    async def _insert(self, table: Any, rows: Rows) -> None:
        if rows:
            await self._connection.execute(insert(table), rows)

    async def _read_ids(self, table: Any) -> dict[str, int]:
        rows = await self._connection.execute(select(table.slug, table.id))
        return {row.slug: row.id for row in rows}

    async def _keys(self, table: Any, owner: Any, position: Any, owners: Iterable[int]) -> dict[tuple[int, int], int]:
        """The keys of the parts of ``owners``, by owner and position."""
        rows = await self._connection.execute(select(owner, position, table.id).where(owner.in_(list(owners))))
        return {(row[0], row[1]): row[2] for row in rows}
