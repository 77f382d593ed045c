"""Files of lines that outlive the process that wrote them.

The files of a spool directory, each a head that names the format and then one line a record:

    OWNER.TIME.spool    what OWNER, a process, has yet to write; whoever writes a file has its lock (flock)
    OWNER.TIME.waiting  lines that wait until the row of their call is written from another file
    OWNER.aside         lines that nobody could write, with the reason; renamed to end with .spool it is tried again

The kernel frees the lock of a process that has ended, however it ended: a file whose lock is free was left behind, and
whoever takes the lock writes it. Lines are with the kernel, not on the platter: they survive any death of ours, and
what the machine itself forgets in a power cut are the last seconds. Nothing here knows what a line says.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from db.errors import NewerSpool

VERSION: Final = 1
SPOOL: Final = ".spool"
WAITING: Final = ".waiting"
ASIDE: Final = ".aside"
READ_BYTES: Final = 2**18

TITLE: Final = b"vigie journal "
HEAD: Final = b"%s%d\n" % (TITLE, VERSION)


class Segment:
    """One file of lines, ours as long as it is open."""

    def __init__(self, path: Path, descriptor: int, start: int) -> None:
        self.path = path
        self.lines = 0
        """How many of those that we added are not released."""
        self._descriptor = descriptor
        self._start = self._at = start
        self.size = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, directory: Path, owner: str, kind: str = SPOOL) -> Self:
        """A new file without lines. Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = directory / f"{owner}.{time.time_ns()}{kind}"
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            if _is_ours(descriptor):
                break
            os.close(descriptor)  # another process was quicker to look into it, and removes it as it is empty
        segment = cls(path, descriptor, len(HEAD))
        try:
            segment._write(HEAD)
        except OSError:
            segment.remove()
            raise
        return segment

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """A file that was left behind; None when it was not, or is gone. Raises NewerSpool, OSError."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            start = _start(path, os.pread(descriptor, 64, 0)) if _is_ours(descriptor) else None
        except BaseException:
            os.close(descriptor)
            raise
        if start is None:
            os.close(descriptor)
            return None
        return cls(path, descriptor, start)

    @property
    def is_done(self) -> bool:
        """Whether all that was added is released."""
        return self._at >= self.size

    @property
    def released(self) -> int:
        """How many bytes of lines are released."""
        return self._at - self._start

    def append(self, lines: Sequence[bytes]) -> None:
        """Adds ``lines``, all or none. Raises OSError; then nothing more may be added."""
        self._write(b"\n".join(lines) + b"\n")
        self.lines += len(lines)

    def read(self, most: int) -> list[bytes]:
        """Up to ``most`` lines from the first that is not released. Raises OSError."""
        length = READ_BYTES
        while True:
            data = os.pread(self._descriptor, length, self._at)
            *lines, _ = data.split(b"\n", most)
            if lines or len(data) < length:
                return lines
            length *= 2

    def rest(self) -> bytes:
        """What follows the last whole line, once all of them are released. Raises OSError."""
        return os.pread(self._descriptor, self.size - self._at, self._at)

    def release(self, lines: Iterable[bytes]) -> None:
        """Says that ``lines``, the first that were not released, are settled."""
        for line in lines:
            self._at += len(line) + 1
            self.lines -= 1

    def clear(self) -> None:
        """Makes a file that is done as it was without lines. Raises OSError, also when somebody has removed it."""
        os.ftruncate(self._descriptor, self._start)
        self.size = self._at = self._start
        if not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "somebody has removed the file", str(self.path))

    def close(self) -> None:
        """Leaves the file, if it is still there, to whoever takes it."""
        os.close(self._descriptor)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.close()

    def _write(self, data: bytes) -> None:
        if os.write(self._descriptor, data) < len(data):  # what fits is written, and the disk is full
            os.ftruncate(self._descriptor, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(data)


def left_behind(directory: Path, owner: str) -> list[Path]:
    """The files that may have been left behind: those of ``owner`` first, then the others, the oldest first."""
    with suppress(OSError):
        paths = [path for path in directory.iterdir() if path.suffix in (SPOOL, WAITING)]
        return sorted(paths, key=lambda path: (not path.name.startswith(f"{owner}."), path.name))
    return []


def keep_waiting(directory: Path, owner: str, lines: Sequence[bytes]) -> Path:
    """The file in which ``lines`` now wait. Raises OSError; then no lines are kept."""
    segment = Segment.create(directory, owner, WAITING)
    try:
        segment.append(lines)
    except OSError:
        segment.remove()
        raise
    segment.close()
    return segment.path


def set_aside(directory: Path, owner: str, lines: Sequence[bytes], reason: str) -> Path:
    """The file in which ``lines`` are kept, for somebody to look at. Raises OSError; then no lines are kept."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{owner}{ASIDE}"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    segment = Segment(path, descriptor, 0)
    try:
        if not segment.size:
            segment._write(HEAD)
        segment.append([b"# " + " ".join(reason.split()).encode(errors="replace"), *lines])
    finally:
        segment.close()
    return path


def _is_ours(descriptor: int) -> bool:
    """Whether we have the lock of an open file now, and the file still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return bool(os.fstat(descriptor).st_nlink)


def _start(path: Path, beginning: bytes) -> int:
    """Where the lines of a file begin; what is no head counts as a line. Raises NewerSpool."""
    if HEAD.startswith(beginning):
        return len(beginning)
    head = re.match(rb"%s(\d{1,9})\n" % TITLE, beginning)
    if head is None:
        return 0
    if int(head[1]) > VERSION:
        raise NewerSpool(
            f"{path} holds records of calls in version {int(head[1])}, written by a newer Vigie than this one, which "
            f"reads version {VERSION}. It is left as it is: start that Vigie again, or upgrade this one."
        )
    return head.end()
