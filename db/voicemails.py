"""Messages that callers left, stored together with the mails that tell of them: both, or neither."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import models
from db.records import CallOpened, write


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail:
    """A recorded message (``audio`` is a WAV file); ``silent`` when nothing was heard in it."""

    recorded_at: datetime
    duration_ms: int
    audio: bytes = field(repr=False)
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a line's messages go: ``name`` is None for a bare address."""

    email: str
    name: str | None
    language: str


async def store_voicemail(engine: AsyncEngine, call: CallOpened, voicemail: Voicemail) -> list[Recipient]:
    """Stores the message with a mail for each of the line's recipients, whom it returns.

    The call's own row is written too if the journal has not done so yet. Done twice for the same call, it is as
    done once: the first message counts.
    """
    message_id = uuid5(call.id, "voicemail")
    async with engine.begin() as connection:
        await write(connection, [call])
        await connection.execute(
            insert(models.Voicemail)
            .values(
                id=message_id,
                call_id=call.id,
                line_id=await _surviving_line(connection, call.line_id),
                line_name=call.line_name,
                caller=call.caller,
                recorded_at=voicemail.recorded_at,
                duration_ms=voicemail.duration_ms,
                audio=voicemail.audio,
                sha256=hashlib.sha256(voicemail.audio).digest(),
                silent=voicemail.silent,
            )
            .on_conflict_do_nothing(index_elements=["call_id"])
        )
        facts = {
            "recorded_at": voicemail.recorded_at.isoformat(),
            "duration_ms": voicemail.duration_ms,
            "silent": voicemail.silent,
        }
        return await _announce(connection, call, "voicemail", facts, message_id)


async def store_missed_call(engine: AsyncEngine, call: CallOpened) -> list[Recipient]:
    """Stores a mail for each of the line's recipients, telling that the caller left no message."""
    async with engine.begin() as connection:
        await write(connection, [call])
        return await _announce(connection, call, "no_message", {}, None)


async def load_recipients(connection: AsyncConnection, line_id: int) -> list[Recipient]:
    """Who receives the messages of a line, in the line's order; a person by their first e-mail address."""
    rows = await connection.execute(_RECIPIENTS, {"line_id": line_id})
    recipients: dict[str, Recipient] = {}
    for row in rows:
        recipients.setdefault(row.email, Recipient(row.email, row.name, row.language))
    return list(recipients.values())


async def _announce(
    connection: AsyncConnection,
    call: CallOpened,
    template: str,
    facts: dict[str, Any],
    voicemail_id: UUID | None,
) -> list[Recipient]:
    """Writes the outbox rows; their payload is all that a mail says, as it was at the time of the call."""
    if call.line_id is None:
        return []
    recipients = await load_recipients(connection, call.line_id)
    zone = await connection.scalar(text("SELECT zone FROM line WHERE id = :id"), {"id": call.line_id})
    about = {
        "call_id": str(call.id),
        "line": call.line_name,
        "did": call.did,
        "caller": call.caller,
        "started_at": call.started_at.isoformat(),
        "zone": zone,
        **facts,
    }
    await _insert(connection, _rows(call.id, template, recipients, about, voicemail_id))
    return recipients


def _rows(
    call_id: UUID,
    template: str,
    recipients: Iterable[Recipient],
    about: dict[str, Any],
    voicemail_id: UUID | None,
) -> list[dict[str, Any]]:
    rows = []
    for recipient in recipients:
        key = f"{template}:{call_id}:{recipient.email}"
        rows.append(
            {
                "id": uuid5(call_id, key),
                "channel": "email",
                "recipient": recipient.email,
                "language": recipient.language,
                "template": template,
                "payload": {**about, "name": recipient.name},
                "voicemail_id": voicemail_id,
                "dedupe_key": key,
            }
        )
    return rows


async def _insert(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = insert(models.OutboxMessage).on_conflict_do_nothing(index_elements=["dedupe_key"])
        await connection.execute(statement, rows)


async def _surviving_line(connection: AsyncConnection, line_id: int | None) -> int | None:
    """``line_id``, unless that line was removed while its last call was on."""
    found: int | None = await connection.scalar(
        text("SELECT id FROM line WHERE id = :id FOR KEY SHARE"), {"id": line_id}
    )
    return found


_RECIPIENTS = text("""
    SELECT coalesce(recipient.email, address) AS email, person.name,
           coalesce(person.language, line.language) AS language
    FROM voicemail_recipient AS recipient
    JOIN line ON line.id = recipient.line_id
    LEFT JOIN person ON person.id = recipient.person_id
    LEFT JOIN LATERAL (
        SELECT address FROM contact_method
        WHERE person_id = person.id AND kind = 'email' ORDER BY position LIMIT 1
    ) AS first_email ON true
    WHERE line.id = :line_id AND coalesce(recipient.email, address) IS NOT NULL
    ORDER BY recipient.position
""")
