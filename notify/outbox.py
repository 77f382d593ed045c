"""The outbox: messages as rows that are claimed, sent and settled, by any number of processes at once.

    pending ──claim──► sending ──► sent
       ▲                  │  └───► failed    refused for good, or refused for days
       └── postponed, released, or its deadline passed ──┘

A claim holds until its deadline and is known by it: whoever settles a row names the deadline it was given.
All times are the database's, so hosts need not agree on the time of day.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.errors import explained
from db.models import OutboxMessage, OutboxState
from notify.backoff import Backoff

LEASE: Final = timedelta(minutes=1)
"""How long a claim holds unless it is renewed: after that others send what a sender that died had in hand."""

GIVE_UP_AFTER: Final = timedelta(days=3)
LEAST_ATTEMPTS: Final = 12
"""A message that waited for days for the server is not given up at its first refusal."""

RETRIES: Final = Backoff(first=timedelta(seconds=5), most=timedelta(minutes=15))


@dataclass(slots=True)
class Parcel:
    """One claimed row: what to send to whom, in which language; ``attempts`` counts this one, and the claim is ours
    until ``deadline``."""

    id: UUID
    recipient: str
    language: str
    template: str
    payload: Mapping[str, Any] = field(repr=False)
    voicemail: UUID | None
    attempts: int
    deadline: datetime


class Outbox:
    """The rows of one database. All methods raise DatabaseError where it is away."""

    def __init__(self, engine: AsyncEngine, retries: Backoff = RETRIES, lease: timedelta = LEASE) -> None:
        self._engine = engine
        self._retries = retries
        self.lease = lease

    async def count_due(self, channel: str) -> int:
        """How many messages of that channel wait to be sent now."""
        query = select(func.count()).select_from(OutboxMessage).where(*_due(channel))
        async with self._transaction() as connection:
            return (await connection.execute(query)).scalar_one()

    async def claim(self, channel: str) -> Parcel | None:
        """The message that has been due for longest, ours until its deadline; None where none is due."""
        oldest = (
            select(OutboxMessage.id)
            .where(*_due(channel))
            .order_by(OutboxMessage.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        row = OutboxMessage
        statement = (
            update(row)
            .where(row.id == oldest)
            .values(state=OutboxState.SENDING, attempts=row.attempts + 1, deadline=func.now() + self.lease)
            .returning(
                *(row.id, row.recipient, row.language, row.template, row.payload),
                *(row.voicemail_id, row.attempts, row.deadline),
            )
        )
        async with self._transaction() as connection:
            found = (await connection.execute(statement)).one_or_none()
        return None if found is None else Parcel(*found)

    async def renew(self, parcel: Parcel) -> None:
        """Has the claim hold for a whole lease from now; does nothing if it was lost."""
        statement = (
            update(OutboxMessage)
            .where(*_claimed(parcel))
            .values(deadline=func.now() + self.lease)
            .returning(OutboxMessage.deadline)
        )
        async with self._transaction() as connection:
            parcel.deadline = (await connection.execute(statement)).scalar_one_or_none() or parcel.deadline

    async def reclaim_overdue(self) -> int:
        """How many messages whose sender died or lost the database are now due again."""
        statement = (
            update(OutboxMessage)
            .where(OutboxMessage.state == OutboxState.SENDING, OutboxMessage.deadline <= func.now())
            .values(state=OutboxState.PENDING, deadline=None, due_at=func.now())
        )
        async with self._transaction() as connection:
            return (await connection.execute(statement)).rowcount

    async def mark_sent(self, key: UUID) -> None:
        """Records that a server took charge of the message: a fact, whoever holds the row by now."""
        statement = (
            update(OutboxMessage)
            .where(OutboxMessage.id == key, OutboxMessage.state != OutboxState.SENT)
            .values(state=OutboxState.SENT, sent_at=func.now(), deadline=None, last_error=None)
        )
        async with self._transaction() as connection:
            await connection.execute(statement)

    async def postpone(self, parcel: Parcel, reason: str) -> bool:
        """Puts the message back for a later attempt; False where it is given up, after days of them."""
        worn_out = and_(OutboxMessage.created_at < func.now() - GIVE_UP_AFTER, OutboxMessage.attempts >= LEAST_ATTEMPTS)
        state = await self._settle(
            parcel,
            state=case((worn_out, OutboxState.FAILED), else_=OutboxState.PENDING),
            due_at=func.now() + self._retries.after(parcel.attempts),
            last_error=reason,
        )
        return state != OutboxState.FAILED

    async def fail(self, parcel: Parcel, reason: str) -> None:
        """Gives the message up: it was refused for good."""
        await self._settle(parcel, state=OutboxState.FAILED, last_error=reason)

    async def release(self, parcel: Parcel, reason: str) -> None:
        """Puts the message back as it was before the claim: nothing was learnt about it."""
        await self._settle(parcel, state=OutboxState.PENDING, attempts=OutboxMessage.attempts - 1, last_error=reason)

    async def retry(self, key: UUID) -> bool:
        """Makes a message that failed or waits due now, as if it were new; False where it is in neither state."""
        return await self._due_again(OutboxMessage.id == key) == 1

    async def retry_failed(self) -> int:
        """How many messages had failed and are now due, as if they were new."""
        return await self._due_again(OutboxMessage.state == OutboxState.FAILED)

    async def _due_again(self, which: ColumnElement[bool]) -> int:
        statement = (
            update(OutboxMessage)
            .where(which, OutboxMessage.state.in_((OutboxState.FAILED, OutboxState.PENDING)))
            .values(state=OutboxState.PENDING, attempts=0, due_at=func.now())
        )
        async with self._transaction() as connection:
            return (await connection.execute(statement)).rowcount

    async def _settle(self, parcel: Parcel, **values: object) -> str | None:
        statement = (
            update(OutboxMessage)
            .where(*_claimed(parcel))
            .values(deadline=None, **values)
            .returning(OutboxMessage.state)
        )
        async with self._transaction() as connection:
            return (await connection.execute(statement)).scalar_one_or_none()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with explained(self._engine):
            async with self._engine.begin() as connection:
                yield connection


def _due(channel: str) -> tuple[Any, ...]:
    return (
        OutboxMessage.state == OutboxState.PENDING,
        OutboxMessage.channel == channel,
        OutboxMessage.due_at <= func.now(),
    )


def _claimed(parcel: Parcel) -> tuple[Any, ...]:
    return (
        OutboxMessage.id == parcel.id,
        OutboxMessage.state == OutboxState.SENDING,
        OutboxMessage.deadline == parcel.deadline,
    )
