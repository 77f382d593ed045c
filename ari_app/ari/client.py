"""One Asterisk, and what can be asked of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import convert, json

from lasting import beside

from .bridge import Bridge
from .claim import claim
from .dispatch import Dispatcher
from .errors import AriError, Conflict, Disconnected, NotFound, RequestFailed
from .events import EVENT_TYPES, CallBroadcast, Channel, ChannelUserevent, StasisStart
from .hangup import SUBSCRIBER_ABSENT, Hangup
from .leg import Leg
from .life import Life
from .link import Link
from .pulse import WAIT_SECONDS, Pulse
from .reconciliation import reconcile, settle
from .recording import RecordingUnderWay

log = logging.getLogger(__name__)

OFFER_SECONDS = 0.4
"""How long it may take until we may claim a call: then the dialplan ceases to offer it, after half a second."""
LEAVING_SECONDS = 2.0
"""How long it is waited for what is done in Asterisk while a scope is left."""

RECORDING_GRACE_SECONDS = 2.0
"""How long after its leg's end a recording may take to say how it ended."""

ALLOCATION_FAILED = 500
"""Asterisk's answer when it finds no way to an endpoint: unknown, or a phone that is not registered."""


@dataclass(frozen=True, slots=True)
class Kin:
    """The applications whose names begin with ``family``, and what is done when one of them, or we, is declared dead;
    see `Pulse`."""

    family: str
    on_death: Callable[[str], Awaitable[None]]
    on_superseded: Callable[[], None]


