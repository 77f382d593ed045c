"""Sound as the lab makes it and judges it: spoken sentences, and whether what was heard is what was said.

Everything is 8 kHz mono, 16 bits: what a telephone call carries.
"""

from __future__ import annotations

import asyncio
import io
import math
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Self

RATE = 8000
FRAME = RATE // 50
"""Samples in 20 ms, the grain at which two sounds are first laid over each other."""
PIECE = 4 * RATE // 10
"""Samples in 400 ms, a syllable or two: long enough to be unlike any other piece of speech."""
LOUD = 200
"""Mean amplitude (of 32,767) above which somebody is taken to be speaking."""
LIKELY = 0.4
"""Correlation of loudness under which it is not worth while to compare the sound itself."""
ALIKE = 0.7
"""Correlation from which on two pieces of sound are the same; unrelated ones stay under 0.3."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of 8 kHz mono sound."""

    samples: array[int]

    @classmethod
    def from_pcm(cls, pcm: bytes | bytearray) -> Self:
        """Return the sound held by raw little-endian 16-bit samples; half a sample at the end is left out."""
        samples = array("h")
        samples.frombytes(bytes(pcm[: len(pcm) & ~1]))
        return cls(samples)

    @classmethod
    def from_wav(cls, data: bytes) -> Self:
        """Return the sound of a WAV file; ``ValueError`` when it is not 8 kHz, mono, 16 bits."""
        with wave.open(io.BytesIO(data)) as file:
            shape = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            if shape != (RATE, 1, 2):
                raise ValueError(f"not 8 kHz mono 16-bit sound: {shape}")
            return cls.from_pcm(file.readframes(file.getnframes()))

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls.from_wav(path.read_bytes())

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    @property
    def is_silent(self) -> bool:
        """Whether nothing in it is as loud as a voice for even a tenth of a second."""
        return self.voiced_seconds < 0.1

    @property
    def voiced_seconds(self) -> float:
        return sum(level > LOUD for level in self.levels()) * FRAME / RATE

    def levels(self) -> list[float]:
        """Return the mean amplitude of each 20 ms."""
        return [
            sum(map(abs, self.samples[start : start + FRAME])) / FRAME
            for start in range(0, len(self.samples) - FRAME + 1, FRAME)
        ]

    def after(self, seconds: float) -> Sound:
        """Return what follows its first ``seconds``."""
        return Sound(self.samples[round(seconds * RATE) :])

    def share_of_tone(self, hertz: float) -> float:
        """Return how much of its energy is one pure tone, from 0 to 1 (Goertzel's algorithm)."""
        energy = sum(map(mul, self.samples, self.samples))
        if not energy:
            return 0.0
        turn = 2 * math.cos(2 * math.pi * hertz / RATE)
        before = now = 0.0
        for sample in self.samples:
            before, now = now, sample + turn * now - before
        power = before * before + now * now - turn * before * now
        return float(2 * power / (energy * len(self.samples)))


@dataclass(frozen=True, slots=True)
class Speech:
    """A sentence: in words, as a WAV file that Asterisk can play, and as the sound to listen for."""

    text: str
    file: Path
    sound: Sound


async def speak(text: str, file: Path, *, voice: str = "fr") -> Speech:
    """Write ``text`` spoken by a synthetic voice to the WAV file ``file`` and return it."""
    spoken = await _run("espeak-ng", "-v", voice, "-s", "170", "--stdout", text)
    shape = ("-r", str(RATE), "-c", "1", "-b", "16")
    await _run("sox", "-t", "wav", "-", *shape, str(file), "norm", "-6", give=spoken)
    return Speech(text, file, Sound.read(file))


