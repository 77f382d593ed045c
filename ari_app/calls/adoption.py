"""Carrying on the calls of a worker that is gone, from where they stood.

Its channels are alive on Asterisk. The dialplan gave each caller's channel the id of the call, and all legs carry it
together with the person and the contact method that they are; what cannot be seen from the channels is in the call's
`Notebook`. A conversation and a recording go on as they are; whoever had picked up is asked for "1" anew; a telephone
that was only ringing is rung again.
"""

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from ari_app.ari import Bridge, Channel, Conflict, HungUp, arrived, dismiss, estate_of, inherit, left_recording, members
from ari_app.calls.attempt import Inherited, first_leg
from ari_app.calls.call import Call, call_id
from ari_app.calls.comfort import comforted
from ari_app.calls.contact import Contact
from ari_app.calls.desk import Desk
from ari_app.calls.hunt import hunt
from ari_app.calls.offer import Offer
from ari_app.calls.standing import Notebook
from ari_app.calls.take_call import attend, current_call, seek_somebody, take_call, tell_unknown
from ari_app.calls.voicemail import recording_name, take_message, thank
from db.records import AttemptClosed, CallClosed
from oncall.outcomes import Disposition, EventKind, Outcome

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LeftCall:
    """The channels of a call whose worker is gone: the caller's, unless they have hung up, and those of the others."""

    caller: Channel | None = None
    others: list[Channel] = field(default_factory=list)


async def left_calls(desk: Desk, app: str) -> dict[UUID | str, LeftCall]:
    """The calls that the application ``app`` has left and nobody carries on, by their ids (or, without, by channel)."""
    estate = await estate_of(desk.ari, app)
    for bridge in estate.bridges:
        if not await members(desk.ari, bridge):
            await Bridge(desk.ari, bridge).destroy()
    if all(desk.ari.holds(channel) for channel in estate.channels):
        return {}
    calls: defaultdict[UUID | str, LeftCall] = defaultdict(LeftCall)
    served: set[UUID | str] = set()
    for channel in await desk.ari.channels():
        call = call_id(channel) or channel.id
        if Contact.of(channel):
            calls[call].others.append(channel)
        elif channel.id in estate.channels and not desk.ari.holds(channel.id):
            calls[call].caller = channel
        else:
            served.add(call)
    return {
        call: left
        for call, left in calls.items()
        if call not in served and (left.caller or any(other.id in estate.channels for other in left.others))
    }


async def carry_on(desk: Desk, app: str, call: UUID | str, left: LeftCall) -> None:
    """Takes over a call that ``app`` has left, and serves it to its end."""
    current_call.set(str(call))
    if left.caller is None:
        await _wind_up(desk, call, left)
        return
    try:
        caller = await inherit(desk.ari, left.caller)
    except Conflict:
        log.info("%s has gone on in the dialplan by itself", left.caller.id)
        return
    except HungUp:
        await _wind_up(desk, call, left)
        return
    if not isinstance(call, UUID):
        await take_call(caller, desk)
        return
    notebook = Notebook(desk.ari, call)
    standing = await notebook.read()
    standing.generation += 1
    notebook.write(standing)
    others = {other.id: other for other in left.others}
    await attend(Call(desk, caller, standing), lambda call: _resume(call, app, others))


async def give_up(call: Call) -> None:
    """Leaves a call to the dialplan's fallback, for want of another worker; telephones that ring for it fall silent."""
    await call.caller.go_on()
    if not call.standing.message:  # else a message goes on, and the fallback finds it
        serving = call.desk.calls[call]
        serving.cancel()
        await asyncio.wait([serving])


async def _resume(call: Call, app: str, others: dict[str, Channel]) -> None:
    """The scenario of a call that another worker began; whoever is left over in the end is hung up on."""
    bridged = await members(call.desk.ari, str(call.id))
    call.was_talked = call.caller.id in bridged
    try:
        await _take_stock(call, app, others, bridged)
        talking = next((who for who in call.inherited.values() if who.bridged), None)
        if talking is not None:
            await _talk_on(call, talking)
        elif call.was_talked:
            log.info("whoever the caller talked with has hung up while nobody was there")
        elif call.recording is not None:
            await thank(call, call.recording)
        elif not call.is_routed:
            await tell_unknown(call)
        elif call.standing.message:
            await take_message(call)
        else:
            await seek_somebody(call)
    finally:
        for channel in (*others.values(), *(who.leg.channel for who in call.inherited.values())):
            await call.desk.ari.finish(dismiss(call.desk.ari, channel), f"hanging up {channel.id}")
            _close_attempt(call, channel, bridged)


