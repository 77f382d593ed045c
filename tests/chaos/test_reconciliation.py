"""Books that do not agree: each way in which something can be lost is found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest

from db.models import Attempt, Call, CallEvent
from lab.chaos.books import Books, Mail, Struck
from lab.chaos.plan import Placed
from lab.chaos.reconciliation import reconcile
from lab.chaos.report import timeline
from lab.chaos.town import KINDS, RECIPIENTS, Kind
from lab.chaos.traffic import PhoneEvent, Seen
from lab.trace import Trace
from oncall.outcomes import Disposition, EventKind, Outcome, Route

EVENING = 1_795_600_000.0
TALKER, SPEAKER, LEAVER = "+33670000000", "+33670000001", "+33670000002"
MOBILE = "+33611000000"
CALLS = {caller: UUID(int=n) for n, caller in enumerate((TALKER, SPEAKER, LEAVER))}
SPEECH = 20.0


def kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(EVENING + seconds, UTC)


def seen(**when: float) -> Seen:
    return Seen({what: EVENING + seconds for what, seconds in when.items()})


def trace(caller: str, outcome: Outcome, ended: float, *told: tuple[float, EventKind], by: str = "") -> Trace:
    """A call of the journal; ``by`` is who accepted it."""
    call = CALLS[caller]
    attempts = [
        Attempt(id=uuid5(call, by), call_id=call, person_name=by, disposition=Disposition.ACCEPTED, started_at=at(0))
        for _ in filter(None, [by])
    ]
    events = [CallEvent(call_id=call, seq=n, at=at(when), kind=what) for n, (when, what) in enumerate(told, 1)]
    return Trace(
        Call(id=call, caller=caller, route=Route.WORKER, outcome=outcome, started_at=at(0), ended_at=at(ended)),
        attempts,
        events,
    )


def good() -> Books:
    """Somebody talked, somebody left a message, somebody gave up: all as it should be."""
    return Books(
        placed=(
            Placed(TALKER, "+33180000001", kind("answered")),
            Placed(SPEAKER, "+33180000002", kind("voicemail")),
            Placed(LEAVER, "+33180000003", kind("abandoned")),
        ),
        speech_seconds=SPEECH,
        struck=(),
        seen={
            TALKER: seen(placed=0, answered=0.1, hung_up=9.1),
            SPEAKER: seen(placed=0, answered=0.1, hung_up=26),
            LEAVER: seen(placed=0, answered=0.1, left=2.6),
        },
        phones=(
            PhoneEvent(EVENING + 1, TALKER, "picked_up", MOBILE),
            PhoneEvent(EVENING + 9, TALKER, "left", MOBILE),
        ),
        left_over=(),
        traces=(
            trace(TALKER, Outcome.ANSWERED, 9.1, (0, EventKind.INCOMING), (2, EventKind.CONNECTED), by="Alice"),
            trace(SPEAKER, Outcome.VOICEMAIL, 26, (0, EventKind.INCOMING), (8, EventKind.VOICEMAIL_STARTED)),
            trace(LEAVER, Outcome.ABANDONED, 2.6, (0, EventKind.INCOMING)),
        ),
        mails=tuple(Mail(who, str(CALLS[SPEAKER]), EVENING + 27, 12.3) for who in RECIPIENTS),
        unsent=0,
    )


def retold(books: Books, caller: str, new: Trace) -> Books:
    return replace(books, traces=tuple(new if old.call.caller == caller else old for old in books.traces))


def reseen(books: Books, caller: str, new: Seen) -> Books:
    return replace(books, seen={**books.seen, caller: new})


def asterisk_died(books: Books, when: float) -> Books:
    return replace(
        books, struck=(Struck("asterisk-killed", "Asterisk", EVENING + when, EVENING + when + 4, cuts=True),)
    )


def found(books: Books) -> list[tuple[str | None, str]]:
    return [(disagreement.caller, disagreement.what) for disagreement in reconcile(books)]


def test_books_that_agree_are_not_complained_of() -> None:
    assert found(good()) == []


def _without_row(books: Books) -> Books:
    return replace(books, traces=books.traces[1:])


def _with_row_twice(books: Books) -> Books:
    return replace(books, traces=(*books.traces, books.traces[0]))


def _with_open_row(books: Books) -> Books:
    books.traces[0].call.outcome = None
    return books


def _with_open_attempt(books: Books) -> Books:
    books.traces[0].attempts[0].disposition = None
    return books


def _with_lost_event(books: Books) -> Books:
    books.traces[0].events[1].seq = 3
    return books


def _without_mail(books: Books) -> Books:
    return replace(books, mails=books.mails[1:])


def _with_mail_twice(books: Books) -> Books:
    return replace(books, mails=(*books.mails, books.mails[0]))


def _with_mail_about_talk(books: Books) -> Books:
    return replace(books, mails=(*books.mails, replace(books.mails[0], about=str(CALLS[TALKER]))))


def _with_short_message(books: Books) -> Books:
    return replace(books, mails=[replace(mail, sound_seconds=5.0) for mail in books.mails])


def _without_answer(books: Books) -> Books:
    return reseen(books, TALKER, Seen(seen(placed=0).at, "Aborting call: 503 Service Unavailable"))


def _without_end(books: Books) -> Books:
    return reseen(books, TALKER, seen(placed=0, answered=0.1))


def _waiting_in_vain(books: Books) -> Books:
    return reseen(books, TALKER, seen(placed=0, answered=0.1, left=60))


def _unheard(books: Books) -> Books:
    return reseen(books, LEAVER, seen(placed=0, answered=0.1, left=2.6, unheard=12.6))


def _dropped_while_talking(books: Books) -> Books:
    return replace(books, phones=books.phones[:1])


def _dropped_while_ringing(books: Books) -> Books:
    return reseen(books, LEAVER, seen(placed=0, answered=0.1, hung_up=1.5))


def _told_otherwise(books: Books) -> Books:
    return retold(books, TALKER, trace(TALKER, Outcome.ABANDONED, 9, (0, EventKind.INCOMING)))


def _talked_with_nobody(books: Books) -> Books:
    return retold(books, TALKER, trace(TALKER, Outcome.ANSWERED, 9, (0, EventKind.INCOMING)))


def _with_nothing_recorded(books: Books) -> Books:
    told = ((0.0, EventKind.INCOMING), (8.0, EventKind.VOICEMAIL_STARTED))
    return retold(books, SPEAKER, trace(SPEAKER, Outcome.NO_MESSAGE, 26, *told))


@pytest.mark.parametrize(
    ("spoil", "caller", "complaint"),
    [
        (_without_row, TALKER, "the journal does not have it"),
        (_with_row_twice, TALKER, "the journal has it 2 times"),
        (_with_open_row, TALKER, "the journal does not close it"),
        (_with_open_attempt, TALKER, "does not close the attempts at Alice"),
        (_with_lost_event, TALKER, "lacks the events [2]"),
        (_without_mail, SPEAKER, f"{RECIPIENTS[0]} has not been told"),
        (_with_mail_twice, SPEAKER, f"{RECIPIENTS[0]} was told of it 2 times"),
        (_with_mail_about_talk, TALKER, "was told of a call that was answered"),
        (_with_short_message, SPEAKER, "got 5.0 s of a message of 12.1 s"),
        (_without_answer, TALKER, "not answered: Aborting call: 503"),
        (_without_end, TALKER, "SIPp knows no end of it"),
        (_waiting_in_vain, TALKER, "waited in vain"),
        (_unheard, LEAVER, "nobody heard the caller hang up"),
        (_dropped_while_talking, TALKER, "dropped in a conversation"),
        (_dropped_while_ringing, LEAVER, "the caller was dropped"),
        (_told_otherwise, TALKER, "as abandoned, not as answered"),
        (_talked_with_nobody, TALKER, "0 people had it"),
        (_with_nothing_recorded, SPEAKER, "as no_message, not as voicemail"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_whatever_is_lost_is_found(spoil: Callable[[Books], Books], caller: str, complaint: str) -> None:
    complaints = found(spoil(good()))
    assert any(who == caller and complaint in what for who, what in complaints), complaints
    assert {who for who, _ in complaints} == {caller}, "nobody else is complained of"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda books: replace(books, left_over=("bridge 1",)), "Asterisk still has bridge 1"),
        (lambda books: replace(books, unsent=2), "2 mails have not left"),
        (lambda books: replace(books, mails=(*books.mails, Mail("eve@x.example", "?", EVENING, 0))), "about no call"),
        (lambda books: replace(books, placed=books.placed[:2]), "nobody made"),
    ],
)
def test_what_is_left_over_is_found(spoil: Callable[[Books], Books], complaint: str) -> None:
    assert [complaint in what for _, what in found(spoil(good()))] == [True]


def test_calls_may_be_cut_when_asterisk_dies_but_only_then_and_truly() -> None:
    cut = trace(TALKER, Outcome.CUT, 5, (0, EventKind.INCOMING))
    unheard = reseen(good(), TALKER, seen(placed=0, answered=0.1, left=60, unheard=70))
    assert found(asterisk_died(retold(unheard, TALKER, cut), 5)) == []
    assert found(retold(unheard, TALKER, cut)) != [], "nothing had died"
    assert found(asterisk_died(retold(unheard, TALKER, cut), 80)) != [], "it died later"
    lie = trace(TALKER, Outcome.ABANDONED, 5, (0, EventKind.INCOMING))
    assert found(asterisk_died(retold(unheard, TALKER, lie), 5)) == [
        (TALKER, "the call was cut, but the journal has it as abandoned")
    ]


def test_whoever_is_called_may_lose_patience_while_no_worker_is_there_at_all() -> None:
    told = ((0.0, EventKind.INCOMING), (8.0, EventKind.VOICEMAIL_STARTED))
    mails = [Mail(who, str(CALLS[TALKER]), EVENING + 27, 0) for who in RECIPIENTS]
    books = retold(good(), TALKER, trace(TALKER, Outcome.NO_MESSAGE, 26, *told))
    books = replace(books, mails=[*books.mails, *mails])
    assert found(books) == [(TALKER, "the journal has it as no_message, not as answered")]
    killed = Struck("workers-killed", "all of them", EVENING + 1, EVENING + 6, delays=True)
    assert found(replace(books, struck=(killed,))) == []


def test_what_was_recorded_until_asterisk_died_must_arrive() -> None:
    salvaged = replace(good(), mails=[replace(mail, sound_seconds=4.5) for mail in good().mails])
    assert found(asterisk_died(salvaged, 13)) == []
    assert len(found(asterisk_died(salvaged, 18))) == len(RECIPIENTS)


def test_a_mail_may_come_twice_only_if_the_sender_died_while_it_was_taken() -> None:
    killed = Struck("scheduler-killed", "scheduler", EVENING + 27.2, EVENING + 29, doubles=True)
    assert found(replace(_with_mail_twice(good()), struck=(killed,))) == []
    later = replace(killed, since=EVENING + 35, until=EVENING + 36)
    assert found(replace(_with_mail_twice(good()), struck=(later,))) != []


def test_a_disagreement_is_told_with_what_every_book_says() -> None:
    told = "\n".join(timeline(good(), SPEAKER))
    assert [word in told for word in ("voicemail", "SIPp      answered", "voicemail_started", "mail      to")] == [
        True
    ] * 4
