"""What a change of the rota costs a worker at a large site: 1,000 lines, 10,000 people, three years of their absences
and replacements, ten changes a second. ``python -m lab.bench.rota``, as the user vigie.
"""

import asyncio
import os
import random
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import uvloop

from ari_app.routing import CurrentTable
from db.engine import make_engine
from db.migrations import upgrade
from db.snapshot import SnapshotStore
from lab.bench.lookup import LINES, did
from lab.sockets import memory
from lasting import beside
from vigie.stack.postgres import PrivateCluster

SECONDS = 60
CHANGES_A_SECOND = 10
TICK_SECONDS = 0.001

SITE = """
INSERT INTO person (id, slug, name, language) OVERRIDING SYSTEM VALUE
SELECT n, 'p' || n, 'Person ' || n, 'fr' FROM generate_series(0, 9999) n;
INSERT INTO contact_method (person_id, position, kind, address, ring_seconds, confirm, shows)
SELECT n, 1, 'sip', 'p' || n, 20, true, 'caller' FROM generate_series(0, 9999) n UNION ALL
SELECT n, 2, 'phone', '+3361' || lpad(n::text, 7, '0'), 20, true, 'caller' FROM generate_series(0, 9999) n;
INSERT INTO schedule (id, slug, name, zone) OVERRIDING SYSTEM VALUE
SELECT n, 's' || n, 'Schedule ' || n, 'Europe/Paris' FROM generate_series(0, 999) n;
INSERT INTO rotation (id, schedule_id, layer, name, starts, handover, length, unit) OVERRIDING SYSTEM VALUE
SELECT 2 * n + layer, n, layer, 'layer ' || layer, '2020-01-06', '08:00', 1, (ARRAY['weeks', 'days'])[layer + 1]
FROM generate_series(0, 999) n, generate_series(0, 1) layer;
INSERT INTO rotation_member (rotation_id, position, person_id)
SELECT 2 * n + layer, turn, 10 * n + turn
FROM generate_series(0, 999) n, generate_series(0, 1) layer, generate_series(0, 8) turn;
INSERT INTO rotation_window (rotation_id, position, weekdays, starts, ends)
SELECT 2 * n + 1, 1, '{0,1,2,3,4,5,6}', '18:00', '08:00' FROM generate_series(0, 999) n;
INSERT INTO escalation_policy (id, slug, name, max_hunt_seconds, rounds) OVERRIDING SYSTEM VALUE
SELECT n, 'p' || n, 'Policy ' || n, 180, 1 FROM generate_series(0, 999) n;
INSERT INTO escalation_step (id, policy_id, position, ring_order) OVERRIDING SYSTEM VALUE
SELECT 2 * n + step - 1, n, step, (ARRAY['in_turn', 'together'])[step]
FROM generate_series(0, 999) n, generate_series(1, 2) step;
INSERT INTO step_target (step_id, position, kind, schedule_id)
SELECT 2 * n, 1, 'on_call', n FROM generate_series(0, 999) n UNION ALL
SELECT 2 * n + 1, 1, 'supervisors', NULL FROM generate_series(0, 999) n;
INSERT INTO line (
    id, slug, name, language, zone, number, policy_id,
    voicemail_min_seconds, voicemail_max_seconds, voicemail_silence_seconds
) OVERRIDING SYSTEM VALUE
SELECT n, 'l' || n, 'Line ' || n, 'fr', 'Europe/Paris', '+331990' || lpad(n::text, 5, '0'), n, 2, 180, 10
FROM generate_series(0, 999) n;
INSERT INTO did (number, line_id) SELECT '+331990' || lpad(n::text, 5, '0'), n FROM generate_series(0, 999) n;
INSERT INTO line_supervisor (line_id, person_id, position) SELECT n, 10 * n + 9, 1 FROM generate_series(0, 999) n;
INSERT INTO trunk (slug, position, host, port) VALUES ('carrier', 1, '192.0.2.1', 5060);
INSERT INTO absence (person_id, starts_at, ends_at)
SELECT n, at, at + '4 days' FROM generate_series(0, 9999) n,
    LATERAL generate_series(now() + n % 36 * '1 day'::interval - '3 years'::interval, now() + '1 year', '36 days') at;
INSERT INTO override (schedule_id, person_id, starts_at, ends_at)
SELECT n, 10 * n + n % 9, at, at + '12 hours' FROM generate_series(0, 999) n,
    LATERAL generate_series(now() + n % 7 * '1 day'::interval - '3 years'::interval, now() + '1 year', '7 days') at;
ANALYZE;
"""
"""Ten people a line: nine take turns, week after week and night after night, the tenth supervises. Each is away for
four days in 36, each line has a replacement a week."""


