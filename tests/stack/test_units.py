"""The systemd units: what systemd itself says of them, and that they leave each program the time that it may take."""

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from scheduler.run import GRACE_SECONDS
from vigie.settings import Settings
from vigie.stack.stack import LEAVING_SECONDS

UNITS = Path(__file__).parents[2] / "systemd"
NEWER = ("RestartSteps", "RestartMaxDelaySec")
"""Which systemd knows since version 254."""
DRAINED = Settings().drain_seconds + LEAVING_SECONDS


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units as they are placed in /etc/systemd/system, with a program that is there."""
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    for unit in tmp_path.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/vigie/venv/bin/vigie", sys.executable))
    return tmp_path


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.iterdir() if path.is_file()))
def test_systemd_has_nothing_to_say_against_a_unit(placed: Path, unit: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: install Debian's systemd")
    instance = unit.replace("@.", "@w1.")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", placed / instance],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{placed}:"},
        capture_output=True,
        text=True,
    )
    complaints = [
        line
        for line in verified.stderr.splitlines()
        if str(placed) in line and not any(f"Unknown key '{key}'" in line for key in NEWER)
    ]
    assert verified.returncode == 0, verified.stderr
    assert not complaints


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [
        ("vigie-up.service", DRAINED + GRACE_SECONDS + 20),
        ("vigie-ari@.service", DRAINED),
        ("vigie-scheduler.service", GRACE_SECONDS),
    ],
)
def test_a_unit_leaves_its_program_the_time_to_stop(unit: str, seconds: float) -> None:
    parser = ConfigParser(interpolation=None)
    parser.read(UNITS / unit)
    assert float(parser["Service"]["TimeoutStopSec"]) > seconds


def test_every_service_shares_what_keeps_it_alive_and_in_its_place() -> None:
    common = (UNITS / "vigie-.service.d" / "common.conf").read_text()
    assert re.search(r"^Type=notify$.*^Restart=always$.*^WatchdogSec=\d+$", common, re.DOTALL | re.MULTILINE)
    assert {"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "User=vigie"} <= set(
        common.splitlines()
    )
    assert all(path.name.startswith("vigie-") for path in UNITS.glob("*.service"))