class Ari:
    """One Asterisk, seen as the application ``app``.

    `run` keeps it connected. The callbacks are called in the order of Asterisk's events and must not block; events
    about a leg go to the leg. ``on_stasis`` gets a leg that nobody here asked for; ``on_connected`` is awaited after
    each connection, when all legs are known to be alive or to have ended. With a ``kin``, the application shows and
    watches signs of life (`Pulse`), and ``on_word`` gets what others of the kin say by `tell_others`.

    ``url`` is Asterisk's HTTP address, as in ``http://127.0.0.1:8088`` (with the prefix of http.conf, if any).
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        app: str,
        *,
        on_broadcast: Callable[[CallBroadcast], None] | None = None,
        on_stasis: Callable[[Leg, StasisStart], None] | None = None,
        on_connected: Callable[[], Awaitable[None]] | None = None,
        on_word: Callable[[ChannelUserevent], None] | None = None,
        kin: Kin | None = None,
    ) -> None:
        self.app = app
        self._on_stasis = on_stasis
        self._on_connected = on_connected
        self._dispatch = Dispatcher(self._adopt, self._refuse, on_broadcast, on_word)
        self._link = Link(url, username, password, app, self._dispatch, self._greet)
        self._pulse = Pulse(app, kin.family, self._ask, kin.on_death, kin.on_superseded) if kin else None
        self.started_at = datetime.fromtimestamp(0, UTC)
        """When this Asterisk was started, as of the last connection."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pulse(self) -> Pulse:
        """The signs of life of an application that has a kin."""
        assert self._pulse is not None, "this application has no kin"
        return self._pulse

    @property
    def connected(self) -> bool:
        """True while there is a connection and all legs are up to date."""
        return self._link.up.is_set()

    async def wait_connected(self) -> None:
        await self._link.up.wait()

    async def run(self) -> None:
        """Connects, and reconnects each time the connection is lost, for ever: cancel it to stop.

        Raises:
            AriRefused: Asterisk will not have us; trying again would not help.
        """
        async with AsyncExitStack() as beating:
            if self._pulse is not None:
                live = partial(self._pulse.run, lambda: self._link.connected)
                await beating.enter_async_context(beside("giving signs of life", live))
            await self._link.run()

    async def request(self, method: str, uri: str, /, *, body: Any = None, once: bool = False, **query: Any) -> Any:
        """The decoded body of the reply; None if it has none. Query values of None are left out.

        If the connection is cut before the reply, it is asked again over the next one: so what must not be done twice
        is asked ``once``.

        Raises:
            RequestFailed: Asterisk refused (NotFound and Conflict among them).
            Disconnected: there is no connection, or it was cut before the reply.
        """
        if self._pulse is not None and not await self._pulse.becomes_sure(WAIT_SECONDS):
            raise Disconnected(f"{method} {uri}: Asterisk has not heard of us for {WAIT_SECONDS} s")
        return await self._link.request(method, uri, query, body, once=once)

    async def download(self, uri: str) -> bytes:
        """The bytes at ``uri``, as in ``recordings/stored/NAME/file``: what the websocket does not carry.

        Raises:
            RequestFailed: Asterisk refused (NotFound among them).
            Disconnected: Asterisk could not be reached.
        """
        return await self._link.download(uri)

    # --- legs

    async def claim(self, broadcast: CallBroadcast) -> Leg | None:
        """The leg of a call on offer, now in our hands; None if another application has it or the caller is gone, or if
        we are too late ourselves to serve it.

        A caller who hangs up just after the claim is a leg that has already ended.
        """
        if broadcast.channel.id in self._dispatch.legs:
            return None  # the same offer, told twice
        if self._pulse is not None and not await self._pulse.becomes_sure(OFFER_SECONDS):
            return None
        leg = self._dispatch.add(Leg(self, broadcast.channel))
        try:
            granted = await claim(self, leg)
        except BaseException:
            self._dispatch.forget(leg)
            raise
        if granted:
            return leg
        self._dispatch.forget(leg)
        return None

    async def watch(self, channel: Channel) -> Leg:
        """A leg of a channel that another application has or had; what happens to it is told to us from now on."""
        leg = self._dispatch.add(Leg(self, channel))
        try:
            await self.request("POST", f"applications/{self.app}/subscription", eventSource=f"channel:{leg.id}")
        except BaseException as error:
            self._dispatch.forget(leg)
            if isinstance(error, RequestFailed):
                leg.end(Hangup.unseen("gone before it was watched"))
                return leg
            raise
        return leg

    def holds(self, channel_id: str) -> bool:
        """Whether a leg of ours is on that channel."""
        return channel_id in self._dispatch.legs

    async def originate(
        self,
        endpoint: str,
        *,
        leg_id: str,
        caller_id: str,
        timeout: int,
        variables: Mapping[str, str],
        originator: str | None = None,
    ) -> Leg:
        """A leg that is being called, for at most ``timeout`` seconds; `Leg.answered` waits for the party.

        ``originator`` is the id of the channel whose codecs to match. If Asterisk finds no way to the endpoint (a
        phone that is not registered), the leg has already ended, with Q.850 cause 20, subscriber absent.

        Raises:
            Conflict: there is a channel ``leg_id``.
        """
        if leg_id in self._dispatch.legs:
            raise Conflict(f"originate {leg_id}", 409, "this leg exists already")
        leg = self._dispatch.add(Leg(self, Channel(id=leg_id, state="Down")))
        try:
            await self.request(
                "POST",
                f"channels/{leg_id}",
                once=True,
                body={"variables": dict(variables)},
                endpoint=endpoint,
                app=self.app,
                callerId=caller_id,
                timeout=timeout,
                originator=originator,
            )
        except RequestFailed as error:
            if error.status != ALLOCATION_FAILED:
                self._dispatch.forget(leg)
                raise
            leg.end(Hangup.unseen("subscriber absent", SUBSCRIBER_ABSENT))
        except Disconnected:
            log.warning("whether %s is called will be known over the next connection", leg_id)
        except asyncio.CancelledError:
            leg.unwanted = True
            await self.finish(leg.hangup(), f"hanging up {leg_id}")
            raise
        except BaseException:
            leg.unwanted = True
            raise
        return leg

    def _adopt(self, event: StasisStart) -> None:
        if self._on_stasis is None:
            self._refuse(event.channel)
            return
        leg = self._dispatch.add(Leg(self, event.channel))
        leg.saw_start(event.channel)
        self._on_stasis(leg, event)

    def _refuse(self, channel: Channel) -> None:
        """Hangs up a channel that nobody here asked for, such as one that a called phone wants its call to go to."""
        log.warning("channel %s (%s) was not asked for and is hung up", channel.id, channel.name)
        self._start(self._logged(Leg(self, channel).hangup(), f"hanging up {channel.id}"))

    # --- other things of Asterisk's

    async def bridge(self, bridge_id: str, kind: str = "mixing") -> Bridge:
        """A new bridge.

        Raises:
            Conflict: there is one of that id.
        """
        bridge = Bridge(self, bridge_id)
        try:
            await self.request("POST", f"bridges/{bridge_id}", type=kind)
        except asyncio.CancelledError:
            await self.finish(bridge.destroy(), f"destroying bridge {bridge_id}")
            raise
        return bridge

    async def channels(self) -> list[Channel]:
        """All channels, whoever's they are."""
        return convert(await self._listing("channels"), list[Channel])

    async def channel(self, channel_id: str) -> Channel | None:
        """The channel of that id, whoever's it is; None when there is none."""
        try:
            return convert(await self.request("GET", f"channels/{channel_id}"), Channel)
        except NotFound:
            return None

    async def stored_recordings(self) -> list[str]:
        """The names of all recordings that are kept, among them those still being made."""
        return [recording["name"] for recording in await self._listing("recordings/stored")]

    async def delete_recording(self, name: str) -> None:
        """Deletes a stored recording; does nothing if there is none."""
        with suppress(NotFound):
            await self.request("DELETE", f"recordings/stored/{name}")

    async def bridged(self) -> set[str]:
        """The ids of all channels that are in a bridge."""
        return {channel for bridge in await self._listing("bridges") for channel in bridge["channels"]}

    async def variable(self, name: str) -> str:
        """The value of a global variable; empty when there is none."""
        return str((await self.request("GET", "asterisk/variable", variable=name))["value"])

    async def set_variable(self, name: str, value: str | None) -> None:
        """Sets a global variable; None removes it."""
        await self.request("POST", "asterisk/variable", variable=name, value=value)

    def tell_others(self, event: str, **facts: str) -> None:
        """Says something to the others of our kin, each of which hears it, but for one that has just come."""
        for app in self._pulse.others if self._pulse else ():
            self.later(self._tell(app, event, facts), f"telling {app} of {event}")

    # --- what legs, bridges and recordings need

    async def finish(self, work: Coroutine[Any, Any, object], what: str) -> None:
        """Sees ``work`` through, even if the task awaiting it is cancelled, and waits for it for LEAVING_SECONDS. Its
        failure is only logged: it happens on the way out, where something else is being told."""
        _, late = await asyncio.wait([self._start(self._logged(work, what))], timeout=LEAVING_SECONDS)
        if late:
            log.warning("%s takes more than %g s", what, LEAVING_SECONDS)

    def later(self, work: Coroutine[Any, Any, object], what: str) -> None:
        """Has ``work`` done beside everything else, in the order of asking; its failure is only logged."""
        self._start(self._logged(work, what))

    def expect_recording(self, name: str) -> RecordingUnderWay:
        """Has the end of recording ``name`` told to the returned handle."""
        recording = self._dispatch.recordings[name] = RecordingUnderWay(self, name)
        return recording

    def forget_recording(self, recording: RecordingUnderWay) -> None:
        self._dispatch.recordings.pop(recording.name, None)
        recording.forget()

    def settle_later(self, recording: RecordingUnderWay) -> None:
        """Makes sure that a recording whose leg has ended comes to an end too."""
        if not recording.is_finished:
            self._start(self._settle(recording))

    def forget_leg(self, leg: Life) -> None:
        self._dispatch.forget(leg)

    # --- within

    async def _listing(self, uri: str) -> list[dict[str, Any]]:
        """A list that may be long, over HTTP: Asterisk (22.10) puts a frame of the websocket on a thread's stack, which
        is half a megabyte; some hundred channels are more, and end it."""
        return json.decode(await self.download(uri), type=list[dict[str, Any]])

    async def _ask(self, method: str, uri: str, /, **query: Any) -> Any:
        """A request that is made whether others think that we live or not."""
        return await self._link.request(method, uri, query, None, once=True)

    async def _greet(self) -> None:
        """Tells Asterisk what we want to hear, and catches up with what happened while nobody listened."""
        if self._pulse is not None:
            await self._pulse.begin()
        wanted = [{"type": name} for name in EVENT_TYPES]
        await self.request("PUT", f"applications/{self.app}/eventFilter", body={"allowed": wanted})
        restarted = await self._was_restarted()
        legs, recordings = list(self._dispatch.legs.values()), list(self._dispatch.recordings.values())
        await reconcile(self, legs, recordings, restarted=restarted)
        self._link.up.set()
        log.info("connected to %s as %s", self._link.url, self.app)
        if self._on_connected is not None:
            await self._on_connected()

    async def _was_restarted(self) -> bool:
        """Whether Asterisk was started anew since the last connection."""
        info = await self.request("GET", "asterisk/info")
        before, self.started_at = self.started_at, datetime.fromisoformat(info["status"]["startup_time"])
        return before.timestamp() > 0 and before != self.started_at

    async def _tell(self, app: str, event: str, facts: Mapping[str, str]) -> None:
        with suppress(NotFound):
            await self.request("POST", f"events/user/{event}", application=app, body={"variables": facts})

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _logged(self, work: Coroutine[Any, Any, object], what: str) -> None:
        try:
            await work
        except AriError as error:
            log.warning("%s: %r", what, error)

    async def _settle(self, recording: RecordingUnderWay) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECORDING_GRACE_SECONDS):
                await recording.finished
                return
        with suppress(Disconnected):  # then the next connection settles it
            await settle(self, recording)
