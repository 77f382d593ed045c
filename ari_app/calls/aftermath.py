"""Tidying up after workers, or an Asterisk, that went down: messages that nobody took in, calls that nobody closed.

Every worker looks for them now and then, and acts on what it has seen twice: what is seen once may be in somebody's
hands. Two workers that act on the same change nothing by it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from ari_app.ari import AriError, Channel
from ari_app.calls.call import call_id, told_last
from ari_app.calls.desk import Desk
from ari_app.calls.standing import Notebook
from db.aftermath import OpenCall, open_calls, untold_calls
from db.backlog import unwritten_since
from db.errors import DatabaseError
from db.journal import Journal
from db.records import AttemptClosed, CallClosed, CallEvent
from db.voicemails import store_missed
from oncall.outcomes import Disposition, EventKind, Outcome

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
LOOKS_A_MINUTE = 12


class Aftermath:
    """What one worker does about it, over all Asterisks of the site."""

    def __init__(self, desks: Sequence[Desk], engine: AsyncEngine, journal: Journal) -> None:
        self._desks = desks
        self._engine = engine
        self._journal = journal
        self._messages: set[UUID] = set()
        self._calls: set[UUID] = set()
        self._homes: dict[UUID, Desk] = {}
        """On which Asterisk the open calls were seen."""
        self._looks = 0

    async def run(self) -> None:
        """Looks and tidies up, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (AriError, DatabaseError) as error:
                log.warning("what was left behind must wait: %s", error)
            except Exception:
                log.exception("tidying up failed and will be tried again")

    async def look(self) -> None:
        """Acts on what was there the last time too."""
        listed = await asyncio.gather(*map(_channels, self._desks))
        seen = {desk: channels for desk, channels in zip(self._desks, listed, strict=True) if channels is not None}
        waiting = await self._take_messages_in(seen)
        if not await self._is_behind():
            await self._close_calls(seen, waiting)
        self._looks += 1
        if self._looks % LOOKS_A_MINUTE == 0:
            # A scenario that failed has closed its call, though the fallback may still serve the caller.
            alive = {call_id(channel) for channels in seen.values() for channel in channels}
            for call in set(await untold_calls(self._engine)) - waiting - alive:
                await store_missed(self._engine, call)

    async def _is_behind(self) -> bool:
        """Whether what happened is still being written, so that a call may seem open whose end is on its way."""
        since = await asyncio.to_thread(unwritten_since, self._journal.directory)
        return since is not None and datetime.now(UTC) - since > timedelta(seconds=LOOK_SECONDS)

    async def _take_messages_in(self, seen: Mapping[Desk, Sequence[Channel]]) -> set[UUID]:
        """Has the messages of calls that are over stored; gives the calls whose messages are not."""
        found: set[UUID] = set()
        taken: set[UUID] = set()
        for desk, channels in seen.items():
            alive = {call_id(channel) for channel in channels}
            for call in await _left_messages(desk):
                if call not in alive:
                    found.add(call)
                    if call in self._messages and await _is_taken_in(desk, call):
                        taken.add(call)
        self._messages = found - taken
        return self._messages

    async def _close_calls(self, seen: Mapping[Desk, Sequence[Channel]], waiting: set[UUID]) -> None:
        """Closes the calls that nobody has any more: those of an Asterisk that is not seen now may be alive there."""
        ids = {channel.id for channels in seen.values() for channel in channels}
        for desk, channels in seen.items():
            self._homes |= {key: desk for channel in channels if (key := call_id(channel))}
        ours = {call.id for desk in self._desks for call in desk.calls}
        unclosed = await open_calls(self._engine)
        self._homes = {call.id: self._homes[call.id] for call in unclosed if call.id in self._homes}
        all_are_seen = len(seen) == len(self._desks)
        dead = [
            call
            for call in unclosed
            if (all_are_seen or self._homes.get(call.id) in seen)
            and call.channel not in ids
            and call.id not in ours
            and call.id not in waiting
        ]
        for call in dead:
            if call.id in self._calls:
                await self._close(call)
        self._calls = {call.id for call in dead}

    async def _close(self, call: OpenCall) -> None:
        """Tells how the call ended as far as anybody can know. Should its worker have told too, that counts."""
        taken = call.accepted and call.lacks_taker
        for place, attempt in enumerate(call.attempts):
            disposition = Disposition.ACCEPTED if taken and place == 0 else Disposition.CUT
            self._journal.put(AttemptClosed(id=attempt, ended_at=call.last_told_at, disposition=disposition))
        if call.is_over:
            return
        outcome = self._outcome(call)
        log.warning("call %s was left open, and is closed as %s", call.id, outcome)
        self._journal.put(
            CallEvent(
                call_id=call.id,
                seq=told_last(call.generation, 0),
                at=datetime.now(UTC),
                kind=EventKind.ENDED,
                reason=str(outcome),
            )
        )
        self._journal.put(CallClosed(id=call.id, ended_at=call.last_told_at, outcome=outcome))
        for desk in self._desks:
            Notebook(desk.ari, call.id).tear_out(always=True)
        if outcome is Outcome.NO_MESSAGE:
            await store_missed(self._engine, call.id)

    def _outcome(self, call: OpenCall) -> Outcome:
        desks = [self._homes[call.id]] if call.id in self._homes else self._desks
        if any(desk.ari.started_at > call.last_told_at for desk in desks):
            return Outcome.CUT
        if call.accepted:
            return Outcome.ANSWERED
        return Outcome.NO_MESSAGE if call.asked else Outcome.ABANDONED


async def _channels(desk: Desk) -> list[Channel] | None:
    """The channels of one Asterisk; None when it cannot be seen now."""
    try:
        return await desk.ari.channels() if desk.ari.connected else None
    except AriError as error:
        log.warning("an Asterisk is not looked at: %s", error)
        return None


async def _left_messages(desk: Desk) -> list[UUID]:
    try:
        return await desk.mailroom.left_messages()
    except AriError as error:
        log.warning("the messages of an Asterisk must wait: %s", error)
        return []


async def _is_taken_in(desk: Desk, call: UUID) -> bool:
    """Takes a message in; one that cannot be fetched waits, and holds up no other."""
    try:
        return await desk.mailroom.take_in_left(call)
    except AriError as error:
        log.warning("the message of call %s cannot be fetched for now: %s", call, error)
        return False
