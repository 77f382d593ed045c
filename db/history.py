"""How the lines of a call's history become rows.

Each kind is written by one statement, whatever the number of its lines: they travel as one JSON text that PostgreSQL
unfolds (``json_to_recordset``). Every statement can be repeated, and their order does not matter: what counts is
decided by the records alone. A record whose call or attempt has no row yet is given back.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connection import Connection
from db.url import libpq_url


class UnknownKind(ValueError):
    """A line does not begin with the name of a kind of record."""


def _guarded(fields: str, write: str, *, needs: str, by: str = "id") -> str:
    """The statement that does ``write`` with ``record``, and gives the numbers of those without a row in ``needs``."""
    return f"""
        WITH record AS MATERIALIZED (
            SELECT * FROM ROWS FROM (json_to_recordset(%s) AS ({fields})) WITH ORDINALITY
        ), written AS ({write})
        SELECT ordinality FROM record WHERE NOT EXISTS (SELECT FROM {needs} WHERE {needs}.id = record.{by})
    """  # noqa: S608


def _earliest(table: str) -> str:
    """The statement that keeps the earliest time at which a call or an attempt was answered."""
    return _guarded(
        "id uuid, answered_at timestamptz",
        f"""UPDATE {table} SET answered_at = r.answered_at
            FROM (SELECT id, min(answered_at) AS answered_at FROM record GROUP BY id) AS r
            WHERE {table}.id = r.id AND ({table}.answered_at IS NULL OR r.answered_at < {table}.answered_at)""",  # noqa: S608
        needs=table,
    )


_DIVERSION_TOLD: Final = """
    INSERT INTO outbox (id, channel, recipient, language, template, payload, dedupe_key)
    SELECT DISTINCT ON (key) md5(key)::uuid, 'email', address, language, 'diverted',
           json_build_object('call_id', call_id, 'name', name), key
    FROM (
        SELECT call_id, reader.*,
               concat_ws(
                   ':', 'diverted', person_name, floor(extract(epoch FROM written.ended_at) / 21600), reader.address
               ) AS key
        FROM written
        JOIN call ON call.id = call_id
        CROSS JOIN LATERAL (
            (SELECT address, name, language FROM person JOIN contact_method ON person_id = person.id
             WHERE person.id = written.person_id AND kind = 'email' ORDER BY position LIMIT 1)
            UNION ALL
            SELECT coalesce(recipient.email, mail.address), person.name, coalesce(person.language, line.language)
            FROM voicemail_recipient AS recipient
            JOIN line ON line.id = recipient.line_id
            LEFT JOIN person ON person.id = recipient.person_id
            LEFT JOIN LATERAL (
                SELECT address FROM contact_method
                WHERE person_id = person.id AND kind = 'email' ORDER BY position LIMIT 1
            ) AS mail ON true
            WHERE line.id = call.line_id
        ) AS reader
        WHERE written.disposition = 'diverted_to_us' AND reader.address IS NOT NULL
    ) AS told
    ON CONFLICT (dedupe_key) DO NOTHING
"""
"""Whose phone is diverted to us is told, and so are the line's recipients: once in six hours for each person."""

