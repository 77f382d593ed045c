"""Importing a site file writes what changes and nothing else; exporting gives it back."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.listen import listen
from db.routing import load_routing
from oncall.routing import RoutingTable, build_table
from vigie.site.check import read_site
from vigie.site.errors import BadSite
from vigie.site.exporter import export_site
from vigie.site.importer import import_site
from vigie.site.schema import Site
from vigie.site.store import load_site

EXAMPLE = files("vigie.site").joinpath("example.yaml").read_text()
NIGHT = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)


@pytest.fixture
async def site(engine: AsyncEngine) -> AsyncEngine:
    """A database that holds the example."""
    await import_site(engine, read_site(EXAMPLE))
    return engine


async def stored(engine: AsyncEngine) -> Site:
    async with engine.connect() as connection:
        return await load_site(connection)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def imported(engine: AsyncEngine, *edits: tuple[str, str], prune: bool = False) -> list[str]:
    """What importing the example with these edits changes."""
    edited = EXAMPLE
    for old, new in edits:
        assert old in edited
        edited = edited.replace(old, new)
    return [str(change) for change in await import_site(engine, read_site(edited), prune=prune)]


async def table_of(engine: AsyncEngine) -> RoutingTable:
    span = NIGHT - timedelta(days=1), NIGHT + timedelta(days=8)
    return build_table(await load_routing(engine, *span), *span)


async def test_the_first_import_creates_everything(engine: AsyncEngine) -> None:
    assert await imported(engine) == [
        "created person alice",
        "created person bob",
        "created person carol",
        "created trunk carrier",
        "created schedule support",
        "created policy standard",
        "created line support",
    ]
    assert await stored(engine) == read_site(EXAMPLE)


async def test_the_second_import_changes_nothing(site: AsyncEngine) -> None:
    assert await imported(site) == []


async def test_what_is_exported_reads_back_as_the_same_site(site: AsyncEngine) -> None:
    exported = export_site(await stored(site))
    assert read_site(exported) == await stored(site) == read_site(EXAMPLE)


WINDOWS = ("every: 1 week", "every: 12 hours\n        windows: [{days: 'fri-mon', from: 18:00, until: 08:00}]")
TOGETHER = ("order: in_turn", "order: together")

CHANGES = {
    "changed person bob: name": [("Bob Durand", "Robert Durand")],
    "changed person alice: contact_methods": [("ring_seconds: 25", "ring_seconds: 30")],
    "changed trunk carrier: host, port": [("host: 127.0.0.2", "host: sip.example.org"), ("port: 5060", "port: 5080")],
    "changed schedule support: rotations": [WINDOWS],
    "changed schedule support: name, rotations": [("Astreinte support", "Nuit"), ("[alice, bob]", "[alice, bob, bob]")],
    "changed policy standard: max_hunt_seconds, steps": [TOGETHER, ("_seconds: 180     #", "_seconds: 90 #")],
    "changed line support: numbers, number": [("+33 1 99 00 12 34", "+33 1 99 00 43 21")],
    "changed line support: language, zone, greeting": [
        ("policy: standard", "policy: standard\n    language: en\n    zone: Europe/London\n    greeting: Hello")
    ],
    "changed line support: supervisors, voicemail": [
        ("supervisors: [carol]", "supervisors: [bob, carol]"),
        ("to: [carol, support@example.org]", "to: [support@example.org, carol]"),
    ],
}


@pytest.mark.parametrize("said", CHANGES)
async def test_what_changed_is_written_and_said(site: AsyncEngine, said: str) -> None:
    assert await imported(site, *CHANGES[said]) == [said]
    assert await imported(site, *CHANGES[said]) == []
    assert await imported(site) != []
    assert await stored(site) == read_site(EXAMPLE)


SALES = (
    "\nlines:\n",
    "\nlines:\n  sales: {name: Sales, numbers: [0199005678], policy: standard, supervisors: [bob, carol]}\n",
)


async def test_what_the_file_lacks_is_kept_and_said(site: AsyncEngine) -> None:
    await imported(site, SALES)
    assert await imported(site) == ["kept line sales"]
    assert set((await stored(site)).lines) == {"sales", "support"}


async def test_what_the_file_lacks_is_removed_on_demand(site: AsyncEngine) -> None:
    await imported(site, SALES)
    assert await imported(site, prune=True) == ["removed line sales"]
    assert await stored(site) == read_site(EXAMPLE)


async def test_replacements_made_elsewhere_are_kept(site: AsyncEngine) -> None:
    later = ("2026-11-28 08:00", "2026-12-28 08:00"), ("2026-11-29 08:00", "2026-12-29 08:00")
    assert await imported(site, *later) == [
        "changed schedule support: overrides",
        "kept override of schedule support: from 2026-11-28 08:00",
    ]
    assert len((await stored(site)).schedules["support"].overrides) == 2


async def test_a_number_can_pass_from_one_line_to_another(site: AsyncEngine) -> None:
    await imported(site, SALES)
    swapped = (SALES[0], SALES[1].replace("0199005678", "0199001234")), ('["+33 1 99 00 12 34"]', "[0199005678]")
    assert await imported(site, *swapped) == [
        "changed line sales: numbers, number",
        "changed line support: numbers, number",
    ]


async def test_a_sip_user_can_pass_from_one_person_to_another(site: AsyncEngine) -> None:
    swapped = ("sip: alice ", "sip: xyz "), ("sip: bob", "sip: alice"), ("sip: xyz", "sip: bob")
    assert len(await imported(site, *swapped)) == 2


async def test_a_file_that_contradicts_what_is_kept_writes_nothing(site: AsyncEngine) -> None:
    await imported(site, SALES)
    with pytest.raises(BadSite, match=r"\+33199005678 already leads to"):
        await imported(site, ('["+33 1 99 00 12 34"]', "[0199005678]"), ("Bob Durand", "Robert"))
    assert (await stored(site)).people["bob"].name == "Bob Durand"


async def test_contact_methods_that_stay_keep_their_history(site: AsyncEngine) -> None:
    before = dict(await rows(site, "SELECT address, id FROM contact_method"))
    await imported(site, ("- sip: bob\n        confirm: false", "- email: bob@example.org\n      - sip: bob"))
    after = dict(await rows(site, "SELECT address, id FROM contact_method"))
    assert {address: after[address] for address in before} == before


async def test_the_example_routes_a_call(site: AsyncEngine) -> None:
    plan = (await table_of(site)).plan("+33199001234", NIGHT)
    assert plan.line.name == "Support"
    assert [[candidate.person.name for candidate in step.candidates] for step in plan.steps] == [
        ["Bob Durand"],
        ["Carol Petit"],
    ]
    assert plan.trunks == ("carrier",)
    assert RoutingTable.from_bytes(b"".join((await table_of(site)).encoded())) == await table_of(site)


async def test_an_import_is_heard_by_those_who_listen(engine: AsyncEngine, database_url: str) -> None:
    hints = listen(database_url, "vigie_routing")
    await anext(hints)
    await import_site(engine, read_site(EXAMPLE))
    await anext(hints)
    await hints.aclose()


async def test_who_listens_hears_again_after_the_connection_was_lost(site: AsyncEngine, database_url: str) -> None:
    hints = listen(database_url, "vigie_routing")
    await anext(hints)
    await rows(
        site,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'vigie listen' AND datname = current_database()",
    )
    await anext(hints)
    await imported(site, ("Bob Durand", "Robert"))
    await anext(hints)
    await hints.aclose()
