"""Where a carrier is: the addresses behind its name, by the system's resolver and, without a port, by SRV (RFC 3263).

Asterisk looks up a name once, when it reads its configuration, and never again: one that does not resolve just then
costs all calls of that carrier.
"""

import asyncio
import socket
from ipaddress import AddressValueError, IPv4Address
from typing import Final

import dns.asyncresolver
import dns.exception
from dns.rdtypes.IN.SRV import SRV

from vigie.settings import SocketAddress

SIP_PORT: Final = 5060
PATIENCE: Final = 3.0
"""Seconds for a whole answer."""


class Unresolved(Exception):
    """A name has no address for now; the message says why."""


async def addresses_of(
    host: str, port: int | None, resolver: dns.asyncresolver.Resolver | None = None
) -> tuple[SocketAddress, ...]:
    """Where ``host`` takes SIP over UDP, the preferred address first; at ``port`` or, without one, where its SRV
    records say, if it has any.

    ``resolver`` is asked for SRV, by default that of the system. Raises Unresolved.
    """
    try:
        return (SocketAddress(str(IPv4Address(host)), port or SIP_PORT),)
    except AddressValueError:
        pass
    try:
        async with asyncio.timeout(PATIENCE):
            places = [(host, port)] if port else await _services(host, resolver) or [(host, SIP_PORT)]
            found = [await _addresses(name, at) for name, at in places]
    except TimeoutError:
        raise Unresolved(f"{host}: no answer within {PATIENCE:.0f} s") from None
    except OSError as error:
        raise Unresolved(f"{host}: {error.strerror or error}") from None
    return tuple(dict.fromkeys(address for addresses in found for address in addresses))


async def _services(host: str, resolver: dns.asyncresolver.Resolver | None) -> list[tuple[str, int]]:
    """What the SRV records name, by priority, the heavier first; nothing when there are none to be had."""
    try:
        answer = await (resolver or dns.asyncresolver.get_default_resolver()).resolve(f"_sip._udp.{host}", "SRV")
    except dns.exception.DNSException:
        return []
    records = sorted(answer, key=lambda record: (record.priority, -record.weight))
    return [
        (record.target.to_text(omit_final_dot=True), record.port)
        for record in records
        if isinstance(record, SRV) and record.target.to_text() != "."
    ]


async def _addresses(name: str, port: int) -> list[SocketAddress]:
    found = await asyncio.get_running_loop().getaddrinfo(name, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    return [SocketAddress(str(where[0]), port) for *_, where in found]
