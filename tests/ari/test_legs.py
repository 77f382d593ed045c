"""How legs begin: claimed, called, or come unasked; and what else can be asked of Asterisk."""

import asyncio

import pytest

from ari_app.ari import Ari, CallBroadcast, ChannelUserevent, Conflict, HungUp, Kin, Leg, StasisStart
from tests.ari.conftest import Called, client
from tests.support.ari_server import AriServer


async def _nobody_dies(app: str) -> None:
    raise AssertionError(f"{app} is dead")


KIN = Kin("vigie-", _nobody_dies, lambda: None)


async def offered(asterisk: AriServer, broadcasts: "asyncio.Queue[CallBroadcast]") -> CallBroadcast:
    asterisk.offers("caller", "+33123456789")
    return await broadcasts.get()


async def test_the_first_to_claim_has_the_call(asterisk: AriServer) -> None:
    broadcasts: asyncio.Queue[CallBroadcast] = asyncio.Queue()
    async with client(asterisk, on_broadcast=broadcasts.put_nowait) as ari:
        asterisk.will_do("POST events/claim", lambda: asterisk.starts("caller"))
        leg = await ari.claim(await offered(asterisk, broadcasts))
        assert leg is not None
        assert leg.channel.dialplan.exten == "+33123456789"
        assert leg.channel.caller.number == "+33612345678"
        asked = await asterisk.asked("POST events/claim")
        assert asked.query == {"channelId": "caller", "application": "vigie-w1"}


@pytest.mark.parametrize("status", [404, 409])
async def test_a_call_that_another_worker_has_or_that_is_gone(asterisk: AriServer, status: int) -> None:
    broadcasts: asyncio.Queue[CallBroadcast] = asyncio.Queue()
    async with client(asterisk, on_broadcast=broadcasts.put_nowait) as ari:
        asterisk.will_answer("POST events/claim", status)
        assert await ari.claim(await offered(asterisk, broadcasts)) is None


async def test_a_call_offered_twice_is_claimed_once(asterisk: AriServer) -> None:
    broadcasts: asyncio.Queue[CallBroadcast] = asyncio.Queue()
    async with client(asterisk, on_broadcast=broadcasts.put_nowait) as ari:
        asterisk.copies = 2
        asterisk.will_do("POST events/claim", lambda: asterisk.starts("caller"))
        leg = await ari.claim(await offered(asterisk, broadcasts))
        assert leg is not None
        assert await ari.claim(await broadcasts.get()) is None
        asterisk.presses("caller", "1")
        assert await leg.digit() == "1"


