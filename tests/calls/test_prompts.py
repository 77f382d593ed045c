"""Sentences are spoken once, whoever wants them and whoever gives up waiting."""

import asyncio
import wave
from pathlib import Path

import pytest

from lab.waiting import eventually
from tests.calls.conftest import until
from vigie.checks import Verdict, examine
from vigie.settings import Settings
from vigie.stack.music import make_music
from voice import prompts as voices
from voice.prompts import Prompts, is_sound, sentences

SENTENCE = ("Bonjour.", "fr", "hello")


class Voice:
    """An espeak-ng that takes its time, and a sox that copies."""

    def __init__(self, directory: Path) -> None:
        self.sound = directory / "sound.wav"
        with wave.open(str(self.sound), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(b"\1\2" * 4000)
        self._go, self._spoken = directory / "go", directory / "spoken"
        self._program(
            directory / "espeak-ng",
            f'echo x >> {self._spoken}; until [ -e {self._go} ]; do sleep 0.01; done; cp {self.sound} "$6"',
        )
        self._program(directory / "sox", 'cp "$1" "$8"')

    def _program(self, path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    @property
    def sentences(self) -> int:
        return len(self._spoken.read_text().split()) if self._spoken.exists() else 0

    def go(self) -> None:
        self._go.touch()


@pytest.fixture
def voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Voice:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Voice(tmp_path)


async def test_a_sentence_that_many_calls_want_at_once_is_spoken_once(voice: Voice, tmp_path: Path) -> None:
    prompts = Prompts(tmp_path / "sounds")
    calls = [asyncio.create_task(prompts.say(*SENTENCE)) for _ in range(20)]
    await until(lambda: voice.sentences, "it is being spoken")
    voice.go()
    (sound,) = set(await asyncio.gather(*calls))
    assert [f"sound:{file.with_suffix('')}" for file in (tmp_path / "sounds/fr").iterdir()] == [sound]
    assert await prompts.say(*SENTENCE) == sound
    assert voice.sentences == 1


async def test_who_gives_up_is_gone_at_once_and_the_others_hear_it_all_the_same(voice: Voice, tmp_path: Path) -> None:
    prompts = Prompts(tmp_path / "sounds")
    hasty, patient = (asyncio.create_task(prompts.say(*SENTENCE)) for _ in range(2))
    await until(lambda: voice.sentences, "it is being spoken")
    hasty.cancel()
    await asyncio.wait([hasty])
    assert hasty.cancelled()
    voice.go()
    assert (await patient).startswith("sound:/")
    assert voice.sentences == 1


async def test_a_sentence_that_cannot_be_spoken_is_replaced_and_tried_again_later(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = Prompts(tmp_path / "sounds")
    voice.go()
    sox = tmp_path / "sox"
    sox.rename(tmp_path / "away")
    sox.write_text("#!/bin/sh\nexit 1\n")
    sox.chmod(0o700)
    assert await prompts.say(*SENTENCE) == "sound:hello"
    (tmp_path / "away").rename(sox)
    assert await prompts.say(*SENTENCE) == "sound:hello"
    assert voice.sentences == 1
    monkeypatch.setattr(voices, "RETRY_SECONDS", 0)
    await eventually(lambda: spoken(prompts), within=5, hoped="it is spoken")


async def spoken(prompts: Prompts) -> str:
    sound = await prompts.say(*SENTENCE)
    return "" if sound.startswith("sound:/") else sound


async def test_no_call_waits_for_a_voice_that_hangs_and_it_is_ended(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(voices, "SPEAK_SECONDS", 1)
    prompts = Prompts(tmp_path / "sounds")
    assert await prompts.say(*SENTENCE) == "sound:hello"
    monkeypatch.setattr(voices, "PATIENCE_SECONDS", 3600)  # nor is another sentence waited for
    assert await prompts.say("Au revoir.", "fr", "vm-goodbye") == "sound:vm-goodbye"
    assert not await prompts.prepare([SENTENCE])
    assert voice.sentences == 2
    assert not any((tmp_path / "sounds/fr").glob("*.phone.wav"))
    voice.go()
    monkeypatch.setattr(voices, "RETRY_SECONDS", 0)
    await eventually(lambda: spoken(prompts), within=5, hoped="it is spoken")


async def test_a_sentence_that_comes_late_is_there_for_the_next_call(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "PATIENCE_SECONDS", 0.05)
    prompts = Prompts(tmp_path / "sounds")
    assert await prompts.say(*SENTENCE) == "sound:hello"
    voice.go()
    await eventually(lambda: spoken(prompts), within=5, hoped="it is spoken")
    assert voice.sentences == 1


@pytest.mark.parametrize("left", [0, 30, 44, 5000])
async def test_what_a_power_cut_has_left_of_a_sound_is_made_anew(voice: Voice, tmp_path: Path, left: int) -> None:
    voice.go()
    sound = Path((await Prompts(tmp_path / "sounds").say(*SENTENCE)).removeprefix("sound:")).with_suffix(".wav")
    with sound.open("r+b") as file:
        file.truncate(left)
    assert not is_sound(sound)
    assert await Prompts(tmp_path / "sounds").say(*SENTENCE) == f"sound:{sound.with_suffix('')}"
    assert sound.read_bytes() == voice.sound.read_bytes()


async def test_a_sound_that_has_vanished_is_made_anew(voice: Voice, tmp_path: Path) -> None:
    voice.go()
    prompts = Prompts(tmp_path / "sounds")
    Path((await prompts.say(*SENTENCE)).removeprefix("sound:")).with_suffix(".wav").unlink()
    assert (await prompts.say(*SENTENCE)).startswith("sound:/")
    assert voice.sentences == 2


async def test_an_engine_that_makes_no_sound_is_no_voice(voice: Voice, tmp_path: Path) -> None:
    voice.sound.write_bytes(b"")
    voice.go()
    assert await Prompts(tmp_path / "sounds").say(*SENTENCE) == "sound:hello"
    assert not [*(tmp_path / "sounds/fr").iterdir()]


async def test_all_that_is_said_for_a_line_is_made_ahead(voice: Voice, tmp_path: Path) -> None:
    voice.go()
    prompts = Prompts(tmp_path / "sounds")
    wanted = [*sentences(["Support\n"], [("Bonjour.", "fr")])]
    assert await prompts.prepare(wanted)
    made = voice.sentences
    assert await prompts.phrase(voices.CALL_FROM, "en", line="Support\n") != f"sound:{voices.CALL_FROM.otherwise}"
    assert await prompts.phrase(voices.REASSURANCE, "fr") != f"sound:{voices.REASSURANCE.otherwise}"
    assert (await prompts.say(*SENTENCE)).startswith("sound:/")
    assert voice.sentences == made


def test_music_that_a_power_cut_has_emptied_is_made_anew(tmp_path: Path) -> None:
    make_music(tmp_path)
    music = tmp_path / "arpeggio.wav"
    whole = music.read_bytes()
    music.write_bytes(b"")
    make_music(tmp_path)
    assert music.read_bytes() == whole


async def test_the_doctor_says_that_there_is_no_voice(voice: Voice, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    voice.go()

    async def verdict() -> Verdict:
        return next(finding.verdict for finding in await examine(settings) if finding.subject == "voice")

    assert await verdict() is Verdict.GOOD
    voice.sound.write_bytes(b"")
    assert await verdict() is Verdict.DOUBTFUL
