"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


ROUTING_TABLES = (
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

NOTIFY_FUNCTION = """
CREATE FUNCTION vigie_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], '');
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "escalation_policy",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("max_hunt_seconds", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "slug ~ '^[a-z0-9][a-z0-9-]{0,39}$'", name=op.f("escalation_policy_slug_form_check")
        ),
        sa.CheckConstraint(
            "max_hunt_seconds BETWEEN 10 AND 1800",
            name=op.f("escalation_policy_max_hunt_seconds_range_check"),
        ),
        sa.CheckConstraint("rounds BETWEEN 1 AND 10", name=op.f("escalation_policy_rounds_range_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("escalation_policy_pkey")),
        sa.UniqueConstraint("slug", name=op.f("escalation_policy_slug_key")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.CheckConstraint("language IN ('fr', 'en')", name=op.f("person_language_check")),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,39}$'", name=op.f("person_slug_form_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("person_pkey")),
        sa.UniqueConstraint("slug", name=op.f("person_slug_key")),
    )
    op.create_table(
        "schedule",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,39}$'", name=op.f("schedule_slug_form_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_pkey")),
        sa.UniqueConstraint("slug", name=op.f("schedule_slug_key")),
    )
    op.create_table(
        "trunk",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password_file", sa.Text(), nullable=True),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,39}$'", name=op.f("trunk_slug_form_check")),
        sa.CheckConstraint(
            "(username IS NULL) = (password_file IS NULL)", name=op.f("trunk_credentials_check")
        ),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("trunk_port_range_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("trunk_pkey")),
        sa.UniqueConstraint(
            "position", deferrable=True, initially="DEFERRED", name=op.f("trunk_position_key")
        ),
        sa.UniqueConstraint("slug", name=op.f("trunk_slug_key")),
    )
    op.create_table(
        "absence",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("absence_span_check")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("absence_person_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("absence_pkey")),
        sa.UniqueConstraint(
            "person_id", "starts_at", "ends_at", name=op.f("absence_person_id_starts_at_ends_at_key")
        ),
    )
    op.create_table(
        "contact_method",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("ring_seconds", sa.Integer(), nullable=False),
        sa.Column("confirm", sa.Boolean(), nullable=False),
        sa.Column("shows", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "CASE kind\n    WHEN 'sip' THEN address ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$' AND address !~ '^trunk-'\n    WHEN 'email' THEN address ~ '^[^@\\s]+@[^@\\s]+$'\n    ELSE address ~ '^\\+[1-9][0-9]{5,14}$'\nEND",
            name=op.f("contact_method_address_form_check"),
        ),
        sa.CheckConstraint(
            "kind IN ('sip', 'phone', 'email', 'sms')", name=op.f("contact_method_kind_check")
        ),
        sa.CheckConstraint("shows IN ('caller', 'line')", name=op.f("contact_method_shows_check")),
        sa.CheckConstraint(
            "ring_seconds BETWEEN 5 AND 120", name=op.f("contact_method_ring_seconds_range_check")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("contact_method_person_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("contact_method_pkey")),
        sa.UniqueConstraint(
            "person_id", "kind", "address", name=op.f("contact_method_person_id_kind_address_key")
        ),
        sa.UniqueConstraint(
            "person_id",
            "position",
            deferrable=True,
            initially="DEFERRED",
            name=op.f("contact_method_person_id_position_key"),
        ),
    )
    op.create_index(
        "contact_method_sip_user_key",
        "contact_method",
        ["address"],
        unique=True,
        postgresql_where=sa.text("kind = 'sip'"),
    )
    op.create_table(
        "escalation_step",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ring_order", sa.Text(), nullable=False),
        sa.Column("max_seconds", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "ring_order IN ('together', 'in_turn')", name=op.f("escalation_step_ring_order_check")
        ),
        sa.CheckConstraint(
            "max_seconds BETWEEN 5 AND 600", name=op.f("escalation_step_max_seconds_range_check")
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["escalation_policy.id"],
            name=op.f("escalation_step_policy_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("escalation_step_pkey")),
        sa.UniqueConstraint("policy_id", "position", name=op.f("escalation_step_policy_id_position_key")),
    )
    op.create_table(
        "line",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("greeting", sa.Text(), nullable=True),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("voicemail_min_seconds", sa.Integer(), nullable=False),
        sa.Column("voicemail_max_seconds", sa.Integer(), nullable=False),
        sa.Column("voicemail_silence_seconds", sa.Integer(), nullable=False),
        sa.CheckConstraint("language IN ('fr', 'en')", name=op.f("line_language_check")),
        sa.CheckConstraint("number ~ '^\\+[1-9][0-9]{5,14}$'", name=op.f("line_number_form_check")),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,39}$'", name=op.f("line_slug_form_check")),
        sa.CheckConstraint(
            "voicemail_max_seconds BETWEEN 10 AND 600", name=op.f("line_voicemail_max_seconds_range_check")
        ),
        sa.CheckConstraint(
            "voicemail_min_seconds BETWEEN 0 AND 30", name=op.f("line_voicemail_min_seconds_range_check")
        ),
        sa.CheckConstraint(
            "voicemail_silence_seconds BETWEEN 2 AND 60",
            name=op.f("line_voicemail_silence_seconds_range_check"),
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["escalation_policy.id"], name=op.f("line_policy_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("line_pkey")),
        sa.UniqueConstraint("slug", name=op.f("line_slug_key")),
    )
    op.create_index(op.f("line_policy_id_idx"), "line", ["policy_id"], unique=False)
    op.create_table(
        "override",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.text("int4range(schedule_id, schedule_id, '[]')"), "="),
            (sa.text("tstzrange(starts_at, ends_at)"), "&&"),
            using="gist",
            name="override_overlap_excl",
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("override_span_check")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("override_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("override_schedule_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("override_pkey")),
    )
    op.create_index(op.f("override_person_id_idx"), "override", ["person_id"], unique=False)
    op.create_index(op.f("override_schedule_id_idx"), "override", ["schedule_id"], unique=False)
    op.create_table(
        "rotation",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=False),
        sa.Column("handover", sa.Time(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.CheckConstraint("unit IN ('hours', 'days', 'weeks')", name=op.f("rotation_unit_check")),
        sa.CheckConstraint("layer BETWEEN 0 AND 99", name=op.f("rotation_layer_range_check")),
        sa.CheckConstraint("length BETWEEN 1 AND 1000", name=op.f("rotation_length_range_check")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("rotation_schedule_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("rotation_pkey")),
        sa.UniqueConstraint("schedule_id", "layer", name=op.f("rotation_schedule_id_layer_key")),
    )
    op.create_table(
        "call",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=True),
        sa.Column("line_name", sa.Text(), nullable=True),
        sa.Column("did", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("answered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('answered', 'voicemail', 'no_message', 'abandoned', 'unknown_number', 'failed')",
            name=op.f("call_outcome_check"),
        ),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name=op.f("call_ended_check")),
        sa.ForeignKeyConstraint(
            ["line_id"], ["line.id"], name=op.f("call_line_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("call_pkey")),
    )
    op.create_index(op.f("call_line_id_idx"), "call", ["line_id"], unique=False)
    op.create_index(
        "call_open_idx", "call", ["started_at"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("call_started_at_idx", "call", ["started_at"], unique=False)
    op.create_table(
        "did",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("number ~ '^\\+[1-9][0-9]{5,14}$'", name=op.f("did_number_form_check")),
        sa.ForeignKeyConstraint(["line_id"], ["line.id"], name=op.f("did_line_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("did_pkey")),
        sa.UniqueConstraint("number", name=op.f("did_number_key")),
    )
    op.create_index(op.f("did_line_id_idx"), "did", ["line_id"], unique=False)
    op.create_table(
        "line_supervisor",
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["line_id"], ["line.id"], name=op.f("line_supervisor_line_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("line_supervisor_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("line_id", "person_id", name=op.f("line_supervisor_pkey")),
        sa.UniqueConstraint(
            "line_id",
            "position",
            deferrable=True,
            initially="DEFERRED",
            name=op.f("line_supervisor_line_id_position_key"),
        ),
    )
    op.create_index(op.f("line_supervisor_person_id_idx"), "line_supervisor", ["person_id"], unique=False)
    op.create_table(
        "rotation_member",
        sa.Column("rotation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("rotation_member_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["rotation_id"],
            ["rotation.id"],
            name=op.f("rotation_member_rotation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rotation_id", "position", name=op.f("rotation_member_pkey")),
    )
    op.create_index(op.f("rotation_member_person_id_idx"), "rotation_member", ["person_id"], unique=False)
    op.create_table(
        "rotation_window",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("rotation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("weekdays", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("starts", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.CheckConstraint(
            "cardinality(weekdays) > 0 AND weekdays <@ '{0,1,2,3,4,5,6}'::smallint[]",
            name=op.f("rotation_window_weekdays_check"),
        ),
        sa.ForeignKeyConstraint(
            ["rotation_id"],
            ["rotation.id"],
            name=op.f("rotation_window_rotation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("rotation_window_pkey")),
        sa.UniqueConstraint("rotation_id", "position", name=op.f("rotation_window_rotation_id_position_key")),
    )
    op.create_table(
        "step_target",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("step_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'on_call') = (schedule_id IS NOT NULL) AND (kind = 'person') = (person_id IS NOT NULL)",
            name=op.f("step_target_target_check"),
        ),
        sa.CheckConstraint(
            "kind IN ('on_call', 'person', 'supervisors')", name=op.f("step_target_kind_check")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("step_target_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("step_target_schedule_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["step_id"], ["escalation_step.id"], name=op.f("step_target_step_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("step_target_pkey")),
        sa.UniqueConstraint("step_id", "position", name=op.f("step_target_step_id_position_key")),
    )
    op.create_index(op.f("step_target_person_id_idx"), "step_target", ["person_id"], unique=False)
    op.create_index(op.f("step_target_schedule_id_idx"), "step_target", ["schedule_id"], unique=False)
    op.create_table(
        "voicemail_recipient",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "email ~ '^[^@\\s]+@[^@\\s]+$'", name=op.f("voicemail_recipient_email_form_check")
        ),
        sa.CheckConstraint(
            "num_nonnulls(person_id, email) = 1", name=op.f("voicemail_recipient_one_target_check")
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["line.id"], name=op.f("voicemail_recipient_line_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("voicemail_recipient_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("voicemail_recipient_pkey")),
        sa.UniqueConstraint("line_id", "email", name=op.f("voicemail_recipient_line_id_email_key")),
        sa.UniqueConstraint("line_id", "person_id", name=op.f("voicemail_recipient_line_id_person_id_key")),
        sa.UniqueConstraint(
            "line_id",
            "position",
            deferrable=True,
            initially="DEFERRED",
            name=op.f("voicemail_recipient_line_id_position_key"),
        ),
    )
    op.create_index(
        op.f("voicemail_recipient_person_id_idx"), "voicemail_recipient", ["person_id"], unique=False
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("person_name", sa.Text(), nullable=False),
        sa.Column("contact_method_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("answered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("disposition", sa.Text(), nullable=True),
        sa.Column("q850", sa.SmallInteger(), nullable=True),
        sa.Column("sip", sa.SmallInteger(), nullable=True),
        sa.CheckConstraint(
            "disposition IN ('accepted', 'refused', 'not_confirmed', 'no_answer', 'busy', 'unreachable', 'dead_number', 'engaged', 'withdrawn', 'caller_gone', 'failed')",
            name=op.f("attempt_disposition_check"),
        ),
        sa.CheckConstraint("kind IN ('sip', 'phone', 'email', 'sms')", name=op.f("attempt_kind_check")),
        sa.CheckConstraint("(disposition IS NULL) = (ended_at IS NULL)", name=op.f("attempt_ended_check")),
        sa.CheckConstraint("q850 BETWEEN 0 AND 127", name=op.f("attempt_q850_range_check")),
        sa.CheckConstraint("sip BETWEEN 100 AND 699", name=op.f("attempt_sip_range_check")),
        sa.ForeignKeyConstraint(
            ["call_id"], ["call.id"], name=op.f("attempt_call_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_method_id"],
            ["contact_method.id"],
            name=op.f("attempt_contact_method_id_fkey"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("attempt_person_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("attempt_pkey")),
    )
    op.create_index(
        "attempt_accepted_key",
        "attempt",
        ["call_id"],
        unique=True,
        postgresql_where=sa.text("disposition = 'accepted'"),
    )
    op.create_index(op.f("attempt_call_id_idx"), "attempt", ["call_id"], unique=False)
    op.create_index(op.f("attempt_contact_method_id_idx"), "attempt", ["contact_method_id"], unique=False)
    op.create_index(op.f("attempt_person_id_idx"), "attempt", ["person_id"], unique=False)
    op.create_table(
        "call_event",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=True),
        sa.Column("who", sa.Text(), nullable=True),
        sa.Column("q850", sa.SmallInteger(), nullable=True),
        sa.Column("sip", sa.SmallInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "kind IN ('incoming', 'answered', 'greeting', 'step', 'nobody_on_call', 'ring', 'ringing', 'leg_answered', 'prompt', 'digit', 'accepted', 'leg_ended', 'connected', 'reassurance', 'hunt_over', 'voicemail_started', 'voicemail_recorded', 'voicemail_stored', 'announcement', 'caller_hung_up', 'error', 'ended')",
            name=op.f("call_event_kind_check"),
        ),
        sa.CheckConstraint("q850 BETWEEN 0 AND 127", name=op.f("call_event_q850_range_check")),
        sa.CheckConstraint("sip BETWEEN 100 AND 699", name=op.f("call_event_sip_range_check")),
        sa.ForeignKeyConstraint(
            ["call_id"], ["call.id"], name=op.f("call_event_call_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", "seq", name=op.f("call_event_pkey")),
    )
    op.create_table(
        "voicemail",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=True),
        sa.Column("line_name", sa.Text(), nullable=True),
        sa.Column("caller", sa.Text(), nullable=True),
        sa.Column("recorded_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("audio", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("voicemail_duration_ms_range_check")),
        sa.CheckConstraint("sha256 = sha256(audio)", name=op.f("voicemail_sha256_check")),
        sa.ForeignKeyConstraint(
            ["call_id"], ["call.id"], name=op.f("voicemail_call_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["line.id"], name=op.f("voicemail_line_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("voicemail_pkey")),
        sa.UniqueConstraint("call_id", name=op.f("voicemail_call_id_key")),
    )
    op.create_index(op.f("voicemail_line_id_idx"), "voicemail", ["line_id"], unique=False)
    op.create_index("voicemail_recorded_at_idx", "voicemail", ["recorded_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("voicemail_id", sa.Uuid(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "due_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deadline", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("sent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'sending') = (deadline IS NOT NULL)", name=op.f("outbox_deadline_check")
        ),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("outbox_sent_check")),
        sa.CheckConstraint("channel IN ('email', 'sms', 'voice')", name=op.f("outbox_channel_check")),
        sa.CheckConstraint("language IN ('fr', 'en')", name=op.f("outbox_language_check")),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'sent', 'failed')", name=op.f("outbox_state_check")
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("outbox_attempts_range_check")),
        sa.ForeignKeyConstraint(
            ["voicemail_id"], ["voicemail.id"], name=op.f("outbox_voicemail_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
        sa.UniqueConstraint("dedupe_key", name=op.f("outbox_dedupe_key_key")),
    )
    op.create_index(
        "outbox_deadline_idx",
        "outbox",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "outbox_due_idx", "outbox", ["due_at"], unique=False, postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index(op.f("outbox_voicemail_id_idx"), "outbox", ["voicemail_id"], unique=False)
    op.execute(NOTIFY_FUNCTION)
    for table in ROUTING_TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION vigie_notify('vigie_routing')"
        )
    op.execute(
        "CREATE TRIGGER outbox_notify AFTER INSERT ON outbox "
        "FOR EACH STATEMENT EXECUTE FUNCTION vigie_notify('vigie_outbox')"
    )


def downgrade() -> None:
    for table in (
        "outbox",
        "voicemail",
        "call_event",
        "attempt",
        "voicemail_recipient",
        "step_target",
        "rotation_window",
        "rotation_member",
        "line_supervisor",
        "did",
        "call",
        "rotation",
        "override",
        "line",
        "escalation_step",
        "contact_method",
        "absence",
        "trunk",
        "schedule",
        "person",
        "escalation_policy",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION vigie_notify()")
