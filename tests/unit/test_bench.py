"""The benchmark's own reasoning: how the highest rate is found, and what is made of the figures."""

from io import StringIO
from xml.etree import ElementTree

import pytest
from rich.console import Console

from lab.bench.measure import Result, Run
from lab.bench.plot import picture
from lab.bench.report import show, verdicts
from lab.bench.search import highest, ladder
from lab.bench.ways import LINES, WAYS, site
from vigie.settings import SocketAddress

RATES = ladder(20, 400, 1.12)


def test_rates_go_up_by_the_same_step() -> None:
    assert RATES[:4] == [20, 22, 25, 28]
    assert 350 < RATES[-1] <= 400


@pytest.mark.parametrize("limit", [5, 20, 21, 39, 40, 100, 250, 1000])
@pytest.mark.parametrize("begin", [0, 10, len(RATES) - 1])
async def test_the_highest_rate_is_found_with_few_trials(limit: int, begin: int) -> None:
    trials = []

    async def holds(rate: int) -> bool:
        trials.append(rate)
        return rate <= limit

    assert await highest(holds, RATES, begin) == max((rate for rate in RATES if rate <= limit), default=0)
    assert len(trials) <= 16


async def test_a_rate_that_fails_once_is_tried_again() -> None:
    failed = []

    async def holds(rate: int) -> bool:
        once = rate <= 100 and rate not in failed
        failed.append(rate)
        return rate <= 100 and not once

    assert await highest(holds, RATES, 10) == max(rate for rate in RATES if rate <= 100)


def result(way: str, *, p99: float = 10, highest: int = 100, python: float = 4, answered: int = 200) -> Result:
    cpu = {"Asterisk": 10.0, "Python": python, "PostgreSQL": 1.0, "SIPp": 1.0}
    run = Run(100, 200, answered, 2, 5, p99, 2 * p99, cpu, idle=20, stolen=1)
    memory = {"Asterisk": 100.0, "Python": 80.0, "PostgreSQL": 40.0}
    return Result(way, confirms=False, runs=[run], trials=[run], highest=highest, held=500, memory=memory)


def test_the_numbers_to_hold_are_judged_beside_dial() -> None:
    held = verdicts([result("Dial()"), result("Vigie, 1 worker", p99=19.9, highest=67)])
    assert [line.split(": ")[1] for line in held] == ["held", "held", "held"]
    missed = verdicts([result("Dial()"), result("Vigie, 1 worker", p99=20.1, highest=66, python=4.1)])
    assert [line.split(": ")[1] for line in missed] == ["NOT HELD", "NOT HELD", "NOT HELD"]


def test_figures_that_are_missing_spoil_neither_table_nor_picture() -> None:
    nothing = result("Vigie, 1 worker", p99=float("nan"), highest=0, answered=0)
    said = StringIO()
    show([result("Dial()", highest=0), nothing], Console(file=said, width=150))
    assert "Vigie, 1 worker" in said.getvalue()
    drawn = ElementTree.fromstring(picture([result("Dial()"), nothing]))
    assert len(drawn.findall("{*}polyline")) == 2
    assert len(drawn.findall("{*}circle")) == 2  # the point of Dial(), twice


def test_every_line_of_the_site_is_reached_in_every_way() -> None:
    lines = site(SocketAddress("127.0.0.1", 5060))["lines"]
    numbers = {number for line in lines.values() for number in line["numbers"]}
    assert len(lines) == 2 * LINES
    assert all(set(way.numbers) <= numbers for way in WAYS)
