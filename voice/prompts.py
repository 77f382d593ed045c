"""What callers and people on call hear: sentences spoken by espeak-ng, made once and kept as files.

A sentence that cannot be made (no espeak-ng, full disk), or not at once, is replaced by one of Asterisk's own
recordings: a call never fails, nor waits, for want of a voice.
"""

import asyncio
import hashlib
import logging
import os
import signal
import wave
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oncall.printable import one_line

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""For so long a call waits for a sentence; it is made all the same, for the next one."""
SPEAK_SECONDS = 20.0
"""A program that takes longer hangs, and is ended."""
RETRY_SECONDS = 60.0
"""After so long a sentence that could not be made is tried again."""
AT_ONCE = 4
"""Sentences made at one time."""
SHORTEST_SECONDS = 0.1
RATE = 8000


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence in both languages; ``otherwise`` is the Asterisk sound that replaces it."""

    fr: str
    en: str
    otherwise: str

    def text(self, language: str, **names: str) -> str:
        """The sentence in ``language`` ("fr" or "en") with its blanks filled in."""
        return (self.fr if language == "fr" else self.en).format(**names)


NO_SUCH_NUMBER = Phrase(
    "Le numéro que vous avez composé n'est pas en service. Au revoir.",
    "The number you have dialled is not in service. Goodbye.",
    otherwise="ss-noservice",
)
REASSURANCE = Phrase(
    "Nous cherchons à joindre la personne d'astreinte. Merci de patienter.",
    "We are trying to reach the person on call. Please hold the line.",
    otherwise="one-moment-please",
)
LEAVE_MESSAGE = Phrase(
    "Personne n'a pu prendre votre appel. Laissez votre message après le signal, puis appuyez sur dièse.",
    "Nobody could take your call. Leave your message after the tone, then press the hash key.",
    otherwise="vm-intro",
)
MESSAGE_KEPT = Phrase(
    "Votre message est enregistré. Au revoir.",
    "Your message has been recorded. Goodbye.",
    otherwise="vm-goodbye",
)
NO_MESSAGE = Phrase(
    "Aucun message n'a été enregistré. Au revoir.",
    "No message was recorded. Goodbye.",
    otherwise="vm-goodbye",
)
INTERRUPTED = Phrase(
    "Le service est interrompu pour quelques instants. Merci de rappeler dans quelques minutes. Au revoir.",
    "The service is interrupted for a moment. Please call again in a few minutes. Goodbye.",
    otherwise="please-try-call-later",
)
ARE_YOU_THERE = Phrase(
    "On ne vous entend plus. Appuyez sur une touche.",
    "We cannot hear you. Please press any key.",
    otherwise="beep",
)
CALLED_LOST = Phrase(
    "La communication avec votre correspondant est perdue. Nous le rappelons, merci de patienter.",
    "We have lost the person you were talking to, and are calling again. Please hold the line.",
    otherwise="one-moment-please",
)
CALLER_LOST = Phrase(
    "La communication avec l'appelant est perdue. Au revoir.",
    "The caller has been lost. Goodbye.",
    otherwise="vm-goodbye",
)
CALL_FROM = Phrase("Appel pour {line}, de la part du", "Call for {line}, from", otherwise="followme/call-from")
CALL_WITHHELD = Phrase(
    "Appel pour {line}, numéro masqué.", "Call for {line}, number withheld.", otherwise="followme/call-from"
)
ACCEPT_OR_REFUSE = Phrase(
    "Pour prendre l'appel, appuyez sur 1. Pour le refuser, appuyez sur 2.",
    "To take the call, press 1. To refuse it, press 2.",
    otherwise="followme/options",
)


ALWAYS = (
    *(NO_SUCH_NUMBER, REASSURANCE, LEAVE_MESSAGE, MESSAGE_KEPT, NO_MESSAGE, INTERRUPTED),
    *(ARE_YOU_THERE, CALLED_LOST, CALLER_LOST, ACCEPT_OR_REFUSE),
)
"""Those that are the same for all lines."""
GREETING = "hello"
"""Asterisk's sound in place of a line's greeting."""
LANGUAGES = ("fr", "en")

Sentence = tuple[str, str, str]
"""The text, its language, and Asterisk's sound that replaces it."""


def sentences(names: Iterable[str], greetings: Iterable[tuple[str, str]]) -> Iterator[Sentence]:
    """All that may be said for lines with these names and greetings (text and language)."""
    for language in LANGUAGES:
        for phrase in ALWAYS:
            yield phrase.text(language), language, phrase.otherwise
    for text, language in greetings:
        yield text, language, GREETING
    for name in names:
        for language in LANGUAGES:
            for phrase in (CALL_FROM, CALL_WITHHELD):
                yield phrase.text(language, line=name), language, phrase.otherwise


