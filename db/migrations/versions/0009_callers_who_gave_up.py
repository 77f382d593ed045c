"""Callers who gave up: after how long a wait somebody is told."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("line", sa.Column("abandoned_seconds", sa.Integer(), server_default=sa.text("20"), nullable=False))
    op.create_check_constraint(
        op.f("line_abandoned_seconds_range_check"), "line", "abandoned_seconds BETWEEN 0 AND 1800"
    )


def downgrade() -> None:
    op.drop_column("line", "abandoned_seconds")