def _close_attempt(call: Call, channel: Channel, bridged: frozenset[str]) -> None:
    """Journals the end of an attempt whose party is hung up on. The other end of a conversation that has just hung up
    has left the bridge first."""
    alone = channel.state == "Up" and bridged == {call.caller.id}
    talked = call.was_talked and (channel.id in bridged or alone)
    call.desk.journal.put(_closed(call.id, channel, call.standing.generation, talked))


async def _take_stock(call: Call, app: str, others: dict[str, Channel], bridged: frozenset[str]) -> None:
    """Finds out where the call stood. Those who had picked up are kept; telephones that only rang fall silent."""
    desk = call.desk
    call.open()
    worker = app.removeprefix("vigie-").partition(".")[0]
    call.tell(
        EventKind.ADOPTED,
        leg=call.caller.id,
        who=desk.worker,
        reason=call.words(f"{worker} n'est plus là", f"{worker} is gone"),
    )
    call.recording = await left_recording(desk.ari, call.caller, recording_name(call.id))
    await asyncio.gather(*(_take_along(call, other, others, bridged) for other in tuple(others.values())))
    await arrived(call.desk.ari, call.caller)
    await _see_who_talks(call)


async def _see_who_talks(call: Call) -> None:
    """Looks at the bridge once more: the last requests of a worker that is gone may be carried out after its death.
    A caller alone in it was talking with somebody who has hung up, or was just to be connected with who is here."""
    bridged = await members(call.desk.ari, str(call.id))
    for who in call.inherited.values():
        who.bridged = {call.caller.id, who.leg.id} <= bridged
    here = [who for who in call.inherited.values() if who.leg.hangup_cause is None]
    was_in_it = call.was_talked or call.caller.id in bridged
    talks = any(who.bridged for who in here)
    call.was_talked = talks or (was_in_it and not here)
    if was_in_it and not talks:
        await Bridge(call.desk.ari, str(call.id)).destroy()


async def _take_along(call: Call, channel: Channel, others: dict[str, Channel], bridged: frozenset[str]) -> None:
    """Keeps somebody on the line who had picked up, and hangs up on everybody else; takes them out of ``others``."""
    contact = Contact.of(channel)
    assert contact is not None, "only people called are taken along"
    try:
        if channel.state == "Up":
            leg = await inherit(call.desk.ari, channel)
            await arrived(call.desk.ari, leg)
            candidate, method = contact.found(call.desk.routing(), call.language)
            call.inherited[method.id] = Inherited(leg, candidate, method)
            del others[channel.id]
            return
        await dismiss(call.desk.ari, channel)
    except (HungUp, Conflict):
        log.info("%s has gone meanwhile", channel.id)
    _close_attempt(call, channel, bridged)
    del others[channel.id]


async def _talk_on(call: Call, who: Inherited) -> None:
    """The conversation goes on to its end; nobody else is wanted any more, unless who talks with the caller is lost."""
    step = max(call.standing.step, 1)
    async with comforted(call) as comfort:
        with call.attempt(who.candidate, who.method, call.standing.round, step) as attempt:
            ending = await Offer(attempt, comfort, lambda: None).make()
        if ending is not Disposition.SOUND_LOST or await hunt(call, comfort):
            return
    await take_message(call)


async def _wind_up(desk: Desk, call: UUID | str, left: LeftCall) -> None:
    """The caller has hung up while nobody was there: so do we, and the call is closed.

    One whose caller was asked for a message is closed when that is taken in, with all that was left behind.
    """
    bridged = await members(desk.ari, str(call))
    await asyncio.gather(*(dismiss(desk.ari, other) for other in left.others))
    await Bridge(desk.ari, str(call)).destroy()
    if not isinstance(call, UUID):
        return
    notebook = Notebook(desk.ari, call)
    standing = await notebook.read()
    generation = standing.generation + 1
    talked = {other.id for other in left.others} & bridged
    for other in left.others:
        desk.journal.put(_closed(call, other, generation, other.id in talked))
    if talked or not standing.message:
        outcome = Outcome.ANSWERED if talked else Outcome.ABANDONED
        desk.journal.put(CallClosed(id=call, ended_at=datetime.now(UTC), outcome=outcome, generation=generation))
    notebook.tear_out()


def _closed(call: UUID, channel: Channel, generation: int, talked: bool) -> AttemptClosed:
    """That an attempt ended after its worker: with the conversation, or for want of somebody to go on with it."""
    return AttemptClosed(
        id=uuid5(call, first_leg(channel.id)),
        ended_at=datetime.now(UTC),
        disposition=Disposition.ACCEPTED if talked else Disposition.CUT,
        generation=generation,
    )
