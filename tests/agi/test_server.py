"""The FastAGI server, face to face with what pretends to be Asterisk."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from agi_scripts.channel import Ask, CallerChannel, Rang
from agi_scripts.errors import CallerGone, CommandFailed, LinkLost
from agi_scripts.server import AgiServer
from lab.world import free_port

PASSWORD = "p" * 24
DEAD = "511 Command Not Permitted on a dead channel or intercept routine"
Act = Callable[[CallerChannel], None]


class Server:
    """A server in which each call does ``act``, and what became of it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.act: Act = lambda caller: None
        self.failure: BaseException | None = None
        self.acted = threading.Event()
        self.agi = AgiServer(self.port, PASSWORD, self._serve)

    def _serve(self, caller: CallerChannel) -> None:
        try:
            self.act(caller)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.failure = error
        finally:
            self.acted.set()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with server.agi.serving():
        yield server


async def call(server: Server, *answers: str, password: str = PASSWORD, source: str = "127.0.0.1") -> list[str]:
    """The commands that a call was given, each answered in its turn, until the connection is closed at either end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
    writer.write(f"agi_network: yes\nagi_uniqueid: 1768215600.1\nagi_arg_1: {password}\n\n".encode())
    commands: list[str] = []
    waiting = list(answers)
    async with asyncio.timeout(5):
        with suppress(ConnectionResetError):
            while line := await reader.readline():
                commands.append(line.decode().strip())
                if not waiting:
                    break
                writer.write(f"{waiting.pop(0)}\n".encode())
    writer.close()
    return commands


async def acted(server: Server) -> None:
    await asyncio.to_thread(server.acted.wait, 5)


async def test_a_call_is_commanded_until_it_is_over(server: Server) -> None:
    said: list[str] = []

    def act(caller: CallerChannel) -> None:
        caller.answer()
        said.extend((caller.id, caller.variable("VIGIE_DID")))

    server.act = act
    commands = await call(server, "200 result=0", "200 result=1 (+33123456789)")
    assert commands == ["ANSWER", 'GET FULL VARIABLE "${VIGIE_DID}"']
    assert said == ["1768215600.1", "+33123456789"]
    assert server.failure is None


@pytest.mark.parametrize(
    ("password", "source", "words"),
    [("wrong", "127.0.0.1", "right password"), ("", "127.0.0.1", "right password"), (PASSWORD, "127.0.0.9", "refused")],
)
async def test_only_our_asterisk_is_served(
    server: Server, password: str, source: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert await call(server, password=password, source=source) == []
    assert not server.acted.is_set()
    assert words in caplog.text
    assert PASSWORD not in caplog.text


async def test_who_connects_and_says_nothing_keeps_nobody_waiting(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agi_scripts.server.GREETING_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        assert await call(server) == []
        assert await asyncio.to_thread(silent.recv, 1) == b""
    assert server.failure is None


async def test_too_many_calls_are_left_to_the_dialplan_at_once(server: Server) -> None:
    server.agi._threads = threading.BoundedSemaphore(1)
    held = threading.Event()
    server.act = lambda caller: held.wait(5) and None
    first = asyncio.create_task(call(server))
    while server.agi._threads.acquire(blocking=False):
        server.agi._threads.release()
        await asyncio.sleep(0.01)
    assert await call(server) == []
    held.set()
    await first


@pytest.mark.parametrize(
    ("act", "answers", "error"),
    [
        (lambda caller: caller.answer(), [DEAD], CallerGone),
        (lambda caller: caller.answer(), ["200 result=-1", DEAD], CallerGone),
        (lambda caller: caller.play("hello"), ["200 result=-1 endpos=0", DEAD], CallerGone),
        (lambda caller: caller.play("hello"), ["200 result=-1 endpos=0", "200 result=0"], CommandFailed),
        (lambda caller: caller.answer(), ["510 Invalid or unknown command", "200 result=0"], CommandFailed),
        (lambda caller: caller.answer(), [], LinkLost),
        (lambda caller: caller.answer(), ["something else"], LinkLost),
    ],
    ids=["dead", "hung up", "hung up on a sound", "no such sound", "unknown", "closed", "nonsense"],
)
async def test_what_asterisk_answers_is_understood(
    server: Server, act: Act, answers: list[str], error: type[Exception]
) -> None:
    server.act = act
    await call(server, *answers)
    await acted(server)
    assert type(server.failure) is error


@pytest.mark.parametrize(
    ("variables", "rang"),
    [
        ("|||||17|SIP 486 Busy Here", Rang(q850=17, sip=486)),
        ("|||||19|", Rang(q850=19)),
        ("1768215600||||", Rang(picked_up=None)),
    ],
)
async def test_what_became_of_ringing_somebody_is_in_the_variables(server: Server, variables: str, rang: Rang) -> None:
    found: list[Rang] = []
    server.act = lambda caller: found.append(caller.ring("PJSIP/alice", 20, Ask(("a", "b"), "fr"), "note"))
    ok = "200 result=0"
    commands = await call(server, *[ok] * 7, f"200 result=1 ({variables})", ok)
    await acted(server)
    assert server.failure is None
    assert commands[0] == 'SET VARIABLE "__VIGIE_ASK" "a&b"'
    assert commands[6] == 'EXEC Dial "PJSIP/alice,20,gimU(vigie-confirm)"'
    assert (found[0].q850, found[0].sip, found[0].taken) == (rang.q850, rang.sip, rang.taken)


async def test_nothing_that_is_set_can_be_another_command(server: Server) -> None:
    server.act = lambda caller: caller.set("CALLERID(name)", 'Support" \\ \n EXEC Dial "PJSIP/x')
    assert await call(server, "200 result=1") == ['SET VARIABLE "CALLERID(name)" "Support EXEC Dial PJSIP/x"']
