"""How `vigie restart` reaches the `vigie up` of the same state directory: a socket that only the same user may open.

One request a connection, a line of JSON; then a line for each thing that is done, and one for how it ended.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from vigie.errors import StackError, VigieError
from vigie.settings import Settings
from vigie.stack.stack import Stack


class Restart(msgspec.Struct):
    """What is asked: a restart of ``workers``, of all if there are none."""

    workers: list[str]


class Word(msgspec.Struct, omit_defaults=True):
    """What is answered: something that was ``done``, a ``problem`` that was met, with its ``remedy``, or the end."""

    done: str = ""
    problem: str = ""
    remedy: str = ""
    over: bool = False


@asynccontextmanager
async def listening(stack: Stack) -> AsyncIterator[None]:
    """The stack does what it is asked for the time of the block."""
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            await _serve(stack, reader, writer)
        finally:
            under_way.discard(task)
            writer.close()

    path = _socket(stack.settings)
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _serve(stack: Stack, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def say(word: Word) -> None:
        writer.write(msgspec.json.encode(word) + b"\n")
        await writer.drain()

    with suppress(ConnectionError, msgspec.DecodeError):  # who asked has gone: no further worker is restarted
        asked = msgspec.json.decode(await reader.readline(), type=Restart)
        try:
            async with aclosing(stack.restart(asked.workers)) as restarting:
                async for done in restarting:
                    await say(Word(done=done))
        except VigieError as error:
            await say(Word(problem=error.problem, remedy=error.remedy))
        else:
            await say(Word(over=True))


async def restart(settings: Settings, workers: Sequence[str]) -> AsyncIterator[str]:
    """Has the running stack restart its workers one after the other, and yields what is done.

    Raises StackError when no stack runs here, or with what went wrong there.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(_socket(settings))
    except OSError as error:
        raise StackError(
            f"No stack runs in {settings.state_dir}.",
            "Start it with `vigie up`. Workers that systemd keeps: systemctl restart vigie-ari@w1, then the next.",
        ) from error
    try:
        writer.write(msgspec.json.encode(Restart(list(workers))) + b"\n")
        while line := await reader.readline():
            word = msgspec.json.decode(line, type=Word)
            if word.problem:
                raise StackError(word.problem, word.remedy)
            if word.over:
                return
            yield word.done
        raise StackError("The stack was stopped before all was done.")
    finally:
        writer.close()


def _socket(settings: Settings) -> Path:
    return settings.state_dir / "control"
