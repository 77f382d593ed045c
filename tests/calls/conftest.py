"""A desk with an imaginary Asterisk in front of it and no database behind."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ari_app.ari import ChannelUserevent
from ari_app.calls.desk import Desk
from ari_app.calls.presence import Presence
from ari_app.calls.take_call import take_call
from db.records import AttemptClosed, AttemptOpened, CallClosed, CallEvent, Record
from oncall.errors import UnknownNumber
from oncall.manner import NOTHING_SPECIAL
from oncall.plan import Candidate, ContactKind, ContactMethod, Line, Person, Plan, PlanStep, RingOrder, VoicemailRules
from tests.support.fake_asterisk import PATIENCE, FakeAsterisk, Party
from voice.prompts import Phrase, Prompts

DID = "+33188000001"
SUPPORT = Line(1, "support", "Support", "fr", DID, greeting=None, voicemail=VoicemailRules())


def sip(user: str, ident: int, **options: Any) -> ContactMethod:
    return ContactMethod(ident, ContactKind.SIP, user, **options)


def person(ident: int, name: str, *methods: ContactMethod) -> Candidate:
    return Candidate(Person(ident, name, "fr", methods), reason=f"{name} is on call")


ALICE = person(1, "Alice", sip("alice", 11))
BOB = person(2, "Bob", sip("bob", 21))
CAROL = person(3, "Carol", sip("carol", 31))


class SpokenPrompts(Prompts):
    """Prompts whose sounds are their texts, so that a test can read what was heard."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    async def say(self, text: str, language: str, otherwise: str) -> str:
        return text

    async def phrase(self, phrase: Phrase, language: str, **names: str) -> str:
        return phrase.text(language, **names)


class Paper(list[Record]):
    """A journal on paper."""

    put = list.append

    async def drain(self) -> None:
        pass

    def dispositions(self) -> list[tuple[str, str]]:
        """Who was tried and how it ended, in the order in which it ended."""
        names = {record.id: record.person_name for record in self if isinstance(record, AttemptOpened)}
        return [(names[record.id], str(record.disposition)) for record in self if isinstance(record, AttemptClosed)]

    def outcomes(self) -> list[str]:
        return [str(record.outcome) for record in self if isinstance(record, CallClosed)]

    def kinds(self) -> list[str]:
        return [str(record.kind) for record in self if isinstance(record, CallEvent)]


class Mail:
    """A mail room that settles nothing, so that the scenario's own outcome shows."""

    def __init__(self) -> None:
        self.taken_in: list[Any] = []

        self.told_of: list[Any] = []

    async def take_in(self, call: Any) -> None:
        self.taken_in.append(call)

    def tell(self, call: Any) -> None:
        self.told_of.append(call)


class Office:
    """One worker's desk; :meth:`call` places a call and serves it."""

    def __init__(self) -> None:
        self.asterisk = FakeAsterisk()
        self.paper = Paper()
        self.mail = Mail()
        self.presence = Presence()
        self.plan = plan(PlanStep(1, RingOrder.TOGETHER, (ALICE,)))
        self.calls: list[asyncio.Task[None]] = []
        self.manner = NOTHING_SPECIAL
        """What every trunk wants."""
        table: Any = SimpleNamespace(plan=self._plan, manner=lambda _: self.manner)
        self.desk = Desk(
            worker="test",
            ari=self.asterisk.ari,
            routing=lambda: table,
            journal=self.paper,  # type: ignore[arg-type]
            prompts=SpokenPrompts(),
            presence=self.presence,
            mailroom=self.mail,  # type: ignore[arg-type]
            language="fr",
            region="FR",
        )

    def _plan(self, did: str, at: datetime) -> Plan:
        if did != DID:
            raise UnknownNumber(did)
        return replace(self.plan, at=at)

    def hears(self, event: str, who: Candidate) -> None:
        """Another worker says of somebody that they are engaged, or free; no such leg is on the line."""
        said = ChannelUserevent(eventname=event, userevent={"person": str(who.person.id), "leg": "elsewhere"})
        self.presence.on_word(self.asterisk.ari, said)

    def steps(self, *steps: Sequence[Candidate], order: RingOrder = RingOrder.TOGETHER, **options: Any) -> None:
        """The plan of the calls to come: one step after the other, each with its people."""
        self.plan = plan(*(PlanStep(n, order, tuple(who)) for n, who in enumerate(steps, 1)), **options)

    async def call(self, did: str = DID, number: str = "+33611223344") -> Party:
        party, leg = await self.asterisk.call(did, number)
        self.calls.append(asyncio.create_task(take_call(leg, self.desk)))
        return party

    async def over(self) -> None:
        """All calls have come to their end by themselves."""
        await asyncio.wait_for(asyncio.gather(*self.calls), PATIENCE)


def plan(*steps: PlanStep, rounds: int = 1, max_hunt_seconds: float = 60) -> Plan:
    return Plan(SUPPORT, datetime.now(UTC), steps, rounds, max_hunt_seconds, trunks=("carrier",))  # type: ignore[arg-type]


async def until(condition: Any, what: str) -> None:
    """Waits for ``condition`` to hold."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)
    assert condition(), what


@pytest.fixture(params=[None, 2026], ids=["prompt", "slow"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    """Each story is told twice: with an Asterisk that acts at once, and one that takes its time, now more, now less."""
    office = Office()
    office.asterisk.chance = random.Random(request.param) if request.param else None
    yield office
    for call in office.calls:
        call.cancel()
    await asyncio.gather(*office.calls, return_exceptions=True)
    assert [party.channel.id for party in office.asterisk.parties.values() if party.alive] == []
