"""What the database is asked for the routing table: each row is a block of things as one JSON text, and its hash.

PostgreSQL, not a worker, has the work of putting together what belongs together, and what a worker has already is not
sent again. Spans are cut to the span that is asked for: those of years ago cost nothing, and each has an end.
"""

from typing import Final

from sqlalchemy import TextClause, text


def _unless_known(blocks: str) -> TextClause:
    """The hash of each of the ``blocks``, and the block itself unless its hash is among the ``:known`` ones."""
    return text(f"""
        SELECT hash, CASE WHEN hash = ANY(:known) THEN NULL ELSE block END
        FROM (
            SELECT block, encode(sha256(convert_to(block, 'UTF8')), 'hex') AS hash FROM ({blocks}) AS said (block)
        ) AS hashed
    """)  # noqa: S608 - nothing of this is anybody's input


PEOPLE: Final[TextClause] = _unless_known("""
SELECT json_agg(json_build_object(
    'id', person.id, 'name', name, 'language', language, 'contact_methods', coalesce(methods, '[]')
) ORDER BY person.id)::text
FROM person LEFT JOIN (
    SELECT person_id, json_agg(json_build_object(
        'id', id, 'kind', kind, 'address', address, 'ring_seconds', ring_seconds, 'confirm', confirm, 'shows', shows
    ) ORDER BY position) AS methods
    FROM contact_method GROUP BY person_id
) AS reached ON person_id = person.id
GROUP BY person.id / 100 ORDER BY person.id / 100
""")

LINES: Final[TextClause] = _unless_known("""
SELECT json_agg(json_build_object(
    'line', json_build_object(
        'id', line.id, 'slug', slug, 'name', name, 'language', language, 'number', number, 'greeting', greeting,
        'voicemail', json_build_object(
            'min_seconds', voicemail_min_seconds,
            'max_seconds', voicemail_max_seconds,
            'silence_seconds', voicemail_silence_seconds,
            'abandoned_seconds', abandoned_seconds
        ),
        'max_calls', max_calls, 'max_calls_per_caller', max_calls_per_caller
    ),
    'dids', coalesce(dids, '[]'), 'supervisors', coalesce(supervisors, '[]'), 'policy_id', policy_id
) ORDER BY line.id)::text
FROM line
LEFT JOIN (
    SELECT line_id, json_agg(number ORDER BY id) AS dids FROM did GROUP BY line_id
) AS numbers ON numbers.line_id = line.id
LEFT JOIN (
    SELECT line_id, json_agg(person_id ORDER BY position) AS supervisors FROM line_supervisor GROUP BY line_id
) AS supervised ON supervised.line_id = line.id
GROUP BY line.id / 50 ORDER BY line.id / 50
""")

SCHEDULES: Final[TextClause] = _unless_known("""
SELECT json_agg(json_build_object(
    'id', schedule.id, 'slug', slug, 'name', name, 'zone', zone,
    'rotations', coalesce(rotations, '[]'), 'overrides', coalesce(overrides, '[]')
) ORDER BY schedule.id)::text
FROM schedule
LEFT JOIN (
    SELECT schedule_id, json_agg(json_build_object(
        'layer', layer, 'name', rotation.name, 'people', coalesce(people, '[]'), 'starts', starts,
        'handover', handover, 'zone', zone, 'length', length, 'unit', unit, 'windows', coalesce(windows, '[]')
    ) ORDER BY layer) AS rotations
    FROM rotation JOIN schedule ON schedule.id = schedule_id
    LEFT JOIN (
        SELECT rotation_id, json_agg(person_id ORDER BY position) AS people FROM rotation_member GROUP BY rotation_id
    ) AS turns ON turns.rotation_id = rotation.id
    LEFT JOIN (
        SELECT rotation_id, json_agg(
            json_build_object('weekdays', weekdays, 'start', starts, 'end', ends) ORDER BY position
        ) AS windows
        FROM rotation_window GROUP BY rotation_id
    ) AS opened ON opened.rotation_id = rotation.id
    GROUP BY schedule_id
) AS turning ON turning.schedule_id = schedule.id
LEFT JOIN (
    SELECT schedule_id, json_agg(json_build_object(
        'start', greatest(starts_at, :since), 'end', least(ends_at, :until),
        'person', person_id, 'reason', coalesce(reason, '')
    ) ORDER BY starts_at) AS overrides
    FROM override WHERE ends_at > :since AND starts_at < :until GROUP BY schedule_id
) AS replaced ON replaced.schedule_id = schedule.id
GROUP BY schedule.id / 20 ORDER BY schedule.id / 20
""")

POLICIES: Final[TextClause] = _unless_known("""
SELECT json_agg(json_build_object(
    'id', policy.id, 'slug', slug, 'name', name, 'max_hunt_seconds', max_hunt_seconds, 'rounds', rounds,
    'steps', coalesce(steps, '[]')
) ORDER BY policy.id)::text
FROM escalation_policy AS policy LEFT JOIN (
    SELECT policy_id, json_agg(json_build_object(
        'position', position, 'order', ring_order, 'max_seconds', max_seconds, 'targets', coalesce(targets, '[]')
    ) ORDER BY position) AS steps
    FROM escalation_step AS step LEFT JOIN (
        SELECT step_id, json_agg(
            json_build_object('type', kind, 'schedule_id', schedule_id, 'person_id', person_id) ORDER BY position
        ) AS targets
        FROM step_target GROUP BY step_id
    ) AS aimed ON step_id = step.id
    GROUP BY policy_id
) AS stepped ON policy_id = policy.id
GROUP BY policy.id / 50 ORDER BY policy.id / 50
""")

ABSENCES: Final[TextClause] = _unless_known("""
SELECT json_agg(json_build_object(
    'start', greatest(starts_at, :since), 'end', least(ends_at, :until), 'person', person_id
) ORDER BY starts_at, id)::text
FROM absence WHERE ends_at > :since AND starts_at < :until
GROUP BY person_id / 100 ORDER BY person_id / 100
""")

TRUNKS: Final[TextClause] = _unless_known("""
    SELECT coalesce(json_agg(json_build_object(
        'slug', slug,
        'manner', json_build_object('number_form', number_form, 'identity', identity, 'host', host,
            'reaches', reaches, 'prefix', prefix)
    ) ORDER BY position), '[]')::text FROM trunk
""")
