"""The music on hold: a quiet arpeggio of our own, so that there is no licence and nothing to download."""

import shutil
import subprocess
from pathlib import Path

from vigie.errors import ProgramMissing
from voice.prompts import is_sound, put_in_place

CHORDS = (("F4", "A4", "C5", "E5"), ("D4", "F4", "A4", "C5"), ("G4", "A#4", "D5", "F5"), ("C4", "E4", "G4", "A#4"))
PATTERN = (0, 1, 2, 3, 2, 1)
SECONDS_PER_NOTE = 0.75
SEMITONES_FROM_A = {"C": -9, "C#": -8, "D": -7, "E": -5, "F": -4, "G": -2, "G#": -1, "A": 0, "A#": 1, "B": 2}


def make_music(directory: Path) -> None:
    """Puts the music into ``directory``, always the same to the byte, if it is not there yet."""
    music = directory / "arpeggio.wav"
    if is_sound(music):
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    notes = [chord[index] for chord in CHORDS for index in PATTERN]
    plucks = [word for note in notes for word in ("pluck", f"%{_semitones(note)}")]
    delays = [f"{index * SECONDS_PER_NOTE:g}" for index in range(len(notes))]
    seconds = len(notes) * SECONDS_PER_NOTE
    draft = directory / ".draft.wav"
    sox = shutil.which("sox")
    if sox is None:
        raise ProgramMissing("sox, which makes the music on hold, is not installed.", "Run ./install.sh.")
    subprocess.run(
        [
            *(sox, "-R", "-n", "-r", "8000", "-c", "1", "-b", "16", draft),
            *("synth", f"{seconds + 3:g}", *plucks, "delay", *delays, "remix", "-"),
            *("trim", "0", f"{seconds:g}", "reverb", "40", "lowpass", "2200", "gain", "-n", "-16"),
        ],
        check=True,
    )
    put_in_place(draft, music)


def _semitones(note: str) -> int:
    """The distance from A4, as sox counts notes."""
    return SEMITONES_FROM_A[note[:-1]] + 12 * (int(note[-1]) - 4)