# The order of writing: what others refer to comes first.
STATEMENTS: Final[Mapping[bytes, str]] = {
    # A person or line may be removed while a routing table still holds it: the row then keeps the name only.
    b"call_opened": """
        INSERT INTO call AS already (id, line_id, line_name, did, caller, channel, worker, route, started_at, plan)
        SELECT r.id, line.id, r.line_name, r.did, r.caller, r.channel, r.worker, r.route, r.started_at, r.plan
        FROM json_to_recordset(%s) AS r(id uuid, line_id int, line_name text, did text, caller text, channel text,
                                        worker text, route text, started_at timestamptz, plan jsonb)
        LEFT JOIN line ON line.id = r.line_id
        ON CONFLICT (id) DO UPDATE SET
            started_at = least(already.started_at, excluded.started_at),
            route = CASE WHEN 'dialplan' IN (already.route, excluded.route) THEN 'dialplan'
                         WHEN 'agi' IN (already.route, excluded.route) THEN 'agi' ELSE 'worker' END,
            worker = coalesce(already.worker, excluded.worker),
            caller = coalesce(already.caller, excluded.caller),
            line_id = coalesce(already.line_id, excluded.line_id),
            line_name = coalesce(already.line_name, excluded.line_name),
            plan = coalesce(already.plan, excluded.plan)
    """,
    b"attempt_opened": _guarded(
        """id uuid, call_id uuid, round int, step int, person_id int, person_name text, contact_method_id int,
           kind text, address text, leg text, started_at timestamptz""",
        """INSERT INTO attempt (id, call_id, round, step, person_id, person_name, contact_method_id, kind, address,
                                leg, started_at)
           SELECT r.id, r.call_id, r.round, r.step, person.id, r.person_name, contact_method.id, r.kind, r.address,
                  r.leg, r.started_at
           FROM record AS r
           JOIN call ON call.id = r.call_id
           LEFT JOIN person ON person.id = r.person_id
           LEFT JOIN contact_method ON contact_method.id = r.contact_method_id
           ON CONFLICT (id) DO NOTHING""",
        needs="call",
        by="call_id",
    ),
    b"call_answered": _earliest("call"),
    b"attempt_answered": _earliest("attempt"),
    b"call_event": _guarded(
        """call_id uuid, seq int, at timestamptz, kind text, leg text, who text, q850 smallint, sip smallint,
           reason text, detail jsonb""",
        """INSERT INTO call_event (call_id, seq, at, kind, leg, who, q850, sip, reason, detail)
           SELECT r.call_id, r.seq, r.at, r.kind, r.leg, r.who, r.q850, r.sip, r.reason, r.detail
           FROM record AS r
           JOIN call ON call.id = r.call_id
           ON CONFLICT (call_id, seq) DO NOTHING""",
        needs="call",
        by="call_id",
    ),
    b"attempt_closed": _guarded(
        """id uuid, ended_at timestamptz, disposition text, q850 smallint, sip smallint, generation smallint""",
        """UPDATE attempt SET ended_at = r.ended_at, disposition = r.disposition, q850 = r.q850, sip = r.sip,
                              generation = r.generation
           FROM (SELECT DISTINCT ON (id) * FROM record ORDER BY id, generation DESC, ended_at, disposition) AS r
           WHERE attempt.id = r.id
             AND (attempt.ended_at IS NULL OR (r.generation, attempt.ended_at, attempt.disposition)
                                              > (attempt.generation, r.ended_at, r.disposition))
           RETURNING attempt.*), told AS ("""  # noqa: S608
        + _DIVERSION_TOLD,
        needs="attempt",
    ),
    b"call_closed": _guarded(
        "id uuid, ended_at timestamptz, outcome text, generation smallint",
        """UPDATE call SET ended_at = r.ended_at, outcome = r.outcome, generation = r.generation
           FROM (SELECT DISTINCT ON (id) * FROM record ORDER BY id, generation DESC, ended_at, outcome) AS r
           WHERE call.id = r.id
             AND (call.ended_at IS NULL OR (r.generation, call.ended_at, call.outcome)
                                           > (call.generation, r.ended_at, r.outcome))""",
        needs="call",
    ),
}


class HistoryWriter:
    """Writes lines over a connection of its own, which is made when there is something to write."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._url = libpq_url(engine.url.render_as_string(hide_password=False))
        self._connection: Connection | None = None

    async def write(self, lines: Sequence[bytes]) -> list[bytes]:
        """Writes ``lines`` in one transaction; those that are there already change nothing.

        Gives those that were not written, because the row of their call or attempt is not there. Raises UnknownKind,
        UnicodeDecodeError or psycopg.Error; then nothing was written.
        """
        groups = _grouped(lines)
        try:
            return await self._write(groups)
        except psycopg.Error:
            await self._clear()
            raise

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _write(self, groups: Mapping[bytes, Sequence[bytes]]) -> list[bytes]:
        if self._connection is None or self._connection.closed:
            self._connection = await Connection.open(self._url)
        async with self._connection.pipeline():  # one round trip for all
            await self._connection.execute("BEGIN")
            cursors = {
                kind: await self._connection.execute(STATEMENTS[kind], [_array(records)])
                for kind, records in groups.items()
            }
            await self._connection.execute("COMMIT")
        return [
            b"%s %s" % (kind, groups[kind][number - 1])
            for kind, cursor in cursors.items()
            if cursor.description
            for (number,) in await cursor.fetchall()
        ]

    async def _clear(self) -> None:
        """Makes the connection usable again after an error, or has a new one made the next time."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                await self._connection.rollback()
                return
            await self.close()


def _grouped(lines: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """The JSON texts of ``lines`` by kind, in the order of writing."""
    groups: dict[bytes, list[bytes]] = {kind: [] for kind in STATEMENTS}
    for line in lines:
        kind, _, record = line.partition(b" ")
        if kind not in groups:
            raise UnknownKind(f"{line[:20]!r} begins no record")
        groups[kind].append(record)
    return {kind: records for kind, records in groups.items() if records}


def _array(records: Sequence[bytes]) -> str:
    return (b"[%s]" % b",".join(records)).decode()
