"""A short chaos run: people call in all ways while parts of Vigie die, and in the end all books agree."""

from dataclasses import replace
from pathlib import Path

from lab.chaos.afflictions import AFFLICTIONS
from lab.chaos.plan import draw
from lab.chaos.report import timeline
from lab.chaos.run import run

NAMES = ("worker-killed", "worker-frozen", "database-stopped", "mail-down")
SEED = 1
SHORT = [replace(AFFLICTIONS[name], seconds=(0.5, 1.5), recovery_seconds=1) for name in NAMES]


def test_a_plan_belongs_to_its_seed() -> None:
    assert draw(7, 60, 3) == draw(7, 60, 3)
    assert draw(7, 60, 3).blows != draw(8, 60, 3).blows
    assert {blow.affliction.name for blow in draw(7, 600, 3).blows} == set(AFFLICTIONS)


def test_nobody_is_called_on_two_lines_at_once() -> None:
    plan = draw(7, 600, 3)
    assert len({call.caller for call in plan.calls}) == len(plan.calls) == 1800
    last: dict[str, int] = {}
    for place, call in enumerate(plan.calls):
        assert place - last.get(call.number, -1000) > 60 * plan.rate, "a line is free again after a minute"
        last[call.number] = place


async def test_four_books_agree(tmp_path: Path) -> None:
    plan = draw(SEED, seconds=11, rate=2, afflictions=SHORT, gap_seconds=(0.2, 0.8), speech_seconds=10)
    assert {blow.affliction.name for blow in plan.blows} == set(NAMES)
    verdict = await run(plan, tmp_path, print)
    for found in verdict.disagreements:
        print(found, *timeline(verdict.books, found.caller), sep="\n")
    assert verdict.disagreements == []
    assert len(verdict.books.traces) == len(plan.calls)
    assert verdict.books.mails
