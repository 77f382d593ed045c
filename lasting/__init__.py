"""Work that goes on as long as its process, or a block of it, whatever happens to it: it never ends unseen."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, NoReturn

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0
"""What went on for so long is begun again at once when it fails, however often it failed before."""


async def persist(name: str, work: Callable[[], Awaitable[object]]) -> NoReturn:
    """Does ``work``, and again whenever it fails or ends, which is logged; after pauses that grow while it does not
    hold out. Ends only by being cancelled."""
    clock = asyncio.get_running_loop().time
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = clock()
        try:
            await work()
            log.error("%s has ended, which it never should; it is begun again", name)
        except Exception:
            log.exception("%s has failed and is begun again", name)
        if clock() - began > STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


@asynccontextmanager
async def beside(name: str, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """While inside, ``work`` goes on beside, as by :func:`persist`; it is over when this is left."""
    task = asyncio.create_task(persist(name, work), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
