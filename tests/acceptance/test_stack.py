"""The whole stack on one machine: it comes up, stays up, says what hinders it, and leaves nothing behind."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from db.engine import check_database, make_engine
from db.errors import DatabaseError
from lab.waiting import eventually, until
from lab.wire import Wire
from lab.world import free_port, processes_of
from tests.support.programs import Vigie, frozen, heard_by_systemd
from vigie.addresses import ari_urls
from vigie.checks import Finding, Verdict, examine
from vigie.commands.up import show
from vigie.errors import AlreadyRunning, PortTaken, ProgramFailed, StackError
from vigie.secrets import load_secrets
from vigie.settings import Settings, SocketAddress
from vigie.site.check import read_site
from vigie.site.importer import import_site
from vigie.stack.asterisk import AsteriskServer
from vigie.stack.control import listening, restart
from vigie.stack.postgres import PrivateCluster
from vigie.stack.resolve import Unresolved
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


@pytest.fixture
def vigie(stack: Stack) -> Vigie:
    return Vigie(stack.settings)


def environment_for_another_machine(stack: Stack) -> dict[str, str]:
    """How another machine's worker reaches this stack's database and Asterisk."""
    return {
        "VIGIE_DATABASE_URL": stack.database_url,
        "VIGIE_ARI_URLS": ari_urls(stack.settings, load_secrets(stack.settings))[0],
    }


async def serves(stack: Stack, *, knows_tables: bool = True) -> None:
    """Waits until calls are served, by a worker that knows who is on call."""
    if knows_tables:
        engine = make_engine(stack.database_url)
        try:
            await check_database(engine)
        finally:
            await engine.dispose()

    async def missing() -> str:
        connected = await stack.asterisk.command("ari show apps") if stack.asterisk else ""
        return "" if stack.workers["w1"].ready.is_set() and "vigie-w1" in connected else "worker w1"

    await eventually(missing, within=20, hoped="a worker")


async def has_site(stack: Stack, text: str) -> None:
    """The database holds what this site file says, and nothing else."""
    engine = make_engine(stack.database_url)
    try:
        await import_site(engine, read_site(text, "FR"), prune=True)
    finally:
        await engine.dispose()


async def asterisk_says(stack: Stack, command: str, *wanted: str, without: str = "") -> None:
    """Waits until Asterisk's answer to a console command has all that is wanted."""
    asterisk = stack.asterisk
    assert asterisk is not None

    async def otherwise() -> str:
        said = await asterisk.command(command)
        return said if any(word not in said for word in wanted) or (without and without in said) else ""

    await eventually(otherwise, within=10, hoped=" and ".join(wanted))


async def test_every_program_runs_under_one_roof(stack: Stack) -> None:
    assert [part.name for part in stack.parts] == ["PostgreSQL", "Asterisk", "worker w1", "scheduler", "agi"]
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
    await has_site(stack, "people: {zoe: {name: Zoé, contact_methods: [{sip: zoe}]}}")
    await asterisk_says(stack, "pjsip show endpoints", "zoe")


TRUNKS = """
people: {{zoe: {{name: Zoé, contact_methods: [{{sip: {phone}}}]}}}}
trunks:
  plain: {{host: 127.0.0.2}}
  registered: {{host: 127.0.0.3, username: vigie, password_file: {password}}}
"""


