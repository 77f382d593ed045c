"""A PostgreSQL server of our own in the state directory: no TCP port, no password, nothing for root to do.

It is reached over a Unix socket that only the user who runs Vigie can open, and knows that user by the
kernel's word (``peer``). It knows nothing of the tables.
"""

import asyncio
import os
import pwd
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from vigie.errors import DiskFull, NotReady, ProgramFailed, ProgramMissing, StackError
from vigie.stack.machine import check_socket_path
from vigie.stack.process import Child, run, tail

OLDEST_VERSION: Final = 15
DATABASE: Final = "vigie"
LEAST_FREE_BYTES: Final = 64 * 2**20
ANSWER_SECONDS: Final = 5
RECOVERING: Final = "the database system is"
"""So PostgreSQL begins to say that it is starting up, or recovering from a crash, however long that takes."""

SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "60",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "lc_messages": "C.UTF-8",
    "timezone": "UTC",
}


class PrivateCluster:
    """The cluster in ``directory``; ``settings`` are PostgreSQL's own and go before ours."""

    name = "PostgreSQL"

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.sockets = directory / "run"
        self.log = directory / "postgres.log"
        self._settings = {**SETTINGS, **(settings or {})}

    @property
    def url(self) -> str:
        """``postgresql://…`` of the cluster's database, for this user of this machine."""
        return self._url(DATABASE)

    def is_running(self) -> bool:
        """Whether a server lives in this directory."""
        return self._server_pid() is not None

    async def answers(self) -> bool:
        """Whether the server says anything to a newcomer, be it that it is full or busy with its recovery."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await psycopg.AsyncConnection.connect(self._url("postgres"))
                await connection.close()
        except TimeoutError:
            return False
        except psycopg.OperationalError:
            pass
        return True

    async def start(self, patience: float = 30) -> Child:
        """The server, accepting connections, made first if there is none yet.

        Raises DiskFull, ProgramMissing, NotReady or ProgramFailed, each with what to do about it.
        """
        programs = find_programs()
        await self._prepare(programs)
        await self._previous_server_gone(patience)
        options = [option for name, value in self._settings.items() for option in ("-c", f"{name}={value}")]
        child = await Child.start(
            self.name,
            [programs / "postgres", "-D", self.data, "-k", self.sockets, *options],
            log=self.log,
            stop_signal=signal.SIGINT,  # "fast": rolls back what is open instead of waiting for it
            last_signal=signal.SIGINT,
        )
        try:
            await self._ready(child, patience)
        except BaseException:
            await child.stop()
            raise
        return child

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The cluster's URL, and a server behind it: the one that runs, or one for the time of the block."""
        if self.is_running():
            yield self.url
            return
        child = await self.start()
        try:
            yield self.url
        finally:
            await child.stop()

    def _url(self, database: str) -> str:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return f"postgresql://{quote(user)}@/{database}?host={quote(str(self.sockets), safe='/')}"

    async def _prepare(self, programs: Path) -> None:
        check_socket_path(self.sockets / ".s.PGSQL.5432")
        for directory in (self.directory, self.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(self.directory).free
        if free < LEAST_FREE_BYTES:
            raise self._disk_full()
        if self.log.exists():
            self.log.rename(self.log.with_suffix(".previous.log"))
        if not (self.data / "PG_VERSION").exists():
            await self._make(programs)

    async def _make(self, programs: Path) -> None:
        """A new cluster, put in place whole: an interrupted initdb leaves nothing that looks like one."""
        draft = self.directory / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            await run(
                [
                    programs / "initdb",
                    *("-D", draft, "--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8"),
                    *("--data-checksums", "--no-instructions"),
                ]
            )
            draft.rename(self.data)
        except (ProgramFailed, OSError) as error:
            shutil.rmtree(draft, ignore_errors=True)
            if "No space left on device" in str(error):
                raise self._disk_full() from error
            raise

    async def _previous_server_gone(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while (pid := self._server_pid()) is not None:
            if time.monotonic() > deadline:
                raise StackError(
                    f"Another PostgreSQL server (process {pid}) runs in {self.data}.",
                    f"Stop whatever runs it, or end it with: kill -INT {pid}",
                )
            await asyncio.sleep(0.05)
        while orphans := self._orphans():
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)
        # What is left names a process that is gone, or is somebody else by now.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _orphans(self) -> list[int]:
        """What a server that was killed left behind: it may be in the midst of writing, and must not beside a new one.

        Each lives in the data directory.
        """
        home, orphans = self.data.resolve(), []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == home and (process / "comm").read_text() == "postgres\n":
                    orphans.append(int(process.name))
        return orphans

    def _server_pid(self) -> int | None:
        """The process in ``postmaster.pid``, if it is a PostgreSQL server of this directory."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if os.fsencode(self.data) in command else None

    async def _ready(self, child: Child, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            if not child.running:
                raise self._disk_full() if "No space left on device" in tail(self.log) else child.failure()
            try:
                await self._make_database()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline and RECOVERING not in str(error):
                    raise NotReady(
                        f"PostgreSQL was not ready in {patience:.0f} s: {error}", f"See {self.log}."
                    ) from error
                await asyncio.sleep(0.02)
            else:
                return

    async def _make_database(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._url("postgres"), autocommit=True)
        async with connection:
            found = await connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
            if not found.rowcount:
                await connection.execute(f"CREATE DATABASE {DATABASE}")

    def _disk_full(self) -> DiskFull:
        return DiskFull(
            f"The disk that holds {self.directory} is full: PostgreSQL needs at least {LEAST_FREE_BYTES // 2**20} MB.",
            "Free some space there, or choose another VIGIE_STATE_DIR.",
        )


def find_programs() -> Path:
    """The directory of the newest PostgreSQL ≥ 15 of this machine. Raises ProgramMissing."""
    candidates = [
        (int(directory.name), directory / "bin")
        for directory in Path("/usr/lib/postgresql").glob("[0-9]*")  # where Debian keeps them, off PATH
        if (directory / "bin" / "postgres").exists() and directory.name.isdecimal()
    ]
    version, directory = max(candidates, default=(0, Path()))
    if version < OLDEST_VERSION:
        raise ProgramMissing(
            f"PostgreSQL {OLDEST_VERSION} or later is not installed.",
            "Run ./install.sh, or name a server in VIGIE_DATABASE_URL.",
        )
    return directory
