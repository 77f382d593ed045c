"""What callers and people on call hear: sentences spoken by espeak-ng, made once and kept as files.

A sentence that cannot be made (no espeak-ng, full disk) is replaced by one of Asterisk's own recordings: a call
never fails for want of a voice.
"""

import asyncio
import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


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


class Prompts:
    """Sentences as sounds that Asterisk can play; ``directory`` must be readable by Asterisk under the same path."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready: dict[tuple[str, str], str] = {}
        self._making: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def phrase(self, phrase: Phrase, language: str, **names: str) -> str:
        """The media URI of ``phrase``."""
        return await self.say(phrase.text(language, **names), language, phrase.otherwise)

    async def say(self, text: str, language: str, otherwise: str) -> str:
        """The media URI of ``text`` spoken in ``language``, or of Asterisk's own ``otherwise`` if need be."""
        sentence = language, text
        if sentence in self._ready:
            return self._ready[sentence]
        making = self._making.get(sentence)
        if making is None:
            making = self._making[sentence] = asyncio.create_task(self._make(text, language, otherwise))
            making.add_done_callback(lambda _: self._making.pop(sentence))
        return await asyncio.shield(making)  # for all calls that want it, also when the one that asked first does not

    async def _make(self, text: str, language: str, otherwise: str) -> str:
        name = self._directory / language / hashlib.sha256(text.encode()).hexdigest()[:24]
        try:
            if not name.with_suffix(".wav").exists():
                await _speak(text, language, name.with_suffix(".wav"))
        except (OSError, RuntimeError) as error:
            log.warning("cannot speak %r, Asterisk's %r is played instead: %s", text, otherwise, error)
            return f"sound:{otherwise}"
        self._ready[language, text] = media = f"sound:{name}"
        return media


async def _speak(text: str, language: str, target: Path) -> None:
    """Makes ``target``, 8 kHz mono as Asterisk's wav format wants it; whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    spoken, telephone = (target.with_suffix(f".{os.getpid()}.{part}.wav") for part in ("voice", "phone"))
    try:
        voice = "fr" if language == "fr" else "en"
        await _run("espeak-ng", "-v", voice, "-s", "150", "-w", str(spoken), "--", text)
        await _run("sox", str(spoken), "-r", "8000", "-c", "1", "-b", "16", str(telephone), "norm", "-3")
        telephone.replace(target)
    finally:
        spoken.unlink(missing_ok=True)
        telephone.unlink(missing_ok=True)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, stderr = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):  # it may have ended just now
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"{command[0]}: {stderr.decode(errors='replace').strip()}")
