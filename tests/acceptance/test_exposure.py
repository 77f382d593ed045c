"""What can be reached of Vigie, from where and with what: from outside SIP and sound, and nothing by default."""

import asyncio
import os
import signal
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import httpx

from lab.sockets import Open, listening
from lab.waiting import GRAIN, eventually
from lab.world import World, processes_of
from vigie.secrets import load_secrets

WELL_KNOWN = ("asterisk:asterisk", "admin:admin", "admin:", "vigie:vigie", "vigie:", "lab:", ":")
IDLE = 200
"""Twice as many connections as Asterisk takes unless told otherwise."""
ANSWER = b"\0\1\x81\x80\0\1\xff\xff\0\0\0\0"
"""The beginning of a DNS answer with 65,535 records."""
EVIL = "http://evil.example"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Origin": EVIL,
}


def pids(world: World) -> set[int]:
    """Every process of the stack, whichever it is."""
    found = {int(process.split()[0]) for process in processes_of(world.settings.state_dir)}
    assert found >= {part.pid for part in world.stack.parts}
    return found


async def test_only_sip_and_sound_are_open_to_other_machines(world: World) -> None:
    settings, asterisk = world.settings, world.pbx.child.pid
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await alice.answers()
    opened = listening(pids(world))

    def is_meant(each: Open) -> bool:
        if each.protocol == "tcp":
            return each.host == "127.0.0.1"
        sound = settings.rtp_ports.first <= each.port <= settings.rtp_ports.last
        return each.host == settings.sip_bind.host and (sound or each.port == settings.sip_bind.port)

    unmeant = [each for each in opened if not is_meant(each)]
    # PJSIP's own DNS client: Asterisk opens it, never uses it and cannot be told to close it. It ignores what comes.
    resolver = [("udp", host, asterisk) for host in ("0.0.0.0", "::")]
    assert [(each.protocol, each.host, each.pid) for each in unmeant] == resolver
    assert len(opened) >= len(resolver) + 6  # ARI, SIP, and the sound of two legs

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((world.outsider.host, 0))
        for datagram in (b"", b"\0" * 12, b"\xff" * 512, ANSWER + b"\xc0\x0c" * 250):
            stranger.sendto(datagram, (settings.sip_bind.host, unmeant[0].port))
    await alice.hears_something()
    await caller.hangs_up()
    await alice.is_hung_up()
    assert world.pbx.child.pid == asterisk


async def test_ari_lets_nobody_in_without_this_installations_password(world: World) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{world.settings.ari_port}") as client:
        for path in ("channels", "asterisk/info", "api-docs/resources.json", "events?app=vigie-w1"):
            assert (await client.get(f"/ari/{path}")).status_code == 401, path
        for login in WELL_KNOWN:
            name, _, password = login.partition(":")
            assert (await client.get("/ari/channels", auth=(name, password))).status_code == 401, login
            assert (await client.get("/ari/channels", params={"api_key": login})).status_code == 401, login
        for path in ("", "static/", "httpstatus", "manager", "rawman", "amanager", "mxml", "phoneprov/", "metrics"):
            assert (await client.get(f"/{path}")).status_code == 404, path


async def test_a_web_page_in_a_browser_on_this_machine_cannot_reach_ari(world: World) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{world.settings.ari_port}") as client:
        asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        for answer in (
            await client.options("/ari/channels", headers=asked),
            await client.get("/ari/channels", headers={"Origin": EVIL}),
            await client.get("/ari/events?app=vigie-w1", headers=UPGRADE),
        ):
            assert answer.status_code == 401
            assert not [name for name in answer.headers if name.startswith("access-control-allow")]
        for path in ("/ws", "/ws/", "/WS"):  # Asterisk's echo service would take up a session for each page
            answer = await client.get(path, headers=UPGRADE | {"Sec-WebSocket-Protocol": "echo"})
            assert answer.status_code in (302, 404), path


async def test_workers_find_their_way_back_through_idle_connections(world: World) -> None:
    worker = world.stack.workers["w1"]
    before, connections = worker.child.pid, worker.child.log.read_text().count("connected to")
    with ExitStack() as idle:

        def connect() -> None:
            idle.enter_context(socket.create_connection(("127.0.0.1", world.settings.ari_port)))

        for _ in range(IDLE):
            connect()
        os.kill(before, signal.SIGKILL)
        while worker.child.pid == before:
            connect()  # in the place that the worker has left
            await asyncio.sleep(GRAIN)

        async def missing() -> str:
            return "" if worker.child.log.read_text().count("connected to") > connections else "w1 is not"

        await eventually(missing, within=10, hoped="another worker is connected")
    await world.workers_connected()
    caller = await world.call("support")
    await world.phone("alice").rings()
    await caller.hangs_up()


async def test_no_secret_is_told_to_anybody(world: World, tmp_path: Path) -> None:
    ours = load_secrets(world.settings)
    phones = {world.password(user) for user in (*world.handsets, "eve", "mallory")}
    secrets = {ours.key, ours.ari_password, ours.agi_password, ours.snapshot_key} | phones
    another = load_secrets(world.settings.model_copy(update={"state_dir": tmp_path}))
    assert not secrets & {another.key, another.ari_password, another.agi_password, another.sip_password("alice")}

    said = {str(path): path.read_text(errors="replace") for path in world.settings.state_dir.glob("**/log/*")}
    assert len(said) > 3
    said |= {process: process for process in processes_of(world.settings.state_dir)}
    assert not [where for where, text in said.items() for secret in secrets if secret in text]
    for path in world.settings.state_dir.glob("asterisk/etc/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(world.settings.state_dir.stat().st_mode) == 0o700
