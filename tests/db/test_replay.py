"""What a process leaves on disk when it dies: found by the next one, and written once, in order, with nothing lost."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import make_engine
from db.journal import Journal
from db.records import Record, encode
from db.segment import HEAD
from oncall.outcomes import EventKind, Outcome
from tests.support.history import StoryTeller
from tests.support.journal import COUNTS, counts, files, nothing_waits, put_all, rows, running, written

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.journal.SWEEP_SECONDS", 0.05)


@pytest.fixture
def journal(engine: AsyncEngine, tmp_path: Path) -> Journal:
    """The journal of w2, which does not run yet."""
    return Journal(engine, tmp_path, "w2")


_stamps = count(1)


def left(directory: Path, records: Iterable[Record], owner: str = "w1", head: bytes = HEAD) -> Path:
    """The file that a process left which died before any of ``records`` was written."""
    path = directory / f"{owner}.{next(_stamps):019}.spool"
    path.write_bytes(head + b"".join(encode(record) + b"\n" for record in records))
    return path


def twice(counted: dict[str, int]) -> dict[str, int]:
    return {table: 2 * number for table, number in counted.items()}


async def test_what_others_left_is_written_beside_what_happens_now(journal: Journal, engine: AsyncEngine) -> None:
    then, now = StoryTeller(), StoryTeller()
    left(journal.directory, then.whole())
    async with running(journal):
        put_all(journal, now.whole())
        await nothing_waits(journal)
        assert await counts(engine) == twice(COUNTS)
    assert files(journal.directory) == []


async def test_ones_own_former_life_comes_first(journal: Journal, engine: AsyncEngine) -> None:
    others, ours, later = StoryTeller(), StoryTeller(), StoryTeller()
    left(journal.directory, others.whole())
    left(journal.directory, ours.whole(), owner="w2")
    left(journal.directory, later.whole(), owner="w2")
    async with running(journal):
        await nothing_waits(journal)
    in_order = "SELECT id FROM call ORDER BY xmin::text::bigint"
    assert await rows(engine, in_order) == [(ours.id,), (later.id,), (others.id,)]


async def test_a_file_cut_in_the_midst_of_a_record_gives_all_the_others(
    journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    story = StoryTeller()
    path = left(journal.directory, [*story.whole(), story.event(EventKind.ERROR)])
    os.truncate(path, path.stat().st_size - 30)
    cut = path.read_bytes().splitlines()[-1]
    async with running(journal):
        await nothing_waits(journal, but=["w2.aside"])
    assert await counts(engine) == COUNTS
    assert cut in (journal.directory / "w2.aside").read_bytes().splitlines()
    assert f"left out 1 record(s) that cannot be written ({path} ends in the midst of it); they are kept in" in (
        caplog.text
    )


@pytest.mark.parametrize("rubbish", [b"call_eve\0\0\0\0\0", b'call_event {"call_id": "12', b"\xff\xfe call_event {}"])
async def test_rubbish_in_the_middle_is_kept_and_the_rest_written(
    rubbish: bytes, journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = StoryTeller(), StoryTeller()
    path = left(journal.directory, before.whole())
    with path.open("ab") as file:
        file.write(rubbish + b"\n" + b"".join(encode(record) + b"\n" for record in after.whole()))
    async with running(journal):
        await nothing_waits(journal, but=["w2.aside"])
    assert await counts(engine) == twice(COUNTS)
    assert rubbish in (journal.directory / "w2.aside").read_bytes().splitlines()
    assert files(journal.directory) == ["w2.aside"]


async def test_a_file_of_a_newer_version_is_left_alone_and_told_once(
    journal: Journal, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    newer = left(journal.directory, StoryTeller().whole(), head=b"vigie journal 2\n")
    content = newer.read_bytes()
    left(journal.directory, StoryTeller().whole())
    async with running(journal):
        await nothing_waits(journal, but=[newer.name])
        put_all(journal, StoryTeller().whole())
        await written(journal)
    assert newer.read_bytes() == content
    assert (await counts(engine))["call"] == 2
    assert caplog.text.count("written by a newer Vigie than this one") == 1
    assert "start that Vigie again, or upgrade this one" in caplog.text


async def test_what_is_set_aside_is_written_once_the_cause_is_mended(journal: Journal, engine: AsyncEngine) -> None:
    """The person who looks after the system sees that Bob's records name a kind of event that came with the upgrade."""
    story = StoryTeller()
    event = encode(story.event(EventKind.RING)).replace(b'"ring"', b'"teleported"')
    path = left(journal.directory, story.whole())
    path.write_bytes(path.read_bytes() + event + b"\n")
    aside = journal.directory / "w2.aside"
    async with running(journal):
        await nothing_waits(journal, but=[aside.name])
        aside.write_bytes(aside.read_bytes().replace(b"teleported", b"ringing"))
        aside.rename(f"{aside}.spool")
        await nothing_waits(journal)
    assert await rows(engine, "SELECT kind FROM call_event ORDER BY seq LIMIT 1") == [("ringing",)]


