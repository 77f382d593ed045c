"""What `vigie doctor` looks at in the fallback: whether the number would be answered without any worker."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

from agi_scripts.console import Console
from agi_scripts.errors import ConsoleFailed
from agi_scripts.known import LINES, PEOPLE
from agi_scripts.upkeep import BEAT
from db.errors import SnapshotError
from db.snapshot import SnapshotStore
from vigie.errors import Doubt, StackError
from vigie.secrets import load_secrets
from vigie.settings import Settings

ANSWER_SECONDS = 5
OLD_SNAPSHOT_SECONDS = 180
OLD_BEAT_SECONDS = 3
SNAPSHOT_REACH = timedelta(days=7)


async def snapshot(settings: Settings) -> str:
    """How old the routing table on disk is, how far it reaches, and whether it is the newest that there should be."""
    store = SnapshotStore(settings.state_dir / "routing", load_secrets(settings).snapshot_key)
    try:
        found = await asyncio.to_thread(store.read)
    except SnapshotError as error:
        raise StackError(f"{error}", "Until then the fallback rings the last known numbers.") from error
    now = datetime.now(UTC)
    age, reach = (now - found.written_at).total_seconds(), found.table.until - now
    detail = f"{age:.0f} s old, reaches {reach / timedelta(days=1):.1f} days ahead"
    if found.refused is not None:
        raise Doubt(f"{found.refused} The previous one is used ({detail}).")
    if age > OLD_SNAPSHOT_SECONDS:
        raise Doubt(f"It is {detail}.", "A worker writes it each minute: see the workers' logs, and `database` above.")
    if reach < SNAPSHOT_REACH:
        raise Doubt(f"It is {detail}; {SNAPSHOT_REACH.days} days are due.", "See the workers' logs.")
    return detail


async def fallback(settings: Settings) -> str:
    where = f"127.0.0.1:{settings.agi_port}"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection("127.0.0.1", settings.agi_port)
            writer.close()
        shown = await _console(settings).run("dialplan", "show", "globals")
    except (OSError, TimeoutError, ConsoleFailed) as error:
        raise StackError(
            f"The fallback does not answer on {where}: {error or 'silence'}. Without workers the last known numbers "
            "are rung.",
            f"See {settings.state_dir / 'log' / 'agi.log'}.",
        ) from error
    beat = re.search(rf"{BEAT}=(\d+)", shown)
    if beat is None or time.time() - int(beat[1]) > OLD_BEAT_SECONDS:
        raise StackError(
            "The fallback gives no sign of life. Without workers the last known numbers are rung.",
            f"See {settings.state_dir / 'log' / 'agi.log'}, and `snapshot` above.",
        )
    return where


async def known_numbers(settings: Settings) -> str:
    """How many numbers Asterisk itself knows, for when nothing else is left."""
    try:
        lines, people = [await _console(settings).entries(family) for family in (LINES, PEOPLE)]
    except ConsoleFailed as error:
        raise StackError(f"{error}", "See Asterisk's log.") from error
    if not lines:
        raise Doubt(
            "Asterisk knows none: with neither workers nor fallback, callers hear an apology.", "See `fallback`."
        )
    without = len(lines.keys() - {key.partition("/")[0] for key in people})
    if without:
        raise Doubt(f"{without} of {len(lines)} lines have nobody to ring just now.", "`vigie who LINE` says why.")
    return f"{len(people)} for {len(lines)} lines"


def _console(settings: Settings) -> Console:
    return Console(settings.state_dir / "asterisk" / "run" / "asterisk.ctl")
