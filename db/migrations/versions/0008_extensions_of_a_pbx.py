"""A trunk may be a PBX: its extensions are numbers of lines and of people."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

E164 = r"^\+[1-9][0-9]{5,14}$"
NUMBER = r"^(\+[1-9][0-9]{5,14}|[0-9]{2,5})$"


def _contact(phone: str) -> str:
    return f"""CASE kind
    WHEN 'sip' THEN address ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{{0,39}}$' AND address !~ '^trunk-'
    WHEN 'email' THEN address ~ '^[^@\\s]+@[^@\\s]+$'
    WHEN 'phone' THEN address ~ '{phone}'
    ELSE address ~ '{E164}'
END"""


def _numbers(form: str) -> None:
    checks = {
        "line": ("line_number_form_check", f"number ~ '{form}'"),
        "did": ("did_number_form_check", f"number ~ '{form}'"),
        "trunk": ("trunk_number_check", f"number ~ '{form}'"),
        "contact_method": ("contact_method_address_form_check", _contact(form)),
    }
    for table, (name, check) in checks.items():
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, check)


def upgrade() -> None:
    _numbers(NUMBER)
    op.add_column("trunk", sa.Column("reaches", sa.Text(), server_default="outside", nullable=False))
    op.create_check_constraint(op.f("trunk_reaches_check"), "trunk", "reaches IN ('outside', 'extensions', 'both')")
    op.add_column("trunk", sa.Column("prefix", sa.Text(), server_default="", nullable=False))
    op.create_check_constraint(op.f("trunk_prefix_form_check"), "trunk", "prefix ~ '^[0-9]{0,8}$'")


def downgrade() -> None:
    """Fails, and changes nothing, while there are extensions."""
    op.drop_column("trunk", "prefix")
    op.drop_column("trunk", "reaches")
    _numbers(E164)
