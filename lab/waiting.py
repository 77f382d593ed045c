"""Waiting for something to become true, and saying what happened instead when it does not."""

import asyncio
from collections.abc import Awaitable, Callable

GRAIN = 0.02


async def until(
    condition: Callable[[], bool],
    *,
    within: float,
    hoped: str,
    instead: Callable[[], str],
) -> None:
    """Returns as soon as ``condition()`` holds; ``AssertionError`` after ``within`` seconds.

    ``hoped`` names what was waited for; ``instead()`` tells, once it is too late, what is the case.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(f"{hoped}: not within {within:g} s; {instead()}")
        await asyncio.sleep(GRAIN)


async def eventually(question: Callable[[], Awaitable[str]], *, within: float, hoped: str, grain: float = 0.1) -> None:
    """Asks ``question()`` until it answers with nothing to complain of; ``AssertionError`` after ``within`` seconds.

    The question is asked of another process, so less often than ``until`` looks: every ``grain`` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while complaint := await question():
        if loop.time() > deadline:
            raise AssertionError(f"{hoped}: not within {within:g} s; {complaint}")
        await asyncio.sleep(grain)
