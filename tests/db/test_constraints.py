"""The tables refuse what cannot be, and say when the rota changes."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import IntegrityError

from db.models.triggers import ROUTING_TABLES
from db.url import libpq_url

PEOPLE = """
    INSERT INTO person (slug, name, language) VALUES ('alice', 'Alice', 'fr'), ('bob', 'Bob', 'en');
    INSERT INTO contact_method (person_id, position, kind, address, ring_seconds, confirm, shows)
    VALUES (1, 1, 'sip', 'alice', 20, true, 'caller');
    INSERT INTO schedule (slug, name, zone) VALUES ('one', 'One', 'Europe/Paris'), ('two', 'Two', 'Europe/Paris');
    INSERT INTO override (schedule_id, person_id, starts_at, ends_at) VALUES (1, 1, '2026-01-02', '2026-01-04');
    INSERT INTO escalation_policy (slug, name, max_hunt_seconds, rounds) VALUES ('p', 'P', 60, 1);
    INSERT INTO escalation_step (policy_id, position, ring_order) VALUES (1, 1, 'in_turn');
    INSERT INTO call (id, did, channel, worker, started_at)
    VALUES ('00000000-0000-0000-0000-000000000001', '+33199001234', 'c', 'w1', now());
"""
METHOD = "INSERT INTO contact_method (person_id, position, kind, address, ring_seconds, confirm, shows) VALUES "
OVERRIDE = "INSERT INTO override (schedule_id, person_id, starts_at, ends_at) VALUES "
ROTATION = "INSERT INTO rotation (schedule_id, layer, name, starts, handover, length, unit) VALUES "
OUTBOX = (
    "INSERT INTO outbox (id, channel, recipient, language, template, payload, dedupe_key, state, sent_at) "
    "VALUES (gen_random_uuid(), 'email', 'a@b', 'fr', 'voicemail', '{}', 'k', "
)

IMPOSSIBLE = {
    "a SIP user of two people": METHOD + "(2, 1, 'sip', 'alice', 20, true, 'caller')",
    "a SIP user named like a trunk": METHOD + "(2, 1, 'sip', 'trunk-carrier', 20, true, 'caller')",
    "a national telephone number": METHOD + "(2, 1, 'phone', '0612345678', 20, true, 'caller')",
    "a phone that rings for ever": METHOD + "(2, 1, 'sip', 'bob', 3600, true, 'caller')",
    "an unknown kind of contact": METHOD + "(2, 1, 'pigeon', 'bob', 20, true, 'caller')",
    "a name with a line break": "UPDATE person SET name = E'Alice\\n'",
    "a name of two lines": "UPDATE schedule SET name = E'One\u2028Two'",
    "a name that turns the text": "UPDATE escalation_policy SET name = E'P\\u202e'",
    "no name": "UPDATE person SET name = ''",
    "a name with blanks around it": "UPDATE person SET name = ' Alice'",
    "a name too long": "UPDATE person SET name = repeat('a', 101)",
    "two overrides at once": OVERRIDE + "(1, 2, '2026-01-03', '2026-01-05')",
    "an override that ends before it starts": OVERRIDE + "(1, 2, '2026-02-02', '2026-02-01')",
    "an override for ever": OVERRIDE + "(1, 2, '2027-01-01', 'infinity')",
    "an override of the year 10000": OVERRIDE + "(1, 2, '2027-01-01', '10000-01-01')",
    "an absence since ever": "INSERT INTO absence (person_id, starts_at, ends_at) "
    "VALUES (1, '-infinity', '2026-01-01')",
    "a rotation before Christ": ROTATION + "(1, 1, 'r', '0044-03-15 BC', '08:00', 1, 'weeks')",
    "a hand-over at 24:00": ROTATION + "(1, 1, 'r', '2026-01-01', '24:00', 1, 'weeks')",
    "weekdays in a table": ROTATION + "(1, 1, 'r', '2026-01-01', '08:00', 1, 'weeks'); "
    "INSERT INTO rotation_window (rotation_id, position, weekdays, starts, ends) "
    "VALUES (1, 1, '{{1},{2}}', '08:00', '18:00')",
    "a target that names nobody": "INSERT INTO step_target (step_id, position, kind) VALUES (1, 1, 'person')",
    "a target of two kinds": "INSERT INTO step_target (step_id, position, kind, schedule_id, person_id) "
    "VALUES (1, 1, 'person', 1, 1)",
    "an eighth day": ROTATION + "(1, 1, 'r', '2026-01-01', '08:00', 1, 'weeks'); "
    "INSERT INTO rotation_window (rotation_id, position, weekdays, starts, ends) "
    "VALUES (1, 1, '{7}', '08:00', '18:00')",
    "a trunk with a user and no password": "INSERT INTO trunk (slug, position, host, port, username) "
    "VALUES ('t', 1, 'h', 5060, 'u')",
    "a call that ended without outcome": "UPDATE call SET ended_at = now()",
    "an outcome that is none": "UPDATE call SET outcome = 'good', ended_at = now()",
    "a person on call removed": "DELETE FROM person WHERE slug = 'alice'",
    "sending without deadline": OUTBOX + "'sending', NULL)",
    "pending and sent": OUTBOX + "'pending', now())",
}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(libpq_url(database_url), autocommit=True) as connection:
        connection.execute(PEOPLE.encode())
        yield connection


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_is_refused(connection: psycopg.Connection, what: str) -> None:
    with pytest.raises(IntegrityError):
        connection.execute(IMPOSSIBLE[what].encode())


def test_overrides_may_touch_and_schedules_do_not_mind_each_other(connection: psycopg.Connection) -> None:
    connection.execute((OVERRIDE + "(1, 2, '2026-01-04', '2026-01-05'), (2, 2, '2026-01-02', '2026-01-04')").encode())


@pytest.mark.parametrize("table", ROUTING_TABLES)
def test_a_change_of_the_rota_is_notified(connection: psycopg.Connection, table: str) -> None:
    connection.execute("LISTEN vigie_routing")
    connection.execute(f"DELETE FROM {table} WHERE false".encode())
    assert [notify.channel for notify in connection.notifies(timeout=5, stop_after=1)] == ["vigie_routing"]


def test_something_to_send_is_notified(connection: psycopg.Connection) -> None:
    connection.execute("LISTEN vigie_outbox")
    connection.execute((OUTBOX + "'pending', NULL)").encode())
    assert [notify.channel for notify in connection.notifies(timeout=5, stop_after=1)] == ["vigie_outbox"]
