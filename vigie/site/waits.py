"""How long a caller may wait at worst, said before a site is imported."""

from collections.abc import Collection

from oncall.plan import ContactMethod, Person
from oncall.policy import OnCallOf, Policy, PolicyStep, Supervisors, Target, ThePerson
from vigie.site.schema import LineEntry, PersonEntry, PolicyEntry, Site, TargetEntry


def longest_waits(site: Site) -> dict[str, int]:
    """For each line, the seconds after which the hunt is over at worst, whoever is on call."""
    return _Waits(site).of_all_lines()


class _Waits:
    """The site's objects as ``oncall`` knows them; their places in the file serve as keys."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._people = [_person(index, entry) for index, entry in enumerate(site.people.values())]
        self._person_keys = {slug: index for index, slug in enumerate(site.people)}
        self._schedules = list(site.schedules.values())
        self._schedule_keys = {slug: index for index, slug in enumerate(site.schedules)}

    def of_all_lines(self) -> dict[str, int]:
        return {slug: self._of(line) for slug, line in self._site.lines.items()}

    def _of(self, line: LineEntry) -> int:
        def may_be(target: Target) -> Collection[Person]:
            match target:
                case OnCallOf(schedule_id=key):
                    schedule = self._schedules[key]
                    rotating = {name for rotation in schedule.rotations for name in rotation.people}
                    return self._named(rotating | {override.person for override in schedule.overrides})
                case ThePerson(person_id=key):
                    return [self._people[key]]
                case Supervisors():
                    return self._named(line.supervisors)

        return self._policy(self._site.policies[line.policy]).longest_wait(may_be)

    def _named(self, names: Collection[str]) -> list[Person]:
        return [self._people[self._person_keys[name]] for name in names]

    def _policy(self, entry: PolicyEntry) -> Policy:
        steps = tuple(
            PolicyStep(position, step.order, step.max_seconds, tuple(map(self._target, step.ring)))
            for position, step in enumerate(entry.steps, 1)
        )
        return Policy(0, "", entry.name, entry.max_hunt_seconds, entry.rounds, steps)

    def _target(self, entry: TargetEntry) -> Target:
        if entry.on_call is not None:
            return OnCallOf(self._schedule_keys[entry.on_call])
        return Supervisors() if entry.person is None else ThePerson(self._person_keys[entry.person])


def _person(key: int, entry: PersonEntry) -> Person:
    methods = tuple(
        ContactMethod(index, *contact.key, contact.ring_seconds, contact.confirm, contact.shows)
        for index, contact in enumerate(entry.contact_methods)
    )
    return Person(key, entry.name, entry.language or "fr", methods)
