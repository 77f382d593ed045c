"""The routing table on disk: what is written is read, and nothing else is."""

import multiprocessing
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from db.errors import (
    SnapshotError,
    SnapshotMissing,
    SnapshotNotWritten,
    SnapshotTampered,
    SnapshotTruncated,
    SnapshotUnreadable,
    SnapshotVersion,
)
from db.snapshot import SnapshotStore
from oncall.policy import Policy
from oncall.routing import RoutedLine, RoutingInputs, RoutingTable, build_table
from tests.support.rota import ALICE, line, paris, person, phone

KEY = "k" * 40
MONDAY = paris("2026-01-12 12:00")
MINUTE = timedelta(minutes=1)


def table_of(name: str, people: int = 1) -> RoutingTable:
    """A table in which everybody has this name."""
    inputs = RoutingInputs(
        people=tuple(person(number, name, phone(number)) for number in range(ALICE, ALICE + people)),
        lines=(RoutedLine(line(), ("+33123456789",), (), 1),),
        schedules=(),
        policies=(Policy(1, "standard", "Standard", 180, 1, ()),),
    )
    return build_table(inputs, MONDAY, MONDAY + timedelta(days=8))


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "routing", KEY)


@pytest.fixture
def kept(store: SnapshotStore) -> SnapshotStore:
    """A store that holds Alice's table, and Bob's as the newest."""
    store.write(table_of("Alice"), MONDAY)
    store.write(table_of("Bob"), MONDAY + MINUTE)
    return store


def test_what_was_written_is_read(store: SnapshotStore) -> None:
    store.write(table_of("Alice"), MONDAY)
    snapshot = store.read()
    assert snapshot.table == table_of("Alice")
    assert snapshot.written_at == MONDAY
    assert snapshot.refused is None


def test_the_newest_counts_and_is_for_our_eyes_only(kept: SnapshotStore) -> None:
    assert kept.read().table == table_of("Bob")
    assert kept.newest.stat().st_mode & 0o077 == 0
    assert {path.name for path in kept.newest.parent.iterdir()} == {"snapshot", "snapshot.previous"}


def test_without_any_snapshot_it_is_said_how_one_comes_to_be(store: SnapshotStore) -> None:
    with pytest.raises(SnapshotMissing, match=r"no snapshot .* within a minute"):
        store.read()


def changed(content: bytes) -> bytes:
    return content.replace(b"Bob", b"Eve")


def redated(content: bytes) -> bytes:
    return content.replace(b"2026-01-12T11:01", b"2036-01-12T11:01", 1)


def renumbered(content: bytes) -> bytes:
    return content.replace(b"snapshot 1\n", b"snapshot 2\n")


DAMAGE = [
    pytest.param(changed, SnapshotTampered, "changed after it was written", id="another name"),
    pytest.param(redated, SnapshotTampered, "changed after it was written", id="another date"),
    pytest.param(lambda content: content + b"more", SnapshotTampered, "changed", id="something after the end"),
    pytest.param(lambda content: b"\0" * len(content), SnapshotTampered, "changed", id="zeros"),
    pytest.param(lambda content: b"vigie routing snapshot x\n", SnapshotTampered, "changed", id="no version"),
    pytest.param(lambda content: content[:-1], SnapshotTruncated, "end is missing", id="a byte short"),
    pytest.param(lambda content: content[: len(content) // 2], SnapshotTruncated, "end is missing", id="cut"),
    pytest.param(lambda content: content[:40], SnapshotTruncated, "end is missing", id="cut in the header"),
    pytest.param(lambda content: content[:5], SnapshotTruncated, "end is missing", id="cut in the first line"),
    pytest.param(lambda content: b"", SnapshotTruncated, "end is missing", id="empty"),
    pytest.param(renumbered, SnapshotVersion, "newer Vigie.*Upgrade", id="newer version"),
]


@pytest.mark.parametrize(("damage", "error", "words"), DAMAGE)
def test_a_damaged_snapshot_is_refused_and_the_previous_one_used(
    kept: SnapshotStore,
    damage: Callable[[bytes], bytes],
    error: type[SnapshotError],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept.newest.write_bytes(damage(kept.newest.read_bytes()))
    snapshot = kept.read()
    assert snapshot.table == table_of("Alice")
    assert type(snapshot.refused) is error
    assert re.search(words, caplog.text)
    assert "The previous one" in caplog.text


def test_a_snapshot_signed_with_another_key_is_refused(kept: SnapshotStore) -> None:
    with pytest.raises(SnapshotTampered, match="another secret key"):
        SnapshotStore(kept.newest.parent, "another" * 6).read()


def test_a_snapshot_that_was_removed_is_replaced_by_the_previous_one(kept: SnapshotStore) -> None:
    kept.newest.unlink()
    assert kept.read().table == table_of("Alice")


def test_what_is_there_in_the_place_of_a_snapshot_cannot_be_read(store: SnapshotStore) -> None:
    store.newest.mkdir(parents=True)
    with pytest.raises(SnapshotUnreadable, match="must belong to the user who runs Vigie"):
        store.read()


def test_a_table_that_this_version_does_not_understand_is_refused(
    kept: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RoutingTable, "encoded", lambda self: [b'{"since": "of another shape"}'])
        kept.write(table_of("Carol"), MONDAY)
    snapshot = kept.read()
    assert snapshot.table == table_of("Bob")
    assert type(snapshot.refused) is SnapshotVersion


def test_a_damaged_snapshot_does_not_push_out_the_previous_one(kept: SnapshotStore) -> None:
    kept.newest.write_bytes(changed(kept.newest.read_bytes()))
    kept.write(table_of("Carol"), MONDAY)
    assert kept.read().table == table_of("Carol")
    kept.newest.write_bytes(b"")
    assert kept.read().table == table_of("Alice")


def test_what_cannot_be_written_costs_nothing_that_was(kept: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(SnapshotNotWritten, match=r"No space left on device\. Make room"):
            kept.write(table_of("Carol"), MONDAY)
    assert kept.read().table == table_of("Bob")
    assert {path.name for path in kept.newest.parent.iterdir()} == {"snapshot", "snapshot.previous"}


def write_often(directory: Path, name: str) -> None:
    for _ in range(20):
        SnapshotStore(directory, KEY).write(table_of(name, people=200), MONDAY)


def test_several_processes_write_at_once(store: SnapshotStore) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(store.newest.parent, name)) for name in ("Alice", "Bob")]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if store.previous.exists():
            assert store.read().refused is None
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert store.read().table in (table_of("Alice", 200), table_of("Bob", 200))
    assert {path.name for path in store.newest.parent.iterdir()} == {"snapshot", "snapshot.previous"}
