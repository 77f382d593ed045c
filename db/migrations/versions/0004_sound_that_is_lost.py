"""A telephone from which nothing comes any more."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DISPOSITIONS = (
    "'accepted', 'refused', 'not_confirmed', 'no_answer', 'busy', 'unreachable', 'dead_number', 'engaged', "
    "'withdrawn', 'caller_gone', 'failed', 'cut'"
)
KINDS = (
    "'incoming', 'answered', 'greeting', 'step', 'nobody_on_call', 'ring', 'ringing', 'leg_answered', 'prompt', "
    "'digit', 'accepted', 'leg_ended', 'connected', 'reassurance', 'hunt_over', 'voicemail_started', "
    "'voicemail_recorded', 'voicemail_stored', 'announcement', 'caller_hung_up', 'error', 'ended', 'adopted', "
    "'trunk_failed', 'fallback'"
)
WIDENED = {("attempt", "disposition"): DISPOSITIONS, ("call_event", "kind"): KINDS}


def upgrade() -> None:
    for (table, column), values in WIDENED.items():
        _allow(table, column, f"{values}, 'sound_lost'")


def downgrade() -> None:
    for (table, column), values in WIDENED.items():
        _allow(table, column, values)


def _allow(table: str, column: str, values: str) -> None:
    name = op.f(f"{table}_{column}_check")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({values})")
