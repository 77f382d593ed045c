"""The websocket itself: what its other end can do to it below the level of events."""

import asyncio
import json
import logging

import pytest

from ari_app.ari import Ari, Disconnected, connection
from ari_app.ari.connection import open_connection
from tests.ari.conftest import Talking, client
from tests.support.ari_server import NOW, USER, AriServer


async def test_an_event_that_comes_in_fragments_is_one_event(asterisk: AriServer, talking: Talking) -> None:
    leg = await talking("alice")
    event = {"type": "ChannelDtmfReceived", "timestamp": NOW, "channel": {"id": "alice"}, "digit": "1"}
    text = json.dumps(event)
    asterisk.fragment(text[:20], text[20:60], text[60:])
    asterisk.presses("alice", "2")
    assert [await leg.digit(), await leg.digit()] == ["1", "2"]


async def test_an_asterisk_that_has_stopped_answering_is_left_for_a_new_connection(
    asterisk: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_SECONDS", 0.05)
    async with client(asterisk):
        asterisk.hang()
        await asterisk.connected(2)


async def test_a_farewell_is_told_and_answered(ari: Ari, asterisk: AriServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await asterisk.bid_farewell(1001, "being restarted")
        await asterisk.connected(2)
    assert "1001 being restarted" in caplog.text


async def test_an_answer_that_never_comes_while_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.05)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent:
        with pytest.raises(Disconnected, match=str(port)):
            async with open_connection(f"ws://127.0.0.1:{port}/ari/events?app=x", *USER, print):
                pass


async def test_leaving_an_asterisk_that_hangs_takes_no_longer_than_it_may(
    asterisk: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.05)
    url = f"{asterisk.url.replace('http', 'ws')}/ari/events?app=x"
    async with asyncio.timeout(1):
        async with open_connection(url, *USER, print) as left:
            await asterisk.connected(1)
            asterisk.hang()
        with pytest.raises(Disconnected, match="closed by us"):
            await left.request("GET", "channels", {}, None)
