"""The spool: lines are on disk at once, in order, whatever becomes of the disk; and only their owner touches them."""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from db.segment import HEAD, Segment, left_behind
from db.spool import Spool
from tests.support.disk import run_on_a_disk_of
from tests.support.journal import files


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A spool directory that nobody has made yet."""
    yield tmp_path / "state" / "journal"
    with suppress(FileNotFoundError):
        (tmp_path / "state").chmod(0o700)


@pytest.fixture
def spool(directory: Path) -> Iterator[Spool]:
    spool = Spool(directory, "w1")
    yield spool
    spool.close()


def lines(start: int, end: int) -> list[bytes]:
    return [b"line %d" % number for number in range(start, end)]


def add(spool: Spool, some: list[bytes]) -> None:
    for line in some:
        spool.append(line)


def settle(spool: Spool, most: int) -> list[bytes]:
    """What is read next, and released."""
    some = spool.read(most)
    spool.release(some)
    return some


def on_disk(directory: Path) -> list[bytes]:
    """All the lines in the directory, in the order in which a successor reads them."""
    return [line for path in left_behind(directory, "w1") for line in path.read_bytes().splitlines()[1:]]


def test_a_line_is_on_disk_when_it_is_added(spool: Spool, directory: Path) -> None:
    spool.append(b"first")
    assert on_disk(directory) == [b"first"]
    spool.append(b"second")
    assert on_disk(directory) == [b"first", b"second"]
    assert {path.stat().st_mode & 0o077 for path in (directory, *directory.iterdir())} == {0}


def test_lines_come_out_in_order_and_leave_nothing(spool: Spool, directory: Path) -> None:
    add(spool, lines(0, 10))
    assert settle(spool, 4) == lines(0, 4)
    add(spool, lines(10, 12))
    assert spool.pending == 8
    assert settle(spool, 100) == lines(4, 12)
    assert (spool.pending, spool.read(100), on_disk(directory)) == (0, [], [])
    spool.close()
    assert files(directory) == []


def test_a_long_queue_is_cut_into_files_that_go_one_by_one(
    spool: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.spool.SEGMENT_BYTES", 100)
    monkeypatch.setattr("db.segment.READ_BYTES", 5)
    add(spool, lines(0, 60))
    assert len(files(directory)) >= 5
    assert on_disk(directory) == lines(0, 60)
    out: list[bytes] = []
    while some := settle(spool, 7):
        out += some
        assert on_disk(directory)[-spool.pending :] == lines(len(out), 60)[-spool.pending :]
    assert out == lines(0, 60)
    assert len(files(directory)) <= 1


def test_what_is_not_released_is_left_to_the_successor(spool: Spool, directory: Path) -> None:
    add(spool, lines(0, 5))
    (path,) = left_behind(directory, "w1")
    assert Segment.take(path) is None, "it is still ours"
    settle(spool, 2)
    spool.close()
    segment = Segment.take(path)
    assert segment is not None
    assert Segment.take(path) is None, "it has an heir now"
    assert segment.read(100) == lines(0, 5)
    segment.remove()


def test_a_directory_that_is_not_ours_costs_nothing_and_is_told_once(
    spool: Spool, directory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.parent.mkdir(mode=0o500)
    add(spool, lines(0, 5))
    assert settle(spool, 2) == lines(0, 2)
    directory.parent.chmod(0o700)
    monkeypatch.setattr("db.spool.RETRY_SECONDS", 0)
    spool._retry_at = 0  # as it is a second later
    add(spool, lines(5, 7))
    assert on_disk(directory) == lines(2, 7)
    assert settle(spool, 100) == lines(2, 7)
    told = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == [logging.ERROR, logging.WARNING]
    assert f"{directory} cannot be written (Permission denied)" in told[0][1]
    assert "takes records again; 4 that waited in memory are safe" in told[1][1]


def test_a_batch_that_moves_to_the_disk_while_it_is_written_is_released_there(
    spool: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.parent.mkdir(mode=0o500)
    add(spool, lines(0, 5))
    batch = spool.read(2)
    directory.parent.chmod(0o700)
    spool._retry_at = 0
    spool.retry()
    spool.release(batch)
    assert settle(spool, 100) == lines(2, 5)
    assert spool.pending == 0


@pytest.mark.parametrize("harm", ["removed", "cut"])
def test_somebody_who_tidies_up_does_not_stop_the_journal(
    harm: str, spool: Spool, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(spool, lines(0, 3))
    (path,) = left_behind(directory, "w1")
    if harm == "removed":
        path.unlink()
        assert settle(spool, 100) == lines(0, 3), "it is still open"
    else:
        os.truncate(path, 0)
        assert settle(spool, 100) == []
        assert f"3 records are lost: somebody has cut {path}" in caplog.text
    assert spool.pending == 0
    add(spool, lines(3, 5))
    assert on_disk(directory) == lines(3, 5)


FULL_DISK = """
import sys
from contextlib import suppress
from pathlib import Path
from db.spool import Spool

disk = Path(sys.argv[1])
spool = Spool(disk / 'journal', 'w1')
lines = [b'%d' % number * 50 for number in range(2000)]
spool.append(lines[0])  # into a page that has room for some more, but not for whole lines only
with suppress(OSError), (disk / 'filler').open('wb', buffering=0) as filler:
    while filler.write(bytes(4096)):
        pass
for line in lines[1:1000]:
    spool.append(line)
print('some are refused' if 0 < len(spool._refused) < 999 else len(spool._refused))
out = spool.read(10)
spool.release(out)
(disk / 'filler').unlink()
spool._retry_at = 0
for line in lines[1000:]:
    spool.append(line)
print('none is refused' if not spool._refused else len(spool._refused))
while some := spool.read(500):
    spool.release(some)
    out += some
print('whole and in order' if out == lines else out)
"""


def test_a_full_disk_cuts_no_line(tmp_path: Path) -> None:
    done = run_on_a_disk_of("1m", tmp_path, FULL_DISK)
    assert done.stdout.splitlines() == ["some are refused", "none is refused", "whole and in order"], done.stderr


@pytest.mark.parametrize(
    ("content", "start"),
    [(b"", 0), (HEAD[:7], 7), (HEAD, len(HEAD)), (HEAD + b"call_event {}\n", len(HEAD)), (b"\0\0\0\nx\n", 0)],
)
def test_where_the_lines_of_a_file_begin(content: bytes, start: int, tmp_path: Path) -> None:
    path = tmp_path / "w1.1.spool"
    path.write_bytes(content)
    segment = Segment.take(path)
    assert segment is not None
    assert segment.rest() == content[start:]
    segment.close()
