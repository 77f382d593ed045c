"""The migrations give exactly the schema of the models, and the schema refuses impossible states."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, text

from db import migrations
from db.models import Base
from db.url import parse_url

CATALOG = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype::text, condeferrable, condeferred,
               pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    """,
    "functions": """
        SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """,
}


def schema_of(connection: Connection) -> dict[str, set[tuple[object, ...]]]:
    """What PostgreSQL's own catalog says of everything in the database but Alembic's table."""
    return {
        what: {tuple(row) for row in connection.execute(text(query)) if "alembic_version" not in str(row)}
        for what, query in CATALOG.items()
    }


@pytest.fixture
def created(empty_database_url: str) -> Iterator[Engine]:
    engine = create_engine(parse_url(empty_database_url))
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def migrated(database_url: str) -> Iterator[Engine]:
    engine = create_engine(parse_url(database_url))
    yield engine
    engine.dispose()


def test_migrations_give_exactly_the_schema_of_the_models(created: Engine, migrated: Engine) -> None:
    with created.connect() as models, migrated.connect() as migrations_:
        expected, got = schema_of(models), schema_of(migrations_)
    for what in CATALOG:
        assert expected[what], what
        assert got[what] == expected[what], what


def test_alembic_finds_nothing_to_change(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrading_twice_changes_nothing(database_url: str, migrated: Engine) -> None:
    with migrated.connect() as connection:
        before = schema_of(connection)
    migrations.upgrade(database_url)
    with migrated.connect() as connection:
        assert schema_of(connection) == before


def test_downgrading_leaves_nothing(migrated: Engine) -> None:
    with migrated.connect() as connection:
        migrations.downgrade(connection)
        assert not any(schema_of(connection).values())
