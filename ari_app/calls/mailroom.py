"""Takes recorded messages out of Asterisk and into the database, with the mails that announce them, once each.

A recording is deleted from Asterisk only when it is stored; while the database is away it stays where it is and is
tried again.
"""

import asyncio
import logging
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from ari_app.ari import Ari, AriError, NotFound
from ari_app.calls.call import Call, told_last
from ari_app.calls.message import Message, read_message
from ari_app.calls.voicemail import call_of_recording, recording_name
from db.aftermath import left_call
from db.errors import DatabaseError
from db.journal import Journal
from db.records import CallClosed, CallEvent
from db.voicemails import store_missed, store_voicemail
from oncall.outcomes import EventKind, Outcome

log = logging.getLogger(__name__)

_FINISH_SECONDS = 10
"""How long Asterisk may take to say that a recording is over once the caller has gone."""
_FIRST_DELAY, _LAST_DELAY = 0.5, 30.0
"""Seconds between tries at storing a message, doubling from the first to the last."""


class Mailroom:
    """What becomes of the messages of one Asterisk."""

    def __init__(self, ari: Ari, engine: AsyncEngine, journal: Journal) -> None:
        self._ari = ari
        self._engine = engine
        self._journal = journal
        self._storing: set[asyncio.Task[None]] = set()
        self._under_way: set[UUID] = set()

    async def take_in(self, call: Call) -> None:
        """Settles the outcome of a call whose caller was asked for a message, and has the message stored and mailed.

        Returns when the outcome is settled; storing goes on beside, as long as it takes.
        """
        self._under_way.add(call.id)
        try:
            message, fetched = await self._message(call), True
        except AriError as error:
            log.warning("the message waits in Asterisk: %s", error)
            message, fetched = None, False
        call.end(Outcome.VOICEMAIL if message or not fetched else _without_message(call))
        self._keep_beside(call, message, fetched)

    def tell(self, call: Call) -> None:
        """Has the line's recipients told of a call that ended without a message; returns at once."""
        self._keep_beside(call, None, True)

    async def left_messages(self) -> list[UUID]:
        """The calls whose recordings are in Asterisk, but for those that are being taken in here."""
        return [
            call
            for name in await self._ari.stored_recordings()
            if (call := call_of_recording(name)) and call not in self._under_way
        ]

    async def take_in_left(self, call_id: UUID) -> bool:
        """Stores a message whose worker is gone, with its mails; False when its call is not in the database yet.

        Raises AriError or DatabaseError; then the message is where it was.
        """
        call = await left_call(self._engine, call_id)
        if call is None:
            log.warning("a message waits for its call, %s, to be journalled", call_id)
            return False
        name = recording_name(call_id)
        message = await asyncio.to_thread(read_message, await self._ari.download(f"recordings/stored/{name}/file"))
        enough = message.duration_ms >= call.min_seconds * 1000
        if enough:
            await store_voicemail(self._engine, call_id, message.audio, message.duration_ms, silent=message.silent)
        else:
            await store_missed(self._engine, call_id)
        log.warning("the message of call %s was left behind, and is taken in", call_id)
        now = datetime.now(UTC)
        if enough:
            seq = told_last(call.generation, 1)
            self._journal.put(CallEvent(call_id=call_id, seq=seq, at=now, kind=EventKind.VOICEMAIL_STORED))
        if call.is_open:
            outcome = Outcome.VOICEMAIL if enough else Outcome.NO_MESSAGE
            self._journal.put(CallClosed(id=call_id, ended_at=now, outcome=outcome, generation=call.generation))
        await self._delete(name)
        return True

    async def drain(self) -> None:
        """Returns when every message taken in so far is stored."""
        while self._storing:
            await asyncio.wait(self._storing)

    def _keep_beside(self, call: Call, message: Message | None, fetched: bool) -> None:
        task = asyncio.create_task(self._keep(call, message, fetched))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        task.add_done_callback(lambda _: self._under_way.discard(call.id))

    async def _message(self, call: Call) -> Message | None:
        """The caller's message; None if there is none, or one too short to be one.

        There may be one that we do not know of: a worker that is gone began it, and the caller hung up before we saw.
        """
        if call.recording is not None:
            try:
                async with asyncio.timeout(_FINISH_SECONDS):
                    await call.recording.finished
            except TimeoutError:
                log.warning("Asterisk did not say that recording %s is over", call.recording.name)
        try:
            wav = await self._ari.download(f"recordings/stored/{recording_name(call.id)}/file")
        except NotFound:
            return None
        message = await asyncio.to_thread(read_message, wav)
        enough = message.duration_ms >= call.voicemail.min_seconds * 1000
        if not call.message_told:
            call.message_told = True
            call.tell(EventKind.VOICEMAIL_RECORDED, reason=_described(call, message, enough))
        return message if enough else None

    async def _keep(self, call: Call, message: Message | None, fetched: bool) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                if not fetched:
                    message, fetched = await self._message(call), True
                await self._store(call, message)
                break
            except (AriError, DatabaseError) as error:
                log.warning("the message waits in Asterisk: %s", error)
            except Exception:
                log.exception("the message waits in Asterisk")
            message, fetched = None, False  # sound by the minute need not wait in memory too
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY)
        if message is not None:
            call.tell(EventKind.VOICEMAIL_STORED)
        await self._delete(recording_name(call.id))

    async def _store(self, call: Call, message: Message | None) -> None:
        await self._journal.drain()  # the call's own row comes first
        if message is None:
            await store_missed(self._engine, call.id)
        else:
            await store_voicemail(self._engine, call.id, message.audio, message.duration_ms, silent=message.silent)

    async def _delete(self, name: str) -> None:
        try:
            await self._ari.delete_recording(name)
        except AriError as error:
            log.warning("recording %s is stored but could not be deleted from Asterisk: %s", name, error)


def _without_message(call: Call) -> Outcome:
    lost = call.caller.hangup_cause is not None and call.caller.hangup_cause.by_restart
    return Outcome.CUT if lost else Outcome.NO_MESSAGE


def _described(call: Call, message: Message, enough: bool) -> str:
    seconds = message.duration_ms / 1000
    if not enough:
        return call.words(f"{seconds:.1f} s, trop court", f"{seconds:.1f} s, too short")
    if message.silent:
        return call.words(f"{seconds:.1f} s de silence", f"{seconds:.1f} s of silence")
    return f"{seconds:.1f} s"
