"""Calls that change hands, and calls that came by the fallback."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OUTCOMES = "'answered', 'voicemail', 'no_message', 'abandoned', 'unknown_number', 'failed'"
DISPOSITIONS = (
    "'accepted', 'refused', 'not_confirmed', 'no_answer', 'busy', 'unreachable', 'dead_number', 'engaged', "
    "'withdrawn', 'caller_gone', 'failed'"
)
KINDS = (
    "'incoming', 'answered', 'greeting', 'step', 'nobody_on_call', 'ring', 'ringing', 'leg_answered', 'prompt', "
    "'digit', 'accepted', 'leg_ended', 'connected', 'reassurance', 'hunt_over', 'voicemail_started', "
    "'voicemail_recorded', 'voicemail_stored', 'announcement', 'caller_hung_up', 'error', 'ended'"
)
WIDENED = {
    ("call", "outcome"): (OUTCOMES, ", 'cut'"),
    ("attempt", "disposition"): (DISPOSITIONS, ", 'cut'"),
    ("call_event", "kind"): (KINDS, ", 'adopted', 'trunk_failed', 'fallback'"),
}


def upgrade() -> None:
    for table in ("call", "attempt"):
        op.add_column(table, sa.Column("generation", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
        op.create_check_constraint(op.f(f"{table}_generation_range_check"), table, "generation BETWEEN 0 AND 32767")
    op.create_index("attempt_open_idx", "attempt", ["call_id"], postgresql_where=sa.text("ended_at IS NULL"))
    op.add_column("call", sa.Column("route", sa.Text(), server_default="worker", nullable=False))
    op.create_check_constraint(op.f("call_route_check"), "call", "route IN ('worker', 'agi', 'dialplan')")
    op.alter_column("call", "worker", nullable=True)
    for (table, column), (old, new) in WIDENED.items():
        _allow(table, column, old + new)


def downgrade() -> None:
    for (table, column), (old, _) in WIDENED.items():
        _allow(table, column, old)
    op.execute("UPDATE call SET worker = route WHERE worker IS NULL")
    op.alter_column("call", "worker", nullable=False)
    op.drop_index("attempt_open_idx", "attempt")
    op.drop_column("call", "route")
    for table in ("attempt", "call"):
        op.drop_column(table, "generation")


def _allow(table: str, column: str, values: str) -> None:
    name = op.f(f"{table}_{column}_check")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({values})")
