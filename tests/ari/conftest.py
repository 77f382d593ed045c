"""An Asterisk that does as the test says, and a client connected to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from ari_app.ari import Ari, Leg
from tests.support.ari_server import USER, AriServer


@pytest.fixture
async def asterisk() -> AsyncIterator[AriServer]:
    async with AriServer() as server:
        yield server


@asynccontextmanager
async def client(asterisk: AriServer, **callbacks: Any) -> AsyncIterator[Ari]:
    """A client that is connected, as the worker w1."""
    ari = Ari(asterisk.url, *USER, "vigie-w1", **callbacks)
    running = asyncio.create_task(ari.run())
    await ari.wait_connected()
    yield ari
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def ari(asterisk: AriServer) -> AsyncIterator[Ari]:
    async with client(asterisk) as ari:
        yield ari


Called = Callable[[str], Coroutine[Any, Any, Leg]]


@pytest.fixture
def called(ari: Ari) -> Called:
    """Calls somebody: a leg that is being called."""

    async def call(leg_id: str) -> Leg:
        return await ari.originate(
            "PJSIP/alice", leg_id=leg_id, caller_id="+33612345678", timeout=20, variables={"VIGIE_CALL": "c1"}
        )

    return call


Talking = Callable[[str], Coroutine[Any, Any, Leg]]


@pytest.fixture
def talking(asterisk: AriServer, called: Called) -> Talking:
    """Calls somebody who answers: a leg in our hands."""

    async def call(leg_id: str) -> Leg:
        leg = await called(leg_id)
        asterisk.answers(leg_id)
        await leg.answered()
        return leg

    return call
