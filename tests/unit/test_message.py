"""What a recording's bytes say: how long, and whether anybody can be heard."""

import array
import io
import math
import wave

from ari_app.calls.message import read_message


def wav(samples: list[int], rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(array.array("h", samples).tobytes())
    return buffer.getvalue()


def tone(seconds: float, peak: int = 8000) -> list[int]:
    return [round(peak * math.sin(n / 5)) for n in range(round(8000 * seconds))]


def test_speech_has_its_length_and_is_heard() -> None:
    message = read_message(wav(tone(3)))
    assert message.duration_ms == 3000
    assert not message.silent


def test_line_noise_is_silence() -> None:
    assert read_message(wav(tone(3, peak=200))).silent


def test_a_single_click_is_silence() -> None:
    assert read_message(wav([0] * 8000 + [20000] * 100 + [0] * 8000)).silent


def test_a_bare_header_is_an_empty_message() -> None:
    message = read_message(wav([]))
    assert message.duration_ms == 0
    assert message.silent


def test_a_cut_recording_is_as_long_as_what_is_there_and_gets_a_right_header() -> None:
    whole = bytearray(wav(tone(2)))
    whole[4:8] = whole[40:44] = b"\0\0\0\0"  # lengths that were never written
    message = read_message(bytes(whole[:-1001]))
    assert message.duration_ms == 1937
    with wave.open(io.BytesIO(message.audio)) as repaired:
        assert repaired.getnframes() == 15499


def test_bytes_that_are_no_sound_are_an_empty_message() -> None:
    assert read_message(b"404 not found").duration_ms == 0
