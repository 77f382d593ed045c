"""Strangers, neither the trunk nor one of our phones: they get nothing, and keep nobody from getting through."""

import asyncio
import random
from collections.abc import Iterator

from lab.phones import ringing
from lab.rtp import Rtp
from lab.sipp import sipp
from lab.sockets import listening
from lab.wire import Message, Wire
from lab.wired import picked_up
from lab.world import World
from vigie.settings import SocketAddress

METHODS = (
    *("INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE", "MESSAGE", "NOTIFY", "PUBLISH", "REFER", "UPDATE", "INFO", "PRACK"),
    "EXTERMINATE",
)
FLOOD, FLOOD_RATE = 3000, 1000
GUESSES = ("", "1234", "alice", "password", "vigie", "secret")


async def test_a_stranger_is_asked_who_he_is_whatever_he_wants(world: World) -> None:
    number = world.site.lines["support"].numbers[0]
    async with world.somebody(world.outsider.host) as wire:
        for method in METHODS:
            assert (await wire.ask(wire.request(method, wire.uri(number)))).status == 401, method
        for method in ("BYE", "CANCEL"):
            assert (await wire.ask(wire.request(method, wire.uri(number)))).status == 481, method
    assert f"failed for '{world.outsider.host}:" in world.pbx.log.read_text(errors="replace")  # what fail2ban reads


async def test_garbage_from_a_stranger_or_from_the_trunk_is_dropped(world: World) -> None:
    asterisk = world.pbx.child.pid
    world.phone("alice").does_by_itself(ringing)  # some of it is SIP enough to be a call from the trunk
    for host in (world.outsider.host, world.carrier.host):
        async with world.somebody(host) as wire:
            for datagram in garbage(wire, world.site.lines["support"].numbers[0]):
                wire.send(datagram)
                await asyncio.sleep(0.001)
            await wire.ask(wire.request("OPTIONS", wire.uri()))  # all that came before has been read
            await wire.leave()
    await world.answers()
    assert world.pbx.child.pid == asterisk


async def test_callers_get_through_a_flood_of_strangers(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    flood = asyncio.create_task(
        sipp(
            "refused",
            world.site.lines["support"].numbers[0],
            source=world.outsider,
            to=world.settings.sip_bind,
            calls=FLOOD,
            rate=FLOOD_RATE,
        )
    )
    served = 0
    while not flood.done():
        await world.answers()
        served += 1
    assert served > 3
    assert (await flood).successful > FLOOD / 2


async def test_guessing_a_password_leads_nowhere(world: World) -> None:
    async with world.somebody(world.outsider.host) as wire:
        guesses = [wire.register("alice", guess) for guess in GUESSES]
        guesses += [wire.log_in("INVITE", wire.uri("bob"), "alice", guess, body=wire.session()) for guess in GUESSES]
        assert {(await guess).status for guess in guesses} == {401}
    log = world.pbx.log.read_text(errors="replace")
    assert f"failed for '{wire.address}' (callid:" in log
    assert "Failed to authenticate" in log

    caller = await world.call("support")  # nobody is locked out by another's guesses
    await world.phone("alice").rings()
    await caller.hangs_up()


async def test_a_name_that_no_phone_has_is_refused_like_a_wrong_password(world: World) -> None:
    async with world.somebody(world.outsider.host) as wire:
        known, unknown = await wire.register("alice", "wrong"), await wire.register("zorro", "wrong")
    assert _shape(known) == _shape(unknown)


async def test_a_stranger_is_neither_heard_in_a_conversation_nor_can_he_take_it(world: World) -> None:
    async with Rtp(world.outsider.host) as intruder, picked_up(world, "eve", "eve") as (caller, eve):
        for port in sound_ports(world):
            intruder.presses("1111", port)
        await disturb(world, intruder)
        assert not (await world.pbx.command("bridge show all")).splitlines()[1:], "the stranger has taken the call"

        eve.presses("1")
        await eve.is_connected_to(caller)
        await disturb(world, intruder)
        assert not eve.sound.noises
        assert not caller.sound.noises
        assert not intruder.sources, "the stranger is sent what is said"
        await caller.hangs_up()


async def disturb(world: World, intruder: Rtp) -> None:
    """Makes noise for half a second wherever Vigie listens for sound."""
    for _ in range(25):
        for port in sound_ports(world):
            intruder.makes_noise(port)
        await asyncio.sleep(0.02)


def sound_ports(world: World) -> list[SocketAddress]:
    """Where Vigie's Asterisk listens for sound just now."""
    ports = world.settings.rtp_ports
    opened = listening([world.pbx.child.pid])
    return [SocketAddress(each.host, each.port) for each in opened if ports.first <= each.port <= ports.last]


def garbage(wire: Wire, number: str) -> Iterator[bytes]:
    """Datagrams that are no SIP, nearly SIP, or more SIP than anybody can bear."""
    chance = random.Random(3261)
    yield from (b"", b"\r\n\r\n", b"\0", b"\0" * 2000, b"GET / HTTP/1.1\r\n\r\n", b"INVITE", b"SIP/2.0", b"\xff" * 1400)
    yield from (chance.randbytes(chance.randrange(1, 1500)) for _ in range(100))
    yield from (wire.invite(number).encode()[:end] for end in range(0, 800, 25))
    for _ in range(100):
        broken = bytearray(wire.invite(number).encode())
        for _ in range(8):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield bytes(broken)
    for find, put in (
        (b"Content-Length: ", b"Content-Length: -"),
        (b"Content-Length: ", b"Content-Length: 99999999999"),
        (b"CSeq: 1", b"CSeq: 99999999999999999999"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS"),
        (b"Max-Forwards: 70", b"Max-Forwards: -1"),
        (b"Max-Forwards: 70", b"Max-Forwards: 0"),
        (b"SIP/2.0/UDP", b"SIP/2.0/TLS"),
        (b"SIP/2.0\r", b"SIP/9.9\r"),
        (b"From: ", b"From: " + b"<" * 500),
        (b"Max-Forwards", b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n" * 300 + b"Max-Forwards"),
        (b"Max-Forwards", b"X: " + b"x" * 30_000 + b"\r\nMax-Forwards"),
        (b"Call-ID: ", b"Call-ID: " + b"y" * 5000),
        (b"Contact", b"Contact: *\r\nContact"),
        (b"From", b"From: <sip:other@x>;tag=2\r\nFrom"),
    ):
        yield wire.invite(number).encode().replace(find, put)
    for start in (b"SIP/2.0 200 OK", b"SIP/2.0 9999999999 OK", b"SIP/2.0"):
        yield start + wire.invite(number).encode().partition(b"SIP/2.0")[2]


def _shape(response: Message) -> list[str]:
    """What a response says, but for what is different each time."""
    lines = response.text.replace("zorro", "alice").split("\r\n")
    return [line.split("nonce=")[0] for line in lines if not line.startswith(("Via:", "Call-ID:", "To:"))]
