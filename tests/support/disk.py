"""A disk of a given size, for a program that is to fill it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_on_a_disk_of(size: str, directory: Path, program: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """What a Python program printed, for which ``directory``, its first argument, is a file system of ``size``.

    A real one, in a mount namespace where an ordinary user may mount one; the test is skipped where they may not.
    """
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine gives ordinary users no mount namespace of their own")
    mount = (
        f"mount -t tmpfs -o size={size} disk {directory} && "
        f'exec unshare --map-user={os.getuid()} --map-group={os.getgid()} "$@"'
    )
    command = [sys.executable, "-c", program, *map(str, (directory, *arguments))]
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
