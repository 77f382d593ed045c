"""The rota is read again and again: what has not changed costs nothing, and one bad row spoils no other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ari_app.routing import CurrentTable
from db.errors import BadRow
from db.routing import RoutingReader
from db.snapshot import SnapshotStore
from oncall.routing import RoutingTable, build_table
from tests.support.follower import NOW, following, joins, table_of

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=8)
SITE = """
    INSERT INTO person (slug, name, language) VALUES ('alice', 'Alice', 'fr'), ('bob', 'Bob', 'en');
    INSERT INTO contact_method (person_id, position, kind, address, ring_seconds, confirm, shows)
    VALUES (1, 1, 'sip', 'alice', 20, true, 'caller'), (2, 1, 'sip', 'bob', 20, true, 'caller');
    INSERT INTO schedule (slug, name, zone) VALUES ('one', 'One', 'Europe/Paris'), ('two', 'Two', 'Europe/Paris');
    INSERT INTO rotation (schedule_id, layer, name, starts, handover, length, unit)
    VALUES (1, 0, 'weeks', '2026-01-05', '08:00', 1, 'weeks'), (2, 0, 'weeks', '2026-01-05', '08:00', 1, 'weeks');
    INSERT INTO rotation_member (rotation_id, position, person_id) VALUES (1, 1, 1), (2, 1, 1);
