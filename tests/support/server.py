"""A PostgreSQL server that a test may stop, freeze and crowd."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg

from db.migrations import upgrade
from tests.support.database import NO_DURABILITY, TEMPLATE, administer, url_of
from vigie.stack.postgres import PrivateCluster
from vigie.stack.process import Child

FEW = 12
"""Connections that the server of these tests takes in all."""


class Server:
    """A PostgreSQL server, and a database on it for one test."""

    def __init__(self, directory: Path) -> None:
        settings = {**NO_DURABILITY, "max_connections": str(FEW), "autovacuum": "off"}
        self._cluster = PrivateCluster(directory, settings=settings)
        self._child: Child | None = None
        self.name = f"test_{uuid4().hex[:12]}"
        self.url = url_of(self._cluster, self.name)

    async def start(self) -> None:
        self._child = await self._cluster.start()

    async def stop(self) -> None:
        assert self._child is not None
        await self._child.stop()

    def make_database(self) -> None:
        """Makes the database, migrated and without rows."""
        with psycopg.connect(url_of(self._cluster, "postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE]).rowcount:
                connection.execute(f"CREATE DATABASE {TEMPLATE}")
                upgrade(url_of(self._cluster, TEMPLATE))
        administer(self._cluster, f"CREATE DATABASE {self.name} TEMPLATE {TEMPLATE}")

    def frozen(self) -> AbstractContextManager[None]:
        """All its processes stand still: connections stay open, new ones are taken by the kernel, nothing answers."""
        assert self._child is not None
        return frozen(self._child.pid)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Others have taken all its connections."""
        taken: list[psycopg.Connection] = []
        try:
            with suppress(psycopg.OperationalError):
                while True:
                    taken.append(psycopg.connect(self.url))
            yield
        finally:
            for connection in taken:
                connection.close()


@contextmanager
def frozen(server: int) -> Iterator[None]:
    """The server of this process id and all that it has started stand still."""
    pids = [server]
    os.kill(server, signal.SIGSTOP)  # first, so that it starts no more
    pids += map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())
    try:
        for pid in pids[1:]:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
