"""Messages that callers left, stored together with the mails that tell of them: both, or neither."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.errors import CallNotJournalled, explained
from db.models import Call, OutboxMessage, Voicemail
from oncall.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a line's messages go: ``name`` is None for a bare address."""

    email: str
    name: str | None
    language: str


async def store_voicemail(
    engine: AsyncEngine, call_id: UUID, audio: bytes, duration_ms: int, *, silent: bool = False
) -> list[Recipient]:
    """Stores the message of a call (``audio`` is a WAV file) with a mail to each of the line's recipients.

    Gives the recipients. Done twice, it is as done once: the first message counts. Raises CallNotJournalled
    when the call itself is not written yet, or another DatabaseError; then nothing was stored.
    """
    message_id = uuid5(call_id, "voicemail")
    with explained(engine):
        async with engine.begin() as connection:
            call = await _journalled(connection, call_id)
            await connection.execute(
                insert(Voicemail)
                .values(
                    id=message_id,
                    call_id=call_id,
                    line_id=call.line_id,
                    line_name=call.line_name,
                    caller=call.caller,
                    recorded_at=call.ended_at or datetime.now(UTC),
                    duration_ms=duration_ms,
                    audio=audio,
                    sha256=hashlib.sha256(audio).digest(),
                    silent=silent,
                )
                .on_conflict_do_nothing(index_elements=["call_id"])
            )
            return await _announce(connection, call, "voicemail", message_id)


NEWS: Final = {
    Outcome.NO_MESSAGE: "no_message",
    Outcome.ABANDONED: "abandoned",
    Outcome.CUT: "cut",
    Outcome.FAILED: "cut",
}
"""What is told of a call that left no message, by how it ended: nobody need hear of the others."""


async def store_missed(engine: AsyncEngine, call_id: UUID) -> list[Recipient]:
    """Stores a mail to each of the line's recipients, telling how the call ended without a message.

    Gives the recipients: none when there is a message after all. Raises as ``store_voicemail`` does.
    """
    with explained(engine):
        async with engine.begin() as connection:
            call = await _journalled(connection, call_id)
            if await connection.scalar(select(Voicemail.id).where(Voicemail.call_id == call_id)):
                return []
            return await _announce(connection, call, NEWS.get(call.outcome, "no_message"), None)


async def load_recipients(connection: AsyncConnection, line_id: int | None) -> list[Recipient]:
    """Who receives the messages of a line, in the line's order, or its supervisors if it names nobody; a person by
    their first e-mail address."""
    rows = await connection.execute(_RECIPIENTS, {"line_id": line_id})
    recipients: dict[str, Recipient] = {}
    for row in rows:
        recipients.setdefault(row.email, Recipient(row.email, row.name, row.language))
    return list(recipients.values())


CallRow = Row[UUID, int | None, str | None, str | None, datetime | None, str | None]


async def _journalled(connection: AsyncConnection, call_id: UUID) -> CallRow:
    """The call's row, kept as it is until the end of the transaction."""
    columns = (Call.id, Call.line_id, Call.line_name, Call.caller, Call.ended_at, Call.outcome)
    query = select(*columns).where(Call.id == call_id)
    row = (await connection.execute(query.with_for_update(read=True, key_share=True))).one_or_none()
    if row is None:
        raise CallNotJournalled(f"Call {call_id} is not in the database yet.")
    return row


async def _announce(
    connection: AsyncConnection, call: CallRow, template: str, voicemail_id: UUID | None
) -> list[Recipient]:
    recipients = await load_recipients(connection, call.line_id)
    keys = [f"{template}:{call.id}:{recipient.email}" for recipient in recipients]
    rows = [
        {
            "id": uuid5(call.id, key),
            "channel": "email",
            "recipient": recipient.email,
            "language": recipient.language,
            "template": template,
            "payload": {"call_id": str(call.id), "name": recipient.name},
            "voicemail_id": voicemail_id,
            "dedupe_key": key,
        }
        for recipient, key in zip(recipients, keys, strict=True)
    ]
    if rows:
        await connection.execute(insert(OutboxMessage).on_conflict_do_nothing(index_elements=["dedupe_key"]), rows)
    return recipients


LINE_RECIPIENTS: Final = """
    line_recipient AS (
        SELECT line_id, person_id, email, position FROM voicemail_recipient
        UNION ALL
        SELECT line_id, person_id, NULL, position FROM line_supervisor
        WHERE NOT EXISTS (SELECT FROM voicemail_recipient WHERE line_id = line_supervisor.line_id)
    )
"""
"""Whom a line names to be told, or its supervisors if it names nobody: a part of a WITH clause."""

_RECIPIENTS = text(f"""
    WITH {LINE_RECIPIENTS}
    SELECT coalesce(recipient.email, address) AS email, person.name,
           coalesce(person.language, line.language) AS language
    FROM line_recipient AS recipient
    JOIN line ON line.id = recipient.line_id
    LEFT JOIN person ON person.id = recipient.person_id
    LEFT JOIN LATERAL (
        SELECT address FROM contact_method
        WHERE person_id = person.id AND kind = 'email' ORDER BY position LIMIT 1
    ) AS first_email ON true
    WHERE line.id = :line_id AND coalesce(recipient.email, address) IS NOT NULL
    ORDER BY recipient.position
""")  # noqa: S608
