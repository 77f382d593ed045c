"""Real PostgreSQL for tests: one private cluster for the session, one migrated database for each test."""

import os
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import make_engine
from db.migrations import upgrade
from vigie.stack.postgres import PrivateCluster

TEMPLATE = "vigie_template"
NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PrivateCluster]:
    """The session's cluster, running."""
    if os.geteuid() == 0:
        pytest.skip("PostgreSQL does not run as root: run the tests as another user")
    cluster = PrivateCluster(tmp_path_factory.mktemp("pg"), settings=NO_DURABILITY)
    child = await cluster.start()
    yield cluster
    await child.stop()


@pytest.fixture(scope="session")
def template(cluster: PrivateCluster) -> str:
    """The name of a migrated database to clone."""
    administer(cluster, f"CREATE DATABASE {TEMPLATE}")
    upgrade(url_of(cluster, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def empty_database_url(cluster: PrivateCluster) -> Iterator[str]:
    """A database without any table."""
    yield from _database(cluster, "template1")


@pytest.fixture
def database_url(cluster: PrivateCluster, template: str) -> Iterator[str]:
    """A migrated database with no rows."""
    yield from _database(cluster, template)


@pytest_asyncio.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database_url)
    yield engine
    await engine.dispose()


def administer(cluster: PrivateCluster, statement: str) -> None:
    """Runs one statement as the cluster's owner, outside any transaction."""
    with psycopg.connect(url_of(cluster, "postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def url_of(cluster: PrivateCluster, database: str) -> str:
    return cluster.url.replace("/vigie?", f"/{database}?")


def _database(cluster: PrivateCluster, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    administer(cluster, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield url_of(cluster, name)
    administer(cluster, f"DROP DATABASE {name} WITH (FORCE)")
