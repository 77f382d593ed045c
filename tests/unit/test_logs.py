"""Logs are begun anew before they fill the disk, and whoever writes them does not notice."""

import logging
from pathlib import Path

import pytest

from scheduler.logs import keep_short
from vigie.logs import OneLine


def test_a_log_that_has_grown_is_begun_anew_under_the_hands_of_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "messages"
    with log.open("a") as writer:
        writer.write("first " * 20)
        writer.flush()
        keep_short([tmp_path], largest=100)
        writer.write("second")
    assert log.read_text() == "second"
    assert (tmp_path / "messages.1").read_text() == "first " * 20


def test_a_short_log_and_the_predecessors_are_left_alone(tmp_path: Path) -> None:
    short, before = tmp_path / "worker.log", tmp_path / "messages.1"
    short.write_text("short")
    before.write_text("long " * 100)
    keep_short([tmp_path, tmp_path / "missing"], largest=100)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"worker.log": 5, "messages.1": 500}


def test_a_log_that_cannot_be_kept_is_given_up_rather_than_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "messages"
    log.write_text("long " * 100)
    (tmp_path / "messages.1").symlink_to("/dev/full")
    with caplog.at_level(logging.ERROR):
        keep_short([tmp_path], largest=100)
    assert log.read_text() == ""
    assert "is not kept: [Errno 28]" in caplog.text


def test_what_comes_from_outside_cannot_write_a_line_of_its_own() -> None:
    record = logging.LogRecord("calls", logging.INFO, "", 0, "%s calls", ("Bob\n\u202eERROR",), None)
    assert OneLine("%(name)s %(message)s").format(record) == "calls Bob\\n\\u202eERROR calls"
