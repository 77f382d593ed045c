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


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """The state directory is ours for the time of the block, made if need be. Raises StackError, AlreadyRunning."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (directory / "lock").open("a+")
    except OSError as error:
        raise StackError(
            f"The state directory {directory} cannot be used: {error.strerror}.",
            "Run ./install.sh, or set VIGIE_STATE_DIR to a directory of your own.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"A stack already runs in {directory} (process {holder(directory)}).",
                "Stop it first, or set VIGIE_STATE_DIR to another directory.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def is_held(directory: Path) -> bool:
    """Whether a stack runs in the state directory."""
    try:
        with (directory / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holder(directory: Path) -> str:
    """The process that holds the state directory, or held it last."""
    return (directory / "lock").read_text() or "unknown"


def check_disk(directory: Path) -> int:
    """The free bytes under ``directory``. Raises DiskFull when they are too few to begin with."""
    free = shutil.disk_usage(directory).free
    if free < LEAST_FREE_BYTES:
        raise DiskFull(
            f"Less than {LEAST_FREE_BYTES >> 20} MB are free under {directory}.",
            "Free some space there, or set VIGIE_STATE_DIR to a directory on another disk.",
        )
    return free


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
