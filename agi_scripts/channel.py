"""The caller's channel, commanded over FastAGI by pyst2: one command after the other, each until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, TextIO

from asterisk.agi import AGI, AGIAppError, AGIError, AGIHangup, AGIUnknownError

from agi_scripts.errors import CallerGone, CommandFailed, LinkLost
from oncall.diversion import is_fresh
from oncall.printable import one_line

DEAD_CHANNEL: Final = 511
_RANG: Final = "|".join(
    f"${{{name}}}"
    for name in (
        "VIGIE_PICKED_UP",
        "VIGIE_KEY",
        "VIGIE_TAKEN",
        "RINGTIME_MS",
        "PROGRESSTIME_MS",
        "HANGUPCAUSE",
        "HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)",
        "GLOBAL(VIGIE_DIVERTED_${VIGIE_CALL})",
    )
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What the one who picks up hears, sound after sound, before they press 1."""

    sounds: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Rang:
    """What became of ringing somebody; the causes are those on the wire."""

    rang: bool = False
    """Whether it rang, or sent sound (183) that may have been a ringing tone."""
    picked_up: datetime | None = None
    key: str = ""
    taken: bool = False
    q850: int = 0
    sip: int | None = None
    caller_gone: bool = False
    came_back: bool = False
    """The phone is diverted to a number of ours, so that the call came in again and was refused."""


class CallerChannel:
    """A channel in Asterisk's AGI, which speaks on ``incoming`` and listens on ``outgoing``.

    Every method blocks, and raises CallerGone, CommandFailed or LinkLost; the first to block is this one's making.
    """

    def __init__(self, incoming: BinaryIO, outgoing: TextIO) -> None:
        with _translated():
            self._agi = _Conversation(incoming, outgoing)

    @property
    def password(self) -> str:
        """What Asterisk says to be let in: the first argument after the address in the dialplan's AGI()."""
        return str(self._agi.env.get("agi_arg_1", ""))

    @property
    def id(self) -> str:
        return str(self._agi.env.get("agi_uniqueid", ""))

    def variable(self, name: str) -> str:
        return self._evaluate(f"${{{name}}}")

    def set(self, name: str, value: object) -> None:
        """Sets a variable; what could end the command is left out of the value. Done also when the caller has gone."""
        with _translated():
            self._agi.set_variable(name, one_line(str(value).translate(_UNQUOTED)))

    def answer(self) -> None:
        """Answers, unless that is done already."""
        self._do(self._agi.answer)

    def play(self, sound: str) -> None:
        """Plays a sound to its end; one that cannot be played raises CommandFailed."""
        self._do(self._agi.execute, "STREAM FILE", self._agi._quote(sound), '""')

    def ring(self, dial: str, seconds: int, ask: Ask | None, attempt: str) -> Rang:
        """Rings ``dial`` and, once somebody has accepted, returns when the conversation is over.

        ``ask`` is None where picking up is accepting. ``attempt`` is what the dialplan notes should we be gone.
        """
        self.set("__VIGIE_ASK", "&".join(ask.sounds) if ask else "")
        self.set("__VIGIE_ASK_LANGUAGE", ask.language if ask else "")
        for name in ("VIGIE_PICKED_UP", "VIGIE_KEY"):
            self.set(name, "")
        self.set("VIGIE_TRYING", attempt)
        self._do(self._agi.appexec, "HangupCauseClear")
        gone = False
        try:
            self._do(self._agi.appexec, "Dial", f"{dial},{seconds},gimU(vigie-confirm)")
        except CallerGone:
            gone = True
        except CommandFailed:
            pass  # the caller is there: the causes say why nobody was reached
        rang = _rang(self._evaluate(_RANG), caller_gone=gone)
        if rang.taken and not gone:
            self._do(self._agi.appexec, "Wait", "0.3")  # see [vigie-ended] in the dialplan
            rang = _rang(self._evaluate(_RANG), caller_gone=False)
        self.set("VIGIE_TRYING", "")
        return rang

    def record(self, path: str, *, max_seconds: int, silence_seconds: int) -> None:
        """Beeps, and adds to a recording until ``#``, silence, the longest time or the caller's hanging up."""
        self._do(self._agi.appexec, "Record", f"{path},{silence_seconds},{max_seconds},ak")

    def hang_up(self) -> None:
        with _translated():
            self._agi.hangup()

    def _evaluate(self, expression: str) -> str:
        with _translated():
            return str(self._agi.get_full_variable(expression))

    def _do(self, command: Callable[..., Any], *arguments: object) -> None:
        """Has a command done that takes its time; finds out whether it failed because the caller has gone."""
        try:
            with _translated():
                command(*arguments)
        except CommandFailed:
            with _translated():
                self._agi.answer()  # nothing, but on a dead channel
            raise


class _Conversation(AGI):  # type: ignore[misc]  # pyst2 has no types
    """pyst2's AGI over a socket. Its own beginning takes SIGHUP, which only a main thread may, and talks on stderr."""

    def __init__(self, incoming: BinaryIO, outgoing: TextIO) -> None:
        self.stdin = _Lines(incoming)
        self.stdout = outgoing
        self.stderr = _Nowhere()
        self._got_sighup = False
        self.env: dict[str, str] = {}
        self._get_agi_env()


class _Lines:
    """Lines of Asterisk's; pyst2 takes the end of the stream for an answer."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readline(self) -> bytes:
        line = self._stream.readline()
        if not line:
            raise LinkLost("Asterisk has closed the connection")
        return line


class _Nowhere:
    def write(self, text: str) -> None:
        pass


_UNQUOTED = str.maketrans({'"': None, "\\": None})


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AGIHangup as error:
        raise CallerGone(str(error)) from error
    except AGIAppError as error:
        raise CommandFailed(str(error)) from error
    except AGIUnknownError as error:
        if error.args[:1] == (DEAD_CHANNEL,):
            raise CallerGone("the channel is dead") from error
        raise CommandFailed(str(error)) from error
    except AGIError as error:
        raise CommandFailed(str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: what is no answer at all, as when Asterisk is being ended
        raise LinkLost(str(error)) from error


def _rang(told: str, *, caller_gone: bool) -> Rang:
    """What the variables say: when somebody picked up, the key pressed, whether they took the call, the causes."""
    picked_up, key, taken, ringing, progress, q850, tech, note, *_ = (*told.split("|"), *[""] * 8)
    words = tech.split()
    return Rang(
        rang=bool(ringing or progress),
        picked_up=datetime.fromtimestamp(int(picked_up), UTC) if picked_up.isdecimal() else None,
        key=key,
        taken=taken != "",
        q850=int(q850) if q850.isdecimal() else 0,
        sip=int(words[1]) if words[:1] == ["SIP"] and words[1:2] and words[1].isdecimal() else None,
        caller_gone=caller_gone,
        came_back=not picked_up and is_fresh(note, time.time()),
    )
