"""The four books of a chaos run, as each side has kept them: SIPp's, Asterisk's, the journal and the mails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from db.models import Attempt, Call, CallEvent, OutboxMessage
from lab.chaos.plan import Placed, Plan
from lab.chaos.traffic import PhoneEvent, Seen
from lab.trace import Trace
from oncall.outcomes import Outcome

if TYPE_CHECKING:
    from lab.chaos.traffic import Traffic
    from lab.world import World

TOLD = (Outcome.VOICEMAIL, Outcome.NO_MESSAGE)
"""Outcomes of which the line's recipients are told."""
UNFINISHED = ("pending", "sending")


@dataclass(frozen=True, slots=True)
class Struck:
    """What befell, from when to when all was back, in seconds of the epoch; what it may cost, see `Affliction`."""

    name: str
    whom: str
    since: float
    until: float
    cuts: bool = False
    delays: bool = False
    doubles: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that its server acknowledged: to whom, about which call, when, and how much sound came with it."""

    recipient: str
    about: str
    at: float
    sound_seconds: float


@dataclass(frozen=True, slots=True)
class Books:
    """``left_over`` is what Asterisk still has, ``unsent`` how many mails have not left."""

    placed: Sequence[Placed]
    speech_seconds: float
    struck: Sequence[Struck]
    seen: Mapping[str, Seen]
    phones: Sequence[PhoneEvent]
    left_over: Sequence[str]
    traces: Sequence[Trace]
    mails: Sequence[Mail]
    unsent: int


async def gather(world: World, traffic: Traffic, plan: Plan, struck: Sequence[Struck]) -> Books:
    """The books as they are now."""
    return Books(
        placed=plan.calls,
        speech_seconds=plan.speech_seconds,
        struck=struck,
        seen=traffic.seen(),
        phones=traffic.phones(),
        left_over=await left_over(world),
        traces=await traces(world.engine),
        mails=[
            Mail(
                letter.recipient,
                letter.about,
                letter.received_at.timestamp(),
                letter.sound.seconds if letter.attachment_names else 0,
            )
            for letter in world.mailbox.letters
        ],
        unsent=await unsent(world.engine),
    )


async def left_over(world: World) -> list[str]:
    """The channels, bridges and recordings that Asterisk has."""
    channels = (await world.pbx.command("core show channels concise")).splitlines()
    bridges = (await world.pbx.command("bridge show all")).splitlines()[1:]
    recordings = [f"recording {file.name}" for file in world.pbx.recordings.iterdir()]
    return [f"channel {channel.partition('!')[0]}" for channel in channels if channel.strip()] + [
        *(f"bridge {bridge.split()[0]}" for bridge in bridges if bridge.strip()),
        *recordings,
    ]


async def traces(engine: AsyncEngine) -> list[Trace]:
    """All calls of the journal, in order."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        calls = (await session.scalars(select(Call).order_by(Call.started_at))).all()
        attempts: defaultdict[UUID, list[Attempt]] = defaultdict(list)
        for attempt in await session.scalars(select(Attempt).order_by(Attempt.started_at)):
            attempts[attempt.call_id].append(attempt)
        events: defaultdict[UUID, list[CallEvent]] = defaultdict(list)
        for event in await session.scalars(select(CallEvent).order_by(CallEvent.seq)):
            events[event.call_id].append(event)
    return [Trace(call, attempts[call.id], events[call.id]) for call in calls]


async def announced(engine: AsyncEngine) -> set[str]:
    """The ids of the calls of which somebody must be told."""
    async with AsyncSession(engine) as session:
        return {str(call) for call in await session.scalars(select(Call.id).where(Call.outcome.in_(TOLD)))}


async def unsent(engine: AsyncEngine) -> int:
    """How many mails have neither left nor failed for good."""
    async with AsyncSession(engine) as session:
        query = select(func.count()).select_from(OutboxMessage).where(OutboxMessage.state.in_(UNFINISHED))
        return await session.scalar(query) or 0