"""
AWAY = "INSERT INTO absence (person_id, starts_at, ends_at) VALUES "
REPLACED = "INSERT INTO override (schedule_id, person_id, starts_at, ends_at) VALUES "


@pytest.fixture
async def site(engine: AsyncEngine) -> AsyncEngine:
    await changed(engine, SITE)
    return engine


async def changed(engine: AsyncEngine, statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements.split(";\n"):
            if statement.strip():
                await connection.execute(text(statement.strip().rstrip(";")))


async def on_call(engine: AsyncEngine, schedule: int = 1, reader: RoutingReader | None = None) -> list[int]:
    """Who is on call one after the other."""
    return [shift.person for shift in (await table(reader or RoutingReader(engine))).rotas[schedule].shifts]


async def table(reader: RoutingReader) -> RoutingTable:
    return build_table(await reader.read(SINCE, UNTIL), SINCE, UNTIL)


async def test_what_lies_outside_the_span_is_not_read(site: AsyncEngine) -> None:
    await changed(
        site,
        f"{AWAY} (1, '2024-01-01', '2024-02-01'), (1, '2026-06-01', '2026-06-02'), (1, '2027-01-01', '2027-02-01');\n"
        f"{REPLACED} (1, 2, '2024-01-01', '2024-02-01'), (1, 2, '2026-05-01', '2026-06-03'),"
        "(1, 2, '2027-01-01', '2027-02-01')",
    )
    inputs = await RoutingReader(site).read(SINCE, UNTIL)
    assert [(absence.start, absence.end) for absence in inputs.absences] == [(SINCE, SINCE + timedelta(days=1))]
    (override,) = inputs.schedules[0].overrides
    assert (override.start, override.end) == (SINCE, datetime(2026, 6, 3, tzinfo=UTC))


async def test_the_past_is_found_by_an_index(site: AsyncEngine) -> None:
    await changed(
        site,
        "INSERT INTO absence (person_id, starts_at, ends_at) SELECT 1, at, at + '1 hour' "
        "FROM generate_series(timestamptz '2000-01-01', '2020-01-01', '1 day') at;\n"
        "INSERT INTO override (schedule_id, person_id, starts_at, ends_at) SELECT 1, 1, at, at + '1 hour' "
        "FROM generate_series(timestamptz '2000-01-01', '2020-01-01', '1 day') at;\nANALYZE absence, override",
    )
    async with site.connect() as connection:
        for rows in ("absence", "override"):
            plan = await connection.scalars(text(f"EXPLAIN SELECT * FROM {rows} WHERE ends_at > '2026-06-01'"))
            assert f"{rows}_ends_at_idx" in "\n".join(plan)


async def test_what_has_not_changed_is_not_made_anew(site: AsyncEngine) -> None:
    reader = RoutingReader(site)
    before = await reader.read(SINCE, UNTIL)
    await changed(site, f"{AWAY} (1, '2026-06-01', '2026-06-02')")
    after = await reader.read(SINCE, UNTIL)
    assert len(after.absences) == 1
    assert all(one is other for one, other in zip(before.people, after.people, strict=True))
    assert all(one is other for one, other in zip(before.schedules, after.schedules, strict=True))


async def test_tables_that_are_known_not_to_have_changed_are_not_looked_at(site: AsyncEngine) -> None:
    reader = RoutingReader(site)
    await reader.read(SINCE, UNTIL)
    await changed(site, f"UPDATE person SET name = 'Alix' WHERE id = 1;\n{AWAY} (1, '2026-06-01', '2026-06-02')")
    partly = await reader.read(SINCE, UNTIL, {"absence"})
    assert (partly.people[0].name, len(partly.absences)) == ("Alice", 1)
    assert (await reader.read(SINCE, UNTIL, {"person"})).people[0].name == "Alix"
    other_span = await reader.read(SINCE, UNTIL + timedelta(days=1), {"trunk"})
    assert len(other_span.absences) == 1


async def test_a_span_without_an_end_lasts(site: AsyncEngine) -> None:
    """Whatever the CHECKs say by then."""
    await changed(
        site,
        "ALTER TABLE absence DROP CONSTRAINT absence_years_check;\n"
        "ALTER TABLE override DROP CONSTRAINT override_years_check;\n"
        f"{AWAY} (1, '-infinity', 'infinity');\n{REPLACED} (2, 2, '4000-01-01 BC', 'infinity')",
    )
    assert await on_call(site, 1) == []
    assert await on_call(site, 2) == [2]


BAD_ROWS = {
    "an unknown zone": "UPDATE schedule SET zone = 'Europe/Paname' WHERE id = 1",
    "a zone that is a directory": "UPDATE schedule SET zone = 'Europe' WHERE id = 1",
    "a zone outside": "UPDATE schedule SET zone = '../../etc/passwd' WHERE id = 1",
    "an hour that Python has not": "ALTER TABLE rotation DROP CONSTRAINT rotation_hours_check;\n"
    "UPDATE rotation SET handover = '24:00' WHERE id = 1",
    "a day before Christ": "ALTER TABLE rotation DROP CONSTRAINT rotation_years_check;\n"
    "UPDATE rotation SET starts = '0044-03-15 BC' WHERE id = 1",
    "a day that never comes": "ALTER TABLE rotation DROP CONSTRAINT rotation_years_check;\n"
    "UPDATE rotation SET starts = 'infinity' WHERE id = 1",
    "weekdays in a table": "ALTER TABLE rotation_window DROP CONSTRAINT rotation_window_list_check;\n"
    "INSERT INTO rotation_window (rotation_id, position, weekdays, starts, ends) "
    "VALUES (1, 1, '{{0,1},{2,3}}', '08:00', '18:00')",
    "a length below zero": "ALTER TABLE rotation DROP CONSTRAINT rotation_length_range_check;\n"
    "UPDATE rotation SET length = -1 WHERE id = 1",
}


@pytest.mark.parametrize("what", BAD_ROWS)
async def test_a_row_that_makes_no_sense_is_left_out_and_named_and_the_rest_goes_on(
    site: AsyncEngine, what: str
) -> None:
    """While we run its schedule stays as it was; who begins then does without the row."""
    running = RoutingReader(site)
    before = await on_call(site, 1, running)
    await changed(site, f"{REPLACED} (1, 2, '2026-06-02', '2026-06-03');\n{BAD_ROWS[what]}")
    assert await on_call(site, 1, running) == before
    assert await on_call(site, 2, running) == before
    newcomer = RoutingReader(site)
    assert await on_call(site, 1, newcomer) == [2]
    assert await on_call(site, 2, newcomer) == before
    for reader in (running, newcomer):
        (fault,) = reader.faults
        assert fault.startswith("Schedule one: the rotation {")


async def test_a_row_that_is_mended_counts_again(site: AsyncEngine) -> None:
    reader = RoutingReader(site)
    await changed(site, BAD_ROWS["an unknown zone"])
    assert await on_call(site, 1, reader) == []
    await changed(site, "UPDATE schedule SET zone = 'Europe/London' WHERE id = 1")
    assert await on_call(site, 1, reader) != []
    assert reader.faults == ()


WORSE = (
    "ALTER TABLE contact_method DROP CONSTRAINT contact_method_kind_check,"
    " DROP CONSTRAINT contact_method_address_form_check;\n"
    "UPDATE contact_method SET kind = 'pigeon' WHERE address = 'bob'"
)


async def test_what_cannot_be_left_out_is_named(site: AsyncEngine) -> None:
    await changed(site, WORSE)
    with pytest.raises(BadRow, match=r"the Person .*Bob.* makes no sense .*pigeon"):
        await RoutingReader(site).read(SINCE, UNTIL)


async def test_a_worker_serves_by_the_snapshot_whatever_is_wrong_with_the_rows(
    site: AsyncEngine, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots = SnapshotStore(tmp_path, "k" * 24)
    snapshots.write(table_of("Carol"), NOW)
    await changed(site, WORSE)
    async with following(database_url, snapshots) as follower:
        await follower.knows("Carol")
        assert "pigeon" in caplog.text


async def test_a_worker_that_runs_keeps_its_table_whatever_is_written_into_the_rows(
    site: AsyncEngine, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(database_url, SnapshotStore(tmp_path, "k" * 24)) as follower:
        await follower.knows("Alice", "Bob")
        await changed(site, WORSE)
        await joins(site, "Carol")
        await follower.knows("Alice", "Bob")
        await changed(site, "UPDATE contact_method SET kind = 'sip' WHERE address = 'bob'")
        await follower.knows("Alice", "Bob", "Carol")


async def test_many_changes_at_once_are_read_at_once(
    site: AsyncEngine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[object] = []
    load = CurrentTable.load

    async def counted(table: CurrentTable, changed: set[str] | None = None) -> None:
        loads.append(changed)
        await load(table, changed)

    monkeypatch.setattr(CurrentTable, "load", counted)
    async with following(database_url, SnapshotStore(tmp_path, "k" * 24)) as follower:
        await follower.knows("Alice", "Bob")
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as planner:
            for number in range(100):
                await planner.execute(
                    f"INSERT INTO person (slug, name, language) VALUES ('p{number}', 'P{number}', 'fr')".encode()
                )
        everybody = ["Alice", "Bob", *(f"P{number}" for number in range(100))]
        await follower.knows(*everybody)
        await joins(site, "Carol")
        await follower.knows(*everybody, "Carol")
    assert len(loads) < 20
    assert loads[-1] == {"person"}
