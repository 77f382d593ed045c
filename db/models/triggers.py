"""Hints over NOTIFY: a table of the rota changed, or there is something to send. The rows are the truth."""

from typing import Final

from sqlalchemy import DDL, MetaData, event

ROUTING_CHANNEL: Final = "vigie_routing"
OUTBOX_CHANNEL: Final = "vigie_outbox"

NOTIFY_FUNCTION: Final = """
CREATE FUNCTION vigie_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], TG_TABLE_NAME);
    RETURN NULL;
END
$$
"""

ROUTING_TABLES: Final = (
    "person",
    "contact_method",
    "absence",
    "line",
    "did",
    "line_supervisor",
    "voicemail_recipient",
    "trunk",
    "schedule",
    "rotation",
    "rotation_member",
    "rotation_window",
    "override",
    "escalation_policy",
    "escalation_step",
    "step_target",
)


def trigger(table: str) -> str:
    """The statement-level trigger of ``table``, as SQL."""
    events, channel = (
        ("INSERT", OUTBOX_CHANNEL) if table == "outbox" else ("INSERT OR UPDATE OR DELETE OR TRUNCATE", ROUTING_CHANNEL)
    )
    return (
        f"CREATE TRIGGER {table}_notify AFTER {events} ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION vigie_notify('{channel}')"
    )


def attach_triggers(metadata: MetaData) -> None:
    """Make ``metadata.create_all`` create the triggers too, as the migrations do."""
    event.listen(metadata, "before_create", _ddl(NOTIFY_FUNCTION))
    for table in (*ROUTING_TABLES, "outbox"):
        event.listen(metadata.tables[table], "after_create", _ddl(trigger(table)))


def _ddl(statement: str) -> DDL:
    return DDL(statement)  # type: ignore[no-untyped-call]
