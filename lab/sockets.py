"""What programs hold open, as Linux tells it: where they listen, and how many files and threads they have."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

_UNCONNECTED = {"tcp": "0A", "udp": "07"}
"""The state in proc(5) of a socket that anybody may reach."""


@dataclass(frozen=True, slots=True, order=True)
class Open:
    """A socket of process ``pid`` that anybody may reach who can reach its address."""

    protocol: str
    host: str
    port: int
    pid: int


def listening(pids: Collection[int]) -> list[Open]:
    """The sockets at which processes take what comes, in order."""
    owners = {link: pid for pid in pids for link in _links(pid)}
    return sorted(
        Open(protocol, host, port, owners[f"socket:[{inode}]"])
        for protocol in ("tcp", "udp")
        for host, port, inode in _unconnected(protocol)
        if f"socket:[{inode}]" in owners
    )


def files_and_threads(pid: int) -> tuple[int, int]:
    """How many open files and how many threads a process has."""
    return len(list(_links(pid))), len(list(Path(f"/proc/{pid}/task").iterdir()))


def memory(pid: int) -> int:
    """How many bytes of a process are in memory."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def _links(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue


def _unconnected(protocol: str) -> Iterator[tuple[str, int, str]]:
    for version in ("", "6"):
        for line in Path(f"/proc/net/{protocol}{version}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _UNCONNECTED[protocol]:
                host, _, port = fields[1].partition(":")
                yield _address(host), int(port, 16), fields[9]


def _address(text: str) -> str:
    """An address as proc(5) writes it: words of 32 bits, each in the byte order of the machine."""
    words = (bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return str(ip_address(b"".join(words)))
