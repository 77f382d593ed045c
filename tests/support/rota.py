"""A small company's rota for the tests, rotas at random, and the naive answer that the real ones are held against."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from oncall.plan import ContactKind, ContactMethod, Line, Person, VoicemailRules
from oncall.rotation import Rotation, RotationUnit, Window
from oncall.schedule import Absence, Override, Schedule

PARIS = ZoneInfo("Europe/Paris")
ALICE, BOB, CAROL, DAN = 1, 2, 3, 4
WEEKEND = frozenset({5, 6})
EVERY_DAY = frozenset(range(7))


def paris(text: str) -> datetime:
    """A moment on the clocks of Paris: "2026-03-28 08:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


def rotation(
    *people: int,
    starts: str = "2026-01-05",
    handover: str = "08:00",
    zone: ZoneInfo = PARIS,
    every: tuple[int, RotationUnit] = (1, RotationUnit.WEEKS),
    windows: tuple[Window, ...] = (),
    layer: int = 0,
) -> Rotation:
    length, unit = every
    return Rotation(
        layer=layer,
        name="Astreinte",
        people=people,
        starts=date.fromisoformat(starts),
        handover=time.fromisoformat(handover),
        zone=zone,
        length=length,
        unit=unit,
        windows=windows,
    )


def window(weekdays: Iterable[int], start: str, end: str) -> Window:
    return Window(frozenset(weekdays), time.fromisoformat(start), time.fromisoformat(end))


def schedule(*rotations: Rotation, overrides: tuple[Override, ...] = (), number: int = 1) -> Schedule:
    return Schedule(number, f"s{number}", f"Planning {number}", "Europe/Paris", rotations, overrides)


def override(person: int, start: str, end: str, reason: str | None = None) -> Override:
    return Override(paris(start), paris(end), person, reason)


def absence(person: int, start: str, end: str) -> Absence:
    return Absence(paris(start), paris(end), person)


def phone(number: int, seconds: int = 20, confirm: bool = True) -> ContactMethod:
    return ContactMethod(number, ContactKind.PHONE, f"+336{number:08}", seconds, confirm)


def person(number: int, name: str, *methods: ContactMethod) -> Person:
    return Person(number, name, "fr", methods)


def line(language: str = "fr", number: int = 1) -> Line:
    return Line(number, f"line{number}", f"Line {number}", language, "+33123456789", None, VoicemailRules())


# -- the naive answer ---------------------------------------------------------------------------------------------


def instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """RFC 5545, 3.3.5: the first instant at which the zone's clocks show this; skipped, the old offset still counts."""
    shown = datetime.combine(day, clock)
    around = [shown.replace(tzinfo=UTC) + timedelta(days=days) for days in (-2, 2)]
    offsets = [moment.astimezone(zone).utcoffset() or timedelta() for moment in around]
    meant = [(shown - offset).replace(tzinfo=UTC) for offset in offsets]
    return next((at for at in meant if at.astimezone(zone).replace(tzinfo=None) == shown), meant[0])


def on_duty(rotation: Rotation, at: datetime) -> int | None:
    """Counts every turn from the rotation's first day on, and looks for ``at`` in the windows of the days around it."""
    if not rotation.people or not (rotation.windows == () or any(_is_open(w, rotation, at) for w in rotation.windows)):
        return None
    turn = 0
    while _turn(rotation, turn) <= at:
        turn += 1
    return rotation.people[(turn - 1) % len(rotation.people)] if turn else None


def on_call(schedule: Schedule, at: datetime, absences: Iterable[Absence]) -> int | None:
    """The person on call, found layer by layer at one instant."""
    for replacement in schedule.overrides:
        if replacement.start <= at < replacement.end:
            return replacement.person
    for layer in range(100, -1, -1):
        for candidate in schedule.rotations:
            who = on_duty(candidate, at) if candidate.layer == layer else None
            if who and not any(away.person == who and away.start <= at < away.end for away in absences):
                return who
    return None


def _turn(rotation: Rotation, number: int) -> datetime:
    units = number * rotation.length
    if rotation.unit is RotationUnit.HOURS:
        return instant(rotation.starts, rotation.handover, rotation.zone) + timedelta(hours=units)
    days = units * (7 if rotation.unit is RotationUnit.WEEKS else 1)
    return instant(rotation.starts + timedelta(days=days), rotation.handover, rotation.zone)


def _is_open(window: Window, rotation: Rotation, at: datetime) -> bool:
    today = at.astimezone(rotation.zone).date()
    for day in (today + timedelta(days=days) for days in range(-3, 4)):
        until = day + timedelta(days=1) if window.end <= window.start else day
        opens, closes = instant(day, window.start, rotation.zone), instant(until, window.end, rotation.zone)
        if day.weekday() in window.weekdays and opens <= at < closes:
            return True
    return False


# -- rotas at random ----------------------------------------------------------------------------------------------

ZONES = ("Europe/Paris", "Europe/Paris", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
CLOCKS_CHANGE = (date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 25), date(2026, 11, 1))

days = st.builds(lambda day, by: day + timedelta(days=by), st.sampled_from(CLOCKS_CHANGE), st.integers(-12, 3))
clocks = st.builds(time, st.integers(0, 23), st.sampled_from((0, 0, 30, 15)))
windows = st.builds(Window, st.frozensets(st.integers(0, 6), min_size=1), clocks, clocks)


@cache
def rotations(layer: int = 0) -> st.SearchStrategy[Rotation]:
    """Rotations that begin within days of a change of the clocks."""
    return st.builds(
        Rotation,
        layer=st.just(layer),
        name=st.just(f"layer {layer}"),
        people=st.lists(st.integers(ALICE, DAN), max_size=4).map(tuple),
        starts=days,
        handover=clocks,
        zone=st.sampled_from(ZONES).map(ZoneInfo),
        length=st.integers(1, 30),
        unit=st.sampled_from(RotationUnit),
        windows=st.lists(windows, max_size=3).map(tuple),
    )


def moments() -> st.SearchStrategy[datetime]:
    """Instants around the changes of the clocks, often on the very quarter of an hour where something happens."""
    return st.builds(
        lambda day, quarters, by: (
            datetime.combine(day, time(), UTC) + timedelta(minutes=15 * quarters, microseconds=by)
        ),
        st.sampled_from(CLOCKS_CHANGE),
        st.integers(-5 * 96, 8 * 96),
        st.sampled_from((0, 0, 1, -1)),
    )


spans = st.tuples(moments(), moments()).map(lambda pair: (min(pair), max(pair))).filter(lambda pair: pair[0] < pair[1])
absences = st.builds(lambda pair, who: Absence(pair[0], pair[1], who), spans, st.integers(ALICE, DAN))
layers = st.sampled_from(((), (0,), (0, 1), (2, 0, 1))).flatmap(lambda order: st.tuples(*map(rotations, order)))
people = st.lists(st.integers(ALICE, DAN), min_size=3, max_size=3)
edges = st.lists(moments(), unique=True, max_size=6).map(sorted)


def schedules(number: int = 1) -> st.SearchStrategy[Schedule]:
    """Schedules of up to three layers with overrides that do not overlap."""
    return st.builds(
        lambda rotations, edges, people: schedule(
            *rotations,
            overrides=tuple(map(Override, edges[::2], edges[1::2], people)),
            number=number,
        ),
        layers,
        edges,
        people,
    )
