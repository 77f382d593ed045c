"""The world that all acceptance tests share: started once, and at rest again after each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.sockets import files_and_threads, memory
from lab.sound import Speech, speak
from lab.waiting import eventually
from lab.world import World

HERE = Path(__file__).parent
HANDSETS = ("alice", "bob", "carol", "dave", "gina")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests run in the loop in which the world lives."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def only_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("world")
    site = (HERE / "site.yaml").read_text()
    async with World(directory, site, handsets=HANDSETS, intruders=["mallory"]) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world(only_world: World) -> AsyncIterator[World]:
    """A world at rest; the test fails if it is not at rest again afterwards."""
    yield only_world
    await only_world.cleared()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def message(recorded: Path) -> Speech:
    """What a caller has to say."""
    return await speak("La pompe du sous-sol est arrêtée, rappelez-moi au plus vite.", recorded / "message.wav")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reply(recorded: Path) -> Speech:
    """What the person on call has to say."""
    return await speak("Bonjour, je vous écoute, que se passe-t-il chez vous ?", recorded / "reply.wav")


SLACK = {"files": 10, "threads": 64, "megabytes": 100}
"""What a program may hold more than before: connections and threads that wait to be used again."""


@pytest_asyncio.fixture(loop_scope="session")
async def unleaked(world: World) -> AsyncIterator[None]:
    """The test fails if Vigie's programs hold much more afterwards than before."""
    before = {part.pid: held_by(part.pid) for part in world.stack.parts}
    yield
    await world.nothing_left()

    async def leaks() -> str:
        return ", ".join(
            f"{part.name} holds {more} more {what}"
            for part in world.stack.parts
            for what, held in held_by(part.pid).items()
            if (more := held - before[part.pid][what]) > SLACK[what]
        )

    await eventually(leaks, within=10, hoped="all is given back")


def held_by(pid: int) -> dict[str, int]:
    files, threads = files_and_threads(pid)
    return {"files": files, "threads": threads, "megabytes": memory(pid) >> 20}
