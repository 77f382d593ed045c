"""The last known numbers, as the dialplan reads them from AstDB when nothing else is left."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from agi_scripts.dialling import dial_strings, shown_by, shows_extensions
from oncall.errors import NotCovered
from oncall.numbers import is_extension, spoken
from oncall.plan import CallerIdShown, Plan
from oncall.printable import caller_name, one_line
from oncall.routing import RoutingTable

log = logging.getLogger(__name__)

DIDS: Final = "vigie-did"
"""A number as it may be dialled → line|most calls at once|most of one caller."""
LINES: Final = "vigie-line"
"""Line → language|number|longest message|silence that ends it|longest hunt|name; in seconds."""
PEOPLE: Final = "vigie-who"
"""Line/1, line/2 … → dial string|seconds|language in which to ask for "1" (none: do not ask)|shown|person/method."""
OUTSIDE: Final = "outside"
"""``shown`` for a trunk that is shown the caller's number unless that is an extension."""
FAMILIES: Final = (DIDS, LINES, PEOPLE)
MOST: Final = 20
"""Numbers that the dialplan rings for one call; nobody waits for more."""

Entries = dict[tuple[str, str], str]
"""Values by family and key."""


def known_numbers(table: RoutingTable, at: datetime, region: str) -> Entries:
    """What AstDB should hold for calls that come in at ``at``; raises NotCovered outside the table's span."""
    entries: Entries = {}
    for slug, routed in table.lines.items():
        plan = table.who(slug, at)
        line, limits = str(plan.line.id), f"{plan.line.max_calls}|{plan.line.max_calls_per_caller}"
        for did in routed.dids:
            entries |= {(DIDS, form): f"{line}|{limits}" for form in _forms(did, region)}
        rules = plan.line.voicemail
        bounds = (rules.max_seconds, rules.silence_seconds, plan.max_hunt_seconds)
        about = (plan.line.language, plan.line.number, *bounds, _plain(plan.line.name))
        entries[LINES, line] = "|".join(map(str, about))
        for position, who in zip(range(1, MOST + 1), _people(plan, table, region), strict=False):
            entries[PEOPLE, f"{line}/{position}"] = who
    return entries


class KnownNumbers:
    """The known numbers of now, worked out anew only when the table or somebody on call changes."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._table: RoutingTable | None = None
        self._until: datetime | None = None
        self._entries: Entries | None = None

    def at(self, table: RoutingTable, at: datetime) -> Entries | None:
        """What AstDB should hold; None when the table says nothing of ``at``: what is there is the best."""
        if table is not self._table or (self._until is not None and at >= self._until):
            self._table, self._until = table, next_change(table, at)
            try:
                self._entries = known_numbers(table, at, self._region)
            except NotCovered as error:
                log.error("the snapshot is of no use any more: %s", error)
                self._entries = None
        return self._entries


def next_change(table: RoutingTable, at: datetime) -> datetime | None:
    """When, after ``at``, somebody else is on call somewhere, or the table ends; None when it has ended."""
    edges = (edge for rota in table.rotas.values() for shift in rota.shifts for edge in (shift.start, shift.end))
    return min((edge for edge in (*edges, table.until) if edge > at), default=None)


def _people(plan: Plan, table: RoutingTable, region: str) -> Iterator[str]:
    """Every number of the plan once, in the order of the plan, and after it the same by each further trunk."""
    seen: set[int] = set()
    for candidate in (candidate for step in plan.steps for candidate in step.candidates):
        person = candidate.person
        for method in person.phones:
            if method.id in seen:
                continue
            seen.add(method.id)
            language = person.language if method.confirm else ""
            for dial in dial_strings(method, plan.trunks, table.manner, region):
                shows: str = shown_by(table, method, dial)
                if shows == CallerIdShown.CALLER and not shows_extensions(table, dial):
                    shows = OUTSIDE
                yield f"{dial}|{method.ring_seconds}|{language}|{shows}|{person.id}/{method.id}"


def _forms(did: str, region: str) -> set[str]:
    """A number in each way in which a carrier may send it."""
    if is_extension(did):
        return {did}
    digits = did.removeprefix("+")
    return {did, digits, f"00{digits}", spoken(did, region)}


def _plain(name: str) -> str:
    """A name without anything that the dialplan could take for more than a name."""
    return caller_name("".join(char for char in one_line(name) if char.isalnum() or char in " .-")) or "Vigie"
