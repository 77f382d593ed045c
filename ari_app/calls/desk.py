"""What one worker has at hand to serve the calls of one Asterisk."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ari_app.ari import Ari, Leg
from ari_app.calls.attempt import Attempt
from ari_app.calls.call import Call
from ari_app.calls.contact import VARIABLE, Contact
from ari_app.calls.mailroom import Mailroom
from ari_app.calls.presence import Presence
from db.journal import Journal
from oncall.plan import CallerIdShown
from oncall.routing import RoutingTable
from voice.prompts import Prompts

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
    calls: dict[Call, asyncio.Task[None]] = field(default_factory=dict)
    """Those in progress, with what serves them."""

    async def ring(self, attempt: Attempt, trunk: str | None) -> Leg:
        """A new leg that rings the attempt's contact method: a number by ``trunk``, or a phone registered with us."""
        call, method = attempt.call, attempt.method
        line = call.plan.line
        shown = call.number if method.shows is CallerIdShown.CALLER and call.number else line.number
        # A phone is named twice: one whose contact has ;maddr=TRUNK would otherwise choose the number called there.
        endpoint = method.address if trunk is None else f"trunk-{trunk}"
        return await self.ari.originate(
            f"PJSIP/{method.address}@{endpoint}",
            leg_id=attempt.leg_id,
            caller_id=f'"{line.name.translate(_UNQUOTED)}" <{shown}>',
            timeout=method.ring_seconds + _GRACE,
            variables={
                "VIGIE_CALL": str(call.id),
                VARIABLE: str(Contact(attempt.candidate.person.id, method.id)),
                "FORWARD_CONTEXT": "vigie-phones",  # a phone that answers SIP 302 leads nowhere
            },
            originator=call.caller.id,
        )


_UNQUOTED = str.maketrans({'"': None, "\\": None, "<": None, ">": None})
