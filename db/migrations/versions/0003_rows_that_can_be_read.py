"""The rota: only what makes sense may be written, what counts now is found by an index, and a change says where it is.

What is there already and makes no sense is mended where its meaning is clear, and said.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

FIRST, LAST = "1969-12-31", "2200-01-02"
FIRST_AT, LAST_AT = f"'{FIRST} 00:00+00'::timestamptz", f"'{LAST} 00:00+00'::timestamptz"

MENDED = (
    *(
        statement
        for table, who in (("absence", "person_id"), ("override", "schedule_id"))
        for statement in (
            f"DELETE FROM {table} WHERE ends_at <= {FIRST_AT} OR starts_at >= {LAST_AT} RETURNING "
            f"'{table} ' || id || ' is removed: it lasts from ' || starts_at || ' to ' || ends_at",
            f"""DELETE FROM {table} AS twin USING {table} AS one WHERE one.id < twin.id AND one.{who} = twin.{who}
            AND greatest(one.starts_at, {FIRST_AT}) = greatest(twin.starts_at, {FIRST_AT})
            AND least(one.ends_at, {LAST_AT}) = least(twin.ends_at, {LAST_AT}) RETURNING
            '{table} ' || twin.id || ' is removed: ' || one.id || ' says the same'""",
            f"UPDATE {table} SET starts_at = greatest(starts_at, {FIRST_AT}), ends_at = least(ends_at, {LAST_AT}) "
            f"WHERE starts_at < {FIRST_AT} OR ends_at > {LAST_AT} RETURNING "
            f"'{table} ' || id || ' now lasts from ' || starts_at || ' to ' || ends_at",
        )
    ),
    "UPDATE rotation SET handover = '00:00', starts = starts + 1 WHERE handover >= '24:00' RETURNING "
    "'rotation ' || id || ' has its hand-over at 00:00 of the next day instead of 24:00'",
    f"UPDATE rotation SET starts = least(greatest(starts, '{FIRST}'), '{LAST}') "
    f"WHERE starts NOT BETWEEN '{FIRST}' AND '{LAST}' RETURNING 'rotation ' || id || ' now starts on ' || starts",
    "UPDATE rotation_window SET weekdays = ARRAY(SELECT DISTINCT unnest(weekdays) ORDER BY 1) "
    "WHERE array_ndims(weekdays) > 1 RETURNING 'rotation window ' || id || ' has a plain list of weekdays now'",
    "UPDATE rotation_window SET ends = '00:00' WHERE ends >= '24:00' RETURNING "
    "'rotation window ' || id || ' ends at 00:00 instead of 24:00'",
    "UPDATE rotation_window SET starts = '00:00', weekdays = ARRAY(SELECT (unnest(weekdays) + 1) % 7)::smallint[] "
    "WHERE starts >= '24:00' RETURNING "
    "'rotation window ' || id || ' starts at 00:00 of the next day instead of 24:00'",
)

CHECKS = (
    *(
        (table, f"{table}_years_check", f"starts_at >= {FIRST_AT} AND ends_at <= {LAST_AT}")
        for table in ("absence", "override")
    ),
    ("rotation", "rotation_years_check", f"starts BETWEEN '{FIRST}' AND '{LAST}'"),
    ("rotation", "rotation_hours_check", "handover < '24:00'"),
    ("rotation_window", "rotation_window_hours_check", "starts < '24:00' AND ends < '24:00'"),
    ("rotation_window", "rotation_window_list_check", "array_ndims(weekdays) = 1"),
)

FUNCTION = """
CREATE OR REPLACE FUNCTION vigie_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], {payload});
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    for statement in MENDED:
        for (said,) in op.get_bind().execute(sa.text(statement.replace(":", r"\:"))):
            log.warning("%s", said)
    for table, name, condition in CHECKS:
        op.create_check_constraint(op.f(name), table, condition)
    for table in ("absence", "override"):
        op.create_index(f"{table}_ends_at_idx", table, ["ends_at"])
    op.execute(FUNCTION.format(payload="TG_TABLE_NAME"))


def downgrade() -> None:
    op.execute(FUNCTION.format(payload="''"))
    for table in ("absence", "override"):
        op.drop_index(f"{table}_ends_at_idx", table)
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(name), table, type_="check")
