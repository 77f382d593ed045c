"""Logs that do not fill the disk, however much somebody outside gives reason to write."""

import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

LARGEST: Final = 20 * 2**20
"""Bytes from which on a log is begun anew."""

BEFORE: Final = ".1"
"""What the name of a log's predecessor ends in."""


def keep_short(directories: Iterable[Path], largest: int = LARGEST) -> None:
    """Begins anew each log that has grown to ``largest`` bytes; one predecessor of each is kept.

    Whoever writes a log goes on writing to the same file, as all do who opened it to append; a line written just then
    may be lost, and without room for the predecessor all of it is.
    """
    for path in (path for directory in directories for path in directory.glob("*")):
        with suppress(FileNotFoundError):
            if path.suffix != BEFORE and path.is_file() and path.stat().st_size >= largest:
                _begin_anew(path)


def _begin_anew(path: Path) -> None:
    before = path.with_name(path.name + BEFORE)
    try:
        shutil.copy(path, before)
    except OSError as error:
        log.error("%s is not kept: %s", before, error)
        before.unlink(missing_ok=True)
    with path.open("r+") as file:
        file.truncate()
    log.info("%s was begun anew", path)
