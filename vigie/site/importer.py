"""Bringing the database to what a site file says: what changes, what is kept, and the writing of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import explained
from vigie.site.document import Document
from vigie.site.errors import BadSite, Problem
from vigie.site.exporter import as_document
from vigie.site.rules import check_rules
from vigie.site.schema import Entry, PersonEntry, ScheduleEntry, Site, SpanEntry
from vigie.site.store import load_site
from vigie.site.writer import SiteWriter

SECTIONS: Final = {
    "people": "person",
    "trunks": "trunk",
    "schedules": "schedule",
    "policies": "policy",
    "lines": "line",
}
# Any constant will do, as long as nobody else takes it: the letters "site".
IMPORT_LOCK: Final = 0x73697465


class Verb(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    KEPT = "kept"
    """In the database and not in the file, and left alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an import did to one object; ``details`` names the keys that changed."""

    verb: Verb
    kind: str
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        details = f": {', '.join(self.details)}" if self.details else ""
        return f"{self.verb} {self.kind} {self.name}{details}"


async def import_site(engine: AsyncEngine, site: Site, *, prune: bool = False) -> list[Change]:
    """Makes the database say what ``site`` says, in one transaction, and tells what changed: nothing the second time.

    What the file does not have is kept, overrides and absences of people and schedules included, unless
    ``prune``. Raises BadSite when what is kept contradicts the file, DatabaseError when the database is away.
    """
    with explained(engine):
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": IMPORT_LOCK})
            present = await load_site(connection, site.zone)
            goal = site if prune else _merged(present, site)
            _check_together(goal)
            changes = list(_changes(present, goal, site))
            written = _named(changes, Verb.CREATED, Verb.CHANGED)
            removed = _named(changes, Verb.REMOVED)
            if any([*written.values(), *removed.values()]):
                await SiteWriter(connection, goal).write(written, removed)
            return changes


def _named(changes: Sequence[Change], *verbs: Verb) -> dict[str, list[str]]:
    """The names of the objects to which ``verbs`` happened, by kind."""
    return {
        kind: [change.name for change in changes if change.kind == kind and change.verb in verbs]
        for kind in SECTIONS.values()
    }


def _merged(present: Site, wanted: Site) -> Site:
    """What ``wanted`` says, and what ``present`` has besides."""
    sections: dict[str, Any] = {
        section: {**getattr(wanted, section), **_missing(present, wanted, section)} for section in SECTIONS
    }
    for slug, person in wanted.people.items():
        if slug in present.people:
            absences = _joined(present.people[slug].absences, person.absences)
            sections["people"][slug] = person.model_copy(update={"absences": absences})
    for slug, schedule in wanted.schedules.items():
        if slug in present.schedules:
            overrides = _joined(present.schedules[slug].overrides, schedule.overrides)
            sections["schedules"][slug] = schedule.model_copy(update={"overrides": overrides})
    return wanted.model_copy(update=sections)


def _missing(present: Site, wanted: Site, section: str) -> dict[str, Entry]:
    names = getattr(wanted, section)
    return {slug: entry for slug, entry in getattr(present, section).items() if slug not in names}


S = TypeVar("S", bound=SpanEntry)


def _joined(present: Sequence[S], wanted: Sequence[S]) -> tuple[S, ...]:
    """Both, in order of time; an entry of ``wanted`` stands for the present one of the same span."""
    spans = {(span.starts, span.ends): span for span in (*present, *wanted)}
    return tuple(spans[key] for key in sorted(spans))


def _check_together(goal: Site) -> None:
    """Raises BadSite when the objects of ``goal``, each good by itself, contradict each other."""
    document = Document(as_document(goal))
    check_rules(document, "ZZ")
    if document.problems:
        raise BadSite(
            [
                Problem(0, problem.path, f"{problem.reason} (with what the database has besides the file)")
                for problem in document.problems
            ]
        )


def _changes(present: Site, goal: Site, wanted: Site) -> Iterator[Change]:
    for section, kind in SECTIONS.items():
        before: dict[str, Entry] = getattr(present, section)
        after: dict[str, Entry] = getattr(goal, section)
        for slug, entry in after.items():
            if slug not in before:
                yield Change(Verb.CREATED, kind, slug)
            elif slug not in getattr(wanted, section):
                yield Change(Verb.KEPT, kind, slug)
            elif details := _differences(before[slug], entry):
                yield Change(Verb.CHANGED, kind, slug, details)
            yield from _kept_spans(kind, slug, entry, getattr(wanted, section).get(slug))
        for slug in before.keys() - after.keys():
            yield Change(Verb.REMOVED, kind, slug)
        if section == "trunks" and [*before] != [*after] and before.keys() == after.keys():
            yield from (Change(Verb.CHANGED, kind, slug, ("order",)) for slug in after)


def _kept_spans(kind: str, slug: str, goal: Entry, wanted: Entry | None) -> Iterator[Change]:
    """The overrides or absences that an object of the file keeps from the database."""
    spans: Iterable[SpanEntry]
    match goal, wanted:
        case PersonEntry(), PersonEntry():
            what, spans, ours = "absence", goal.absences, wanted.absences
        case ScheduleEntry(), ScheduleEntry():
            what, spans, ours = "override", goal.overrides, wanted.overrides
        case _:
            return
    for span in spans:
        if span not in ours:
            yield Change(Verb.KEPT, f"{what} of {kind}", slug, (f"from {span.starts:%Y-%m-%d %H:%M}",))


def _differences(before: Entry, after: Entry) -> tuple[str, ...]:
    fields = type(after).model_fields.items()
    return tuple(field.alias or name for name, field in fields if getattr(before, name) != getattr(after, name))
