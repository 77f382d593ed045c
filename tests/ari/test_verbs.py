"""What a leg can do: sounds, digits, recordings, and the requests that must not hold up the others."""

import asyncio

import pytest

from ari_app.ari import Ari, HungUp, PlaybackFailed, Recording
from tests.ari.conftest import Called, Talking
from tests.support.ari_server import AriServer


async def test_a_prompt_lasts_until_it_has_been_played(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    playing = asyncio.create_task(leg.play("sound:followme/options", "sound:/var/lib/vigie/ligne é.wav", lang="fr"))
    asked = await asterisk.asked("POST channels/caller/play/")
    assert asked.query["media"] == "sound:followme/options,sound:/var/lib/vigie/ligne é.wav"
    assert asked.query["lang"] == "fr"
    assert not playing.done()
    asterisk.finishes_playing(asked)
    await playing


async def test_a_prompt_that_ends_before_asterisk_replies(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.late = True
    asterisk.copies = 2
    playing = asyncio.create_task(leg.play("sound:beep"))
    asterisk.finishes_playing(await asterisk.asked("POST channels/caller/play/"))
    await playing


async def test_a_sound_that_does_not_exist(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    playing = asyncio.create_task(leg.play("sound:nonesuch"))
    asterisk.finishes_playing(await asterisk.asked("POST channels/caller/play/"), "failed")
    with pytest.raises(PlaybackFailed, match="nonesuch"):
        await playing


async def test_a_sound_that_breaks_off_because_its_hearer_hangs_up_is_a_hangup(
    asterisk: AriServer, talking: Talking
) -> None:
    leg = await talking("caller")
    playing = asyncio.create_task(leg.play("sound:beep"))
    asterisk.finishes_playing(await asterisk.asked("POST channels/caller/play/"), "failed")
    while leg.playbacks_under_way():
        await asyncio.sleep(0)
    asterisk.hangs_up("caller")
    with pytest.raises(HungUp):
        await playing


async def test_a_digit_interrupts_a_prompt(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("alice")
    playing = asyncio.create_task(leg.play("sound:options"))
    asked = await asterisk.asked("POST channels/alice/play/")
    asterisk.presses("alice", "1")
    assert await leg.digit() == "1"
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert asterisk.count(f"DELETE playbacks/{asked.path.split('/')[-1]}") == 1


async def test_digits_are_kept_until_somebody_asks(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("alice")
    asterisk.presses("alice", "12345*#")
    assert [await leg.digit() for _ in range(7)] == list("12345*#")


async def test_a_digit_that_comes_as_its_waiter_gives_up_is_left_for_the_next(talking: Talking) -> None:
    leg = await talking("alice")
    waiting = asyncio.create_task(leg.digit())
    await asyncio.sleep(0)
    leg.saw_digit("1")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await leg.digit() == "1"


@pytest.mark.parametrize("status", ["RINGING", "PROGRESS"])
async def test_a_phone_that_rings(asterisk: AriServer, called: Called, status: str) -> None:
    leg = await called("alice")
    assert not leg.ringing.is_set()
    asterisk.tell("Dial", peer=asterisk.channels["alice"], dialstatus=status)
    await leg.ringing.wait()
    asterisk.rings("alice")
    asterisk.answers("alice")
    await leg.answered()
    assert leg.channel.state == "Up"


async def test_a_late_ringing_does_not_undo_an_answer(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("alice")
    asterisk.rings("alice")
    asterisk.presses("alice", "1")
    await leg.digit()
    assert leg.channel.state == "Up"


async def test_a_message_ended_by_the_hash_key(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    recording = await leg.start_recording("m1", max_seconds=180, silence_seconds=10)
    asked = await asterisk.asked("POST channels/caller/record")
    assert asked.query["terminateOn"] == "#"
    assert asked.query["beep"] == "true"
    asterisk.finishes_recording("m1", duration=7, talking_duration=5)
    assert await recording.finished == Recording("m1", "done", 7.0, 5.0, "")


async def test_a_message_ended_by_a_hangup_is_kept(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    message = await leg.start_recording("m1", max_seconds=180, silence_seconds=10)

    async def leave_message() -> None:
        async with leg:
            await message.finished

    asterisk.requests_hangup("caller")
    asterisk.is_destroyed("caller")
    asterisk.finishes_recording("m1", duration=4)
    with pytest.raises(HungUp):
        await leave_message()
    assert (await message.finished).seconds == 4.0


@pytest.mark.parametrize(("status", "state"), [(200, "done"), (404, "failed")])
async def test_a_recording_of_whose_end_nothing_is_heard(
    asterisk: AriServer, talking: Talking, monkeypatch: pytest.MonkeyPatch, status: int, state: str
) -> None:
    monkeypatch.setattr("ari_app.ari.client.RECORDING_GRACE_SECONDS", 0.01)
    asterisk.will_answer("GET recordings/live/m1", 404)
    asterisk.will_answer("GET recordings/stored/m1", status, {"name": "m1", "message": "Recording not found"})
    leg = await talking("caller")
    message = await leg.start_recording("m1", max_seconds=180, silence_seconds=10)
    asterisk.hangs_up("caller")
    assert (await message.finished).state == state


async def test_a_recording_that_fails(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    message = await leg.start_recording("m1", max_seconds=180, silence_seconds=10)
    asterisk.finishes_recording("m1", "RecordingFailed", cause="Cannot record channel while in bridge")
    recording = await message.finished
    assert not recording.done
    assert "in bridge" in recording.cause


async def test_giving_up_a_recording_ends_it_in_asterisk(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("caller")
    asterisk.will_hold("POST channels/caller/record")
    recording = asyncio.create_task(leg.start_recording("m1", max_seconds=180, silence_seconds=10))
    await asterisk.asked("POST channels/caller/record")
    recording.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording
    assert asterisk.count("POST recordings/live/m1/stop") == 1


async def test_a_request_that_would_hold_up_all_calls_waits_for_the_end_of_the_sound(
    ari: Ari, asterisk: AriServer, talking: Talking
) -> None:
    """Asterisk serves nothing else on the socket while such a request waits for a prompt to end."""
    leg = await talking("caller")
    playing = asyncio.create_task(leg.play("sound:greeting"))
    asked = await asterisk.asked("POST channels/caller/play/")
    answering = asyncio.create_task(leg.answer())
    bridge = await ari.bridge("b1")
    adding = asyncio.create_task(bridge.add(leg))
    await ari.request("GET", "asterisk/ping")
    assert asterisk.count("POST channels/caller/answer") == 0
    assert asterisk.count("POST bridges/b1/addChannel") == 0
    asterisk.finishes_playing(asked)
    await asyncio.gather(playing, answering, adding)
    assert (await asterisk.asked("POST bridges/b1/addChannel")).query == {"channel": "caller"}


async def test_a_sound_that_could_not_be_stopped_is_stopped_before_such_a_request(
    asterisk: AriServer, talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_app.ari.client.LEAVING_SECONDS", 0.01)
    leg = await talking("alice")
    playing = asyncio.create_task(leg.play("sound:press-1"))
    asked = await asterisk.asked("POST channels/alice/play/")
    stop = f"DELETE playbacks/{asked.path.split('/')[-1]}"
    asterisk.will_hold(stop)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    answering = asyncio.create_task(leg.answer())
    await asterisk.asked(stop, times=2)
    assert asterisk.count("POST channels/alice/answer") == 0
    asterisk.release(stop)
    await answering


async def test_a_bridge_is_destroyed_on_leaving_and_its_legs_live(
    ari: Ari, asterisk: AriServer, talking: Talking
) -> None:
    caller, alice = await talking("caller"), await talking("alice")
    async with await ari.bridge("b1") as bridge:
        await bridge.add(caller, alice)
    assert asterisk.count("DELETE bridges/b1") == 1
    assert caller.hangup_cause is None


async def test_bridging_somebody_who_just_hung_up(ari: Ari, asterisk: AriServer, talking: Talking) -> None:
    caller, alice = await talking("caller"), await talking("alice")
    asterisk.will_answer("POST bridges/b1/addChannel", 400, {"message": "Channel not found"})
    asterisk.will_do("POST bridges/b1/addChannel", lambda: asterisk.hangs_up("alice"))
    bridge = await ari.bridge("b1")
    with pytest.raises(HungUp) as hung_up:
        await bridge.add(caller, alice)
    assert hung_up.value.leg_id == "alice"
