"""Who is in an on-call conversation, on whichever worker.

The truth is Asterisk's: a custom device state per person (``Stasis:vigie-person-7``), which all workers see and may
set. Asterisk keeps these across restarts, so a state with no talking channel behind it counts for nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from ari_app.ari import Ari, AriError, DeviceStateChanged

log = logging.getLogger(__name__)

_PREFIX = "Stasis:vigie-person-"


def event_source(person: int) -> str:
    """What to subscribe to in order to hear of ``person``."""
    return f"deviceState:{_PREFIX}{person}"


class Presence:
    """The people in conversation on one Asterisk."""

    def __init__(self) -> None:
        self._engaged: set[int] = set()
        self._watchers: defaultdict[int, set[Callable[[], None]]] = defaultdict(set)

    def on_device_state(self, event: DeviceStateChanged) -> None:
        """Takes in what another worker, or this one, has set."""
        name = event.device_state.name
        if name.startswith(_PREFIX):
            self._set(int(name.removeprefix(_PREFIX)), event.device_state.state == "INUSE")

    async def resync(self, ari: Ari) -> None:
        """Starts afresh from what Asterisk knows, dropping states that no talking channel stands behind."""
        talking = await _talking(ari)
        for state in await ari.device_states():
            if not state.name.startswith(_PREFIX):
                continue
            person = int(state.name.removeprefix(_PREFIX))
            if state.state == "INUSE" and person not in talking:
                await ari.delete_device_state(state.name)
            self._set(person, state.state == "INUSE" and person in talking)

    async def is_engaged(self, ari: Ari, person: int) -> bool:
        """Whether ``person`` is in conversation; a state left behind by a conversation that is over is cleared."""
        if person not in self._engaged:
            return False
        if person in await _talking(ari):
            return True
        log.warning("person %s was marked as in conversation without being in one", person)
        await ari.delete_device_state(f"{_PREFIX}{person}")
        self._set(person, False)
        return False

    def seems_engaged(self, person: int) -> bool:
        """What was last heard of ``person``, without asking Asterisk."""
        return person in self._engaged

    @contextmanager
    def when_engaged(self, person: int, act: Callable[[], None]) -> Iterator[None]:
        """Calls ``act`` as soon as ``person`` enters a conversation."""
        self._watchers[person].add(act)
        try:
            yield
        finally:
            self._watchers[person].discard(act)
            if not self._watchers[person]:
                del self._watchers[person]

    @asynccontextmanager
    async def engaged(self, ari: Ari, person: int) -> AsyncIterator[None]:
        """While inside, ``person`` is in conversation for every worker."""
        name = f"{_PREFIX}{person}"
        self._set(person, True)
        try:
            await ari.set_device_state(name, "INUSE")
            yield
        finally:
            self._set(person, False)
            await asyncio.shield(_release(ari, name))

    def _set(self, person: int, engaged: bool) -> None:
        if engaged and person not in self._engaged:
            self._engaged.add(person)
            for act in tuple(self._watchers.get(person, ())):
                act()
        elif not engaged:
            self._engaged.discard(person)


async def _talking(ari: Ari) -> set[int]:
    people = (channel.channelvars.get("VIGIE_PERSON") for channel in await ari.channels() if channel.state == "Up")
    return {int(person) for person in people if person}


async def _release(ari: Ari, name: str) -> None:
    try:
        await ari.delete_device_state(name)
    except AriError as error:
        log.warning("%s could not be cleared, it will be when it is next looked at: %s", name, error)
