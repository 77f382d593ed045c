"""Asterisk's console, over its control socket: short commands, and its own database (AstDB)."""

import asyncio
import re
from pathlib import Path
from typing import Final

from agi_scripts.errors import ConsoleFailed

LONGEST: Final = 480
"""Bytes of a command; Asterisk takes 512 with what goes before."""
PATIENCE: Final = 5.0
"""Seconds for an answer: a frozen Asterisk never gives one."""
_WORD: Final = re.compile(r"[^\s\"\\\x00-\x1f]([^\"\\\x00-\x1f]*[^\s\"\\\x00-\x1f])?")


class Console:
    """Runs commands in the Asterisk behind ``control``, a socket for our user alone. All raise ConsoleFailed."""

    def __init__(self, control: Path) -> None:
        self._control = control

    async def run(self, *words: str) -> str:
        """What Asterisk answers to a command."""
        if wrong := [word for word in words if not _WORD.fullmatch(word)]:
            raise ConsoleFailed(f"Asterisk's console cannot be told {wrong[0]!r}.")
        command = " ".join(f'"{word}"' for word in words).encode()
        if len(command) > LONGEST:
            raise ConsoleFailed(f"Asterisk's console takes no command of {len(command)} bytes.")
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._converse(command)
        except (OSError, TimeoutError) as error:
            raise ConsoleFailed(f"Asterisk's console does not answer: {error or 'silence'}.") from error

    async def _converse(self, command: bytes) -> str:
        reader, writer = await asyncio.open_unix_connection(self._control)
        try:
            await reader.readline()  # who it is
            writer.write(b"cli quit after " + command + b"\0")
            await writer.drain()
            return (await reader.read()).decode(errors="replace")
        finally:
            writer.close()

    async def set_global(self, name: str, value: str) -> None:
        await self.run("dialplan", "set", "global", name, value)

    async def channels(self) -> set[str]:
        """The ids of all channels."""
        lines = (await self.run("core", "show", "channels", "concise")).splitlines()
        return {line.rpartition("!")[2].strip() for line in lines if "!" in line}

    async def entries(self, family: str) -> dict[str, str]:
        """The keys of a family of AstDB with their values."""
        found: dict[str, str] = {}
        for line in (await self.run("database", "show", family)).splitlines():
            key, colon, value = line.partition(":")
            if colon and key.startswith(f"/{family}/"):
                found[key.removeprefix(f"/{family}/").strip()] = value.strip()
        return found

    async def put(self, family: str, key: str, value: str) -> None:
        if "success" not in (answer := await self.run("database", "put", family, key, value)):
            raise ConsoleFailed(f"AstDB did not take {family}/{key}: {answer.strip()}")

    async def delete(self, family: str, key: str) -> None:
        """Removes an entry; nothing when it is not there."""
        await self.run("database", "del", family, key)
