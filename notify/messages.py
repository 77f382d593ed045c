"""The words of each message: a call's story in, subject, text, HTML and attachments out. No I/O, no clock."""

from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notify.story import CallStory
from notify.wording import Wording, dialable, wording_for
from oncall.outcomes import Disposition


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content: bytes = field(repr=False)
    subtype: str
    """Of the audio media type."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in its reader's language, the same for every transport."""

    language: str
    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a message goes to; ``name`` is None for a bare address."""

    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptLine:
    time: str
    person: str
    means: str
    ending: str


class MessageWriter:
    """Writes messages from the templates. ``region`` is where numbers are written without a country code."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._templates = Environment(
            loader=PackageLoader("notify"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def write(self, template: str, story: CallStory, language: str, *, attach: bool = True) -> Message:
        """The story as ``template`` tells it, with the recording or with where it is kept.

        Raises jinja2.TemplateNotFound where there is none.
        """
        words = wording_for(language)
        facts = {**self._facts(story, words), "attached": attach}

        def render(part: str) -> str:
            return self._templates.get_template(f"{words.language}/{template}.{part}").render(facts)

        return Message(
            language=words.language,
            subject=" ".join(render("subject.txt").split()),
            text=render("txt"),
            html=render("html"),
            attachments=self._attachments(story, words) if attach else (),
        )

    def _facts(self, story: CallStory, words: Wording) -> dict[str, object]:
        started = story.started_at.astimezone(story.zone)
        recording = story.recording
        return {
            "language": words.language,
            "line": _one_line(story.line),
            "did": words.caller(story.did, self._region),
            "caller": words.caller(story.caller, self._region),
            "call_back": dialable(story.caller, self._region),
            "short_date": words.short_date(started),
            "long_date": words.long_date(started),
            "zone": story.zone.key,
            "duration": words.duration(recording.duration_ms) if recording else None,
            "silent": recording.silent if recording else False,
            "attempts": [
                AttemptLine(
                    time=attempt.started_at.astimezone(story.zone).strftime("%H:%M:%S"),
                    person=_one_line(attempt.person),
                    means=words.kinds[attempt.kind],
                    ending=words.ending(attempt.disposition),
                )
                for attempt in story.attempts
            ],
            "waited": words.duration(story.waited_seconds * 1000),
            "talked_with": next(
                (_one_line(each.person) for each in story.attempts if each.disposition is Disposition.ACCEPTED), None
            ),
            "diverted": ", ".join(
                dict.fromkeys(
                    _one_line(attempt.person)
                    for attempt in story.attempts
                    if attempt.disposition is Disposition.DIVERTED_TO_US
                )
            ),
            "by_fallback": story.by_fallback,
            "call": story.call,
        }

    def _attachments(self, story: CallStory, words: Wording) -> tuple[Attachment, ...]:
        if story.recording is None:
            return ()
        started = story.started_at.astimezone(story.zone)
        name = f"{started:%Y-%m-%d_%H-%M}_{words.file_part(story.caller, self._region)}.wav"
        return (Attachment(name, story.recording.audio, subtype="wav"),)


def _one_line(text: str) -> str:
    return " ".join(text.split())
