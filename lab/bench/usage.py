"""What programs take of the machine, processor time and memory, by what they are."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

KINDS = ("Asterisk", "Python", "PostgreSQL")
GONE = FileNotFoundError, ProcessLookupError
"""PostgreSQL's processes come and go, and a worker that was superseded under too high a load is started anew."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine's processors have done so far, in ticks."""

    total: int
    idle: int
    stolen: int

    @classmethod
    def now(cls) -> Self:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return cls(sum(fields), fields[3], fields[7])

    def since(self, before: Self) -> tuple[float, float]:
        """How much of the time was idle, and how much a hypervisor gave to others, in percent."""
        spent = max(1, self.total - before.total)
        return 100 * (self.idle - before.idle) / spent, 100 * (self.stolen - before.stolen) / spent


def cpu_seconds(programs: Mapping[int, str]) -> dict[str, float]:
    """Processor time used so far by programs (process id → kind) and their children, for each kind."""
    used = dict.fromkeys(KINDS, 0.0)
    for kind, text in _read(programs, "stat"):
        fields = text.rpartition(")")[2].split()  # after the name, which may hold anything
        used[kind] += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own, and that of ended children
    return used


def memory_mb(programs: Mapping[int, str]) -> dict[str, float]:
    """Memory of programs and their children in MB, for each kind; what several share is counted once (PSS)."""
    used = dict.fromkeys(KINDS, 0.0)
    for kind, text in _read(programs, "smaps_rollup"):
        used[kind] += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
    return used


def _read(programs: Mapping[int, str], file: str) -> Iterator[tuple[str, str]]:
    """A file of proc(5) of each program and each of its children, with the program's kind."""
    for pid, kind in programs.items():
        for process in (str(pid), *_children(pid)):
            with suppress(*GONE):
                yield kind, Path(f"/proc/{process}/{file}").read_text()


def _children(pid: int) -> list[str]:
    with suppress(*GONE):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []
