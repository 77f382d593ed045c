"""Names are one line of what can be printed, as telephones, mails and the dialplan need them.

What is there already is made so, and said.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

STRANGE = (
    r"\u0001-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
NAME = f"^[^{STRANGE} ]([^{STRANGE}]{{0,98}}[^{STRANGE} ])?$"
TABLES = ("escalation_policy", "line", "person", "rotation", "schedule")


def upgrade() -> None:
    for table in TABLES:
        printed = f"btrim(left(btrim(regexp_replace(name, '[{STRANGE}\\s]+', ' ', 'g')), 100))"
        mended = sa.text(
            f"UPDATE {table} SET name = coalesce(nullif({printed}, ''), '{table} ' || id) WHERE name !~ :form "
            f"RETURNING id, name"
        )
        for row in op.get_bind().execute(mended, {"form": NAME}):
            log.warning("%s %s is now named %r: its name was not one line of what can be printed", table, *row)
        op.create_check_constraint(op.f(f"{table}_name_form_check"), table, f"name ~ '{NAME}'")


def downgrade() -> None:
    for table in TABLES:
        op.drop_constraint(op.f(f"{table}_name_form_check"), table, type_="check")
