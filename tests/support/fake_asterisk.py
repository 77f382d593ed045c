"""An Asterisk of the imagination for tests of the scenarios: it answers requests at once and does as the test says.

It stands where the websocket would, so legs, scopes and dispatch are the real ones.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from ari_app.ari import (
    Ari,
    CallBroadcast,
    CallerId,
    Channel,
    Dialplan,
    Leg,
    StasisStart,
)
from ari_app.ari.errors import request_failed
from ari_app.ari.events import (
    ChannelDestroyed,
    ChannelDtmfReceived,
    ChannelStateChange,
    LiveRecording,
    Playback,
    PlaybackFinished,
    RecordingFinished,
)

PATIENCE = 2.0


class Party:
    """The other end of one channel: a caller, or a telephone that is being rung."""

    def __init__(self, asterisk: "FakeAsterisk", channel: Channel, caller_id: str = "") -> None:
        self.asterisk = asterisk
        self.channel = channel
        self.caller_id = caller_id
        self.alive = True
        self.heard: list[str] = []
        self.music = False
        self.bridged_with: set[str] = set()
        self.in_fallback = False
        self.packets = 0
        """How many have come from it."""
        self.vanished = False
        """Nothing comes from it any more."""
        self.replied = True
        """Whether anything, be it "100 Trying", has come back to the INVITE that rings it."""

    def rings(self) -> None:
        self._tell(ChannelStateChange(channel=self._in("Ringing")))

    def answers(self) -> "Party":
        self.rings()
        self.asterisk.tell(StasisStart(channel=self._in("Up")))
        return self

    def presses(self, digit: str) -> None:
        self._tell(ChannelDtmfReceived(channel=self.channel, digit=digit))

    def hangs_up(self, q850: int = 16, sip: int | None = None) -> None:
        if self.alive:
            self.alive = False
            for name, ending in list(self.asterisk.recordings.items()):
                if ending == self.channel.id:
                    self.asterisk.finish_recording(name)
            self.asterisk.tell(
                ChannelDestroyed(
                    channel=self.channel,
                    cause=q850,
                    cause_txt="told by the test",
                    tech_cause=sip,
                    timestamp=datetime.now(UTC).isoformat(),
                )
            )

    def _in(self, state: str) -> Channel:
        self.channel = msgspec.structs.replace(self.channel, state=state)
        return self.channel

    def _tell(self, event: Any) -> None:
        assert self.alive, f"{self.channel.id} has gone"
        self.asterisk.tell(event)


class FakeAsterisk:
    """What the tests drive: :meth:`call` brings a caller, :meth:`rung` waits for a telephone to be rung."""

    def __init__(self) -> None:
        self.ari = Ari("http://asterisk.invalid", "vigie", "", "vigie-test")
        self.ari._link = self  # type: ignore[assignment]
        self.parties: dict[str, Party] = {}
        self.rung_endpoints: list[str] = []
        self.recordings: dict[str, str] = {}
        self.replies = asyncio.Event()
        """Cleared, what is rung rings, but its reply keeps us waiting."""
        self.replies.set()
        self.recorded_with: dict[str, Any] = {}
        """What was asked for with the last recording."""
        self.broken: set[str] = set()
        """Verbs ("addChannel", "play", …) that Asterisk answers with 500."""
        self.silent_trunks: set[str] = set()
        """The trunks that answer no OPTIONS."""
        self.globals: dict[str, str] = {}
        """Global variables, by name."""
        self.up = asyncio.Event()
        self.up.set()
        self.bridges: set[str] = set()
        self.chance: random.Random | None = None
        """With one, each request takes its time, some a hundredth of a second."""
        self.after_request: Callable[[int], None] = lambda _: None
        """Called with the number of each request, once it was carried out and before its reply comes."""
        self._requests = 0
        self._by_endpoint: dict[str, asyncio.Queue[Party]] = {}
        self._callers = 0

    async def call(self, did: str, number: str = "+33611223344") -> tuple[Party, Leg]:
        """A caller who has just been claimed."""
        self._callers += 1
        channel = Channel(
            id=f"caller-{self._callers}", state="Ring", caller=CallerId(number=number), dialplan=Dialplan(exten=did)
        )
        party = self.parties[channel.id] = Party(self, channel)
        self.tell(StasisStart(channel=channel))
        leg = await self.ari.claim(CallBroadcast(channel=channel))
        assert leg is not None
        return party, leg

    async def rung(self, endpoint: str) -> Party:
        """The telephone behind ``endpoint`` (``PJSIP/alice``, ``PJSIP/+336…@trunk-x``) once it is being rung."""
        queue = self._by_endpoint.setdefault(endpoint, asyncio.Queue())
        try:
            return await asyncio.wait_for(queue.get(), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"{endpoint} was not rung, only {self.rung_endpoints}") from None

    def forget_rings(self) -> None:
        """Whatever has rung is not waited for any more."""
        self._by_endpoint.clear()

    def tell(self, event: Any) -> None:
        asyncio.get_running_loop().call_soon(self.ari._dispatch, event)

    def finish_recording(self, name: str, seconds: float = 5) -> None:
        del self.recordings[name]
        self.tell(RecordingFinished(recording=LiveRecording(name=name, state="done", duration=seconds)))

    # --- the connection's side

    async def request(self, method: str, uri: str, query: dict[str, Any], body: Any, *, once: bool = False) -> Any:
        await asyncio.sleep(self.chance.random() / 50 if self.chance else 0)
        reply = await self._carry_out(method, uri, query, body)
        self._requests += 1
        self.after_request(self._requests)
        await asyncio.sleep(0)
        return reply

    async def _carry_out(self, method: str, uri: str, query: dict[str, Any], body: Any) -> Any:
        await asyncio.sleep(0)
        match [method, *uri.split("/")]:
            case ["POST", "events", "claim"]:
                return None
            case ["POST", "channels", channel]:
                reply = self._originate(channel, query, body)
                await self.replies.wait()
                return reply
            case [_, *parts] if parts[-1] in self.broken:
                raise request_failed(uri, 500, "broken by the test")
            case ["DELETE", "channels", channel] if channel in self.parties:
                self.parties[channel].hangs_up()
            case ["GET", "endpoints", "PJSIP", watch]:
                trunk = watch.removeprefix("trunk-").removesuffix(".in")
                return {"state": "offline" if trunk in self.silent_trunks else "online"}
            case ["GET", "channels", channel, "rtp_statistics"] if self._lives(channel):
                self.parties[channel].packets += not self.parties[channel].vanished
                return {"rxcount": self.parties[channel].packets}
            case ["GET", "asterisk", "variable"]:
                return {"value": self.globals.get(query["variable"], "")}
            case ["GET", "channels", channel, "variable"]:
                return {"value": channel if self.parties[channel].replied else ""}
            case [_, "channels", channel, *verb]:
                if not self._lives(channel):
                    raise request_failed(uri, 404, "Channel not found")
                if not verb:
                    return msgspec.to_builtins(self.parties[channel].channel)
                self._channel(self.parties[channel], method, verb, query)
            case ["POST", "bridges", bridge]:
                self.bridges.add(bridge)
            case ["DELETE", "bridges", bridge]:
                self.bridges.discard(bridge)
            case [_, "bridges", _, "addChannel"]:
                together = query["channel"].split(",")
                for channel in together:
                    self.parties[channel].bridged_with = set(together) - {channel}
            case _:
                pass
        return None

    async def download(self, uri: str) -> bytes:
        """A listing."""
        await asyncio.sleep(0)
        if uri == "bridges":
            return msgspec.json.encode([{"channels": [each.channel.id for each in self._alive() if each.bridged_with]}])
        assert uri == "channels", uri
        return msgspec.json.encode([party.channel for party in self._alive()])

    def _lives(self, channel: str) -> bool:
        return channel in self.parties and self.parties[channel].alive

    def _alive(self) -> list[Party]:
        return [party for party in self.parties.values() if party.alive]

    def _originate(self, channel_id: str, query: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        user, _, name = query["endpoint"].removeprefix("PJSIP/").partition("@")
        assert name, "whom is called must be ours to say, not the registered contact's"
        endpoint = f"PJSIP/{user}" if user == name else query["endpoint"]
        self.rung_endpoints.append(endpoint)
        if endpoint in self.broken:
            raise request_failed("originate", 500, "Allocation failed")
        party = Party(self, Channel(id=channel_id, state="Down", channelvars=body["variables"]), query["callerId"])
        self.parties[channel_id] = party
        self._by_endpoint.setdefault(endpoint, asyncio.Queue()).put_nowait(party)
        return {"id": channel_id, "state": "Down"}

    def _channel(self, party: Party, method: str, verb: list[str], query: dict[str, Any]) -> None:
        match verb:
            case ["answer"]:
                party._in("Up")
            case ["continue"]:
                party.in_fallback, party.alive = True, False
            case ["moh"]:
                party.music = method == "POST"
            case ["play", playback]:
                party.heard.append(query["media"])
                state = Playback(id=playback, target_uri=f"channel:{party.channel.id}", state="done")
                self.tell(PlaybackFinished(playback=state))
            case ["record"]:
                self.recordings[query["name"]] = party.channel.id
                self.recorded_with = query
