"""What a stack needs of the machine before it starts: its directory to itself, room on the disk, free ports."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vigie.errors import AlreadyRunning, DiskFull, PortTaken, StackError

LEAST_FREE_BYTES = 100 * 2**20
LONGEST_SOCKET_PATH = 107
"""``sun_path`` of unix(7), less its final NUL."""


@contextmanager
def held(state: Path) -> Iterator[None]:
    """The state directory is this stack's for the time of the block. Raises StackError, AlreadyRunning."""
    remedy = "Stop it first, or set VIGIE_STATE_DIR to another directory."
    with locked(stack_lock(state), f"A stack already runs in {state}", remedy):
        yield


def stack_lock(state: Path) -> Path:
    return state / "lock"


@contextmanager
def held_name(state: Path, worker: str) -> Iterator[None]:
    """No other worker of this state directory has this name for the time of the block. Raises as :func:`held`."""
    remedy = "Asterisk offers calls to only one worker of a name: choose another --name, or stop that worker first."
    with locked(name_lock(state, worker), f"A worker {worker} already runs in {state}", remedy):
        yield


def name_lock(state: Path, worker: str) -> Path:
    return state / "workers" / f"{worker}.lock"


@contextmanager
def locked(lock: Path, taken: str, remedy: str) -> Iterator[None]:
    """The file holds our process id, and is ours alone, for the time of the block; made if need be.

    Raises StackError when it cannot be made, AlreadyRunning with ``taken`` and ``remedy`` when another process has it.
    """
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = lock.open("a+")
    except OSError as error:
        raise StackError(
            f"The state directory {lock.parent} cannot be used: {error.strerror}.",
            "Run ./install.sh, or set VIGIE_STATE_DIR to a directory of your own.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"{taken} (process {holder(lock)}).", remedy) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_held(lock: Path) -> bool:
    """Whether a process has the lock."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holder(lock: Path) -> str:
    """The process that has the lock, or had it last."""
    return lock.read_text() or "unknown"


def check_disk(directory: Path) -> int:
    """The free bytes under ``directory``. Raises DiskFull when they are too few to begin with."""
    free = shutil.disk_usage(directory).free
    if free < LEAST_FREE_BYTES:
        raise DiskFull(
            f"Less than {LEAST_FREE_BYTES >> 20} MB are free under {directory}.",
            "Free some space there, or set VIGIE_STATE_DIR to a directory on another disk.",
        )
    return free


def check_socket_path(path: Path) -> None:
    """Returns when a Unix socket may have this path. Raises StackError when it is too long."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise StackError(f"The path {path} is too long for a Unix socket.", "Choose a shorter VIGIE_STATE_DIR.")


def check_port(kind: socket.SocketKind, host: str, port: int, setting: str) -> None:
    """Returns when we could listen there. Raises PortTaken, or StackError when the system does not let us."""
    flag, protocol = ("t", "TCP") if kind == socket.SOCK_STREAM else ("u", "UDP")
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"Somebody else listens on {protocol} {host}:{port}.",
                    f"`ss -l{flag}np 'sport = :{port}'` as root shows who. Stop it, or change {setting}.",
                ) from error
            raise StackError(
                f"We may not listen on {protocol} {host}:{port}: {error.strerror}.", f"Change {setting}."
            ) from error
