"""``vigie calls``: the recent calls, and the story of each."""

import asyncio
from typing import Annotated

import typer

from db.queries import CallSummary, Moment, call_timeline, find_calls, recent_calls
from oncall.outcomes import Route
from vigie.commands.database import opened
from vigie.commands.printing import AsJson, duration, local, print_json, print_table
from vigie.errors import VigieError
from vigie.settings import Settings, read_settings


def calls(
    call: Annotated[str | None, typer.Option("--id", help="The beginning of a call's id: show its timeline.")] = None,
    most: Annotated[int, typer.Option("--last", min=1, help="How many calls to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the recent calls, or tell the story of one second by second."""
    settings = read_settings()
    if call is None:
        _print_list(asyncio.run(_recent(settings, most)), settings, as_json)
    else:
        _print_story(*asyncio.run(_story(settings, call.lower())), settings, as_json)


async def _recent(settings: Settings, most: int) -> list[CallSummary]:
    async with opened(settings) as engine:
        return await recent_calls(engine, most)


async def _story(settings: Settings, beginning: str) -> tuple[CallSummary, list[Moment]]:
    async with opened(settings) as engine:
        found = await find_calls(engine, beginning)
        if len(found) != 1:
            which = "No call" if not found else "More than one call"
            raise VigieError(f"{which} has an id that begins with {beginning}.", "`vigie calls` lists them.")
        return found[0], await call_timeline(engine, found[0].id)


def _print_list(found: list[CallSummary], settings: Settings, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = (
        (
            str(call.id)[:8],
            local(call.started_at, settings.zone_info),
            call.line or call.did,
            call.caller or "withheld",
            call.outcome or "in progress",
            call.answered_by,
            duration(call.seconds),
            "" if call.route == Route.WORKER else call.route,
        )
        for call in found
    )
    print_table(("Id", "Time", "Line", "Caller", "Outcome", "Answered by", "Length", "Fallback"), rows)


def _print_story(call: CallSummary, story: list[Moment], settings: Settings, as_json: bool) -> None:
    if as_json:
        print_json({"call": call, "timeline": story})
        return
    typer.echo(
        f"{call.caller or 'withheld'} to {call.line or call.did}, {local(call.started_at, settings.zone_info)}: "
        f"{call.outcome or 'in progress'}" + ("" if call.route == Route.WORKER else f" (by the fallback: {call.route})")
    )
    rows = (
        (f"{moment.seconds:.3f}", moment.who, moment.what.replace("_", " "), moment.why, moment.sip, moment.q850)
        for moment in story
    )
    print_table(("Second", "Who", "What", "Why", "SIP", "Q.850"), rows)
