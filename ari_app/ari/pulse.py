"""Signs of life between the applications of one family on one Asterisk, so that the channels of one that died are taken
over by another, and one that was only hung finds out.

Each application counts up a global variable of Asterisk's. Sorted by name they form a ring, in which each watches those
after it up to the first that serves: a count that stands still in several looks is that of a dead application, and
whoever sees it is its heir. The heir first puts up a tombstone with its own name, then looks once more whether the
count moves; the application counts first, then looks for a tombstone. So at least one of them sees the other, and
never do both serve. What was inherited is the heir's, whoever joins the ring later, and goes to the heir's own heir.
A lease holds an application that was hung back from everything else until it has looked.

One that is told to stop counts on as leaving, and hands over what it has to one that serves. Each says first what it is
about, and only then looks at the others (leaving, then who is gone; gone, then who serves): so of several that stop at
once none leaves what it has to another that is leaving too.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import AriError

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.2
MISSES = 4
"""Looks in which a count stood still, after which its application is dead: 0.8 to 1 s after its last beat."""
LATE_SECONDS = 0.25
"""A look that takes so long counts for nothing: Asterisk has too much to do, and others' beats are as late."""
LEASE_SECONDS = 0.6
"""How long after a beat its application may act: shorter than it takes to be declared dead."""
FAMILY_BEATS = 5
"""In every so many beats the family is listed anew, and the beat that the dialplan looks at is renewed."""
WAIT_SECONDS = 25.0
"""How long a request waits for the lease before it fails: longer than it takes to find that the connection is dead."""

ANY_BEAT = "VIGIE_BEAT"
"""The epoch, by Asterisk's clock, at which any application of the family last served: the dialplan's to read."""
LEAVING = "leaving"
GONE = "gone"


class Ask(Protocol):
    """A request to Asterisk, whose decoded answer it gives."""

    async def __call__(self, method: str, uri: str, /, **query: Any) -> Any: ...


@dataclass(slots=True)
class _Seen:
    value: str
    misses: int = 0


