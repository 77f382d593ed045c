"""``vigie outbox``: the mails, what became of each, and those that were refused sent again."""

import asyncio
from typing import Annotated

import typer

from db.models import OutboxState
from db.queries import MailSummary, find_mails, recent_mails
from notify.outbox import Outbox
from vigie.commands.database import opened
from vigie.commands.printing import AsJson, local, print_json, print_table
from vigie.errors import VigieError
from vigie.settings import Settings, read_settings


def outbox(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that were refused for good.")] = False,
    retry: Annotated[str | None, typer.Option(help="The beginning of a mail's id: send it again now.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Send all that were refused again.")] = False,
    most: Annotated[int, typer.Option("--last", min=1, help="How many mails to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the mails, the latest first, with what became of each; have those that were refused sent again."""
    settings = read_settings()
    if retry is not None or retry_failed:
        count = asyncio.run(_again(settings, None if retry is None else retry.lower()))
        if as_json:
            print_json({"due_again": count})
        else:
            typer.echo(f"{count} mail{'' if count == 1 else 's'} will be sent again.")
        return
    found = asyncio.run(_recent(settings, most, failed))
    if as_json:
        print_json(found)
    else:
        _print_list(found, settings)


async def _recent(settings: Settings, most: int, failed: bool) -> list[MailSummary]:
    async with opened(settings) as engine:
        return await recent_mails(engine, most, OutboxState.FAILED if failed else None)


async def _again(settings: Settings, beginning: str | None) -> int:
    """How many mails are due again: the one whose id begins so, or all that failed."""
    async with opened(settings) as engine:
        if beginning is None:
            return await Outbox(engine).retry_failed()
        found = await find_mails(engine, beginning)
        if len(found) != 1:
            which = "No mail" if not found else "More than one mail"
            raise VigieError(f"{which} has an id that begins with {beginning}.", "`vigie outbox` lists them.")
        if not await Outbox(engine).retry(found[0].id):
            raise VigieError(
                f"Mail {found[0].id} to {found[0].recipient} is {found[0].state}.",
                "Only those that wait or have failed can be sent again.",
            )
        return 1


def _print_list(found: list[MailSummary], settings: Settings) -> None:
    zone = settings.zone_info
    rows = (
        (
            str(mail.id)[:8],
            local(mail.created_at, zone),
            mail.recipient,
            mail.about.replace("_", " "),
            str(mail.call_id)[:8],
            mail.state,
            mail.attempts,
            local(mail.due_at, zone) if mail.state == OutboxState.PENDING else "",
            mail.last_error,
        )
        for mail in found
    )
    print_table(("Id", "Written", "To", "About", "Call", "State", "Attempts", "Next", "What the server said"), rows)
