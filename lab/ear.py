"""What a party hears, live: Asterisk streams a leg's sound to us by its AudioSocket protocol.

A frame is a kind (one byte), a length (two bytes, big-endian) and as many bytes; the first names the stream by
its UUID, the others carry 8 kHz 16-bit sound (https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Self
from uuid import UUID, uuid4

from lab.sound import RATE, Sound, Speech, resemblance
from lab.waiting import until

HANGUP, IDENTITY, SOUND = 0x00, 0x01, 0x10
BEEP_HERTZ = 700
"""The tone of Asterisk's ``beep``."""
ALIKE = 0.75
"""Resemblance from which on a sound counts as heard; another sentence stays under 0.1."""


class Ear:
    """All that one party has heard since it was listened to."""

    def __init__(self, who: str) -> None:
        self.id = uuid4()
        self.who = who
        self._pcm = bytearray()
        self._attentive_from = 0

    @property
    def heard(self) -> Sound:
        """Everything heard so far."""
        return Sound.from_pcm(self._pcm)

    @property
    def heard_lately(self) -> Sound:
        """What was heard since the party last recognised something."""
        return Sound.from_pcm(self._pcm[self._attentive_from :])

    def takes_in(self, pcm: bytes) -> None:
        self._pcm += pcm

    async def hears(self, speech: Speech, *, within: float = 10) -> None:
        """Waits until ``speech`` has been heard."""
        await self._recognises(
            f"“{speech.text}”",
            lambda lately: resemblance(speech.sound, lately) >= ALIKE,
            span=speech.sound.seconds + 1,
            step=0.5,
            within=within + speech.sound.seconds,
        )

    async def hears_beep(self, *, within: float = 20) -> None:
        """Waits for a beep and, as people do, a moment more: its pure tone, then 0.3 s of silence."""
        await self._recognises(
            "a beep",
            lambda lately: _loud(lately) and lately.share_of_tone(BEEP_HERTZ) > 0.8,
            span=0.1,
            step=0.05,
            within=within,
        )
        await self.hears_nothing(seconds=0.3)

    async def hears_something(self, *, seconds: float = 0.5, within: float = 10) -> None:
        """Waits until sound as loud as a voice or music has lasted ``seconds`` in all."""
        await self._recognises(
            f"{seconds:g} s of sound",
            lambda lately: lately.voiced_seconds >= seconds,
            span=seconds * 4,
            step=0.1,
            within=within,
        )

    async def hears_music(self, *, seconds: float = 2, within: float = 10) -> None:
        """Waits for ``seconds`` of sound with hardly a pause, which speech never is."""
        await self._recognises(
            "music",
            lambda lately: lately.voiced_seconds >= lately.seconds * 0.95,
            span=seconds,
            step=0.1,
            within=within + seconds,
        )

    async def hears_nothing(self, *, seconds: float = 0.5, within: float = 20) -> None:
        """Waits for ``seconds`` in which nothing is as loud as a voice."""
        await self._recognises(
            "silence", lambda lately: not lately.voiced_seconds, span=seconds, step=0.05, within=within
        )

    async def _recognises(
        self, what: str, recognised: Callable[[Sound], bool], *, span: float, step: float, within: float
    ) -> None:
        """Shows each new ``span`` seconds of sound, ``step`` further each time, to ``recognised`` until it says yes."""
        size, stride = _bytes(span), _bytes(step)
        start = self._attentive_from

        def met() -> bool:
            nonlocal start
            while start + size <= len(self._pcm):
                if recognised(Sound.from_pcm(self._pcm[start : start + size])):
                    self._attentive_from = start + size
                    return True
                start += stride
            return False

        await until(met, within=within, hoped=f"{self.who} hears {what}", instead=self._account)

    def _account(self) -> str:
        lately = self.heard_lately
        return f"heard {lately.seconds:.1f} s, of which {lately.voiced_seconds:.1f} s not silent"


class Ears:
    """The server to which Asterisk streams, listening on ``host:port`` while it is entered."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._ears: dict[UUID, Ear] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._listen, self.host, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def ear(self, who: str) -> Ear:
        """Return a new ear; the stream that bears its id will be heard by it."""
        ear = Ear(who)
        self._ears[ear.id] = ear
        return ear

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ear: Ear | None = None
        try:
            while True:
                kind, length = struct.unpack("!BH", await reader.readexactly(3))
                content = await reader.readexactly(length)
                if kind == IDENTITY:
                    ear = self._ears.pop(UUID(bytes=content))
                elif kind == SOUND and ear:
                    ear.takes_in(content)
                elif kind == HANGUP:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def _loud(sound: Sound) -> bool:
    return sound.voiced_seconds >= sound.seconds * 0.9


def _bytes(seconds: float) -> int:
    return 2 * round(seconds * RATE)
