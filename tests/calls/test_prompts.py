"""Sentences are spoken once, whoever wants them and whoever gives up waiting."""

import asyncio
from pathlib import Path

import pytest

from tests.calls.conftest import until
from voice.prompts import Prompts

SENTENCE = ("Bonjour.", "fr", "hello")


class Voice:
    """An espeak-ng that takes its time, and a sox that copies."""

    def __init__(self, directory: Path) -> None:
        self._go, self._spoken = directory / "go", directory / "spoken"
        self._program(
            directory / "espeak-ng",
            f'echo x >> {self._spoken}; until [ -e {self._go} ]; do sleep 0.01; done; echo > "$6"',
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


async def test_a_sentence_that_cannot_be_spoken_is_replaced_and_tried_again(voice: Voice, tmp_path: Path) -> None:
    prompts = Prompts(tmp_path / "sounds")
    voice.go()
    sox = tmp_path / "sox"
    sox.rename(tmp_path / "away")
    sox.write_text("#!/bin/sh\nexit 1\n")
    sox.chmod(0o700)
    assert await prompts.say(*SENTENCE) == "sound:hello"
    (tmp_path / "away").rename(sox)
    assert await prompts.say(*SENTENCE) != "sound:hello"
