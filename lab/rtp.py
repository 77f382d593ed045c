"""Sound and keys as packets (RFC 3550, RFC 4733), for peers that send what no telephone would."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from lab.ear import Ear
from lab.party import PROOF
from lab.waiting import until
from vigie.settings import SocketAddress

KEYS = "0123456789*#ABCD"
ALAW, COMFORT_NOISE, EVENT = 8, 13, 101
SENDER_REPORT, RECEIVER_REPORT = 200, 201
NOISE = (b"\x2a" * 8 + b"\xaa" * 8) * 10
"""20 ms of a tone as loud as A-law can say."""
SILENCE = b"\xd5" * 160


def _linear(code: int) -> int:
    """The sample for which an octet of A-law stands (G.711)."""
    code ^= 0x55
    step, part = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = part + 8 if not step else (part + 0x108) << (step - 1)
    return size if code & 0x80 else -size


LINEAR = tuple(map(_linear, range(256)))


class Rtp(asyncio.DatagramProtocol):
    """A socket for sound at ``host``, while it is entered."""

    def __init__(self, host: str) -> None:
        self.address = SocketAddress(host, 0)
        self.sources: set[str] = set()
        """From where packets have come."""
        self.packets = 0
        self.noises = 0
        """How many of the packets were noise."""
        self.keys_heard: list[str] = []
        self.ear = Ear(host)
        self.muted = False
        """Whether a telephone that talks sends nothing."""
        self._heard = False
        self._stamp: bytes | None = None
        self._ssrc = random.getrandbits(32)
        self._sequences: dict[SocketAddress, int] = {}
        self._time = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        where = (self.address.host, 0)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=where)
        self.address = SocketAddress(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sources.add(addr[0])
        self.packets += 1
        self.noises += data[12:] == NOISE
        if len(data) > 12 and data[1] & 0x7F == ALAW:
            self._heard = True
            self.ear.takes_in(array("h", map(LINEAR.__getitem__, data[12:])).tobytes())
        if len(data) > 13 and data[1] & 0x7F == EVENT and data[4:8] != self._stamp:
            self._stamp = data[4:8]
            self.keys_heard.append(KEYS[data[12]])

    def presses(self, keys: str, to: SocketAddress) -> None:
        """Sends keys, each pressed for 80 ms by its own word, all at once."""
        for key in keys:
            self._time += 800
            for duration, end in ((160, 0), (640, 0x80), (640, 0x80)):
                self._packet(EVENT, struct.pack("!BBH", KEYS.index(key), end | 10, duration), to)

    @asynccontextmanager
    async def talking(self, to: SocketAddress) -> AsyncIterator[None]:
        """Sends sound without a pause, as telephones do, for the time of the block: silence."""

        async def talk() -> None:
            while True:
                heard, self._heard = self._heard, False
                if not heard:
                    self.ear.takes_in(bytes(320))
                self._time += 160
                if not self.muted:
                    self._packet(ALAW, SILENCE, to)
                await asyncio.sleep(0.02)

        task = asyncio.create_task(talk())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def hears_sound(self, *, packets: int = 20, within: float = 5) -> None:
        """Waits until as much has come, by default 0.4 s."""
        await until(
            lambda: self.packets >= packets, within=within, hoped="sound", instead=lambda: f"{self.packets} packets"
        )

    async def reaches(self, other: Rtp, to: SocketAddress, *, within: float = 5) -> None:
        """Presses a key again and again until ``other`` hears it."""
        before = len(other.keys_heard)

        def heard() -> bool:
            if PROOF in other.keys_heard[before:]:
                return True
            self.presses(PROOF, to)
            return False

        await until(heard, within=within, hoped="a key is heard", instead=lambda: f"heard {other.keys_heard}")

    async def plays(self, alaw: bytes, to: SocketAddress) -> None:
        """Sends a sound (A-law) as fast as it is heard."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for start in range(0, len(alaw), 160):
            self._time += 160
            self._packet(ALAW, alaw[start : start + 160].ljust(160, SILENCE[:1]), to)
            due += 0.02
            await asyncio.sleep(max(0, due - loop.time()))

    def makes_noise(self, to: SocketAddress) -> None:
        """Sends 20 ms of noise."""
        self._time += 160
        self._packet(ALAW, NOISE, to)

    def sends_comfort_noise(self, to: SocketAddress) -> None:
        """Says that there is nothing but noise from now on (RFC 3389)."""
        self._packet(COMFORT_NOISE, b"\x40", to)

    def reports(self, to: SocketAddress, reports: Reports) -> None:
        """Says by RTCP what has been heard so far."""
        reports.sends(self._ssrc, SocketAddress(to.host, to.port + 1))

    def _packet(self, kind: int, payload: bytes, to: SocketAddress) -> None:
        sequence = self._sequences[to] = (self._sequences.get(to, 0) + 1) & 0xFFFF
        head = struct.pack("!BBHII", 0x80, kind, sequence, self._time, self._ssrc)
        self._transport.sendto(head + payload, (to.host, to.port))


class Reports(asyncio.DatagramProtocol):
    """The socket for reports (RTCP, RFC 3550, 6.4) beside one for sound, while it is entered."""

    def __init__(self, sound: Rtp) -> None:
        self._sound = sound
        self._theirs = 0
        """The middle of the time in the last sender report heard; it is what round trips are measured by."""
        self._came_at = 0.0
        self._ssrc = 0

    async def __aenter__(self) -> Self:
        where = (self._sound.address.host, self._sound.address.port + 1)
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=where)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if data[1] == SENDER_REPORT:
            self._ssrc, self._theirs = struct.unpack("!I", data[4:8])[0], struct.unpack("!I", data[10:14])[0]
            self._came_at = time.monotonic()

    async def hears_theirs(self) -> None:
        """Waits for a report of the other side."""
        await until(lambda: self._theirs > 0, within=10, hoped="a report comes", instead=lambda: "none does")

    def sends(self, ssrc: int, to: SocketAddress) -> None:
        """A receiver report: nothing was lost."""
        since = int((time.monotonic() - self._came_at) * 65536)
        block = struct.pack("!IIIIII", self._ssrc, 0, self._sound.packets, 3, self._theirs, since)
        self._transport.sendto(struct.pack("!BBHI", 0x81, RECEIVER_REPORT, 7, ssrc) + block, (to.host, to.port))
