"""The benchmark works: every way puts calls through, and everything that it is to measure is measured."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lab.bench.measure import Scope, measure, run
from lab.bench.system import Bench
from lab.bench.ways import WAYS, Way
from lab.world import processes_of

SCOPE = Scope(rates=(10,), seconds=1, lowest=10, highest=10, search_seconds=1, held=10)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    directory = tmp_path_factory.mktemp("bench")
    async with Bench(directory) as bench:
        yield bench
    assert list(processes_of(directory)) == []


@pytest.mark.parametrize("way", [way for way in WAYS if way.application], ids=lambda way: way.name)
async def test_asterisk_alone_or_with_a_script_puts_calls_through(bench: Bench, way: Way) -> None:
    await bench.staff(*way.staff)
    load = await run(bench, way, rate=20, seconds=0.5)
    assert load.calls == 10
    assert load.answered > 5, "on a machine that is busy with other tests calls may come too late"
    assert 0 < load.p50 <= load.p99 <= load.max
    assert load.cpu["Asterisk"] > 0 < load.cpu["SIPp"]
    assert await bench.journalled() == (0, 0)


async def test_vigie_is_measured_in_all_respects(bench: Bench) -> None:
    *_, way = WAYS
    said: list[str] = []
    result = await measure(bench, way, SCOPE, said.append)
    assert all(load.answered for load in (*result.runs, *result.trials))
    assert result.held == 10
    assert all(mb > 10 for mb in result.memory.values())
    assert [text for text in said if "10 calls/s" in text]