async def test_a_password_file_that_is_missing_concerns_its_trunk_alone_and_is_noticed_when_it_is_put_there(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vigie.stack.telephony.LOOK_SECONDS", 0.2)
    password = tmp_path / "password"
    await has_site(stack, TRUNKS.format(phone="zoe", password=password))
    await asterisk_says(stack, "pjsip show endpoints", "trunk-plain", "trunk-registered", "zoe")
    await asterisk_says(stack, "pjsip show registrations", "No objects found")
    (finding,) = (finding for finding in await examine(stack.settings) if finding.subject == "trunks")
    assert finding.verdict is Verdict.BAD
    assert f"The password file of trunk registered, {password}, cannot be used" in finding.detail
    assert caplog.text.count("The password file of trunk registered") == 1

    password.write_text("sesame")
    await asterisk_says(stack, "pjsip show registrations", "trunk-registered/sip:127.0.0.3")
    password.chmod(0)
    await has_site(stack, TRUNKS.format(phone="zoe2", password=password))
    await asterisk_says(stack, "pjsip show endpoints", "trunk-registered", "zoe2")
    await asterisk_says(stack, "pjsip show registrations", "trunk-registered/sip:127.0.0.3")
    assert "The password of before is kept." in caplog.text


async def test_a_reload_that_fails_is_tried_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when Asterisk is in the midst of another one."""
    command = AsteriskServer.command
    refusals = [ZeroDivisionError("a mistake of ours"), ProgramFailed("Asterisk is busy."), TimeoutError()]

    async def refused(asterisk: AsteriskServer, text: str) -> str:
        if text.startswith("module reload") and refusals:
            raise refusals.pop()
        if text.startswith("module reload") and "already in progress" not in caplog.text:
            return "A module reload request is already in progress; please be patient\n"
        return await command(asterisk, text)

    monkeypatch.setattr(AsteriskServer, "command", refused)
    monkeypatch.setattr("vigie.stack.telephony.FIRST_RETRY_SECONDS", 0.1)
    await has_site(stack, "people: {zoe: {name: Zoé, contact_methods: [{sip: zoe}]}}")
    await asterisk_says(stack, "pjsip show endpoints", "zoe", without="zoe2")
    assert "following trunks and phones has failed and is begun again" in caplog.text
    for reason in (
        "a mistake of ours",
        "Asterisk is busy.",
        "does not say whether it has reloaded",
        "already in progress",
    ):
        assert reason in caplog.text


NAMED = "trunks: {named: {host: sip.carrier.test, addresses: [127.65.0.0/24]}}"


async def test_a_carriers_name_is_looked_up_again_and_again_and_its_addresses_are_kept(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[SocketAddress] = []

    async def looked_up(host: str, port: int | None) -> tuple[SocketAddress, ...]:
        if not where:
            raise Unresolved(f"{host}: no such name")
        return tuple(where)

    monkeypatch.setattr("vigie.stack.telephony.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("vigie.stack.accounts.addresses_of", looked_up)
    await has_site(stack, NAMED)
    await asterisk_says(stack, "pjsip show identifies", "127.65.0.0/24")
    (finding,) = (finding for finding in await examine(stack.settings) if finding.subject == "trunks")
    assert "The host of trunk named has no address for now (sip.carrier.test: no such name)" in finding.detail

    async with Wire(SocketAddress("127.64.0.1", 5060), stack.settings.sip_bind) as carrier:
        where.append(carrier.address)
        await asterisk_says(stack, "pjsip show identifies", "127.64.0.1", "127.65.0.0/24")
        options = await carrier.is_asked("OPTIONS", within=15)  # Asterisk itself knows no such name
        assert options.first_line == "OPTIONS sip:sip.carrier.test SIP/2.0"
        assert not options.header("Route")
        assert (await carrier.ask(carrier.request("OPTIONS", carrier.uri("anybody")))).status == 200
    where.clear()
    await has_site(stack, f"{NAMED}\npeople: {{zoe: {{name: Zoé, contact_methods: [{{sip: zoe3}}]}}}}")
    await asterisk_says(stack, "pjsip show endpoints", "zoe3")
    await asterisk_says(stack, "pjsip show identifies", "127.64.0.1")
    where.append(SocketAddress("127.64.0.2", 5060))
    await asterisk_says(stack, "pjsip show identifies", "127.64.0.2", without="127.64.0.1")


@pytest.mark.parametrize("name", ["PostgreSQL", "Asterisk", "worker w1", "scheduler", "agi"])
async def test_whatever_is_killed_is_back_by_itself(stack: Stack, name: str) -> None:
    keeper = stack.keepers[name]
    before = keeper.child
    os.kill(before.pid, signal.SIGKILL)
    await until(
        lambda: keeper.child is not before and keeper.ready.is_set(),
        within=20,
        hoped=f"another {name}",
        instead=lambda: "there is none",
    )
    await serves(stack)


async def test_a_frozen_database_and_a_frozen_asterisk_give_no_sign_of_life(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their keepers, who ask for one, end what gives none."""
    for module in ("asterisk", "postgres"):
        monkeypatch.setattr(f"vigie.stack.{module}.ANSWER_SECONDS", 1.5)
    assert stack.asterisk is not None
    cluster = PrivateCluster(stack.settings.state_dir / "postgres")
    for name, server in {"Asterisk": stack.asterisk, "PostgreSQL": cluster}.items():
        assert await server.answers()
        with frozen(stack.keepers[name].child.pid):
            assert not await server.answers()
    await serves(stack)


async def test_the_workers_are_restarted_one_after_the_other(stack: Stack, vigie: Vigie) -> None:
    before = stack.workers["w1"].child.pid
    async with listening(stack):
        said = await vigie("restart")
        with pytest.raises(StackError, match=r"There is no worker w7.\nThe workers are w1."):
            await anext(restart(stack.settings, ["w7"]))
    now = stack.workers["w1"].child.pid
    assert said.splitlines() == ["worker w1 finishes its calls", f"worker w1 serves again (process {now})"]
    assert now != before
    await serves(stack)


async def test_where_no_stack_runs_nothing_is_restarted(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"No stack runs in .*\n.*vigie up.*systemctl restart"):
        await anext(restart(settings_of(tmp_path), []))


async def test_asterisk_starts_again_while_the_database_is_away(stack: Stack) -> None:
    assert stack.asterisk is not None
    known = await stack.asterisk.command("pjsip show endpoints")
    assert "zoe" in known
    database, asterisk = stack.keepers["PostgreSQL"], stack.keepers["Asterisk"]
    await database.stop()
    try:
        await asterisk.restart()
        assert "zoe" in await stack.asterisk.command("pjsip show endpoints")
    finally:
        await database.start()
    await serves(stack)


async def test_a_worker_whose_name_is_taken_refuses_to_start(stack: Stack, vigie: Vigie, tmp_path: Path) -> None:
    """In the same state directory and in another one, as on another machine; the one that serves goes on."""
    before = stack.workers["w1"].child.pid
    elsewhere = {"VIGIE_STATE_DIR": str(tmp_path)} | environment_for_another_machine(stack)
    here, there = await asyncio.gather(
        vigie("ari", "--name", "w1", status=1), vigie("ari", "--name", "w1", status=1, **elsewhere)
    )
    assert "A worker w1 already runs in" in here
    assert "there is a worker of this name already" in there
    assert stack.workers["w1"].child.pid == before
    assert stack.workers["w1"].child.running


async def test_a_wrong_ari_password_is_told(stack: Stack, vigie: Vigie) -> None:
    url = {"VIGIE_ARI_URLS": f"http://vigie:wrong@127.0.0.1:{stack.settings.ari_port}/ari"}
    said = await vigie("ari", "--name", "w9", status=1, **environment_for_another_machine(stack) | url)
    assert "refuses user 'vigie' or its password" in said
    assert "VIGIE_ARI_URLS must have a user and password" in said
    assert "wrong" not in said


@pytest.mark.parametrize("command", [["ari", "--name", "w2"], ["scheduler"]], ids=" ".join)
async def test_a_program_tells_systemd_when_it_serves_lives_and_stops(
    stack: Stack, command: list[str], tmp_path: Path
) -> None:
    environment = os.environ | stack.settings.to_environment()
    async with heard_by_systemd(tmp_path, command, environment) as (words, program):
        await words("READY=1")
        await words("WATCHDOG=1")
        program.terminate()
        await words("STOPPING=1")
        assert await program.wait() == 0


async def test_a_stack_that_is_killed_takes_its_programs_along_and_starts_again(tmp_path: Path) -> None:
    """At once, while what was left is on its way out; told to stop, it leaves nothing behind."""
    environment = os.environ | settings_of(tmp_path).to_environment()
    async with heard_by_systemd(tmp_path, ["up"], environment) as (words, killed):
        await words("EXTEND_TIMEOUT_USEC=")
        await words("READY=1")
        killed.kill()
        await killed.wait()
    async with heard_by_systemd(tmp_path, ["up"], environment) as (words, stopped):
        await words("READY=1")
        stopped.terminate()
        await words("STOPPING=1")
        assert await stopped.wait() == 0

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


async def test_a_database_that_is_away_at_the_very_first_start_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be used"):
        async with Stack(settings_of(tmp_path, database_url="postgresql://localhost:1/vigie")):
            pass
    assert list(processes_of(tmp_path)) == []


async def test_faults_beside_telephony_do_not_take_the_number_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once: mistakes in the mail settings, a stranger on the port of the fallback, a database that does not let
    us in. Each is told, and those outside our settings may be mended while calls are served."""
    async with Stack(settings := settings_of(tmp_path)) as stack:
        snapshot = settings.state_dir / "routing" / "snapshot"
        await until(snapshot.exists, within=20, hoped="a snapshot", instead=lambda: "none")
        url = stack.database_url.replace("/vigie?", "/other?")
    faulty = settings.model_copy(
        update={"smtp_url": "smpt://localhost", "mail_from": "Vigie <vigie", "database_url": url, "workers": 2}
    )
    cluster = PrivateCluster(tmp_path / "postgres")
    database = await cluster.start()
    try:
        with socket.create_server(("127.0.0.1", settings.agi_port)) as stranger:
            async with Stack(faulty) as stack:
                await serves(stack, knows_tables=False)
                assert all(keeper.ready.is_set() for keeper in stack.workers.values())
                show(stack, 1)
                told = capsys.readouterr().out
                assert 'database "other" does not exist' in told
                assert "VIGIE_SMTP_URL must begin with smtp://" in told
                assert f"Somebody else listens on TCP 127.0.0.1:{settings.agi_port}" in told
                assert {*stack.hindrances} == {"database", "scheduler", "agi"}
                findings = {finding.subject: finding for finding in await examine(faulty)}
                assert "VIGIE_SMTP_URL" in findings["mail"].detail
                stranger.close()
                await until(
                    lambda: "agi" not in stack.hindrances,
                    within=30,
                    hoped="the fallback",
                    instead=lambda: str(stack.hindrances),
                )
                with psycopg.connect(cluster.url, autocommit=True) as owner:
                    owner.execute("CREATE DATABASE other")
                await until(
                    lambda: {*stack.hindrances} == {"scheduler"},
                    within=30,
                    hoped="the database",
                    instead=lambda: str(stack.hindrances),
                )
    finally:
        await database.stop()
    assert list(processes_of(tmp_path)) == []


async def test_a_state_directory_that_is_not_ours_is_explained() -> None:
    with pytest.raises(StackError, match="VIGIE_STATE_DIR"):
        async with Stack(settings_of(Path("/proc/vigie"))):
            pass
