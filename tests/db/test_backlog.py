"""What `vigie doctor` says of records that wait on disk for the database."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from db.backlog import read_backlog, unwritten_since
from db.records import Record, encode
from db.segment import HEAD, set_aside
from oncall.outcomes import EventKind
from tests.support.history import StoryTeller
from vigie.checks import Doubt, _journal
from vigie.settings import Settings


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    return tmp_path / "journal"


def left(directory: Path, name: str, records: Iterable[Record], head: bytes = HEAD) -> None:
    (directory / name).write_bytes(head + b"".join(encode(record) + b"\n" for record in records))


def lately(minutes: float) -> StoryTeller:
    return StoryTeller(began=datetime.now(UTC) - timedelta(minutes=minutes))


async def said(directory: Path) -> str:
    return await _journal(Settings(state_dir=directory.parent))


async def test_nothing_waits_where_no_worker_ever_ran_nor_where_all_is_written(tmp_path: Path) -> None:
    assert await said(tmp_path / "journal") == "nothing waits for the database"
    (tmp_path / "journal").mkdir()
    left(tmp_path / "journal", "w1.1.spool", [])
    assert await said(tmp_path / "journal") == "nothing waits for the database"


async def test_what_has_just_happened_is_no_reason_to_worry(directory: Path) -> None:
    left(directory, "w1.1.spool", lately(0.2).whole())
    assert await said(directory) == "nothing waits for the database"


async def test_how_many_wait_and_since_when(directory: Path) -> None:
    left(directory, "w1.1.spool", lately(5).whole())
    left(directory, "w2.2.spool", lately(130).whole())
    waiting = lately(7).event(EventKind.RING)
    left(directory, "w2.3.waiting", [replace(waiting, at=waiting.at - timedelta(seconds=1))])
    backlog = read_backlog(directory)
    assert backlog.waiting == 19
    assert backlog.since is not None
    with pytest.raises(Doubt, match=r"19 records of calls wait in .*/journal, the oldest for 130 minutes"):
        await said(directory)


async def test_what_waits_for_others_keeps_nobody_from_tidying_up(directory: Path) -> None:
    left(directory, "w1.1.waiting", lately(30).whole())
    left(directory, "w1.2.spool", lately(20).whole(), head=b"vigie journal 2\n")
    assert unwritten_since(directory) is None
    began = lately(10)
    left(directory, "w1.3.spool", began.whole())
    assert unwritten_since(directory) == began.began


async def test_what_could_not_be_written_is_named(directory: Path) -> None:
    path = set_aside(directory, "w1", [encode(StoryTeller().opened())], "no such thing")
    with pytest.raises(Doubt, match="holds what could not be written") as doubt:
        await said(directory)
    assert str(path) in doubt.value.problem
    assert "rename the file to w1.aside.spool, or remove it" in doubt.value.remedy


async def test_a_newer_version_is_named(directory: Path) -> None:
    left(directory, "w1.1.spool", lately(5).whole(), head=b"vigie journal 2\n")
    with pytest.raises(Doubt, match=r"w1\.1\.spool is of a newer Vigie") as doubt:
        await said(directory)
    assert "Upgrade" in doubt.value.remedy
