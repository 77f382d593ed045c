"""The whole stack on one machine: it comes up, stays up, says what hinders it, and leaves nothing behind."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from db.engine import make_engine
from db.errors import DatabaseError
from lab.waiting import eventually
from lab.world import free_port, processes_of
from vigie.checks import Finding, Verdict, examine
from vigie.errors import AlreadyRunning, PortTaken, StackError
from vigie.settings import Settings, SocketAddress
from vigie.site.check import read_site
from vigie.site.importer import import_site
from vigie.stack.stack import Stack


def settings_of(directory: Path, database_url: str | None = None) -> Settings:
    return Settings(
        state_dir=directory,
        database_url=database_url,
        sip_bind=SocketAddress("127.0.0.1", free_port()),
        ari_port=free_port(),
        agi_port=free_port(),
        workers=1,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A stack that runs, of an installation that is still empty."""
    directory = tmp_path_factory.mktemp("stack")
    async with Stack(settings_of(directory)) as stack:
        yield stack
    assert list(processes_of(directory)) == []


async def test_every_program_runs_under_one_roof(stack: Stack) -> None:
    assert [part.name for part in stack.parts] == ["PostgreSQL", "Asterisk", "worker w1", "scheduler", "fallback"]
    assert all(os.getpgid(part.pid) == part.pid for part in stack.parts)


async def test_asterisk_starts_without_a_complaint(stack: Stack) -> None:
    assert stack.asterisk is not None
    complaints = [line for line in stack.asterisk.log.read_text().splitlines() if "WARNING" in line or "ERROR" in line]
    assert complaints == []


async def test_the_doctor_finds_all_but_the_mail_server_fit_for_service(stack: Stack) -> None:
    findings: dict[str, Finding] = {}

    async def wrong() -> str:
        findings.update({finding.subject: finding for finding in await examine(stack.settings)})
        bad = {subject for subject, finding in findings.items() if finding.verdict is Verdict.BAD}
        return "" if bad == {"mail"} else str(bad)

    await eventually(wrong, within=10, hoped="nothing is wrong but the mail server")
    assert "s old, reaches 8.0 days ahead" in findings["snapshot"].detail
    assert str(stack.settings.agi_port) in findings["fallback"].detail
    assert findings["known numbers"].verdict is Verdict.DOUBTFUL, "there is no line yet"
    assert findings["mail"].remedy
    assert findings["ARI and workers"].detail == "vigie-w1"
    assert findings["trunks"].verdict is Verdict.DOUBTFUL


async def test_a_second_stack_in_the_same_directory_is_refused(stack: Stack) -> None:
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        async with Stack(stack.settings):
            pass


async def test_a_phone_that_the_site_gains_may_register_at_once(stack: Stack) -> None:
    asterisk = stack.asterisk
    assert asterisk is not None
    assert "zoe" not in await asterisk.command("pjsip show endpoints")
    engine = make_engine(stack.database_url)
    try:
        await import_site(engine, read_site("people: {zoe: {name: Zoé, contact_methods: [{sip: zoe}]}}", "FR"))
    finally:
        await engine.dispose()

    async def missing() -> str:
        return "" if "zoe" in await asterisk.command("pjsip show endpoints") else "no zoe"

    await eventually(missing, within=5, hoped="Zoé's phone may register")


async def test_a_worker_that_dies_is_replaced(stack: Stack) -> None:
    worker = stack.workers["w1"]
    before = worker.child.pid
    os.kill(before, signal.SIGKILL)

    async def missing() -> str:
        connected = await stack.asterisk.command("ari show apps") if stack.asterisk else ""
        return "" if worker.child.pid != before and "vigie-w1" in connected else "worker w1"

    await eventually(missing, within=20, hoped="another worker")


async def test_a_stack_that_is_killed_takes_its_programs_along_and_starts_again(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vigie", "up"),
        env={**os.environ, **settings.to_environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    assert killed.stdout is not None
    async with asyncio.timeout(30):
        while b"up after" not in await killed.stdout.readline():
            assert killed.returncode is None
    killed.kill()
    await killed.communicate()

    async with Stack(settings) as stack:  # at once: what was left is on its way out
        assert len(stack.parts) == 5

    async def orphans() -> str:
        return ", ".join(processes_of(tmp_path))

    await eventually(orphans, within=10, hoped="no orphan")


@pytest.mark.parametrize(
    ("kind", "setting"), [(socket.SOCK_DGRAM, "VIGIE_SIP_BIND"), (socket.SOCK_STREAM, "VIGIE_ARI_PORT")]
)
async def test_a_port_that_is_taken_is_named_with_its_setting(
    tmp_path: Path, kind: socket.SocketKind, setting: str
) -> None:
    settings = settings_of(tmp_path)
    sip = (settings.sip_bind.host, settings.sip_bind.port)
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(sip if kind is socket.SOCK_DGRAM else ("127.0.0.1", settings.ari_port))
        if kind is socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(PortTaken, match=setting):
            async with Stack(settings):
                pass
    assert list(processes_of(tmp_path)) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://localhost/vigie", "must be postgresql://"),
        ("postgresql://localhost:1/vigie", "cannot be used"),
        ("not a url", "postgresql://user:password@host"),
    ],
)
async def test_a_wrong_database_url_is_explained(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(DatabaseError, match=said):
        async with Stack(settings_of(tmp_path, database_url=url)):
            pass
    assert list(processes_of(tmp_path)) == []


async def test_a_state_directory_that_is_not_ours_is_explained() -> None:
    with pytest.raises(StackError, match="VIGIE_STATE_DIR"):
        async with Stack(settings_of(Path("/proc/vigie"))):
            pass
