"""How long the routing table takes to answer, on a large site: 1,000 lines and 10,000 people."""

import gc
import random
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from oncall.plan import ContactKind, ContactMethod, Line, Person, RingOrder, VoicemailRules
from oncall.policy import OnCallOf, Policy, PolicyStep, Supervisors
from oncall.rotation import Rotation, RotationUnit, Window
from oncall.routing import RoutedLine, RoutedTrunk, RoutingInputs, build_table
from oncall.schedule import Schedule

LINES = 1_000
PEOPLE = 10_000
LOOKUPS = 20_000
PARIS = ZoneInfo("Europe/Paris")
NIGHTS = Window(frozenset(range(7)), clock(18), clock(8))


def measure_lookup() -> dict[str, float]:
    """The seconds it took to build the table, and percentiles of a look-up at random, in milliseconds."""
    now = datetime.now(UTC)
    began = time.perf_counter()
    table = build_table(large_site(), now, now + timedelta(days=8))
    built = time.perf_counter() - began
    gc.freeze()  # as a worker does
    chance = random.Random(1)  # noqa: S311
    took = []
    for _ in range(LOOKUPS):
        number, at = did(chance.randrange(LINES)), now + timedelta(minutes=chance.randrange(8 * 24 * 60))
        before = time.perf_counter()
        table.plan(number, at)
        took.append((time.perf_counter() - before) * 1000)
    took.sort()
    return {"build s": built, "p50 ms": took[LOOKUPS // 2], "p99 ms": took[LOOKUPS * 99 // 100], "max ms": took[-1]}


def did(number: int) -> str:
    return f"+331990{number:05d}"


def large_site() -> RoutingInputs:
    """Ten people a line: nine take turns, week after week and night after night, the tenth supervises."""
    lines = range(LINES)
    return RoutingInputs(
        people=tuple(_person(n) for n in range(PEOPLE)),
        lines=tuple(RoutedLine(_line(n), (did(n),), (10 * n + 9,), n) for n in lines),
        schedules=tuple(_schedule(n) for n in lines),
        policies=tuple(_policy(n) for n in lines),
        trunks=(RoutedTrunk("carrier"),),
    )


def _person(number: int) -> Person:
    methods = (
        ContactMethod(2 * number, ContactKind.SIP, f"p{number}"),
        ContactMethod(2 * number + 1, ContactKind.PHONE, f"+3361{number:07d}"),
    )
    return Person(number, f"Person {number}", "fr", methods)


def _line(number: int) -> Line:
    return Line(number, f"l{number}", f"Line {number}", "fr", did(number), None, VoicemailRules())


def _schedule(number: int) -> Schedule:
    everyone = tuple(range(10 * number, 10 * number + 9))
    layers = [((), RotationUnit.WEEKS), ((NIGHTS,), RotationUnit.DAYS)]
    rotations = tuple(
        Rotation(layer, f"layer {layer}", everyone, date(2020, 1, 6), clock(8), PARIS, 1, unit, windows)
        for layer, (windows, unit) in enumerate(layers)
    )
    return Schedule(number, f"s{number}", f"Schedule {number}", "Europe/Paris", rotations)


def _policy(number: int) -> Policy:
    steps = (
        PolicyStep(1, RingOrder.IN_TURN, None, (OnCallOf(number),)),
        PolicyStep(2, RingOrder.TOGETHER, None, (Supervisors(),)),
    )
    return Policy(number, f"p{number}", f"Policy {number}", 180, 1, steps)