class Loop:
    """How long the event loop stood still, which a call would have had to wait, and how much of that it worked itself.

    On a machine that others use too, what it stands still without any changes is theirs.
    """

    def __init__(self) -> None:
        self.stillnesses, self.busy, self.lookups = array("d"), array("d"), array("d")

    async def watch(self, table: CurrentTable) -> None:
        """Looks a number up at each tick, as a call does when it comes in."""
        chance = random.Random(1)  # noqa: S311
        while True:
            before, worked = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            now = time.perf_counter()
            self.busy.append(time.thread_time() - worked)
            self.stillnesses.append(now - before - TICK_SECONDS)
            table().plan(did(chance.randrange(LINES)), datetime.now(UTC))
            self.lookups.append(time.perf_counter() - now)


async def measure_rota(seconds: float = SECONDS) -> dict[str, float]:
    """Milliseconds, and megabytes, of a worker whose rota is changed all the time."""
    with tempfile.TemporaryDirectory(prefix="vigie-rota-") as directory:
        async with _large_site(Path(directory)) as url:
            return await _measured(url, Path(directory), seconds)


async def _measured(url: str, directory: Path, seconds: float) -> dict[str, float]:
    engine = make_engine(url)
    table = CurrentTable(engine, SnapshotStore(directory / "routing", "k" * 24))
    began = time.perf_counter()
    await table.start()
    figures = {"first table ms": 1000 * (time.perf_counter() - began)}
    loop = Loop()
    try:
        async with (
            beside("the table", lambda: table.keep_fresh(url)),
            await psycopg.AsyncConnection.connect(url, autocommit=True) as planner,
        ):
            await _changes(planner, table, 5)
            idle = Loop()
            async with beside("the idle loop", lambda: idle.watch(table)):
                await asyncio.sleep(5)
            held = memory(os.getpid())
            async with beside("the loop", lambda: loop.watch(table)):
                obeyed = await _changes(planner, table, seconds)
            figures["memory gained MB"] = (memory(os.getpid()) - held) / 2**20
    finally:
        await engine.dispose()
    return figures | {
        "changes": len(obeyed),
        "still without changes, p99.9 ms": 1000 * _percentile(idle.stillnesses, 0.999),
        "still without changes, longest ms": 1000 * max(idle.stillnesses),
        "still, p99.9 ms": 1000 * _percentile(loop.stillnesses, 0.999),
        "still, longest ms": 1000 * max(loop.stillnesses),
        "own work of the loop, longest ms": 1000 * max(loop.busy),
        "obeyed after, p50 ms": 1000 * _percentile(obeyed, 0.5),
        "obeyed after, longest ms": 1000 * max(obeyed),
        "look-up, p99 ms": 1000 * _percentile(loop.lookups, 0.99),
    }


async def _changes(planner: psycopg.AsyncConnection, table: CurrentTable, seconds: float) -> list[float]:
    """Ten replacements a second, one line after the other; after how long each was obeyed."""
    obeyed: list[float] = []
    waiting: dict[tuple[int, str], float] = {}
    end = time.perf_counter() + seconds
    number = 0
    while waiting or time.perf_counter() < end:
        if time.perf_counter() < end:
            line, reason = number % LINES, f"change at {time.perf_counter()}"
            await planner.execute(
                "DELETE FROM override WHERE schedule_id = %s AND ends_at > now() AND starts_at < now() + '1 hour'",
                [line],
            )
            await planner.execute(
                "INSERT INTO override (schedule_id, person_id, starts_at, ends_at, reason) "
                "VALUES (%s, %s, now(), now() + '1 hour', %s)",
                [line, 10 * line, reason],
            )
            waiting[line, reason] = time.perf_counter()
            number += 1
        due = time.perf_counter() + 1 / CHANGES_A_SECOND
        while time.perf_counter() < due:
            await asyncio.sleep(0.005)
            for change in [*waiting]:
                shift = table().rotas[change[0]].at(datetime.now(UTC))
                if shift is not None and shift.name == change[1]:
                    obeyed.append(time.perf_counter() - waiting.pop(change))
    return obeyed


def _percentile(values: Iterable[float], part: float) -> float:
    in_order = sorted(values)
    return in_order[int(len(in_order) * part)]


@asynccontextmanager
async def _large_site(directory: Path) -> AsyncIterator[str]:
    cluster = PrivateCluster(directory / "postgres")
    server = await cluster.start()
    try:
        await asyncio.to_thread(upgrade, cluster.url)
        async with await psycopg.AsyncConnection.connect(cluster.url, autocommit=True) as connection:
            await connection.execute(SITE.encode())
        yield cluster.url
    finally:
        await server.stop()


def main() -> None:
    for name, value in uvloop.run(measure_rota()).items():
        print(f"{name:<36} {value:12.1f}")


if __name__ == "__main__":
    main()