class Pulse:
    """The signs of life of the application ``app``, and its eyes on the others whose names begin with ``family``.

    ``on_death`` is awaited with the name of a dead application of which we are the heir, and again as long as channels
    are left with it. ``on_superseded`` is called when others have declared us dead: then nothing may be done any more.
    """

    def __init__(
        self,
        app: str,
        family: str,
        ask: Ask,
        on_death: Callable[[str], Awaitable[None]],
        on_superseded: Callable[[], None],
    ) -> None:
        self._app = app
        self._family = family
        self._ask = ask
        self._on_death = on_death
        self._on_superseded = on_superseded
        self._beats = 0
        self._looks = 0
        self._leaving = False
        self._is_gone = False
        self._lease = 0.0
        self._renewed = asyncio.Condition()
        self._members: list[str] = []
        self._seen: dict[str, _Seen] = {}
        self._ours: set[str] = set()
        """The dead ones that we have inherited."""

    @property
    def sure(self) -> bool:
        """Whether nobody can have declared us dead. (The loop's own clock stands still within a turn of the loop.)"""
        return time.monotonic() < self._lease

    @property
    def others_serve(self) -> bool:
        """Whether another application is known to serve."""
        return any(_serves(seen) for seen in self._seen.values())

    @property
    def others(self) -> list[str]:
        """The other applications of the family that are not known to be dead."""
        return [app for app in self._after_us() if not (app in self._seen and _is_dead(self._seen[app]))]

    @property
    def _inherits(self) -> bool:
        return not (self._leaving and self.others_serve)

    async def becomes_sure(self, within: float) -> bool:
        """Whether the lease holds, now or within so many seconds."""
        if not self.sure:
            with suppress(TimeoutError):
                async with asyncio.timeout(within), self._renewed:
                    await self._renewed.wait_for(lambda: self.sure)
        return self.sure

    async def leave(self) -> None:
        """From now on we serve what we have, and inherit nothing as long as another application serves."""
        self._leaving = True
        await self.beat()
        await self.look_around()

    async def hand_over(self) -> bool:
        """Has the heir take what we have at once; False when nobody is there to take it: then it stays with us."""
        self._is_gone = True
        await self._set(sign_of_life(self._app), GONE)
        for app in self._after_us():
            seen = await self._look_at(app)
            if seen is not None and _serves(seen):
                return True
        self._is_gone = False
        await self.beat()
        return False

    async def beat(self) -> None:
        """Gives one sign of life, and renews the lease unless we have been declared dead meanwhile."""
        if self._is_gone:
            return
        at = time.monotonic()
        self._beats += 1
        await self._set(sign_of_life(self._app), f"{self._beats} {LEAVING}" if self._leaving else str(self._beats))
        if await self._get(_tombstone(self._app)):
            self._on_superseded()
            return
        self._lease = at + LEASE_SECONDS
        async with self._renewed:
            self._renewed.notify_all()
        if self._beats % FAMILY_BEATS == 1 and not self._leaving:
            await self._set(ANY_BEAT, await self._get("EPOCH"))

    async def begin(self) -> None:
        """Gives the first sign of life over a new connection."""
        self._beats += -self._beats % FAMILY_BEATS
        await self.beat()

    async def run(self, connected: Callable[[], bool]) -> None:
        """Beats and watches whenever ``connected``, for ever.

        Each by itself: taking over what somebody has left takes its time, and requests that only a beat lets through.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(_again_and_again(self.beat, connected))
            group.create_task(_again_and_again(self.look_around, connected))

    async def look_around(self) -> None:
        """One look at the others, which may end with taking over what one of them has left."""
        if self._looks % FAMILY_BEATS == 0:
            self._ours &= {*await self._list_members()}
            for app in tuple(self._ours) if self._inherits else ():
                await self._on_death(app)  # its last requests may have been carried out since
        self._looks += 1
        for app in self._after_us():
            seen = await self._look_at(app)
            if seen is not None and _is_dead(seen):
                if self._inherits and app not in self._ours:
                    await self._inherit(app, seen)
            elif seen is not None and _serves(seen):
                return

    def _after_us(self) -> Iterator[str]:
        """The other members, from the one after us round the ring."""
        yield from (app for app in self._members if app > self._app)
        yield from (app for app in self._members if app < self._app)

    async def _look_at(self, app: str) -> _Seen | None:
        """What is known of ``app``; None when it has not given any sign of life yet."""
        asked_at = time.monotonic()
        value = await self._get(sign_of_life(app))
        was_late = time.monotonic() - asked_at > LATE_SECONDS
        if not value:
            return None
        if app not in self._seen:
            buried = await self._get(_tombstone(app))
            self._seen[app] = _Seen(value, misses=MISSES if buried else -1)
        seen = self._seen[app]
        if seen.value != value:
            seen.misses = 0
        elif not was_late:
            seen.misses += 1
        seen.value = value
        return seen

    async def _inherit(self, app: str, seen: _Seen) -> None:
        if seen.misses > MISSES and seen.misses % FAMILY_BEATS:
            return  # it has an heir; look now and then whether that one lives
        heir = await self._heir_of(app)
        if heir not in ("", self._app) and heir in await self._list_members():
            return
        await self._set(_tombstone(app), self._app)
        if await self._get(sign_of_life(app)) != seen.value:
            await self._set(_tombstone(app), None)
            return
        await self._take(app)

    async def _heir_of(self, app: str) -> str:
        """To whom what ``app`` had has come, from heir to heir; empty when it is nobody's, as when two have declared
        each other dead."""
        passed = [app]
        while heir := await self._get(_tombstone(passed[-1])):
            if heir in passed:
                return ""
            passed.append(heir)
        return "" if passed == [app] else passed[-1]

    async def _take(self, app: str) -> None:
        """Takes what ``app`` has left, and what it had inherited itself. Asterisk still lists a channel that changed
        hands twice among its former owner's, so nobody else may act on what is listed there."""
        self._ours.add(app)
        await self._on_death(app)
        for other in self._members:
            if await self._get(_tombstone(other)) == app:
                await self._take(other)

    async def _list_members(self) -> list[str]:
        listed = await self._ask("GET", "applications")
        self._members = sorted(item["name"] for item in listed if item["name"].startswith(self._family))
        self._seen = {app: seen for app, seen in self._seen.items() if app in self._members}
        return self._members

    async def _get(self, variable: str) -> str:
        return str((await self._ask("GET", "asterisk/variable", variable=variable))["value"])

    async def _set(self, variable: str, value: str | None) -> None:
        """Sets a global variable; None removes it."""
        await self._ask("POST", "asterisk/variable", variable=variable, value=value)


async def _again_and_again(act: Callable[[], Awaitable[None]], connected: Callable[[], bool]) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        if not connected():
            continue
        try:
            await act()
        except AriError as error:
            log.warning("no sign of life: %s", error)
        except Exception:
            log.exception("a sign of life failed")


def _is_dead(seen: _Seen) -> bool:
    return seen.value == GONE or seen.misses >= MISSES


def _serves(seen: _Seen) -> bool:
    return not _is_dead(seen) and not seen.value.endswith(LEAVING)


def sign_of_life(app: str) -> str:
    """The global variable that an application counts up."""
    return f"VIGIE_ALIVE_{app}"


def _tombstone(app: str) -> str:
    return f"VIGIE_DEAD_{app}"