async def test_a_caller_who_hangs_up_between_claim_and_start(
    asterisk: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is ever said of such a channel: it has to be asked for."""
    monkeypatch.setattr("ari_app.ari.claim.CHECK_SECONDS", 0.02)
    asterisk.will_answer("GET channels/caller", 404, {"message": "Channel not found"})
    broadcasts: asyncio.Queue[CallBroadcast] = asyncio.Queue()
    async with client(asterisk, on_broadcast=broadcasts.put_nowait) as ari:
        leg = await ari.claim(await offered(asterisk, broadcasts))
        assert leg is not None
        with pytest.raises(HungUp, match="while being claimed"):
            leg.check()


async def test_a_claim_whose_start_falls_into_a_cut(asterisk: AriServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.ari.claim.CHECK_SECONDS", 0.02)
    broadcasts: asyncio.Queue[CallBroadcast] = asyncio.Queue()
    async with client(asterisk, on_broadcast=broadcasts.put_nowait) as ari:
        asterisk.will_do("GET channels/caller", asterisk.cut)
        claiming = asyncio.create_task(ari.claim(await offered(asterisk, broadcasts)))
        await asterisk.connected(2)
        asterisk.will_do("GET channels/caller", lambda: None)
        asterisk.will_answer("GET channels/caller", 200, asterisk.channels["caller"])
        leg = await claiming
        assert leg is not None
        assert leg.hangup_cause is None


async def test_a_leg_nobody_asked_for(asterisk: AriServer) -> None:
    adopted: list[tuple[Leg, StasisStart]] = []
    async with client(asterisk, on_stasis=lambda leg, start: adopted.append((leg, start))) as ari:
        asterisk.copies = 2
        asterisk.tell("StasisStart", channel=asterisk.known("stray", "Up"), args=["carrier"])
        await ari.request("GET", "asterisk/ping")
        [(leg, start)] = adopted
        await leg.answered()
        assert start.args == ["carrier"]
        asterisk.hangs_up("stray")
        asterisk.tell("StasisStart", channel={"id": "stray"}, args=[])
        await ari.request("GET", "asterisk/ping")
        assert len(adopted) == 1


async def test_calling_somebody(asterisk: AriServer, ari: Ari) -> None:
    leg = await ari.originate(
        "PJSIP/+33698765432@trunk-ovh",
        leg_id="c1.1",
        caller_id="Support <+33123456789>",
        timeout=20,
        variables={"VIGIE_CALL": "c1"},
        originator="caller",
    )
    asked = await asterisk.asked("POST channels/c1.1")
    assert asked.query == {
        "endpoint": "PJSIP/+33698765432@trunk-ovh",
        "app": "vigie-w1",
        "callerId": "Support <+33123456789>",
        "timeout": "20",
        "originator": "caller",
    }
    assert asked.body == {"variables": {"VIGIE_CALL": "c1"}}
    assert leg.hangup_cause is None


async def test_somebody_who_answers_before_asterisk_replies(asterisk: AriServer, called: Called) -> None:
    asterisk.will_do("POST channels/alice", lambda: asterisk.answers("alice"))
    leg = await called("alice")
    await leg.answered()


async def test_a_phone_that_is_not_registered(asterisk: AriServer, called: Called) -> None:
    asterisk.will_answer("POST channels/alice", 500, {"error": "Allocation failed"})
    leg = await called("alice")
    assert leg.hangup_cause is not None
    assert leg.hangup_cause.q850 == 20


async def test_a_call_that_fails_before_asterisk_replies(asterisk: AriServer, called: Called) -> None:
    asterisk.late = True
    asterisk.will_do("POST channels/alice", lambda: asterisk.rings("alice"))
    calling = asyncio.create_task(called("alice"))
    await asterisk.asked("POST channels/alice")
    asterisk.is_destroyed("alice", 1, "Unallocated (unassigned) number", tech_cause=404)
    leg = await calling
    with pytest.raises(HungUp, match="SIP 404"):
        await leg.answered()


async def test_the_same_leg_is_not_called_twice(asterisk: AriServer, called: Called) -> None:
    await called("alice")
    with pytest.raises(Conflict):
        await called("alice")


async def test_what_one_worker_says_all_others_are_told(asterisk: AriServer) -> None:
    asterisk.applications = ["vigie-w1", "vigie-w2", "vigie-w3", "bench"]
    words: asyncio.Queue[ChannelUserevent] = asyncio.Queue()
    async with client(asterisk, on_word=words.put_nowait, kin=KIN) as ari:
        async with asyncio.timeout(5):
            while not ari.pulse.others:
                await asyncio.sleep(0.01)
        asterisk.will_answer("POST events/user/engaged", 404, {"message": "gone"})
        ari.tell_others("engaged", person="7")
        told = await asterisk.asked("POST events/user/engaged", times=2)
        assert told.body == {"variables": {"person": "7"}}
        asked = [request for request in asterisk.requests if request.path == "events/user/engaged"]
        assert [request.query["application"] for request in asked] == ["vigie-w2", "vigie-w3"]
        asterisk.tell("ChannelUserevent", eventname="free", userevent={"person": "7"})
        word = await words.get()
        assert (word.eventname, word.userevent) == ("free", {"person": "7"})


async def test_a_stored_recording_that_is_gone_needs_no_deleting(ari: Ari, asterisk: AriServer) -> None:
    asterisk.will_answer("DELETE recordings/stored/m2", 404)
    await ari.delete_recording("m1")
    await ari.delete_recording("m2")
