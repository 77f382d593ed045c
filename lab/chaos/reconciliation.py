"""Where the four books of a chaos run disagree. Pure: no I/O, no clock.

The number of the caller, which is different for each call, is the key between SIPp's book and the journal; the id of
the call is that between the journal and the mails. The only calls that may have been lost are those that were there
when Asterisk itself died.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ari_app.calls.call import EVENTS_PER_GENERATION
from lab.chaos.books import TOLD, Books, Mail
from lab.chaos.plan import Placed
from lab.chaos.town import RECIPIENTS
from lab.chaos.traffic import PhoneEvent, Seen
from lab.trace import Trace
from oncall.outcomes import Disposition, EventKind, Outcome, Route
from oncall.plan import VoicemailRules

AFTERMATH = 2
"""The last places of each generation's events, which those have who tidy up after it."""
ON_THE_SAFE_SIDE = 1.0
"""Seconds by which two clocks, or two who see the same, may differ; also for the pause at the end of a sentence."""
UNWRITTEN_SECONDS = 2.1
"""How much of a recording Asterisk has in a buffer of its own (32 KiB) and not in the file, when it is killed."""
GIVES_UP_SECONDS = VoicemailRules().abandoned_seconds
MAY_BE_TOLD = (Outcome.CUT, Outcome.FAILED, Outcome.ABANDONED)
LEAST_MESSAGE = 3.0
"""Seconds of speech from which on there must be a message."""
TIDIED_SECONDS = 15.0
"""How long it takes until a call is closed whose caller hung up while no worker was there."""
OF_SURVIVORS = frozenset({Outcome.CUT, Outcome.ANSWERED, Outcome.VOICEMAIL, Outcome.NO_MESSAGE})
"""How a call can have ended whose caller was there when Asterisk died."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """``what`` the books disagree in, about the call of a ``caller`` or about none."""

    caller: str | None
    what: str


def reconcile(books: Books) -> list[Disagreement]:
    """Everything in which the books disagree; nothing when all is well."""
    journal: defaultdict[str | None, list[Trace]] = defaultdict(list)
    for trace in books.traces:
        journal[trace.call.caller].append(trace)
    phones: defaultdict[str, list[PhoneEvent]] = defaultdict(list)
    for event in books.phones:
        phones[event.caller].append(event)
    mails: defaultdict[str, list[Mail]] = defaultdict(list)
    for mail in books.mails:
        mails[mail.about].append(mail)
    found: list[Disagreement] = []
    for placed in books.placed:
        page = _Page(
            placed,
            books.seen.get(placed.caller, Seen()),
            journal.pop(placed.caller, []),
            phones[placed.caller],
            books,
        )
        found += (Disagreement(placed.caller, what) for what in page.disagreements(mails))
    found += (Disagreement(caller, "the journal has a call that nobody made") for caller in journal)
    found += (Disagreement(None, f"a mail to {mail.recipient} about no call") for mail in chain(*mails.values()))
    found += (Disagreement(None, f"Asterisk still has {what}") for what in books.left_over)
    if books.unsent:
        found.append(Disagreement(None, f"{books.unsent} mails have not left"))
    return found


class _Page:
    """What all books say of one caller."""

    def __init__(
        self, placed: Placed, seen: Seen, traces: Sequence[Trace], phones: Sequence[PhoneEvent], books: Books
    ) -> None:
        self._placed = placed
        self._seen = seen
        self._traces = traces
        self._phones = phones
        self._books = books
        began, ended = seen.at.get("placed", 0.0), seen.ended_at or float("inf")
        lived_through = [blow for blow in books.struck if blow.since < ended and began < blow.until]
        self._cuts = [blow for blow in lived_through if blow.cuts]
        self._is_delayed = any(blow.delays for blow in lived_through)
        self._unattended = any(blow.cuts and ended < blow.since < ended + TIDIED_SECONDS for blow in books.struck)

    def disagreements(self, mails: defaultdict[str, list[Mail]]) -> Iterator[str]:
        """``mails`` are all those that are about calls not yet looked at; ours are taken out."""
        if not self._cuts:
            yield from self._of_sipp()
        yield from self._of_rows()
        for trace in self._traces:
            yield from _of_journal(trace)
            yield from self._of_mails(trace, mails.pop(str(trace.call.id), []))
            if self._cuts:
                yield from self._of_cut(trace)
            elif trace.outcome is not None:
                yield from self._of_outcome(trace, trace.outcome)

    def _of_sipp(self) -> Iterator[str]:
        """No caller is turned away, forgotten, or left waiting in vain."""
        seen, complaint = self._seen, f": {self._seen.complaint}" if self._seen.complaint else ""
        if "placed" not in seen.at:
            yield "SIPp did not place it"
        elif "answered" not in seen.at:
            yield f"the caller was not answered{complaint}"
        elif seen.end is None:
            yield f"SIPp knows no end of it{complaint}"
        elif seen.end == "unheard":
            yield "nobody heard the caller hang up"
        elif seen.end == "left" and not self._placed.kind.leaves:
            yield "the caller waited in vain"

    def _of_rows(self) -> Iterator[str]:
        rows = len(self._traces)
        if rows == 0 and not self._cuts:
            yield "the journal does not have it"
        elif rows > (2 if self._cuts else 1):  # an INVITE that was heard, but not answered, is sent again
            yield f"the journal has it {rows} times"

    def _of_outcome(self, trace: Trace, outcome: Outcome) -> Iterator[str]:
        """What the journal says of the end is what was to come, and what SIPp saw."""
        expected = self._placed.kind.outcomes
        if outcome is Outcome.NO_MESSAGE and expected == {Outcome.VOICEMAIL}:
            spoken = self._spoken(trace)
            if spoken is None or spoken < LEAST_MESSAGE:
                return  # they had said it all before they were asked for it
        if outcome is Outcome.CUT and self._unattended:
            return  # they hung up while no worker was there, and then Asterisk died, which alone knew
        if outcome in TOLD and expected == {Outcome.ANSWERED} and self._is_delayed:
            return  # whoever had picked up waited in vain for somebody to speak to
        if outcome not in expected:
            yield f"the journal has it as {outcome}, not as {' or '.join(sorted(expected))}"
        if outcome is Outcome.ABANDONED and self._seen.end == "hung_up":
            yield "the caller was dropped: the journal says they left, but it was we who hung up"
        if outcome is Outcome.ANSWERED and self._seen.end == "hung_up" and not self._was_left_by_phone():
            yield "the caller was dropped in a conversation that nobody ended"

    def _was_left_by_phone(self) -> bool:
        """Whether somebody who had picked up hung up, shortly before the caller was hung up on."""
        ended = self._seen.at["hung_up"]
        return any(event.what in ("left", "unheard") and event.at < ended + ON_THE_SAFE_SIDE for event in self._phones)

    def _of_cut(self, trace: Trace) -> Iterator[str]:
        """Asterisk died: whoever was there then has not hung up by themselves. (The fallback cannot tell the two.)"""
        was_there = any(
            self._seen.at.get("answered", blow.until) < blow.since < (self._seen.ended_at or blow.until)
            for blow in self._cuts
        )
        if was_there and trace.call.route == Route.WORKER and trace.outcome not in OF_SURVIVORS:
            yield f"the call was cut, but the journal has it as {trace.outcome}"

    def _of_mails(self, trace: Trace, mails: Sequence[Mail]) -> Iterator[str]:
        """Each recipient is told once of a message, or of a caller who left none or gave up late; of nothing else."""
        call = trace.call
        waited = (call.ended_at - call.started_at).total_seconds() if call.ended_at else 0
        gave_up_late = trace.outcome is Outcome.ABANDONED and waited > GIVES_UP_SECONDS + ON_THE_SAFE_SIDE
        told = trace.outcome in TOLD or gave_up_late or (trace.outcome in MAY_BE_TOLD and mails)
        copies = Counter(mail.recipient for mail in mails)
        for recipient in sorted(copies.keys() | set(RECIPIENTS)):
            times = copies[recipient]
            if told and recipient in RECIPIENTS and times == 0:
                yield f"{recipient} has not been told of it"
            elif not told and times:
                yield f"{recipient} was told of a call that was {trace.outcome}"
            elif times > 1 and not self._may_double([mail for mail in mails if mail.recipient == recipient]):
                yield f"{recipient} was told of it {times} times"
        if trace.outcome is Outcome.VOICEMAIL:
            yield from self._of_sound(trace, mails)

    def _may_double(self, mails: Iterable[Mail]) -> bool:
        first = min(mail.at for mail in mails)
        return any(
            blow.doubles and first - ON_THE_SAFE_SIDE < blow.since < first + ON_THE_SAFE_SIDE
            for blow in self._books.struck
        )

    def _of_sound(self, trace: Trace, mails: Iterable[Mail]) -> Iterator[str]:
        spoken = self._spoken(trace)
        for mail in mails:
            if spoken is not None and mail.sound_seconds < spoken - ON_THE_SAFE_SIDE:
                yield f"{mail.recipient} got {mail.sound_seconds:.1f} s of a message of {spoken:.1f} s"

    def _spoken(self, trace: Trace) -> float | None:
        """How many seconds the caller spoke after the beep; None when the journal does not say when that was."""
        if self._placed.kind.habit != "speaks" or "answered" not in self._seen.at:
            return None
        began = [event.at.timestamp() for event in trace.events if event.kind == EventKind.VOICEMAIL_STARTED]
        silenced = [blow.since for blow in self._cuts]
        ended = min(self._seen.at["answered"] + self._books.speech_seconds, self._seen.ended_at or 0, *silenced)
        unwritten = UNWRITTEN_SECONDS if silenced else 0
        return max(0.0, ended - unwritten - began[0]) if began else None


def _of_journal(trace: Trace) -> Iterator[str]:
    """Closed, nothing left out, and taken by one person if it was answered."""
    if trace.outcome is None:
        yield "the journal does not close it"
    still_open = [attempt.person_name for attempt in trace.attempts if attempt.disposition is None]
    if still_open:
        yield f"the journal does not close the attempts at {', '.join(still_open)}"
    for generation, places in _places(trace).items():
        missing = sorted(set(range(1, max(places) + 1)) - places)
        if missing:
            yield f"of its {generation}. worker the journal lacks the events {missing}"
    accepted = sum(attempt.disposition == Disposition.ACCEPTED for attempt in trace.attempts)
    if trace.outcome is Outcome.ANSWERED and accepted != 1:
        yield f"it was answered, and {accepted} people had it"
    elif trace.outcome is not Outcome.ANSWERED and accepted and trace.outcome is not Outcome.CUT:
        yield f"it was {trace.outcome}, and yet somebody had it"


def _places(trace: Trace) -> dict[int, set[int]]:
    """The places that the events of each generation have, but for those of the aftermath."""
    places: defaultdict[int, set[int]] = defaultdict(set)
    for event in trace.events:
        generation, place = divmod(event.seq, EVENTS_PER_GENERATION)
        if place < EVENTS_PER_GENERATION - AFTERMATH:
            places[generation].add(place)
    return places
