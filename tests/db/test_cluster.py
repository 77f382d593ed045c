"""A PostgreSQL server of our own: made, started, stopped, and started again after whatever happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.disk import run_on_a_disk_of
from vigie.errors import StackError
from vigie.stack.postgres import PrivateCluster


@pytest.fixture
def cluster(tmp_path: Path) -> PrivateCluster:
    """A cluster that is not made yet."""
    if os.geteuid() == 0:
        pytest.skip("PostgreSQL does not run as root: run the tests as another user")
    return PrivateCluster(tmp_path / "postgres", settings={"fsync": "off"})


def value(cluster: PrivateCluster, query: str) -> object:
    with psycopg.connect(cluster.url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return row[0]


def ended(pid: int) -> bool:
    """Whether a process is gone, or a mere entry that nobody has fetched yet."""
    return not Path(f"/proc/{pid}/cwd").exists()


async def test_a_cluster_lasts_from_one_start_to_the_next(cluster: PrivateCluster) -> None:
    server = await cluster.start()
    with psycopg.connect(cluster.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    await server.stop()
    assert not cluster.is_running()
    server = await cluster.start()
    assert value(cluster, "SELECT count(*) FROM kept") == 1
    await server.stop()


async def test_nobody_else_can_reach_it(cluster: PrivateCluster) -> None:
    server = await cluster.start()
    assert value(cluster, "SHOW listen_addresses") == ""
    assert value(cluster, "SHOW server_encoding") == "UTF8"
    assert {path.stat().st_mode & 0o077 for path in (cluster.data, cluster.sockets, cluster.directory)} == {0}
    await server.stop()


async def test_it_starts_again_after_it_was_killed(cluster: PrivateCluster) -> None:
    server = await cluster.start()
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    server = await cluster.start()
    assert value(cluster, "SELECT 1") == 1
    await server.stop()


async def test_what_a_killed_server_left_behind_is_ended_before_the_next_one_writes(cluster: PrivateCluster) -> None:
    server = await cluster.start()
    with psycopg.connect(cluster.url) as connection:
        left = connection.info.backend_pid
        os.kill(left, signal.SIGSTOP)  # so that it does not notice
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        server = await cluster.start()
        assert ended(left)
    assert value(cluster, "SELECT 1") == 1
    await server.stop()


async def test_a_pid_file_that_names_another_program_is_stale(cluster: PrivateCluster) -> None:
    server = await cluster.start()
    old = (cluster.data / "postmaster.pid").read_text()
    await server.stop()
    (cluster.data / "postmaster.pid").write_text(old.replace(str(server.pid), str(os.getpid()), 1))
    server = await cluster.start()
    assert value(cluster, "SELECT 1") == 1
    await server.stop()


async def test_a_second_server_of_one_directory_is_refused(cluster: PrivateCluster) -> None:
    server = await cluster.start()
    with pytest.raises(StackError, match=rf"Another PostgreSQL server \(process {server.pid}\)"):
        await cluster.start(patience=0)
    assert value(cluster, "SELECT 1") == 1
    await server.stop()


async def test_an_interrupted_making_leaves_no_half_cluster(cluster: PrivateCluster) -> None:
    (cluster.directory / "data.new" / "base").mkdir(parents=True)
    server = await cluster.start()
    assert value(cluster, "SELECT 1") == 1
    await server.stop()


async def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="too long for a Unix socket"):
        await PrivateCluster(tmp_path / ("x" * 100)).start()


def test_it_dies_with_us(tmp_path: Path) -> None:
    """Even when we are killed, which leaves us no time to stop it."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "postgres"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent, psycopg.connect(parent.stdout.readline().strip()) as connection:
        parent.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(20)")


PARENT = """
import asyncio, sys
from pathlib import Path
from vigie.stack.postgres import PrivateCluster

async def main() -> None:
    cluster = PrivateCluster(Path(sys.argv[1]), settings={"fsync": "off"})
    await cluster.start()
    print(cluster.url, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


FULL_AT_ONCE = ("8m", "")

FULL_LATER = (
    "150m",
    """
    await (await cluster.start()).stop()
    with suppress(OSError), (disk / 'filler').open('wb', buffering=0) as filler:
        while filler.write(bytes(65536)):
            pass
""",
)

ON_A_DISK = """
import asyncio, sys
from contextlib import suppress
from pathlib import Path
from vigie.errors import DiskFull
from vigie.stack.postgres import PrivateCluster

async def main(disk: Path) -> None:
    cluster = PrivateCluster(disk / 'postgres')
    {before}
    try:
        await cluster.start()
    except DiskFull as error:
        print(error)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(("size", "before"), [FULL_AT_ONCE, FULL_LATER], ids=["at once", "later"])
def test_a_full_disk_is_told(size: str, before: str, tmp_path: Path) -> None:
    told = run_on_a_disk_of(size, tmp_path, ON_A_DISK.format(before=before.strip())).stdout
    assert f"The disk that holds {tmp_path}/postgres is full" in told
    assert "Free some space there" in told
