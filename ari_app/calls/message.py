"""The sound of a recorded message: how long it is, and whether anybody can be heard in it."""

import array
import io
import sys
import wave
from dataclasses import dataclass

_AUDIBLE_PEAK = 600
"""Loudest sample of a 20 ms frame, of 32,767, above which it is taken for sound rather than line noise (-35 dBFS)."""
_AUDIBLE_SECONDS = 0.2
"""Less sound than this in a whole message is taken for silence."""
_HEADER = 44


@dataclass(frozen=True, slots=True)
class Message:
    """A WAV file with a right header, its length in milliseconds, and whether it seems silent."""

    audio: bytes
    duration_ms: int
    silent: bool


def read_message(wav: bytes) -> Message:
    """The message in a recording of Asterisk's ``wav`` format (16-bit mono).

    Asterisk writes the lengths into the header when it closes the file: a recording that was cut has a header that
    says nothing, so lengths are taken from what is really there. Less than a header is an empty message.
    """
    samples = array.array("h")
    rate = 8000
    if len(wav) > _HEADER and wav[:4] == b"RIFF":
        rate = int.from_bytes(wav[24:28], "little") or rate
        sound = wav[_HEADER:]
        samples.frombytes(sound[: len(sound) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return Message(_as_wav(samples, rate), len(samples) * 1000 // rate, _is_silent(samples, rate))


def _as_wav(samples: "array.array[int]", rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _is_silent(samples: "array.array[int]", rate: int) -> bool:
    frame = rate // 50
    audible = 0
    for start in range(0, len(samples), frame):
        part = samples[start : start + frame]
        if max(part) > _AUDIBLE_PEAK or min(part) < -_AUDIBLE_PEAK:
            audible += 1
    return audible / 50 < _AUDIBLE_SECONDS