def resemblance(said: Sound, heard: Sound) -> float:
    """Return how much of ``said`` is found in ``heard``, from 0 (nothing) to 1 (every syllable, in order).

    The two are laid over each other where their loudness agrees best; there, the waveform of each spoken 400 ms
    must be found again. Another voice, another sentence or the same words at another speed score near 0, a part of
    it in proportion; loudness, G.711 and sound before or after do not matter.
    """
    levels, others = _trimmed(said.levels()), heard.levels()
    first = _first_loud(said.levels()) * FRAME
    pieces = [
        (start, piece)
        for start in range(0, len(levels) * FRAME - PIECE + 1, PIECE)
        if not Sound(piece := said.samples[first + start : first + start + PIECE]).is_silent
    ]
    if not pieces:
        raise ValueError("nothing is said in the sound to look for")
    return max((_agreement(pieces, heard.samples, at * FRAME) for at in _likely(levels, others)), default=0.0)


def _agreement(pieces: Sequence[tuple[int, array[int]]], heard: array[int], at: int) -> float:
    """Return the mean resemblance of the pieces to what was heard from about sample ``at`` on.

    A frame lost on the way moves all that follows: what is not found where the piece before it was is looked for
    nearby.
    """
    total, shift, near = 0.0, 0, range(-2 * FRAME, 2 * FRAME + 1)
    for start, piece in pieces:
        found, here = _best(piece, heard, at + start + shift, range(-8, 9))
        if found < ALIKE:
            found, here = _best(piece, heard, at + start + shift, near)
        shift += here if found >= ALIKE else 0
        total += max(0.0, found)
    return total / len(pieces)


def _best(piece: array[int], heard: array[int], at: int, shifts: range) -> tuple[float, int]:
    """Return the best correlation among ``shifts`` and the shift that gives it."""
    return max((_correlation(piece, heard, at + shift), shift) for shift in shifts)


def _correlation(piece: array[int], heard: array[int], at: int) -> float:
    """Return the normalised correlation (-1 to 1) of a piece with what was heard from sample ``at`` on.

    Every third sample is enough to tell, at a third of the price.
    """
    if at < 0 or at + len(piece) > len(heard):
        return 0.0
    ours, theirs = piece[::3], heard[at : at + len(piece) : 3]
    energy = sum(map(mul, ours, ours)) * sum(map(mul, theirs, theirs))
    return sum(map(mul, ours, theirs)) / math.sqrt(energy) if energy else 0.0


def _likely(levels: Sequence[float], others: Sequence[float], count: int = 3) -> list[int]:
    """Return the frames of ``others`` from which on loudness goes up and down most like ``levels``; none if none does.

    They may lie before the first or run beyond the last one: then a part of it was not heard.
    """
    pattern = _normal([math.log10(1 + level) for level in levels])
    unheard = [0.0] * (len(pattern) // 2)
    loudness = [*unheard, *(math.log10(1 + level) for level in others), *unheard]
    likeness = [
        (sum(map(mul, pattern, _normal(loudness[at : at + len(pattern)]))), at - len(unheard))
        for at in range(len(loudness) - len(pattern) + 1)
    ]
    return [at for like, at in sorted(likeness, reverse=True)[:count] if like > LIKELY]


def _normal(values: Sequence[float]) -> list[float]:
    """Return the values with mean 0 and norm 1, so that their products are correlations."""
    mean = sum(values) / len(values)
    centred = [value - mean for value in values]
    norm = math.sqrt(sum(map(mul, centred, centred)))
    return [value / norm for value in centred] if norm else centred


def _first_loud(levels: Sequence[float]) -> int:
    return next((at for at, level in enumerate(levels) if level > LOUD), 0)


def _trimmed(levels: Sequence[float]) -> Sequence[float]:
    """Return the levels without the silence at both ends."""
    end = len(levels) - _first_loud(levels[::-1])
    return levels[_first_loud(levels) : end]


async def _run(*command: str, give: bytes = b"") -> bytes:
    """Return what a program writes to its standard output; ``RuntimeError`` with its complaint when it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    out, complaint = await process.communicate(give)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {complaint.decode(errors='replace').strip()}")
    return out
