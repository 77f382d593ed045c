"""The tables, as SQLAlchemy models: configuration (people, lines, schedules, policies, trunks) and history.

Configuration has integer keys and a unique slug; history has keys of our own making (UUID) and keeps the
names and addresses of its time, so removing a person or a line never rewrites what happened.
"""

from db.models.base import Base
from db.models.history import Attempt, Call, CallEvent, Voicemail
from db.models.lines import Did, Line, LineSupervisor, Trunk, VoicemailRecipient
from db.models.outbox import OutboxMessage, OutboxState
from db.models.people import Absence, ContactMethod, Person
from db.models.policies import EscalationPolicy, EscalationStep, StepTarget, TargetKind
from db.models.schedules import Override, Rotation, RotationMember, RotationWindow, Schedule
from db.models.triggers import OUTBOX_CHANNEL, ROUTING_CHANNEL, attach_triggers

attach_triggers(Base.metadata)

__all__ = [
    "OUTBOX_CHANNEL",
    "ROUTING_CHANNEL",
    "Absence",
    "Attempt",
    "Base",
    "Call",
    "CallEvent",
    "ContactMethod",
    "Did",
    "EscalationPolicy",
    "EscalationStep",
    "Line",
    "LineSupervisor",
    "OutboxMessage",
    "OutboxState",
    "Override",
    "Person",
    "Rotation",
    "RotationMember",
    "RotationWindow",
    "Schedule",
    "StepTarget",
    "TargetKind",
    "Trunk",
    "Voicemail",
    "VoicemailRecipient",
]
