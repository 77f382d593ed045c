"""Sends what is due: parcels are claimed, their messages written, handed to a transport, and settled.

Trouble with one message goes to that message's row; trouble with the server holds everything back a while.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Final, Protocol
from uuid import UUID

from jinja2 import TemplateError

from db.errors import DatabaseError
from lasting import beside
from notify.backoff import Backoff
from notify.errors import ServerUnavailable, TooBig, TransportError
from notify.messages import Message, MessageWriter, Recipient
from notify.outbox import Outbox, Parcel
from notify.receipts import Receipts
from notify.stories import StoryReader

log = logging.getLogger(__name__)

CONNECTIONS: Final = 4
SEND_SECONDS: Final = 300
"""Seconds that one message may take at most; servers look for viruses before they say that they have it."""

HOLD: Final = Backoff(first=timedelta(seconds=2), most=timedelta(minutes=1))
"""How long to leave a server alone that cannot be used."""


class Session(Protocol):
    async def send(self, message: Message, *, recipient: Recipient, key: UUID, call: UUID) -> str:
        """What the receiver said as it took charge of the message. Raises TransportError where it did not."""


class Transport(Protocol):
    """One way out; its sessions are used by one coroutine each."""

    @property
    def channel(self) -> str: ...

    def session(self) -> AbstractAsyncContextManager[Session]: ...


class Sender:
    """Sends the messages of one transport's channel."""

    def __init__(
        self,
        outbox: Outbox,
        stories: StoryReader,
        writer: MessageWriter,
        transport: Transport,
        receipts: Receipts,
        *,
        connections: int = CONNECTIONS,
        hold: Backoff = HOLD,
    ) -> None:
        self._outbox = outbox
        self._stories = stories
        self._writer = writer
        self._transport = transport
        self._connections = connections
        self._hold = hold
        self._receipts = receipts
        self._interrupted: list[Parcel] = []
        self._stopping = False
        self._server_failures = 0
        self._held_until = 0.0

    async def send_due(self) -> None:
        """Sends all that is due, as far as the server lets us. Raises DatabaseError."""
        await self._settle_interrupted()
        if overdue := await self._outbox.reclaim_overdue():
            log.warning("%d message(s) whose sending was interrupted are due again", overdue)
        if monotonic() < self._held_until:
            return
        due = await self._outbox.count_due(self._transport.channel)
        rounds = [self._work_off() for _ in range(min(due, self._connections))]
        results = await asyncio.gather(*rounds, return_exceptions=True)
        problems = [result for result in results if isinstance(result, BaseException)]
        refusals = [problem for problem in problems if isinstance(problem, ServerUnavailable)]
        if refusals:
            self._hold_back(refusals[0])
        for problem in problems:
            if problem not in refusals:
                raise problem

    def stop(self) -> None:
        """No further message is begun; those being sent are finished."""
        self._stopping = True

    async def close(self) -> None:
        """Settles what a cancelled ``send_due`` left. Raises DatabaseError."""
        await self._settle_interrupted()

    async def _work_off(self) -> None:
        async with self._transport.session() as session:
            while not self._stopping and (parcel := await self._outbox.claim(self._transport.channel)):
                await self._deliver(parcel, session)

    async def _deliver(self, parcel: Parcel, session: Session) -> None:
        try:
            await self._send_and_settle(parcel, session)
        except (asyncio.CancelledError, DatabaseError):
            self._interrupted.append(parcel)
            raise

    async def _send_and_settle(self, parcel: Parcel, session: Session) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS), self._renewed(parcel):
                await self._send(parcel, session)
        except ServerUnavailable as error:
            await self._outbox.release(parcel, str(error))
            raise
        except (TransportError, TimeoutError) as error:
            await self._put_back(parcel, error)
        except (TemplateError, LookupError, ValueError):
            log.exception("Message %s (%s) cannot be written", parcel.id, parcel.template)
            await self._outbox.postpone(parcel, "cannot be written: see the log")
        else:
            self._server_works()
            await self._mark_sent(parcel.id)

    async def _send(self, parcel: Parcel, session: Session) -> None:
        """Returns with the receipt kept. A message that is too big for the server goes without its sound."""
        recipient = Recipient(parcel.recipient, parcel.payload.get("name"))
        story = await self._stories.read(parcel)
        message = self._writer.write(parcel.template, story, parcel.language)
        try:
            reply = await session.send(message, recipient=recipient, key=parcel.id, call=story.call)
        except TooBig as error:
            if not message.attachments:
                raise
            log.warning("Message %s to %s goes without its sound: %s", parcel.id, parcel.recipient, error)
            message = self._writer.write(parcel.template, story, parcel.language, attach=False)
            reply = await session.send(message, recipient=recipient, key=parcel.id, call=story.call)
        self._receipts.keep(parcel.id)
        log.info("Call %s: %s sent to %s (%s)", story.call, parcel.template, parcel.recipient, reply)

    async def _put_back(self, parcel: Parcel, error: Exception) -> None:
        reason = str(error) or f"not sent within {SEND_SECONDS:.0f} s"
        what = f"Message {parcel.id} ({parcel.template}) to {parcel.recipient}"
        if isinstance(error, TransportError) and error.permanent:
            await self._outbox.fail(parcel, reason)
            log.error("%s is refused for good: %s", what, reason)
        elif await self._outbox.postpone(parcel, reason):
            log.warning("%s is put off after attempt %d: %s", what, parcel.attempts, reason)
        else:
            log.error("%s is given up after %d attempts: %s", what, parcel.attempts, reason)

    @asynccontextmanager
    async def _renewed(self, parcel: Parcel) -> AsyncIterator[None]:
        """While inside, the claim is kept, if the database is there."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._outbox.lease.total_seconds() / 3)
                with suppress(DatabaseError):
                    await self._outbox.renew(parcel)

        async with beside(f"claiming message {parcel.id}", renew):
            yield

    async def _settle_interrupted(self) -> None:
        """Acknowledged messages are sent, whatever became of their rows; the others that were in hand are due again."""
        await self._write_receipts()  # before anything else can make these rows due again
        while self._interrupted:
            await self._outbox.release(self._interrupted[-1], "interrupted")
            self._interrupted.pop()

    async def _write_receipts(self) -> None:
        for key in self._receipts.all():
            await self._mark_sent(key)

    async def _mark_sent(self, key: UUID) -> None:
        await self._outbox.mark_sent(key)
        self._receipts.drop(key)

    def _hold_back(self, error: ServerUnavailable) -> None:
        self._server_failures += 1
        wait = self._hold.after(self._server_failures)
        self._held_until = monotonic() + wait.total_seconds()
        level = logging.WARNING if self._server_failures == 1 else logging.DEBUG
        log.log(level, "Messages wait, the server cannot be used: %s", error)

    def _server_works(self) -> None:
        if self._server_failures:
            log.info("The server can be used again")
        self._server_failures = 0
