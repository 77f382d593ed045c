"""One form for each site, so that two descriptions of the same site compare equal."""

from datetime import datetime
from zoneinfo import ZoneInfo

from vigie.site.rules import instant
from vigie.site.schema import LineEntry, PersonEntry, ScheduleEntry, Site, SpanEntry


def canonical(site: Site) -> Site:
    """``site`` with the defaults of its entries filled in, its times with their offset, and its sets sorted."""
    return site.model_copy(
        update={
            "people": {slug: _person(entry, site) for slug, entry in site.people.items()},
            "schedules": {slug: _schedule(entry, site) for slug, entry in site.schedules.items()},
            "lines": {slug: _line(entry, site) for slug, entry in site.lines.items()},
        }
    )


def in_zone(at: datetime, zone: str) -> datetime:
    """``at`` as the wall clock of ``zone`` says it, with its offset: unlike ZoneInfo's, these compare by instant."""
    return datetime.fromisoformat(at.astimezone(ZoneInfo(zone)).isoformat())


def _person(entry: PersonEntry, site: Site) -> PersonEntry:
    return entry.model_copy(
        update={
            "language": entry.language or site.language,
            "absences": _spans(entry.absences, site.zone),
        }
    )


def _schedule(entry: ScheduleEntry, site: Site) -> ScheduleEntry:
    zone = entry.zone or site.zone
    return entry.model_copy(update={"zone": zone, "overrides": _spans(entry.overrides, zone)})


def _line(entry: LineEntry, site: Site) -> LineEntry:
    return entry.model_copy(
        update={
            "language": entry.language or site.language,
            "zone": entry.zone or site.zone,
            "number": entry.number or entry.numbers[0],
            "numbers": tuple(sorted(entry.numbers)),
        }
    )


def _spans(entries: tuple[SpanEntry, ...], zone: str) -> tuple[SpanEntry, ...]:
    def local(at: datetime) -> datetime:
        return in_zone(instant(at.isoformat(), zone), zone)

    spans = [entry.model_copy(update={"starts": local(entry.starts), "ends": local(entry.ends)}) for entry in entries]
    return tuple(sorted(spans, key=lambda span: span.starts))
