"""What carriers and gateways offer beside plain sound, at the beginning of a call and in its midst: the call has sound,
or what cannot be had is refused in so many words. Never is a call answered that stays silent."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio

from lab.carrier import SECURE
from lab.phones import ringing
from lab.rtp import Rtp
from lab.wire import Dialog, Message, Wire
from lab.world import World

SOUND = """\
m=audio {sound} RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
"""
SOUND_TOO = SOUND.replace("{sound}", "{other}")
PCMU = SOUND.replace("AVP 8", "AVP 0").replace("8 PCMA", "0 PCMU")
FAX = "m=image {other} udptl t38\na=T38FaxVersion:0\na=T38MaxBitRate:14400\n"
VIDEO = "m=video {other} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk\n"
SECRET = SOUND.replace("AVP", "SAVP") + KEY
ICE = "a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\na=candidate:1 1 UDP 2130706431 {host} {sound} typ host\n"
WEBRTC = "m=audio {sound} UDP/TLS/RTP/SAVPF 8\na=fingerprint:sha-256 AA:BB\na=setup:actpass\na=rtcp-mux\n"

PLAIN = "audio RTP/AVP"
TAKEN = {
    # an offer, and what becomes of its media in the answer
    "sound": (SOUND, [PLAIN]),
    "T.38 behind sound": (SOUND + FAX, [PLAIN, "no image"]),
    "T.38 before sound": (FAX + SOUND, ["no image", PLAIN]),
    "SRTP alone": (SECRET, ["audio RTP/SAVP encrypted"]),
    "SRTP before RTP": (SECRET + SOUND_TOO, ["audio RTP/SAVP encrypted", "no audio"]),
    "SRTP behind RTP": (SOUND + SECRET.replace("{sound}", "{other}"), [PLAIN, "no audio"]),
    "SRTP if you like": (SOUND + KEY, ["audio RTP/AVP encrypted"]),
    "video": (VIDEO + SOUND, ["no video", PLAIN]),
    "sound twice": (SOUND + SOUND_TOO, [PLAIN, "no audio"]),
    "text": (SOUND + "m=text {other} RTP/AVP 98\na=rtpmap:98 t140/1000\n", [PLAIN, "no text"]),
    "a file": ("m=message {other} TCP/MSRP *\n" + SOUND, ["no message", PLAIN]),
    "a bundle": (f"a=group:BUNDLE 0 1\n{SOUND}a=mid:0\na=rtcp-mux\n{VIDEO}a=mid:1\na=rtcp-mux\n", [PLAIN, "no video"]),
    "one port for RTCP too": (SOUND + "a=rtcp-mux\n", [PLAIN]),
    "ICE": (SOUND + ICE, [PLAIN]),
    "the other G.711": (PCMU, [PLAIN]),
    "G.722": ("m=audio {sound} RTP/AVP 9\n", [PLAIN]),
    "no keys": ("m=audio {sound} RTP/AVP 8\n", [PLAIN]),
    "packets of 30 ms": (SOUND + "a=ptime:30\n", [PLAIN]),
    "packets of 60 ms": (SOUND + "a=ptime:60\n", [PLAIN]),
}
REFUSED = {
    "T.38 alone": FAX,
    "SRTP of a kind unknown": SECRET.replace("AES_CM_128_HMAC_SHA1_80", "ROT_13") + SOUND_TOO,
    "SRTP without a key": SECRET.replace(KEY, "") + SOUND_TOO,
    "WebRTC": WEBRTC,
    "Opus alone": "m=audio {sound} RTP/AVP 111\na=rtpmap:111 opus/48000/2\n",
    "G.729 alone": "m=audio {sound} RTP/AVP 18\n",
}
HEADERS = {
    # what an INVITE asks for, and the answer
    "Require: 100rel": 200,
    "Supported: 100rel": 200,
    "P-Early-Media: supported": 200,
    "Session-Expires: 1800;refresher=uac": 200,
    "Session-Expires: 90": 200,
    "Session-Expires: 30": 422,
    "Require: precondition": 420,
}
IN_THE_MIDST = {
    # what a re-INVITE offers, and what becomes of it
    "a fax instead": (FAX, 488, []),
    "a fax, and sound no more": (SOUND.replace("{sound}", "0") + FAX, 488, []),
    "a fax beside sound": (SOUND + FAX, 200, [PLAIN, "no image"]),
    "hold": (SOUND + "a=sendonly\n", 200, [PLAIN]),
    "inactive": (SOUND + "a=inactive\n", 200, [PLAIN]),
    "back again": (SOUND, 200, [PLAIN]),
    "the other G.711": (PCMU, 200, [PLAIN]),
    "no codec of ours": ("m=audio {sound} RTP/AVP 18\n", 488, []),
    "no keys": ("m=audio {sound} RTP/AVP 8\n", 200, [PLAIN]),
    "encrypted": (SECRET, 200, ["audio RTP/SAVP encrypted"]),
}


@dataclass
class Gateway:
    """A caller's gateway that offers what we like: sound that it hears is for {sound}, anything else for {other}."""

    wire: Wire
    sound: Rtp
    other: Rtp
    number: str
    version: int = field(default=0)

    def body(self, media: str) -> str:
        """A session of these media."""
        self.version += 1
        ports = {"sound": self.sound.address.port, "other": self.other.address.port, "host": self.wire.address.host}
        head = "v=0\no=- 1 {version} IN IP4 {host}\ns=-\nc=IN IP4 {host}\nt=0 0\n"
        return (head + media).format(version=self.version, **ports).replace("\n", "\r\n")

    async def calls(self, media: str = SOUND, **parts: object) -> Message:
        """The answer to a call with these media."""
        return await self.wire.ask(self.wire.invite(self.number, body=self.body(media), **parts))

    async def hears(self) -> None:
        """Waits for sound that was not there before."""
        await self.sound.hears_sound(packets=self.sound.packets + 20)

    async def ends(self, answer: Message) -> None:
        await Dialog.of_caller(self.wire, answer).ask("BYE")


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(world: World) -> AsyncIterator[Gateway]:
    world.phone("alice").does_by_itself(ringing)
    host = world.carrier.host
    async with world.somebody(host) as wire, Rtp(host) as sound, Rtp(host) as other:
        yield Gateway(wire, sound, other, world.site.lines["support"].numbers[0])