class Prompts:
    """Sentences as sounds that Asterisk can play; ``directory`` must be readable by Asterisk under the same path."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready: dict[tuple[str, str], Path] = {}
        self._making: dict[tuple[str, str], asyncio.Task[bool]] = {}
        self._failed_at: dict[tuple[str, str], float] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._is_slow = False
        """Whether the last sentence was not there in time: then no call waits for another one, until one succeeds."""

    async def phrase(self, phrase: Phrase, language: str, **names: str) -> str:
        """The media URI of ``phrase``, at once or nearly so."""
        return await self.say(phrase.text(language, **names), language, phrase.otherwise)

    async def say(self, text: str, language: str, otherwise: str) -> str:
        """The media URI of ``text`` spoken in ``language``, or of Asterisk's own ``otherwise`` if need be.

        Takes no longer than PATIENCE_SECONDS.
        """
        sentence = language, one_line(text)
        if (sound := self._known(sentence)) is None and not self._has_just_failed(sentence):
            making = self._make(sentence)
            await asyncio.wait([making], timeout=0 if self._is_slow else PATIENCE_SECONDS)
            if not making.done():
                self._is_slow = True
                log.warning("%r takes too long to be spoken, Asterisk's %r is played instead", text, otherwise)
            sound = self._known(sentence)
        return f"sound:{otherwise if sound is None else sound.with_suffix('')}"

    async def prepare(self, wanted: Iterable[Sentence]) -> bool:
        """Makes what is not there yet, one after the other; gives up, with False, at the first that cannot be made."""
        for text, language, _ in wanted:
            sentence = language, one_line(text)
            # For all who want it, also when this preparation is given up.
            if self._known(sentence) is None and not await asyncio.shield(self._make(sentence)):
                return False
            await asyncio.sleep(0)
        return True

    def _known(self, sentence: tuple[str, str]) -> Path | None:
        sound = self._ready.get(sentence)
        return sound if sound is not None and sound.exists() else None

    def _has_just_failed(self, sentence: tuple[str, str]) -> bool:
        failed_at = self._failed_at.get(sentence)
        return failed_at is not None and asyncio.get_running_loop().time() - failed_at < RETRY_SECONDS

    def _make(self, sentence: tuple[str, str]) -> "asyncio.Task[bool]":
        """One task for all who want the sentence; none of them ends it by giving up."""
        making = self._making.get(sentence)
        if making is None:
            making = self._making[sentence] = asyncio.create_task(self._made(*sentence))
            making.add_done_callback(lambda _: self._making.pop(sentence))
        return making

    async def _made(self, language: str, text: str) -> bool:
        sound = sound_of(self._directory, text, language)
        try:
            async with self._places:
                if not await asyncio.to_thread(is_sound, sound):
                    await _speak(text, language, sound)
        except (OSError, RuntimeError) as error:
            log.warning("cannot speak %r, one of Asterisk's own sounds is played instead: %s", text, error)
            self._failed_at[language, text] = asyncio.get_running_loop().time()
            self._is_slow = True
            return False
        self._failed_at.pop((language, text), None)
        self._is_slow = False
        self._ready[language, text] = sound
        return True


def sound_of(directory: Path, text: str, language: str) -> Path:
    """The file in which a sentence is kept."""
    return directory / language / f"{hashlib.sha256(one_line(text).encode()).hexdigest()[:24]}.wav"


def is_sound(file: Path) -> bool:
    """Whether the file is there, whole, and as Asterisk plays it (8 kHz, mono, 16 bits): a power cut may leave less."""
    try:
        with wave.open(str(file)) as sound:
            form = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
            frames = sound.getnframes()
            held = len(sound.readframes(frames))
    except (OSError, EOFError, wave.Error):
        return False
    return form == (RATE, 1, 2) and held == 2 * frames and frames >= SHORTEST_SECONDS * RATE


def put_in_place(draft: Path, target: Path) -> None:
    """Gives a file its name once it is on the disk; returns when the name is, too."""
    _sync(draft)
    draft.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _speak(text: str, language: str, target: Path) -> None:
    """Makes ``target``, 8 kHz mono as Asterisk's wav format wants it; whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    spoken, telephone = (target.with_suffix(f".{os.getpid()}.{part}.wav") for part in ("voice", "phone"))
    try:
        voice = "fr" if language == "fr" else "en"
        await _run("espeak-ng", "-v", voice, "-s", "150", "-w", str(spoken), "--", text)
        await _run("sox", str(spoken), "-r", str(RATE), "-c", "1", "-b", "16", str(telephone), "norm", "-3")
        if not await asyncio.to_thread(is_sound, telephone):
            raise RuntimeError("what espeak-ng and sox have made is no sound")
        await asyncio.to_thread(put_in_place, telephone, target)
    finally:
        spoken.unlink(missing_ok=True)
        telephone.unlink(missing_ok=True)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(SPEAK_SECONDS):
            _, stderr = await process.communicate()
    except TimeoutError:
        raise RuntimeError(f"{command[0]} has not ended after {SPEAK_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):  # it may have ended just now
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{command[0]}: {stderr.decode(errors='replace').strip()}")
