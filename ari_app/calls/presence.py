"""Who is in an on-call conversation, on whichever worker.

The truth is Asterisk's: somebody talks whose channel is in a bridge. Each worker is told of it by the others as it
happens, and looks for itself when it connects and before it passes somebody over for being engaged.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from ari_app.ari import Ari, Channel, ChannelUserevent
from ari_app.calls.contact import Contact

log = logging.getLogger(__name__)

ENGAGED = "vigie-engaged"
FREE = "vigie-free"


class Presence:
    """The people in conversation, and on which Asterisk."""

    def __init__(self) -> None:
        self._engaged: dict[int, Ari] = {}
        self._watchers: defaultdict[int, set[Callable[[], None]]] = defaultdict(set)

    def on_word(self, ari: Ari, event: ChannelUserevent) -> None:
        """Takes in what another worker says."""
        person = event.userevent.get("person", "")
        if event.eventname in (ENGAGED, FREE) and person.isdecimal():
            self._set(ari, int(person), event.eventname == ENGAGED)

    async def look(self, ari: Ari) -> None:
        """Finds out who talks: others may have said so while they could not reach us."""
        bridged = await ari.bridged()
        for person in await _people(ari, lambda channel: channel.id in bridged):
            self._set(ari, person, True)

    async def is_engaged(self, person: int) -> bool:
        """Whether ``person`` is in conversation, or about to be; what was said of one that is over is forgotten."""
        ari = self._engaged.get(person)
        if ari is None:
            return False
        if person in await _people(ari, lambda channel: channel.state == "Up"):
            return True
        log.info("person %s was taken for engaged without being on the line", person)
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
        self._set(ari, person, True)
        ari.tell_others(ENGAGED, person=str(person))
        try:
            yield
        finally:
            self._set(ari, person, False)
            ari.tell_others(FREE, person=str(person))

    def _set(self, ari: Ari, person: int, engaged: bool) -> None:
        if not engaged:
            if self._engaged.get(person) is ari:
                del self._engaged[person]
        elif person not in self._engaged:
            self._engaged[person] = ari
            for act in tuple(self._watchers.get(person, ())):
                act()


async def _people(ari: Ari, on_the_line: Callable[[Channel], bool]) -> set[int]:
    """Who is behind the channels for which that is so."""
    contacts = (Contact.of(channel) for channel in await ari.channels() if on_the_line(channel))
    return {contact.person for contact in contacts if contact}
