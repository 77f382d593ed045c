"""Where a carrier is that is known by its name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest

from vigie.settings import SocketAddress
from vigie.stack.resolve import Unresolved, addresses_of

SERVICES = (
    "20 0 5080 localhost.",
    "10 5 5070 localhost.",
    "10 60 5060 localhost.",
    "30 0 5090 no-such-host.invalid.",
)


class NameServer(asyncio.DatagramProtocol):
    """Tells of one SRV record set, and knows no other name."""

    def __init__(self, *records: str) -> None:
        self._records = records

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name = query.question[0].name
        if name.to_text() == "_sip._udp.carrier.test." and self._records:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *self._records))
        self._transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def resolver(*records: str) -> AsyncIterator[dns.asyncresolver.Resolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(*records), local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    try:
        yield resolver
    finally:
        transport.close()


async def test_srv_records_say_which_ports_and_in_which_order() -> None:
    async with resolver(*SERVICES[:3]) as asked:
        found = await addresses_of("carrier.test", None, asked)
    assert found == tuple(SocketAddress("127.0.0.1", port) for port in (5060, 5070, 5080))


async def test_without_srv_records_and_with_a_port_the_name_itself_counts() -> None:
    async with resolver() as asked:
        assert await addresses_of("localhost", None, asked) == (SocketAddress("127.0.0.1", 5060),)
    async with resolver(*SERVICES) as asked:
        assert await addresses_of("localhost", 5070, asked) == (SocketAddress("127.0.0.1", 5070),)


async def test_an_address_is_asked_of_nobody() -> None:
    assert await addresses_of("192.0.2.1", None) == (SocketAddress("192.0.2.1", 5060),)


async def test_a_name_that_nobody_knows_is_told() -> None:
    async with resolver() as asked:
        with pytest.raises(Unresolved, match=r"no-such-host\.invalid"):
            await addresses_of("no-such-host.invalid", None, asked)
