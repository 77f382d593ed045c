"""What must hold between the places of a site file: names that exist, things that are unique, times in order.

Works on the plain document, so that a mistake elsewhere in the file hides none here.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from oncall.manner import Reach
from oncall.numbers import is_extension
from vigie.site.document import Document, Path, find
from vigie.site.forms import in_one_form, in_our_years, zones

REFERENCES = (
    ("schedules.*.rotations.*.people.*", "people", "person"),
    ("schedules.*.overrides.*.person", "people", "person"),
    ("policies.*.steps.*.ring.*.person", "people", "person"),
    ("policies.*.steps.*.ring.*.on_call", "schedules", "schedule"),
    ("lines.*.supervisors.*", "people", "person"),
    ("lines.*.voicemail.to.*", "people", "person"),
    ("lines.*.policy", "policies", "policy"),
)
RUNG = REFERENCES[:3]
"""Where a person is named in order to be rung."""

UNIQUE_IN_THE_SITE = (
    ("lines.*.numbers.*", "leads to"),
    ("people.*.contact_methods.*.sip", "belongs to"),
    ("trunks.*.host", "is the host of"),
)
UNIQUE_IN_ITS_LIST = ("lines.*.supervisors", "lines.*.voicemail.to")


def check_rules(document: Document, region: str) -> None:
    """Notes in ``document`` what breaks the rules between its parts."""
    _check_references(document)
    _check_reachable(document)
    _check_told(document)
    _check_unique(document, region)
    _check_loops(document, region)
    _check_ways(document, region)
    _check_spans(document)


def instant(text: str, zone: str) -> datetime:
    """The instant of a date and time: by its own offset, else by the wall clock of ``zone``.

    Raises ValueError when that clock skips it, or its year is not one of ours.
    """
    at = in_our_years(datetime.fromisoformat(text))
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    local = at.replace(tzinfo=ZoneInfo(zone))
    if local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != at:
        raise ValueError(f"{text} does not exist in {zone}: the clocks skip it")
    return local.astimezone(UTC)


def _check_references(document: Document) -> None:
    for pattern, section, kind in REFERENCES:
        known = _section(document, section)
        for path, name in find(document.data, pattern):
            if isinstance(name, str) and name not in known and "@" not in name:
                document.problem(path, f"no {kind} is called {name!r}")


def _check_reachable(document: Document) -> None:
    people = _section(document, "people")
    for pattern, _, _ in RUNG:
        for path, name in find(document.data, pattern):
            if isinstance(name, str) and name in people and not _has(people[name], "sip", "phone"):
                document.problem(path, f"{name} cannot be rung: no sip or phone among their contact methods")
    for path, name in find(document.data, "lines.*.voicemail.to.*"):
        if isinstance(name, str) and name in people and not _has(people[name], "email"):
            document.problem(path, f"{name} cannot be mailed: no email among their contact methods")


def _check_told(document: Document) -> None:
    """Somebody must hear of the calls of each line: its recipients, or without any its supervisors."""
    people = _section(document, "people")
    for path, line in find(document.data, "lines.*"):
        if not isinstance(line, dict) or list(find(line, "voicemail.to.*")):
            continue
        named = [name for _, name in find(line, "supervisors.*") if isinstance(name, str)]
        if not any(_has(people.get(name), "email") for name in named):
            document.problem(
                path,
                "nobody would be told of its messages and of callers who gave up: name somebody in "
                "voicemail: {to: […]}, or a supervisor with an e-mail address",
            )


def _check_unique(document: Document, region: str) -> None:
    for pattern, relation in UNIQUE_IN_THE_SITE:
        owners: dict[str, str] = {}
        for path, value in _texts(document, pattern):
            owner = str(path[1])
            value = _normal(value, region) if "number" in pattern else value
            if value in owners:
                document.problem(path, f"{value} already {relation} {owners[value]}")
            owners.setdefault(value, owner)
    for pattern in UNIQUE_IN_ITS_LIST:
        for path, items in find(document.data, pattern):
            _check_list(document, path, items if isinstance(items, list) else [])
    for path, methods in find(document.data, "people.*.contact_methods"):
        for kind in ("phone", "email", "sms"):
            found = [
                (index, _normal(value, region) if kind != "email" else value)
                for (index, _), value in find(methods, f"*.{kind}")
                if isinstance(value, str)
            ]
            counts = Counter(value for _, value in found)
            for index, value in found[::-1]:
                if counts[value] > 1:
                    counts[value] -= 1
                    document.problem((*path, index, kind), f"{value} is listed twice")


def _check_list(document: Document, path: Path, items: list[Any]) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if isinstance(item, str):
            if item in seen:
                document.problem((*path, index), f"{item} is listed twice")
            seen.add(item)


def _check_loops(document: Document, region: str) -> None:
    ours = {_normal(value, region) for _, value in _texts(document, "lines.*.numbers.*")}
    for path, value in _texts(document, "people.*.contact_methods.*.phone"):
        if _normal(value, region) in ours:
            document.problem(path, f"{value} is a number of this site: ringing it would come back to us")


def _check_ways(document: Document, region: str) -> None:
    """Each number must have a trunk that leads there, and what is shown outside must be a number there."""
    trunks = _section(document, "trunks").values()
    reached = {trunk.get("reaches", Reach.OUTSIDE) for trunk in trunks if isinstance(trunk, dict)}
    for path, value in _texts(document, "people.*.contact_methods.*.phone"):
        if is_extension(_normal(value, region)):
            if not reached & {Reach.EXTENSIONS, Reach.BOTH}:
                document.problem(path, f"{value} is an extension, and no trunk is a PBX (reaches: extensions or both)")
        elif reached == {Reach.EXTENSIONS}:
            document.problem(path, f"{value} is a number outside, and no trunk leads there (reaches: outside or both)")
    for path, line in find(document.data, "lines.*"):
        numbers = line.get("numbers") if isinstance(line, dict) else None
        if Reach.OUTSIDE not in reached or not isinstance(numbers, list) or not numbers:
            continue
        shown = line.get("number") or numbers[0]
        if isinstance(shown, str) and is_extension(shown):
            document.problem(
                (*path, "numbers"),
                f"{shown} is an extension: say by number: which one is shown when the line calls outside",
            )


def _check_spans(document: Document) -> None:
    site_zone = _zone(document.data, "Europe/Paris")
    for path, absence in find(document.data, "people.*.absences.*"):
        _span(document, path, absence, site_zone)
    for path, overrides in find(document.data, "schedules.*.overrides"):
        zone = _zone(document.data["schedules"][path[1]], site_zone)
        spans = [
            (span, place)
            for (index,), override in find(overrides, "*")
            if (span := _span(document, place := (*path, index), override, zone))
        ]
        for ((_, end), _), ((start, _), place) in pairwise(sorted(spans)):
            if start < end:
                document.problem(place, "overlaps another override of this schedule")


def _span(document: Document, path: Path, entry: Any, zone: str) -> tuple[datetime, datetime] | None:
    """The instants of an entry's ``from`` and ``until``, in order; None, and a problem noted, if they are not."""
    ends: list[datetime] = []
    for key in ("from", "until"):
        text = entry.get(key) if isinstance(entry, dict) else None
        if not _is_moment(text):
            return None  # said by the schema
        try:
            ends.append(instant(text, zone))
        except ValueError as error:
            document.problem((*path, key), str(error))
            return None
    start, end = ends
    if start >= end:
        document.problem((*path, "until"), "must be later than from")
        return None
    return start, end


def _is_moment(text: Any) -> TypeGuard[str]:
    try:
        return bool(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return False


def _section(document: Document, name: str) -> dict[str, Any]:
    section = document.data.get(name) if isinstance(document.data, dict) else None
    return section if isinstance(section, dict) else {}


def _texts(document: Document, pattern: str) -> Iterator[tuple[Path, str]]:
    return ((path, value) for path, value in find(document.data, pattern) if isinstance(value, str))


def _has(person: Any, *kinds: str) -> bool:
    return any(method for kind in kinds for method in find(person, f"contact_methods.*.{kind}"))


def _normal(value: str, region: str) -> str:
    try:
        return in_one_form(value, region)
    except ValueError:
        return value


def _zone(entry: Any, otherwise: str) -> str:
    zone = entry.get("zone") if isinstance(entry, dict) else None
    return zone if isinstance(zone, str) and zone in zones() else otherwise