async def test_a_call_that_changed_hands_waits_for_its_beginning(journal: Journal, engine: AsyncEngine) -> None:
    """The survivor's records are written before those that the dead one left; other calls do not wait for them."""
    story, other = StoryTeller(), StoryTeller()
    opened, *rest = story.whole()
    async with running(journal):
        put_all(journal, [*rest, *other.whole()])
        await written(journal)
        assert await counts(engine) == COUNTS
        assert [name for name in files(journal.directory) if name.endswith(".waiting")]
        left(journal.directory, [opened])
        await nothing_waits(journal)
        assert await counts(engine) == twice(COUNTS)


async def test_what_waits_survives_too(journal: Journal, engine: AsyncEngine) -> None:
    story = StoryTeller()
    opened, *rest = story.whole()
    async with running(journal):
        put_all(journal, rest)
        await written(journal)
    left(journal.directory, [opened])
    async with running(heir := Journal(engine, journal.directory, "w3")):
        await nothing_waits(heir)
    assert await counts(engine) == COUNTS


async def test_a_beginning_that_never_comes_is_waited_for_no_longer_than_an_hour(
    journal: Journal, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    story = StoryTeller()
    event = story.event(EventKind.RING)
    async with running(journal):
        journal.put(event)
        await written(journal)
    (waiting,) = journal.directory.iterdir()
    os.utime(waiting, (time.time() - 3700,) * 2)
    async with running(Journal(engine, journal.directory, "w2")):
        await nothing_waits(journal, but=["w2.aside"])
    assert encode(event) in (journal.directory / "w2.aside").read_bytes().splitlines()
    assert "in 3700 s nothing was written of the call or attempt they belong to" in caplog.text


PUTS = """
import asyncio, sys
from msgspec.structs import replace
from pathlib import Path
from db.engine import make_engine
from db.engine import make_engine
from db.journal import Journal
from oncall.outcomes import EventKind
from tests.support.history import StoryTeller

async def main(url, directory):
    journal = Journal(make_engine(url), Path(directory), 'w1')
    running = asyncio.create_task(journal.run())
    story = StoryTeller()
    journal.put(story.opened())
    print(story.id, flush=True)
    while True:
        journal.put(story.event(EventKind.DIGIT))
        sys.stdout.write('.')
        sys.stdout.flush()
        if story.seq % 20 == 0:
            await asyncio.sleep(0.002)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def killed(tmp_path: Path) -> "Killed":
    return Killed(tmp_path)


class Killed:
    """Processes that put records until they are killed, with no time to do anything about it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def after(self, url: str, events: int) -> tuple[str, int]:
        """The id of the call of a process that was killed about then, and how many events of it had been put."""
        command = [sys.executable, "-c", PUTS, url, str(self._directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            story = process.stdout.readline().strip()
            before = process.stdout.read(events)
            process.send_signal(signal.SIGKILL)
            return story, len(before + process.stdout.read())


async def history(engine: AsyncEngine, call: str) -> list[int]:
    """The events of a call in the order of the transactions that wrote them."""
    query = f"SELECT seq FROM call_event WHERE call_id = '{call}' ORDER BY xmin::text::bigint, seq"
    return [row[0] for row in await rows(engine, query)]


async def test_a_process_killed_at_any_moment_loses_nothing(
    killed: Killed, journal: Journal, engine: AsyncEngine, database_url: str
) -> None:
    moments = random.Random(20260105)
    dead = [killed.after(url, moments.randint(50, 5000)) for url in (database_url, database_url, NOWHERE)]
    async with running(journal):
        await nothing_waits(journal, but=["w2.aside"])
    for call, events in dead:
        found = await history(engine, call)
        assert found[:events] == list(range(1, events + 1)), "each that was put, once, in order"
        assert len(found) <= events + 1, "the one after it may have been put and not told of"
    ends = sum(1 for line in aside(journal.directory) if not line.startswith(b"#"))
    assert ends <= len(dead), "no more than the one that was being written when it was killed"


def aside(directory: Path) -> list[bytes]:
    path = directory / "w2.aside"
    return path.read_bytes().splitlines()[1:] if path.exists() else []


@pytest.fixture
async def no_engine() -> AsyncIterator[AsyncEngine]:
    """An engine of a database that is away."""
    engine = make_engine(NOWHERE)
    yield engine
    await engine.dispose()


async def test_a_process_that_stops_while_the_database_is_away_leaves_all_to_the_next(
    engine: AsyncEngine, tmp_path: Path, no_engine: AsyncEngine
) -> None:
    story = StoryTeller()
    async with running(stopping := Journal(no_engine, tmp_path, "w1")):
        put_all(stopping, story.whole(Outcome.VOICEMAIL))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stopping.drain(), 0.3)
        assert stopping.pending == 9
    async with running(again := Journal(engine, tmp_path, "w1")):
        again.put(story.closed(Outcome.FAILED))
        await nothing_waits(again)
    assert await rows(engine, "SELECT outcome FROM call") == [("voicemail",)]
    assert await counts(engine) == COUNTS
