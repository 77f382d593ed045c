"""What carriers and gateways offer, ask and leave out that no telephone of the lab does."""

from contextlib import AsyncExitStack
from typing import Any

from lab.phones import ringing
from lab.rtp import Rtp
from lab.wire import Dialog
from lab.world import World

AUDIO = "m=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WnD7c1ksDGs+dIefCEo8omPg4uO8DYIinNGL5yxQ\r\n"
OFFERS = {
    "only sound": AUDIO,
    "T.38 beside the sound": AUDIO + "m=image 7002 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n",
    "T.38 before the sound": "m=image 7002 udptl t38\r\na=T38FaxVersion:0\r\n" + AUDIO,
    "video beside the sound": AUDIO + "m=video 7004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "a video that is off": AUDIO + "m=video 0 RTP/AVP 96\r\n",
    "encrypted sound, then plain sound": f"m=audio {{port}} RTP/SAVP 8\r\n{CRYPTO}" + AUDIO,
    "plain sound, then encrypted sound": AUDIO + f"m=audio 7006 RTP/SAVP 8\r\n{CRYPTO}",
    "a text stream (RFC 4103)": AUDIO + "m=text 7008 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n",
    "RTCP on the same port": AUDIO + "a=rtcp-mux\r\n",
    "packets of 30 ms": AUDIO + "a=ptime:30\r\n",
    "no keys": "m=audio {port} RTP/AVP 8\r\n",
    "many codecs": AUDIO.replace("8 101", "9 0 4 18 3 97 8 101") + "a=rtpmap:97 iLBC/8000\r\n",
}
REFER = ["Refer-To: <sip:+33899000001@carrier.lab>", "Referred-By: <sip:eve@carrier.lab>"]
ASKED: dict[str, tuple[dict[str, Any], int]] = {
    # what is asked, and what is answered
    "INFO": ({}, 200),
    "INFO of a picture": ({"kind": "application/media_control+xml", "body": "<media_control/>"}, 200),
    "INFO of a key": ({"kind": "application/dtmf-relay", "body": "Signal=5\r\nDuration=160\r\n"}, 200),
    "MESSAGE": ({"kind": "text/plain", "body": "Bonjour"}, 202),
    "MESSAGE of a picture": ({"kind": "image/png", "body": "PNG"}, 415),
    "REFER": ({"headers": REFER}, 603),
    "OPTIONS": ({}, 200),
    "UPDATE": ({}, 200),
    "PRACK": ({"headers": ["RAck: 1 1 INVITE"]}, 400),
}


async def test_whatever_is_offered_beside_the_sound_the_caller_hears_us(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    number = world.site.lines["support"].numbers[0]
    deaf: dict[str, str] = {}
    async with world.somebody(world.carrier.host) as line:
        for offer, media in OFFERS.items():
            async with Rtp(line.address.host) as sound:
                body = line.session().partition("m=")[0] + media.format(port=sound.address.port)
                answer = await line.ask(line.invite(number, body=body))
                if answer.status != 200:
                    deaf[offer] = answer.first_line
                    continue
                try:
                    await sound.hears_sound(within=2)
                except AssertionError as error:
                    deaf[offer] = str(error)
                await Dialog.of_caller(line, answer).ask("BYE")
    assert not deaf, "\n".join(f"{offer}: {what}" for offer, what in deaf.items())


async def test_whatever_is_asked_in_the_midst_of_a_call_is_answered_at_once(world: World) -> None:
    """RFC 3261, 8.2.1 and 12.2.1.2: one who gets no answer at all takes the call for dead, and ends it."""
    world.phone("alice").does_by_itself(ringing)
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(world.somebody(world.carrier.host))
        sound = await stack.enter_async_context(Rtp(line.address.host))
        call = await line.call(world.site.lines["support"].numbers[0], sound.address.port)
        answers = {}
        for request, (parts, _) in ASKED.items():
            method = request.partition(" ")[0]
            try:
                answers[request] = (await call.ask(method, **parts)).status
            except AssertionError:
                answers[request] = 0
        await call.ask("BYE")
    wrong = {request: answers[request] for request, (_, status) in ASKED.items() if answers[request] != status}
    assert not wrong, "\n".join(f"{request}: {status}" for request, status in wrong.items())
