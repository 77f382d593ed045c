"""Whatever ends or hangs is started again: soon, or ever more patiently when it does not stay up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from lab.waiting import until
from vigie.errors import PortTaken, ProgramFailed, StackError
from vigie.settings import Settings
from vigie.stack.command import Command
from vigie.stack.keeper import Keeper
from vigie.stack.process import Child, family

STAYS = "sleep 1000 & wait"


class Shell:
    """A shell script as a program to keep, which leaves the first few questions unanswered."""

    name = "the shell"

    def __init__(self, directory: Path, script: str = STAYS, *, silences: int = 0) -> None:
        self.log = directory / "log"
        self.script = script
        self.silences = silences
        self.questions = 0
        self.hindrance: Exception | None = None
        self.starts: list[float] = []
        self.groups: list[int] = []

    async def start(self) -> Child:
        self.starts.append(asyncio.get_running_loop().time())
        if self.hindrance:
            raise self.hindrance
        child = await Child.start(self.name, ["sh", "-c", self.script], log=self.log)
        self.groups.append(child.pid)
        return child

    def leaves_nothing(self) -> None:
        """Ends what shells that were killed have left running."""
        for group in self.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    async def answers(self) -> bool:
        self.questions += 1
        return self.questions > self.silences


@asynccontextmanager
async def kept(program: Shell | Command, question_seconds: float = 5) -> AsyncIterator[Keeper]:
    keeper = Keeper(program, question_seconds)
    try:
        await keeper.start()
        yield keeper
    finally:
        await keeper.stop(1)
        if isinstance(program, Shell):
            program.leaves_nothing()


async def soon(condition: Callable[[], bool], hoped: str, within: float = 5) -> None:
    await until(condition, within=within, hoped=hoped, instead=lambda: "not so")


async def started_again(keeper: Keeper, *, than: Child) -> Child:
    await soon(lambda: keeper.child is not than and keeper.ready.is_set(), "it is back", within=30)
    return keeper.child


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids)


async def test_what_is_killed_is_back_at_once(tmp_path: Path) -> None:
    async with kept(Shell(tmp_path)) as keeper:
        first = keeper.child
        os.kill(first.pid, signal.SIGKILL)
        began = asyncio.get_running_loop().time()
        await started_again(keeper, than=first)
        assert asyncio.get_running_loop().time() - began < 1


async def test_what_does_not_stay_up_is_tried_ever_more_patiently(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "exit 3")
    async with kept(shell):
        await soon(lambda: len(shell.starts) == 5, "five starts")
    pauses = [later - earlier for earlier, later in zip(shell.starts, shell.starts[1:], strict=False)]
    assert pauses == sorted(pauses)
    assert pauses[3] > 0.7


async def test_what_is_hindered_is_tried_until_it_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shell = Shell(tmp_path)
    async with kept(shell) as keeper:
        first = keeper.child
        shell.hindrance = PortTaken("Somebody else listens on UDP 127.0.0.1:5060.", "Stop it.")
        os.kill(first.pid, signal.SIGKILL)
        await soon(lambda: "Somebody else listens on UDP 127.0.0.1:5060." in caplog.text, "the hindrance in the log")
        shell.hindrance = OSError(28, "No space left on device")
        await soon(lambda: "No space left on device" in caplog.text, "the other one")
        shell.hindrance = ZeroDivisionError()
        await soon(lambda: "ZeroDivisionError" in caplog.text, "even a mistake of ours")
        assert not keeper.ready.is_set()
        shell.hindrance = None
        await started_again(keeper, than=first)


async def test_a_first_start_that_fails_says_so_and_is_tried_again(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.hindrance = StackError("There is no room.")
    keeper = Keeper(shell)
    with pytest.raises(StackError, match="no room"):
        await keeper.start()
    shell.hindrance = None
    await soon(keeper.ready.is_set, "it is ready")
    await keeper.stop(1)
    shell.leaves_nothing()


async def test_what_hangs_is_ended_with_all_that_it_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with kept(Shell(tmp_path, silences=4), question_seconds=0.2) as keeper:
        first = keeper.child
        await soon(lambda: len(family(first.pid)) == 2, "its child")
        members = family(first.pid)
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        await started_again(keeper, than=first)
        await soon(lambda: gone(members), "the family gone")
    assert "did not answer any more" in caplog.text


async def test_a_moment_of_silence_is_no_death(tmp_path: Path) -> None:
    shell = Shell(tmp_path, silences=3)
    async with kept(shell, question_seconds=0.01) as keeper:
        first = keeper.child
        await soon(lambda: shell.questions > 8, "asked on")
        assert keeper.child is first


async def test_stopping_ends_the_trying(tmp_path: Path) -> None:
    async with kept(Shell(tmp_path, "exit 3")):
        pass
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "keep the shell"]


async def test_what_takes_its_time_to_stop_can_be_hurried(tmp_path: Path) -> None:
    async with kept(Shell(tmp_path, f"trap '' TERM; touch {tmp_path}/trapped; {STAYS}")) as keeper:
        await soon((tmp_path / "trapped").exists, "the trap is set")
        stopping = asyncio.create_task(keeper.stop(patience=60))
        await soon(lambda: not keeper.ready.is_set(), "it is being stopped")
        keeper.kill()
        await asyncio.wait_for(stopping, 5)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation whose database is away: the scheduler waits for it."""
    return Settings(state_dir=tmp_path, database_url="postgresql://localhost:1/vigie", ari_urls=("http://a:b@c/ari",))


async def test_a_program_of_ours_that_freezes_is_ended_and_started_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signs of life are for its keeper, whatever systemd told `vigie up` about its own."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    scheduler = Command("scheduler", settings, "scheduler", beat_seconds=0.2)
    async with kept(scheduler, question_seconds=0.4) as keeper:
        first = keeper.child
        for _ in range(3):
            while not await scheduler.answers():
                await asyncio.sleep(0.01)
        assert keeper.child is first
        os.kill(first.pid, signal.SIGSTOP)
        await started_again(keeper, than=first)
        assert gone([first.pid])


async def test_a_program_of_ours_that_ends_before_it_is_ready_says_why(settings: Settings) -> None:
    with pytest.raises(ProgramFailed, match="no name for a worker"):
        await Command("worker", settings, "ari", "--name", "../w1").start()


async def test_a_strange_program_is_not_told_of_our_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    child = await Child.start("env", ["env"], log=tmp_path / "env")
    await child.wait()
    assert "PATH" in (tmp_path / "env").read_text()
    assert "NOTIFY_SOCKET" not in (tmp_path / "env").read_text()
