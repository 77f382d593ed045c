"""The connection: what it does with all that a network and another program can do to it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import pytest

from ari_app.ari import Ari, AriRefused, Channel, Conflict, Disconnected, HungUp, NotFound, RequestFailed
from ari_app.ari.events import EVENT_TYPES
from tests.ari.conftest import Called, Talking, client
from tests.support.ari_server import NOW, USER, AriServer

CutBeforeTheReply = Callable[[Coroutine[Any, Any, Any], str], Coroutine[Any, Any, asyncio.Task[Any]]]


async def test_a_request_and_its_reply(ari: Ari, asterisk: AriServer) -> None:
    asterisk.will_answer("GET endpoints/PJSIP/p1", 200, {"resource": "p1", "state": "online"})
    assert (await ari.request("GET", "endpoints/PJSIP/p1"))["state"] == "online"
    await ari.request("POST", "x", body={"é": 1}, callerId="Zoé & Cie <+336>", beep=True, none=None)
    asked = await asterisk.asked("POST x")
    assert asked.query == {"callerId": "Zoé & Cie <+336>", "beep": "true"}
    assert asked.body == {"é": 1}


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (404, {"message": "Channel not found"}, NotFound, "Channel not found"),
        (409, {"message": "exists"}, Conflict, "exists"),
        (500, {"error": "Allocation failed"}, RequestFailed, "Allocation failed"),
        (412, None, RequestFailed, "Precondition Failed"),
    ],
)
async def test_a_refusal(
    ari: Ari, asterisk: AriServer, status: int, body: object, error: type[RequestFailed], words: str
) -> None:
    asterisk.will_answer("POST x", status, body)
    with pytest.raises(error, match=words) as failed:
        await ari.request("POST", "x")
    assert failed.value.status == status


async def test_replies_in_another_order_than_the_requests(ari: Ari, asterisk: AriServer) -> None:
    asterisk.will_answer("GET slow", 200, "slow")
    asterisk.will_answer("GET quick", 200, "quick")
    asterisk.will_hold("GET slow")
    slow = asyncio.create_task(ari.request("GET", "slow"))
    await asterisk.asked("GET slow")
    assert await ari.request("GET", "quick") == "quick"
    asterisk.release("GET slow")
    assert await slow == "slow"


async def test_asterisk_is_told_which_events_are_wanted(ari: Ari, asterisk: AriServer) -> None:
    asked = await asterisk.asked("PUT applications/vigie-w1/eventFilter")
    allowed = {kind["type"] for kind in asked.body["allowed"]}
    assert allowed == set(EVENT_TYPES)
    assert {"CallBroadcast", "RESTResponse"} <= allowed
    assert not allowed & {"ChannelVarset", "ChannelDialplan"}


@pytest.mark.parametrize(
    "frame",
    [
        "not JSON",
        json.dumps({"type": "ChannelInvented", "timestamp": NOW}),
        json.dumps({"type": "ChannelDtmfReceived", "channel": {"id": "alice"}, "digit": 5}),
        json.dumps({"type": "ChannelDtmfReceived", "digit": "5"}),
        json.dumps({"type": "RESTResponse", "request_id": "no such request", "status_code": 204}),
    ],
)
async def test_a_frame_that_cannot_be_understood_costs_nothing_else(
    asterisk: AriServer, talking: Talking, frame: str, caplog: pytest.LogCaptureFixture
) -> None:
    leg = await talking("alice")
    asterisk.babble(frame)
    asterisk.tell("ChannelDtmfReceived", channel={"id": "alice", "new field": {}}, digit="1", unheard_of=[])
    assert await leg.digit() == "1"
    assert asterisk.connections == 1


async def test_a_handler_that_fails_costs_nothing_else(asterisk: AriServer, caplog: pytest.LogCaptureFixture) -> None:
    def stumble(_: object) -> None:
        raise ZeroDivisionError

    async with client(asterisk, on_broadcast=stumble) as ari:
        asterisk.offers("caller")
        await ari.request("GET", "asterisk/ping")
        assert "handling of CallBroadcast failed" in caplog.text
        assert ari.connected


async def test_a_burst_of_ten_thousand_events_is_all_heard_in_order(
    ari: Ari, asterisk: AriServer, talking: Talking
) -> None:
    names = [f"p{n}" for n in range(10)]
    legs = [await talking(name) for name in names]
    expected = [str(n % 10) for n in range(100)]  # as many as are kept for who comes late
    for _ in range(10):
        for digit in expected:
            for name in names:
                asterisk.presses(name, digit)
        for leg in legs:
            assert [await leg.digit() for _ in expected] == expected


@pytest.fixture
def cut_before_the_reply(asterisk: AriServer) -> CutBeforeTheReply:
    """Starts something and cuts the connection when Asterisk has got the request, before it replies."""

    async def cut(verb: Coroutine[Any, Any, Any], request: str) -> asyncio.Task[Any]:
        asterisk.will_hold(request)
        asking = asyncio.create_task(verb)
        await asterisk.asked(request)
        asterisk.cut()
        return asking

    return cut


async def test_a_request_whose_reply_was_lost_is_asked_again_over_the_next_connection(
    ari: Ari, asterisk: AriServer, cut_before_the_reply: CutBeforeTheReply
) -> None:
    pinging = await cut_before_the_reply(ari.request("GET", "asterisk/ping"), "GET asterisk/ping")
    await ari.request("GET", "asterisk/info")
    await pinging
    assert asterisk.connections == 2
    assert asterisk.count("GET asterisk/ping") == 2


async def test_what_may_be_done_once_only_is_not_asked_again(
    ari: Ari, asterisk: AriServer, cut_before_the_reply: CutBeforeTheReply
) -> None:
    moving = await cut_before_the_reply(ari.request("POST", "x/move", once=True), "POST x/move")
    with pytest.raises(Disconnected):
        await moving
    await ari.wait_connected()
    assert asterisk.count("POST x/move") == 1


async def test_after_a_cut_legs_are_alive_or_known_to_have_ended(
    ari: Ari, asterisk: AriServer, called: Called, talking: Talking
) -> None:
    stayed, gone, rung = await talking("stayed"), await talking("gone"), await called("rung")
    asterisk.cut()
    del asterisk.channels["gone"]
    asterisk.channels["rung"]["state"] = "Up"
    await asterisk.connected(2)
    await ari.wait_connected()
    assert stayed.hangup_cause is None
    await rung.answered()
    with pytest.raises(HungUp, match="lost while disconnected"):
        await gone.digit()
    asterisk.presses("stayed", "1")
    assert await stayed.digit() == "1"


async def test_a_sound_and_a_recording_that_end_during_a_cut(ari: Ari, asterisk: AriServer, talking: Talking) -> None:
    leg, talker = await talking("caller"), await talking("talker")
    playing = asyncio.create_task(leg.play("sound:greeting"))
    asked = await asterisk.asked("POST channels/caller/play/")
    message = await talker.start_recording("m1", max_seconds=180, silence_seconds=10)
    asterisk.cut()
    asterisk.will_answer(f"GET playbacks/{asked.path.split('/')[-1]}", 404)
    asterisk.will_answer("GET recordings/live/m1", 404)
    asterisk.will_answer("GET recordings/stored/m1", 200, {"name": "m1"})
    await playing
    assert (await message.finished).done


async def test_a_sound_that_had_begun_is_waited_for_through_a_cut(
    ari: Ari, asterisk: AriServer, talking: Talking, cut_before_the_reply: CutBeforeTheReply
) -> None:
    """Else the bridge would be asked for too early, and Asterisk serve nobody for as long as the sound lasts."""
    leg = await talking("caller")
    playing = await cut_before_the_reply(leg.play("sound:greeting"), "POST channels/caller/play/caller-1")
    await ari.wait_connected()
    answering = asyncio.create_task(leg.answer())
    await ari.request("GET", "asterisk/ping")
    assert not playing.done()
    assert asterisk.count("POST channels/caller/answer") == 0
    asterisk.finishes_playing(await asterisk.asked("POST channels/caller/play"))
    await playing
    await answering
    assert asterisk.count("POST channels/caller/play/caller-1") == 1


async def test_a_sound_whose_request_was_lost_is_played_over_the_next_connection(
    asterisk: AriServer, talking: Talking, cut_before_the_reply: CutBeforeTheReply
) -> None:
    leg = await talking("caller")
    asterisk.will_answer("GET playbacks/caller-1", 404)
    playing = await cut_before_the_reply(leg.play("sound:greeting"), "POST channels/caller/play/caller-1")
    asterisk.finishes_playing(await asterisk.asked("POST channels/caller/play", times=2))
    await playing


@pytest.mark.parametrize("begun", [True, False])
async def test_a_message_is_recorded_once_though_the_reply_was_lost(
    asterisk: AriServer, talking: Talking, cut_before_the_reply: CutBeforeTheReply, begun: bool
) -> None:
    talker = await talking("talker")
    if not begun:
        asterisk.will_answer("GET recordings/live/m1", 404)
        asterisk.will_answer("GET recordings/stored/m1", 404)
    asking = talker.start_recording("m1", max_seconds=180, silence_seconds=10)
    message = await (await cut_before_the_reply(asking, "POST channels/talker/record"))
    asterisk.finishes_recording("m1", duration=5)
    assert (await message.finished).seconds == 5
    assert asterisk.count("POST channels/talker/record") == 2 - begun


async def test_a_leg_left_during_a_cut_is_hung_up_afterwards(ari: Ari, asterisk: AriServer, talking: Talking) -> None:
    asterisk.will_do("DELETE channels/caller", lambda: asterisk.hangs_up("caller"))
    async with await talking("caller"):
        asterisk.cut()
        with suppress(Disconnected):
            await ari.request("GET", "asterisk/ping")
    await asterisk.asked("DELETE channels/caller")


async def test_a_telephone_that_rings_though_the_reply_was_lost_can_be_answered(
    ari: Ari, asterisk: AriServer, called: Called, cut_before_the_reply: CutBeforeTheReply
) -> None:
    alice = await (await cut_before_the_reply(called("alice"), "POST channels/alice"))
    await ari.wait_connected()
    asterisk.answers("alice")
    await alice.answered()


async def test_a_telephone_that_does_not_ring_since_the_request_was_lost_is_known_not_to(
    ari: Ari, asterisk: AriServer, called: Called, cut_before_the_reply: CutBeforeTheReply
) -> None:
    calling = await cut_before_the_reply(called("alice"), "POST channels/alice")
    del asterisk.channels["alice"]
    alice = await calling
    with pytest.raises(HungUp, match="lost while disconnected"):
        await alice.answered()


async def test_a_caller_who_went_on_in_the_dialplan_though_the_reply_was_lost_has_gone_on(
    asterisk: AriServer, talking: Talking, cut_before_the_reply: CutBeforeTheReply
) -> None:
    async with await talking("caller") as leg:
        going = await cut_before_the_reply(leg.go_on(), "POST channels/caller/continue")
        asterisk.will_answer("POST channels/caller/continue", 409, {"message": "not in Stasis"})
        await going
    assert asterisk.count("DELETE channels/caller") == 0


async def test_asterisk_away_for_a_while(ari: Ari, asterisk: AriServer, monkeypatch: pytest.MonkeyPatch) -> None:
    await asterisk.stop()
    while ari.connected:
        await asyncio.sleep(0)
    await asterisk.listen()
    await asterisk.connected(2)
    await ari.wait_connected()


async def test_each_connection_is_announced(asterisk: AriServer) -> None:
    announced: list[int] = []

    async def announce() -> None:
        announced.append(asterisk.connections)

    async with client(asterisk, on_connected=announce) as ari:
        asterisk.cut()
        await asterisk.connected(2)
        await ari.wait_connected()
        await ari.request("GET", "asterisk/ping")
    assert announced == [1, 2]


async def test_an_asterisk_that_is_still_starting(asterisk: AriServer) -> None:
    asterisk.refuses_everybody = HTTPStatus.NOT_FOUND
    starting = Ari(asterisk.url, *USER, "vigie-w1")
    running = asyncio.create_task(starting.run())
    asterisk.refuses_everybody = None
    await starting.wait_connected()
    running.cancel()


async def test_a_wrong_password_is_final(asterisk: AriServer) -> None:
    with pytest.raises(AriRefused, match="user 'vigie' or its password"):
        await Ari(asterisk.url, "vigie", "wrong", "vigie-w1").run()


async def test_another_worker_of_the_same_name_is_final(asterisk: AriServer) -> None:
    """Asterisk goes on answering the older connection's requests, but sends it no events."""
    older = Ari(asterisk.url, *USER, "vigie-w1")
    running = asyncio.create_task(older.run())
    await older.wait_connected()
    asterisk.tell("ApplicationReplaced")
    with pytest.raises(AriRefused, match="vigie-w1"):
        await running


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="http://"):
        Ari("127.0.0.1:8088", *USER, "vigie-w1")


async def test_the_sound_of_a_recording(ari: Ari, asterisk: AriServer) -> None:
    asterisk.files["recordings/stored/m1/file"] = b"RIFF\x00\xff"
    assert await ari.download("recordings/stored/m1/file") == b"RIFF\x00\xff"
    with pytest.raises(NotFound):
        await ari.download("recordings/stored/m2/file")


@pytest.mark.parametrize("page", ["", "<h1>Not Found</h1>", '{"message": "Resource not found"}', "[]"])
async def test_an_asterisk_that_is_only_starting_does_not_say_that_there_is_no_recording(
    ari: Ari, asterisk: AriServer, page: str
) -> None:
    asterisk.not_found = page
    with pytest.raises(RequestFailed) as failed:
        await ari.download("recordings/stored/m2/file")
    assert not isinstance(failed.value, NotFound)
    asterisk.will_answer("GET recordings/stored/m2", 404, {"message": "Resource not found"})
    with pytest.raises(RequestFailed) as failed:
        await ari.request("GET", "recordings/stored/m2")
    assert not isinstance(failed.value, NotFound)


def test_a_channel_of_another_version_is_still_a_channel() -> None:
    assert Channel(id="1").state == ""
