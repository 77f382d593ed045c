"""The lab's own ear: a test that hears what was said must not hear what was not."""

import subprocess
from pathlib import Path

from lab.sound import Sound, Speech, resemblance


async def test_speech_is_known_again_after_a_telephone_call(message: Speech, tmp_path: Path) -> None:
    assert resemblance(message.sound, _telephoned(message, tmp_path)) > 0.95


async def test_another_sentence_of_the_same_voice_is_not_taken_for_it(
    message: Speech, reply: Speech, tmp_path: Path
) -> None:
    assert resemblance(reply.sound, _telephoned(message, tmp_path)) < 0.2


async def test_half_a_sentence_is_not_the_sentence(message: Speech, tmp_path: Path) -> None:
    heard = _telephoned(message, tmp_path)
    assert resemblance(message.sound, heard.after(1 + message.sound.seconds / 2)) < 0.7


def _telephoned(speech: Speech, directory: Path) -> Sound:
    """What arrives of it: softer, through G.711, with silence before and after."""
    coded, arrived = directory / "coded.wav", directory / "arrived.wav"
    subprocess.run(["sox", speech.file, "-e", "a-law", coded, "vol", "0.4", "pad", "1.0137", "1"], check=True)
    subprocess.run(["sox", coded, "-e", "signed", "-b", "16", arrived], check=True)
    return Sound.read(arrived)
