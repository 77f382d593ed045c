"""What can befall the parts of a running Vigie: "PostgreSQL", "Asterisk", "scheduler", or a worker, such as "w1"."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lab.waiting import until
from vigie.stack.keeper import Keeper
from vigie.stack.process import family
from vigie.stack.stack import Stack


class Faults:
    """Mixed into a world, whose ``stack`` it is."""

    stack: Stack

    def __init__(self) -> None:
        self._frozen: dict[str, list[int]] = {}

    def keeper(self, part: str) -> Keeper:
        """Who starts this part again."""
        return self.stack.workers.get(part) or self.stack.keepers[part]

    async def kills(self, part: str) -> None:
        """Kills it, as `kill -9` does, and returns once it has ended; `is_back` waits for the next one."""
        keeper = self.keeper(part)
        child = keeper.child
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        await until(
            lambda: not keeper.ready.is_set() or keeper.child is not child,
            within=10,
            hoped=f"the end of {part} noticed",
            instead=lambda: "it is not",
        )

    async def freezes(self, part: str) -> None:
        """Stops it in its tracks, with all its processes, and returns once they stand still."""
        pids = self._frozen[part] = family(self.keeper(part).child.pid)
        _signal(pids, signal.SIGSTOP)
        await until(
            lambda: all(map(_stands_still, pids)), within=10, hoped=f"{part} frozen", instead=lambda: "it still runs"
        )

    def thaws(self, part: str) -> None:
        """Lets it go on, if it still exists."""
        _signal(self._frozen.pop(part), signal.SIGCONT)

    def thaws_all(self) -> None:
        for part in list(self._frozen):
            self.thaws(part)

    async def restarts(self, part: str) -> None:
        """Ends it in good order, starts it again, and returns once it is ready."""
        await self.keeper(part).restart(self.stack.settings.drain_seconds)

    async def is_back(self, part: str, *, within: float = 20) -> None:
        """Waits until it is ready, whatever befell it."""
        keeper = self.keeper(part)
        await until(keeper.ready.is_set, within=within, hoped=f"{part} ready", instead=lambda: "it is not")


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _stands_still(pid: int) -> bool:
    """Whether it is stopped, or has ended: the state after the name in proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except OSError:
        return True