def media_of(answer: Message) -> list[str]:
    """What an answer takes ("audio RTP/AVP") and declines ("no video")."""
    found = re.findall(r"^m=(\w+) (\d+) (\S+)(.*?)(?=^m=|\Z)", answer.text, re.MULTILINE | re.DOTALL)
    return [
        (f"{kind} {transport}" + " encrypted" * ("\na=crypto:" in rest) if int(port) else f"no {kind}")
        for kind, port, transport, rest in found
    ]


async def test_a_call_that_is_answered_has_sound(gateway: Gateway) -> None:
    for name, (media, becomes) in TAKEN.items():
        answer = await gateway.calls(media)
        assert (answer.status, media_of(answer)) == (200, becomes), name
        await gateway.hears()
        await gateway.ends(answer)


async def test_what_cannot_be_had_is_refused_at_once(gateway: Gateway) -> None:
    for name, media in REFUSED.items():
        assert (await gateway.calls(media)).status == 488, name


async def test_what_a_call_may_ask_for_by_the_way(gateway: Gateway) -> None:
    for header, status in HEADERS.items():
        answer = await gateway.calls(headers=[header, "Supported: timer"] if "Expires" in header else [header])
        assert answer.status == status, header
        if status == 200:
            await gateway.hears()
            await gateway.ends(answer)


async def test_sound_goes_on_whatever_is_offered_in_its_midst(gateway: Gateway) -> None:
    answer = await gateway.calls()
    dialog = Dialog.of_caller(gateway.wire, answer)
    async with gateway.sound.talking(dialog.media):
        for name, (media, status, becomes) in IN_THE_MIDST.items():
            answer = await dialog.ask("INVITE", body=gateway.body(media))
            assert (answer.status, media_of(answer)) == (status, becomes), name
            await gateway.hears()
        assert (await dialog.ask("UPDATE", body=gateway.body(SECRET))).status == 200
        await gateway.hears()
    await dialog.ask("BYE")


async def test_an_offer_that_comes_with_the_acknowledgement(gateway: Gateway) -> None:
    """The INVITE has no session description: ours is in the answer, theirs in the ACK (RFC 3261, 13.2.1)."""
    wire = gateway.wire
    invite = Message(wire.invite(gateway.number, body=""))
    wire.send(invite.text)
    answer = await wire.ends(invite.text)
    assert answer.status == 200
    dialog = Dialog.of_caller(wire, answer)
    wire.send(dialog.text("ACK", cseq=1, body=gateway.body(SOUND)))
    await gateway.hears()
    await dialog.ask("BYE")


async def test_encrypted_sound_is_heard(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    caller = await world.exchange.call(world.site.lines["support"].numbers[0], via=SECURE)
    await caller.is_answered()
    await caller.hears_music()
    await caller.hangs_up()
