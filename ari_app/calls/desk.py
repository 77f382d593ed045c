"""What one worker has at hand to serve the calls of one Asterisk."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ari_app.ari import Ari, Leg
from ari_app.calls.call import Attempt
from ari_app.calls.mailroom import Mailroom
from ari_app.calls.presence import Presence
from ari_app.calls.prompts import Prompts
from db.journal import Journal
from oncall.outcomes import EventKind
from oncall.plan import CallerIdShown, ContactKind, Plan
from oncall.routing import RoutingTable

log = logging.getLogger(__name__)

_GRACE = 5
"""Seconds beyond the ring time after which Asterisk itself gives a leg up, should its worker be gone."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The means of a call: its Asterisk, the table it is routed by, its journal, its voices, and the mail room."""

    worker: str
    ari: Ari
    routing: Callable[[], RoutingTable]
    journal: Journal
    prompts: Prompts
    presence: Presence
    mailroom: Mailroom
    language: str
    region: str

    async def ring(self, attempt: Attempt) -> Leg:
        """A new leg that rings the attempt's contact method."""
        call, method = attempt.call, attempt.method
        attempt.tell(EventKind.RING, reason=f"{attempt.candidate.reason} ({method.kind} {method.address})")
        line = call.plan.line
        shown = call.number if method.shows is CallerIdShown.CALLER and call.number else line.number
        return await self.ari.originate(
            endpoint(method.kind, method.address, call.plan),
            leg_id=attempt.leg_id,
            caller_id=f'"{line.name.translate(_UNQUOTED)}" <{shown}>',
            timeout=method.ring_seconds + _GRACE,
            variables={
                "VIGIE_CALL": str(call.id),
                "VIGIE_PERSON": str(attempt.candidate.person.id),
                "FORWARD_CONTEXT": "vigie-phones",  # a phone that answers SIP 302 leads nowhere
            },
            originator=call.caller.id,
        )


_UNQUOTED = str.maketrans({'"': None, "\\": None, "<": None, ">": None})


def endpoint(kind: ContactKind, address: str, plan: Plan) -> str:
    """The Asterisk endpoint behind a contact method: a phone registered with us, or a number through the first trunk.

    A number when the site has no trunk leads nowhere: Asterisk says so, and the hunt goes on.
    """
    if kind is ContactKind.SIP:
        # Whom it calls is ours to say: the user of a contact that was registered with ;maddr=TRUNK is a number there.
        return f"PJSIP/{address}@{address}"
    trunk = plan.trunks[0] if plan.trunks else "none"
    return f"PJSIP/{address}@trunk-{trunk}"
