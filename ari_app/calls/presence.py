"""Who is in an on-call conversation, on whichever worker.

The truth is Asterisk's: a custom device state per person (``Stasis:vigie-person-7``), which all workers see and may
set. Asterisk keeps these across restarts, so a state with no talking channel behind it counts for nothing.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from ari_app.ari import Ari, AriError, DeviceStateChanged
from ari_app.calls.contact import Contact

log = logging.getLogger(__name__)

_PREFIX = "Stasis:vigie-person-"


def event_source(person: int) -> str:
    """What to subscribe to in order to hear of ``person``."""
    return f"deviceState:{_PREFIX}{person}"


class Presence:
    """The people in conversation, and on which Asterisk."""

    def __init__(self) -> None:
        self._engaged: dict[int, Ari] = {}
        self._watchers: defaultdict[int, set[Callable[[], None]]] = defaultdict(set)

    def on_device_state(self, ari: Ari, event: DeviceStateChanged) -> None:
        """Takes in what another worker, or this one, has set on an Asterisk."""
        name = event.device_state.name
        if name.startswith(_PREFIX):
            self._set(ari, int(name.removeprefix(_PREFIX)), event.device_state.state == "INUSE")

    async def resync(self, ari: Ari) -> None:
        """Starts afresh from what Asterisk knows, dropping states that no talking channel stands behind."""
        states = await ari.device_states()
        talking = await _talking(ari)  # after the states: who begins to talk in between must not be forgotten
        for state in states:
            if not state.name.startswith(_PREFIX):
                continue
            person = int(state.name.removeprefix(_PREFIX))
            if state.state == "INUSE" and person not in talking:
                await ari.delete_device_state(state.name)
            self._set(ari, person, state.state == "INUSE" and person in talking)

    async def is_engaged(self, person: int) -> bool:
        """Whether ``person`` is in conversation; a state left behind by a conversation that is over is cleared."""
        ari = self._engaged.get(person)
        if ari is None:
            return False
        if person in await _talking(ari):
            return True
        log.warning("person %s was marked as in conversation without being in one", person)
        await ari.delete_device_state(f"{_PREFIX}{person}")
        self._set(ari, person, False)
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
        self._set(ari, person, True)
        try:
            await _mark(ari, name)
            yield
        finally:
            self._set(ari, person, False)
            await ari.finish(ari.delete_device_state(name), f"clearing {name}")

    def _set(self, ari: Ari, person: int, engaged: bool) -> None:
        if not engaged:
            if self._engaged.get(person) is ari:
                del self._engaged[person]
        elif person not in self._engaged:
            self._engaged[person] = ari
            for act in tuple(self._watchers.get(person, ())):
                act()


async def _talking(ari: Ari) -> set[int]:
    contacts = (Contact.of(channel) for channel in await ari.channels() if channel.state == "Up")
    return {contact.person for contact in contacts if contact}


async def _mark(ari: Ari, name: str) -> None:
    """Tells the other workers; a conversation does not wait for want of that."""
    try:
        await ari.set_device_state(name, "INUSE")
    except AriError as error:
        log.warning("%s could not be set, other workers may ring them: %s", name, error)
