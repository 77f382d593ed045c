"""What carriers and telephones ask in the midst of a call that those of the lab never do."""

from contextlib import AsyncExitStack
from typing import Any

from lab.phones import ringing
from lab.rtp import Rtp
from lab.world import World

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
