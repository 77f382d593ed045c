"""What a trunk wants: where it writes the number dialled, whose number it is shown, and in which form."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = {
    "number_in": (None, "'request', 'to', 'p_called_party_id'"),
    "from_user": ("number", "'number', 'username'"),
    "identity": ("caller", "'caller', 'line', 'diversion', 'history_info'"),
    "number_form": ("e164", "'e164', 'digits', 'international', 'national'"),
}


def upgrade() -> None:
    op.add_column("trunk", sa.Column("number", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("trunk_number_check"), "trunk", r"number ~ '^\+[1-9][0-9]{5,14}$'")
    for column, (default, values) in COLUMNS.items():
        op.add_column("trunk", sa.Column(column, sa.Text(), server_default=default, nullable=default is None))
        op.create_check_constraint(op.f(f"trunk_{column}_check"), "trunk", f"{column} IN ({values})")


def downgrade() -> None:
    for column in (*COLUMNS, "number"):
        op.drop_column("trunk", column)
