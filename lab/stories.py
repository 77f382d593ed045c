"""The demo's five stories, as those who telephone live them. What each must come to is written beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from lab.mailbox import Letter
from lab.party import Caller, Incoming, Party
from lab.phones import Phone
from lab.sound import Speech, resemblance
from lab.world import World
from oncall.outcomes import Disposition, Outcome

MOBILES = ALICES_MOBILE, BOBS_MOBILE = "+33639980001", "+33639980002"
CAROLS_MAIL = "carol@societe.example"


@dataclass(frozen=True, slots=True)
class Set:
    """What a story is played with: the world, what is spoken, and ``tell``, which shows how it goes."""

    world: World
    message: Speech
    reply: Speech
    tell: Callable[[str], None]

    async def call(self, line: str) -> Caller:
        caller = await self.world.call(line)
        self.tell(f"{caller.journalled_as} calls {self.world.site.lines[line].name}")
        return caller

    async def rings(self, name: str, caller: Caller, *, within: float = 20) -> Incoming:
        """The caller's call, for which a telephone, by its SIP user name or its number, is seen to ring."""
        call = await self.phone(name).rings(showing=caller.journalled_as, within=within)
        self.tell(f"{name} rings")
        return call

    def phone(self, name: str) -> Phone:
        return self.world.mobile(name) if name.startswith("+") else self.world.phone(name)

    async def talks(self, person: Incoming, caller: Caller) -> None:
        """The person called takes the call, and both hear each other."""
        await person.answers()
        self.tell(f"{person.who} picks up and presses 1")
        await person.presses("1")
        await person.is_connected_to(caller)
        self.tell(f"{person.who} and the caller hear each other")

    async def hangs_up(self, one: Party, other: Party) -> None:
        await one.hangs_up()
        await other.is_hung_up()
        self.tell(f"{one.who} hangs up, so does the other end")


@dataclass(frozen=True, slots=True)
class Story:
    """``tried`` is whom Vigie must have tried, in order, and how each attempt must have ended."""

    letter: str
    title: str
    play: Callable[[Set], Awaitable[Caller]]
    outcome: Outcome
    tried: Sequence[tuple[str, Disposition]]


async def taken(stage: Set) -> Caller:
    caller = await stage.call("support")
    alice = await stage.rings("alice", caller)
    await caller.is_answered()
    await stage.talks(alice, caller)
    await caller.says(stage.message)
    await alice.hears(stage.message)
    await alice.says(stage.reply)
    await caller.hears(stage.reply)
    stage.tell("they have talked: what each said is what the other heard")
    await stage.hangs_up(caller, alice)
    return caller


async def escalated(stage: Set) -> Caller:
    caller = await stage.call("support")
    for telephone in ("alice", ALICES_MOBILE):
        ringing = await stage.rings(telephone, caller)
        await ringing.is_left_alone()
        stage.tell(f"{telephone} is not answered")
    carol = await stage.rings("carol", caller)
    await stage.talks(carol, caller)
    await stage.hangs_up(carol, caller)
    return caller


async def answered_by_a_machine(stage: Set) -> Caller:
    caller = await stage.call("depannage")
    machine = await stage.rings(BOBS_MOBILE, caller)
    await machine.answers()
    stage.tell(f"{BOBS_MOBILE} is answered by a machine, which presses nothing")
    carol = await stage.rings("carol", caller, within=30)
    await machine.is_hung_up()
    await stage.talks(carol, caller)
    await stage.hangs_up(caller, carol)
    return caller


async def left_a_message(stage: Set) -> Caller:
    caller = await stage.call("gardiennage")
    dan = await stage.rings("dan", caller)
    await dan.is_left_alone()
    stage.tell("dan is not answered")
    await caller.is_answered()
    await caller.hears_beep(within=30)
    stage.tell("the caller hears the beep and speaks")
    await caller.says(stage.message)
    await caller.presses("#")
    await caller.is_hung_up(within=20)
    letter = await stage.world.mailbox.receives(CAROLS_MAIL, within=20)
    stage.tell(f"{CAROLS_MAIL} has mail: {letter.subject}")
    return caller


async def given_up(stage: Set) -> Caller:
    caller = await stage.call("support")
    alice = await stage.rings("alice", caller)
    await caller.hangs_up()
    stage.tell("the caller hangs up")
    await alice.is_left_alone()
    stage.tell("alice rings no more")
    return caller


STORIES = (
    Story("a", "Alice is on call and takes the call", taken, Outcome.ANSWERED, [("Alice", Disposition.ACCEPTED)]),
    Story(
        "b",
        "Alice does not answer, her supervisor does",
        escalated,
        Outcome.ANSWERED,
        [("Alice", Disposition.NO_ANSWER), ("Alice", Disposition.NO_ANSWER), ("Carol", Disposition.ACCEPTED)],
    ),
    Story(
        "c",
        "Bob's mobile is answered by a machine, so the next one is rung",
        answered_by_a_machine,
        Outcome.ANSWERED,
        [("Bob", Disposition.NOT_CONFIRMED), ("Carol", Disposition.ACCEPTED)],
    ),
    Story(
        "d",
        "nobody answers, the caller leaves a message, which arrives by mail",
        left_a_message,
        Outcome.VOICEMAIL,
        [("Dan", Disposition.NO_ANSWER)],
    ),
    Story(
        "e",
        "the caller hangs up while it rings",
        given_up,
        Outcome.ABANDONED,
        [("Alice", Disposition.CALLER_GONE)],
    ),
)
TOGETHER = ("bae", "c", "d")
"""Stories by their letters: those of one word are played one after the other, the words at the same time.

They share people so that nobody is wanted in two places at once: Carol is free again when the machine of (c) gives up.
"""


def resemblances(letter: Letter, stage: Set) -> tuple[float, float]:
    """How much of the message is in a letter's sound and, to compare, how much of another sentence."""
    return resemblance(stage.message.sound, letter.sound), resemblance(stage.reply.sound, letter.sound)
