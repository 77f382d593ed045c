"""Where a trunk is: its port may be told by DNS, and calls may come from further addresses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("trunk", "port", nullable=True)
    op.add_column("trunk", sa.Column("addresses", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False))


def downgrade() -> None:
    op.drop_column("trunk", "addresses")
    op.execute("UPDATE trunk SET port = 5060 WHERE port IS NULL")
    op.alter_column("trunk", "port", nullable=False)
