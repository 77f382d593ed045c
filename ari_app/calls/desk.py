"""What one worker has at hand to serve the calls of one Asterisk."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ari_app.ari import Ari, Leg
from ari_app.calls.attempt import Attempt
from ari_app.calls.call import Call
from ari_app.calls.contact import VARIABLE, Contact
from ari_app.calls.mailroom import Mailroom
from ari_app.calls.presence import Presence
from ari_app.calls.trunks import Way
from db.journal import Journal
from oncall.diversion import leg_variables
from oncall.manner import refusal_variable
from oncall.plan import CallerIdShown
from oncall.printable import caller_name
from oncall.routing import RoutingTable
from voice.prompts import Prompts

log = logging.getLogger(__name__)

_GRACE = 5
"""Seconds beyond the ring time after which Asterisk itself gives a leg up, should its worker be gone."""
REFUSED_SECONDS = 3600.0
"""For so long a trunk that has refused a caller's number is not shown another one."""


@dataclass(frozen=True, slots=True, eq=False)
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
    refused: dict[str, float] = field(default_factory=dict)
    """The trunks that have refused a caller's number, and when."""

    async def ring(self, attempt: Attempt, way: Way) -> Leg:
        """A new leg that rings the attempt's contact method: a number by a trunk, or a phone registered with us."""
        call, method = attempt.call, attempt.method
        line = call.plan.line
        variables = {
            "VIGIE_CALL": str(call.id),
            VARIABLE: str(Contact(attempt.candidate.person.id, method.id)),
            "FORWARD_CONTEXT": "vigie-phones",  # a phone that answers SIP 302 leads nowhere
        }
        shows_caller = self.shows_caller(attempt, way)
        shown = call.number if shows_caller and call.number else line.number
        if way.trunk is None:
            # Named twice: one whose contact has ;maddr=TRUNK would otherwise choose the number called there.
            endpoint = f"PJSIP/{method.address}@{method.address}"
        else:
            variables |= leg_variables(line.id, shown, method.address, attempt.leg_id)
            manner = self.routing().manner(way.trunk)
            endpoint = f"PJSIP/{manner.dialled(method.address, self.region)}@trunk-{way.trunk}"
            shown = manner.written(shown, self.region)
            if shows_caller:
                headers = manner.headers(line.number, self.region)
                variables |= {f"PJSIP_HEADER(add,{name})": value for name, value in headers.items()}
        return await self.ari.originate(
            endpoint,
            leg_id=attempt.leg_id,
            caller_id=f'"{caller_name(line.name)}" <{shown}>',
            timeout=method.ring_seconds + _GRACE,
            variables=variables,
            originator=call.caller.id,
        )

    def shows_caller(self, attempt: Attempt, way: Way) -> bool:
        """Whether the person called sees the caller's number: it is known, wanted, and the trunk lets it through."""
        if attempt.method.shows is not CallerIdShown.CALLER or attempt.call.number is None or way.as_line:
            return False
        if way.trunk is None:
            return True
        refused_at = self.refused.get(way.trunk)
        lately = refused_at is not None and time.monotonic() - refused_at < REFUSED_SECONDS
        manner = self.routing().manner(way.trunk)
        return manner.shows_callers and manner.may_show(attempt.call.number) and not lately

    def is_refused(self, trunk: str) -> None:
        """A trunk has refused a caller's number: for a while it is shown the line's at once; `vigie doctor` says so."""
        self.refused[trunk] = time.monotonic()
        self.ari.later(
            self.ari.set_variable(refusal_variable(trunk), str(int(time.time()))), f"noting the refusal of {trunk}"
        )
