"""Who is in an on-call conversation, on whichever worker.

The truth is Asterisk's: somebody talks whose channel is in a bridge. Each worker is told of it by the others as it
happens, and looks for itself when it connects and before it passes somebody over for being engaged.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from ari_app.ari import Ari, AriError, ChannelUserevent
from ari_app.calls.contact import Contact

log = logging.getLogger(__name__)

ASK_SECONDS = 0.5
"""How long an Asterisk may take to say whether somebody talks there: callers wait meanwhile."""
ENGAGED = "vigie-engaged"
FREE = "vigie-free"


class Presence:
    """The people in conversation, on which Asterisk and by which leg."""

    def __init__(self) -> None:
        self._engaged: dict[int, tuple[Ari, str]] = {}
        self._watchers: defaultdict[int, set[Callable[[], None]]] = defaultdict(set)

    def on_word(self, ari: Ari, event: ChannelUserevent) -> None:
        """Takes in what another worker says."""
        person, leg = event.userevent.get("person", ""), event.userevent.get("leg", "")
        if event.eventname in (ENGAGED, FREE) and person.isdecimal():
            self._set(ari, int(person), leg, event.eventname == ENGAGED)

    async def look(self, ari: Ari) -> None:
        """Finds out who talks: others may have said so while they could not reach us."""
        bridged = await ari.bridged()
        for channel in await ari.channels():
            contact = Contact.of(channel)
            if contact is not None and channel.id in bridged:
                self._set(ari, contact.person, channel.id, True)

    async def is_engaged(self, person: int) -> bool:
        """Whether ``person`` is in conversation, or about to be; what was said of one that is over is forgotten."""
        if person not in self._engaged:
            return False
        ari, leg = self._engaged[person]
        try:
            async with asyncio.timeout(ASK_SECONDS):
                channel = await ari.channel(leg) if ari.connected else None
        except (AriError, TimeoutError) as error:
            log.warning("whether person %s is still on the line cannot be asked: %r", person, error)
            return False  # of an Asterisk that is away nobody knows: a telephone that is busy says so
        if channel is not None and channel.state == "Up":
            return True
        log.info("person %s was taken for engaged without being on the line", person)
        self._set(ari, person, leg, False)
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
    async def engaged(self, ari: Ari, person: int, leg: str) -> AsyncIterator[None]:
        """While inside, ``person`` is in conversation, by the leg of that id, for every worker."""
        self._set(ari, person, leg, True)
        ari.tell_others(ENGAGED, person=str(person), leg=leg)
        try:
            yield
        finally:
            self._set(ari, person, leg, False)
            ari.tell_others(FREE, person=str(person), leg=leg)

    def _set(self, ari: Ari, person: int, leg: str, engaged: bool) -> None:
        if not engaged:
            if self._engaged.get(person) == (ari, leg):
                del self._engaged[person]
        elif self._engaged.get(person) != (ari, leg):
            self._engaged[person] = ari, leg
            for act in tuple(self._watchers.get(person, ())):
                act()
