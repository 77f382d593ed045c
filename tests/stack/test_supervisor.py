"""What our programs tell whoever keeps them running, heard on real sockets."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vigie.supervisor import Supervisor, supervised


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The supervisor's end, on a socket of either kind that systemd uses."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(name.replace("@", "\0"))
        line.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield line


def words(line: socket.socket) -> list[str]:
    return line.recv(4096).decode().splitlines()


async def test_a_life_as_the_supervisor_hears_it(heard: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def next_words() -> list[str]:
        return await loop.run_in_executor(None, words, heard)

    async with supervised(stopping) as supervisor:
        assert await next_words() == ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=100000"]
        supervisor.ready("serves")
        assert await next_words() == ["READY=1", "STATUS=serves"]
        before = loop.time()
        assert [await next_words() for _ in range(3)] == 3 * [["WATCHDOG=1", "READY=1"]]
        assert loop.time() - before > 0.09
        stopping.set()
        while (last := await next_words())[0] == "WATCHDOG=1":
            pass
        assert last[0] == "STOPPING=1"


@pytest.mark.parametrize("silence", [{}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}], ids=["no", "another's"])
async def test_where_no_beats_are_wanted_there_are_none(
    silence: dict[str, str], heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in silence.items():
        monkeypatch.setenv(name, value)
    stopping = asyncio.Event()
    async with supervised(stopping):
        await asyncio.sleep(0)  # a beat would be given now
        stopping.set()
        said = await asyncio.get_running_loop().run_in_executor(None, words, heard)
    assert said[0] == "STOPPING=1", "the first that is heard"


@pytest.mark.parametrize("address", ["", "/nowhere", "@vigie-nobody"])
def test_nobody_listening_is_no_reason_to_stop(address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.ready("serves")
    supervisor.stopping()
