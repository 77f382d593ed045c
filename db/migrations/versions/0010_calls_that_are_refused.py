"""Calls that are refused: too many at once, or our own that come back from a diverted phone."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OUTCOMES = "'answered', 'voicemail', 'no_message', 'abandoned', 'unknown_number', 'failed', 'cut'"
DISPOSITIONS = (
    "'accepted', 'refused', 'not_confirmed', 'no_answer', 'busy', 'unreachable', 'dead_number', 'engaged', "
    "'withdrawn', 'caller_gone', 'failed', 'cut', 'sound_lost'"
)
KINDS = (
    "'incoming', 'answered', 'greeting', 'step', 'nobody_on_call', 'ring', 'ringing', 'leg_answered', 'prompt', "
    "'digit', 'accepted', 'leg_ended', 'connected', 'reassurance', 'hunt_over', 'voicemail_started', "
    "'voicemail_recorded', 'voicemail_stored', 'announcement', 'caller_hung_up', 'error', 'ended', 'adopted', "
    "'trunk_failed', 'fallback', 'sound_lost'"
)
WIDENED = {
    ("call", "outcome"): (OUTCOMES, ", 'refused'"),
    ("attempt", "disposition"): (DISPOSITIONS, ", 'diverted_to_us'"),
    ("call_event", "kind"): (KINDS, ", 'refused'"),
}
LIMITS = {"max_calls": "30", "max_calls_per_caller": "5"}


def upgrade() -> None:
    for column, default in LIMITS.items():
        op.add_column("line", sa.Column(column, sa.Integer(), server_default=sa.text(default), nullable=False))
        op.create_check_constraint(op.f(f"line_{column}_range_check"), "line", f"{column} BETWEEN 1 AND 10000")
    for (table, column), (old, new) in WIDENED.items():
        _allow(table, column, old + new)


def downgrade() -> None:
    for (table, column), (old, _) in WIDENED.items():
        _allow(table, column, old)
    for column in LIMITS:
        op.drop_column("line", column)


def _allow(table: str, column: str, values: str) -> None:
    name = op.f(f"{table}_{column}_check")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({values})")
