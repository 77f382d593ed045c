"""``vigie voicemails``: the messages that callers left."""

import asyncio
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from db.queries import MessageSummary, message_audio, recent_messages
from vigie.commands.database import opened
from vigie.commands.printing import AsJson, duration, local, print_json, print_table
from vigie.errors import FileRefused
from vigie.settings import Settings, read_settings


def voicemails(
    save: Annotated[Path | None, typer.Option(help="A directory to write their sound to.", file_okay=False)] = None,
    most: Annotated[int, typer.Option("--last", min=1, help="How many messages to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the messages that callers left, and write their sound to files if asked to."""
    settings = read_settings()
    found = asyncio.run(_read(settings, most, save))
    if as_json:
        print_json(found)
        return
    rows = (
        (
            str(message.call_id)[:8],
            local(message.recorded_at, settings.zone_info),
            message.line,
            message.caller or "withheld",
            duration(message.seconds),
            "silent" if message.silent else "",
            f"{message.sent} of {message.mails}",
        )
        for message in found
    )
    print_table(("Call", "Time", "Line", "Caller", "Length", "", "Mails sent"), rows)


async def _read(settings: Settings, most: int, save: Path | None) -> list[MessageSummary]:
    async with opened(settings) as engine:
        found = await recent_messages(engine, most)
        if save is not None:
            for message in found:
                _write(save / _file_name(message, settings.zone_info), await message_audio(engine, message.id))
        return found


def _file_name(message: MessageSummary, zone: ZoneInfo) -> str:
    """``2026-11-23_03-12-40_+33612345678_1a2b3c4d.wav``, safe whatever the caller calls himself."""
    caller = "".join(sign for sign in message.caller or "withheld" if sign.isalnum() or sign == "+")
    return f"{message.recorded_at.astimezone(zone):%Y-%m-%d_%H-%M-%S}_{caller}_{str(message.call_id)[:8]}.wav"


def _write(path: Path, audio: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(audio)
    except OSError as error:
        raise FileRefused(path, "written", error) from error
