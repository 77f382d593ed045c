"""The process behind ``vigie agi``: serves calls over FastAGI, and keeps ready what that takes."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agi_scripts.console import Console
from agi_scripts.scenario import Means, serve
from agi_scripts.server import HOST, AgiServer
from agi_scripts.upkeep import Upkeep
from db.engine import make_engine
from db.journal import Journal
from db.records import Record
from db.snapshot import SnapshotStore
from lasting import beside
from voice.prompts import Phrase, Prompts

log = logging.getLogger(__name__)

SPEAK_SECONDS: Final = 3
"""How long a caller waits for a sentence to be made before they hear Asterisk's own."""
PUT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    """What the fallback must know. ``control`` is Asterisk's control socket, ``recordings`` where it puts messages."""

    port: int
    password: str = field(repr=False)
    snapshots: Path
    snapshot_key: str = field(repr=False)
    control: Path
    recordings: Path
    database_url: str = field(repr=False)
    journal: Path
    """The directory in which all processes of the site spool what happens until the database has it."""
    sounds: Path
    language: str
    region: str


async def run_fallback(settings: FallbackSettings, stop: asyncio.Event, on_ready: Callable[[str], None]) -> None:
    """Serves calls until ``stop`` is set; the dialplan carries on those in progress. Raises OSError: a taken port."""
    engine = make_engine(settings.database_url)
    journal = Journal(engine, settings.journal, "agi")
    loop = asyncio.get_running_loop()

    def put(record: Record) -> None:
        """Journals from another thread, and returns when that is done."""
        asyncio.run_coroutine_threadsafe(_put(journal, record), loop).result(PUT_SECONDS)

    def tell(record: Record) -> None:
        """Journals what happens in a call, which goes on even when that is not possible."""
        try:
            put(record)
        except TimeoutError:
            log.error("left out of the journal, as this process is too busy: %r", record)

    upkeep = Upkeep(
        SnapshotStore(settings.snapshots, settings.snapshot_key),
        Console(settings.control),
        settings.recordings,
        settings.region,
        put,
    )
    means = Means(
        table=upkeep.table,
        put=tell,
        speaker=Voice(Prompts(settings.sounds), loop),
        recordings=settings.recordings,
        language=settings.language,
        region=settings.region,
    )

    server = AgiServer(settings.port, settings.password, lambda caller: serve(caller, means))
    try:
        async with (
            beside("the journal", journal.run),
            beside("the upkeep", upkeep.run),
            beside("giving signs of life", upkeep.beat),
            server.serving(),
        ):
            on_ready(f"serving calls without a worker on {HOST}:{settings.port}")
            await stop.wait()
    finally:
        await engine.dispose()


async def _put(journal: Journal, record: Record) -> None:
    journal.put(record)


class Voice:
    """The phrases as sounds, for threads beside the loop in which they are made."""

    def __init__(self, prompts: Prompts, loop: asyncio.AbstractEventLoop) -> None:
        self._prompts = prompts
        self._loop = loop

    def phrase(self, phrase: Phrase, language: str, **names: str) -> str:
        return self.say(phrase.text(language, **names), language, phrase.otherwise)

    def say(self, text: str, language: str, otherwise: str) -> str:
        """The sound's name; that of ``otherwise`` when the words cannot be spoken in time."""
        speaking = asyncio.run_coroutine_threadsafe(self._prompts.say(text, language, otherwise), self._loop)
        try:
            return speaking.result(SPEAK_SECONDS).removeprefix("sound:")
        except TimeoutError:
            log.warning("%r takes too long to be spoken, Asterisk's %r is played instead", text, otherwise)
            return otherwise
