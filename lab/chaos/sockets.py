"""Cutting a connection of another process of ours, as a network does that fails: both ends find it ended."""

import ctypes
import os
import re
import socket
from contextlib import closing
from pathlib import Path

_PIDFD_GETFD = 438
"""The number of pidfd_getfd(2), which Python does not have; the same on every architecture."""


def cut(pid: int, port: int) -> int:
    """Cuts every connection over IPv4 that the process has to ``port``, and gives how many there were."""
    inodes = set(_connected_to(port))
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    cut = 0
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            name = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
            if name and name[1] in inodes:
                ours = libc.syscall(_PIDFD_GETFD, process, int(entry.name), 0)
                if ours < 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                with closing(socket.socket(fileno=ours)) as connection:
                    connection.shutdown(socket.SHUT_RDWR)
                cut += 1
    finally:
        os.close(process)
    return cut


def _connected_to(port: int) -> list[str]:
    """The inodes of the sockets that are connected to a port, from proc_net_tcp."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [row[9] for row in rows if int(row[2].rpartition(":")[2], 16) == port]
