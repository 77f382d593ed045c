"""What recipients read, in French and in English, whatever the caller's number is."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from notify.messages import MessageWriter
from notify.story import AttemptStory, CallStory, Recording
from notify.wording import ENGLISH, FRENCH, WORDINGS
from oncall.outcomes import Disposition
from oncall.plan import ContactKind

AT_NIGHT = datetime(2026, 11, 23, 2, 12, 7, tzinfo=UTC)
STORY = CallStory(
    call=UUID("6f3a4c1e-0000-4000-8000-000000000001"),
    line="Support",
    did="+33123456789",
    caller="+33612345678",
    started_at=AT_NIGHT,
    zone=ZoneInfo("Europe/Paris"),
    attempts=(
        AttemptStory(AT_NIGHT, "Alice Martin", ContactKind.SIP, Disposition.NO_ANSWER),
        AttemptStory(AT_NIGHT, "Bob Petit", ContactKind.PHONE, Disposition.BUSY),
    ),
    recording=Recording(duration_ms=65_400, silent=False, audio=b"RIFF"),
)
HOSTILE = 'x"><script>alert(1)</script>\r\nBcc: everybody@example.org'

writer = MessageWriter(region="FR")


@pytest.mark.parametrize(
    ("template", "language", "subject"),
    [
        ("voicemail", "fr", "Message vocal de 06 12 34 56 78 — Support (23/11/2026 03:12)"),
        ("voicemail", "en", "Voicemail from 06 12 34 56 78 — Support (23 Nov 2026 03:12)"),
        ("no_message", "fr", "Appel sans message de 06 12 34 56 78 — Support (23/11/2026 03:12)"),
        ("no_message", "en", "Call without a message from 06 12 34 56 78 — Support (23 Nov 2026 03:12)"),
        ("abandoned", "fr", "Appel abandonné de 06 12 34 56 78 — Support (23/11/2026 03:12)"),
        ("abandoned", "en", "Abandoned call from 06 12 34 56 78 — Support (23 Nov 2026 03:12)"),
        ("cut", "fr", "Appel interrompu de 06 12 34 56 78 — Support (23/11/2026 03:12)"),
        ("cut", "en", "Interrupted call from 06 12 34 56 78 — Support (23 Nov 2026 03:12)"),
    ],
)
def test_the_subject_says_who_called_which_line_and_when(template: str, language: str, subject: str) -> None:
    assert writer.write(template, STORY, language).subject == subject


@pytest.mark.parametrize(
    ("language", "tag", "words"), [("fr", "— secours", "servi par le secours"), ("en", "— fallback", "by the fallback")]
)
@pytest.mark.parametrize("template", ["voicemail", "no_message", "abandoned", "cut"])
def test_a_call_that_came_by_the_fallback_says_so(template: str, language: str, tag: str, words: str) -> None:
    message = writer.write(template, replace(STORY, by_fallback=True), language)
    assert message.subject.endswith(tag)
    assert words in message.text
    assert words in message.html
    usual = writer.write(template, STORY, language)
    assert not any(words in body or tag in body for body in (usual.subject, usual.text, usual.html))


@pytest.mark.parametrize("language", WORDINGS)
@pytest.mark.parametrize("template", ["voicemail", "no_message", "abandoned", "cut"])
def test_text_and_html_tell_who_was_tried_and_how_it_ended(template: str, language: str) -> None:
    message = writer.write(template, STORY, language)
    words = WORDINGS[language]
    for body in (message.text, message.html):
        for fact in ("06 12 34 56 78", "Support", "Alice Martin", "Bob Petit", "03:12:07", str(STORY.call)):
            assert fact in body
        assert words.dispositions[Disposition.NO_ANSWER] in body
        assert words.dispositions[Disposition.BUSY] in body
    assert f'<html lang="{language}">' in message.html


def test_html_needs_nothing_from_elsewhere_and_the_number_can_be_called_at_a_touch() -> None:
    html = writer.write("voicemail", STORY, "fr").html
    assert '<a href="tel:+33612345678"' in html
    for remote in ("http:", "https:", "src=", "<link", "@import", "<script"):
        assert remote not in html


def test_the_length_of_the_message_and_the_day_in_full() -> None:
    assert "lundi 23 novembre 2026 à 03:12 (Europe/Paris)" in writer.write("voicemail", STORY, "fr").text
    english = writer.write("voicemail", STORY, "en").text
    assert "Monday 23 November 2026 at 03:12 (Europe/Paris)" in english
    assert "Duration: 1 min 05 s" in english


def test_a_silent_recording_is_said_to_be_silent() -> None:
    silent = replace(STORY, recording=Recording(duration_ms=9000, silent=True, audio=b"RIFF"))
    assert "semble silencieux" in writer.write("voicemail", silent, "fr").text
    assert "semble silencieux" in writer.write("voicemail", silent, "fr").html
    assert "seems silent" in writer.write("voicemail", silent, "en").text
    assert "seems silent" not in writer.write("voicemail", STORY, "en").text


def test_when_nobody_could_be_tried_the_message_says_so() -> None:
    alone = replace(STORY, attempts=())
    assert "Personne n’a été appelé." in writer.write("no_message", alone, "fr").text
    assert "Nobody was called." in writer.write("no_message", alone, "en").html


@pytest.mark.parametrize("caller", [None, "", "anonymous", "Anonymous", "unknown", "\r\n"])
def test_a_withheld_number_is_called_so(caller: str | None) -> None:
    message = writer.write("voicemail", replace(STORY, caller=caller), "fr")
    assert message.subject == "Message vocal de numéro masqué — Support (23/11/2026 03:12)"
    assert "tel:" not in message.html
    assert message.attachments[0].name == "2026-11-23_03-12_masque.wav"


@pytest.mark.parametrize(
    ("caller", "shown"),
    [
        ("+33612345678", "06 12 34 56 78"),
        ("0612345678", "06 12 34 56 78"),
        ("+442079460958", "+44 20 7946 0958"),
        ("+491701234567", "+49 170 1234567"),
        ("1001", "1001"),
        ("alice", "alice"),
    ],
)
def test_numbers_are_written_as_people_of_the_region_write_them(caller: str, shown: str) -> None:
    assert FRENCH.caller(caller, "FR") == shown


@pytest.mark.parametrize("template", ["voicemail", "no_message", "abandoned", "cut"])
@pytest.mark.parametrize("language", WORDINGS)
def test_a_hostile_caller_breaks_neither_header_nor_html_nor_file_name(template: str, language: str) -> None:
    message = writer.write(template, replace(STORY, caller=HOSTILE), language)
    assert "\n" not in message.subject
    assert "\r" not in message.subject
    assert "<script" not in message.html
    assert 'x"' not in message.html
    assert set('/\\<>"\r\n:') & set(message.attachments[0].name) == set()


def test_names_of_lines_and_people_are_escaped() -> None:
    odd = replace(
        STORY,
        line="R&D <b>",
        attempts=(AttemptStory(AT_NIGHT, "<i>Zoé</i>", ContactKind.PHONE, None),),
    )
    message = writer.write("voicemail", odd, "fr")
    assert "R&amp;D &lt;b&gt;" in message.html
    assert "&lt;i&gt;Zoé&lt;/i&gt;" in message.html
    assert "R&D <b>" in message.subject


def test_the_recording_is_attached_under_the_date_and_the_caller() -> None:
    (attachment,) = writer.write("voicemail", STORY, "fr").attachments
    assert attachment.name == "2026-11-23_03-12_+33612345678.wav"
    assert attachment.content == b"RIFF"
    assert writer.write("no_message", replace(STORY, recording=None), "fr").attachments == ()


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "2026-03-29_01-59"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "2026-03-29_03-00"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-25_02-30"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "2027-01-01_00-30"),
    ],
)
def test_dates_are_those_of_the_line_s_zone(at: datetime, name: str) -> None:
    (attachment,) = writer.write("voicemail", replace(STORY, started_at=at), "fr").attachments
    assert attachment.name.startswith(name)


def test_the_first_of_the_month_in_french() -> None:
    assert FRENCH.long_date(datetime(2027, 1, 1, 0, 30, tzinfo=UTC)) == "vendredi 1er janvier 2027 à 00:30"
    assert ENGLISH.long_date(datetime(2027, 1, 1, 0, 30, tzinfo=UTC)) == "Friday 1 January 2027 at 00:30"


@pytest.mark.parametrize(("milliseconds", "written"), [(0, "1 s"), (2400, "2 s"), (59_600, "1 min 00 s")])
def test_durations_are_whole_seconds_and_never_none(milliseconds: int, written: str) -> None:
    assert FRENCH.duration(milliseconds) == written


@pytest.mark.parametrize("language", WORDINGS)
def test_every_way_an_attempt_can_end_has_words(language: str) -> None:
    assert set(WORDINGS[language].dispositions) == set(Disposition)
    assert set(WORDINGS[language].kinds) == set(ContactKind)
    assert WORDINGS[language].ending(None)


def test_a_language_that_we_do_not_speak_is_answered_in_french() -> None:
    assert writer.write("voicemail", STORY, "br").language == "fr"


@pytest.mark.parametrize(("language", "said"), [("fr", "trop volumineux"), ("en", "too big")])
def test_a_recording_that_is_not_attached_is_said_to_be_kept(language: str, said: str) -> None:
    message = writer.write("voicemail", STORY, language, attach=False)
    assert message.attachments == ()
    for words in (message.text, message.html):
        assert said in words
        assert "vigie voicemails --save" in words
        assert "is attached" not in words
        assert "est joint" not in words


def test_of_a_caller_who_gave_up_it_is_said_how_long_they_waited() -> None:
    story = replace(STORY, recording=None, waited_seconds=94)
    assert "raccroché après 1 min 34 s d’attente" in writer.write("abandoned", story, "fr").text
    assert "after waiting 1 min 34 s" in writer.write("abandoned", story, "en").html


def test_a_call_that_was_cut_is_not_said_to_have_been_taken_by_nobody() -> None:
    talked = replace(STORY, attempts=(AttemptStory(AT_NIGHT, "Alice Martin", ContactKind.SIP, Disposition.ACCEPTED),))
    for story, fr, en in (
        (talked, "interrompu la conversation avec Alice Martin", "interrupted the conversation with Alice Martin"),
        (STORY, "avant que quelqu’un le prenne", "before anybody took it"),
    ):
        for language, said in (("fr", fr), ("en", en)):
            message = writer.write("cut", story, language)
            assert said in message.text
            assert said in message.html
            assert "Personne n’a pris cet appel" not in message.text
