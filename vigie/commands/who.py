"""``vigie who``: who rings for a line at an instant, and why."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from db.routing import load_routing
from oncall.errors import UnknownLine
from oncall.plan import ContactMethod, Plan, RingOrder
from oncall.policy import longest_wait
from oncall.routing import RoutingInputs, build_table
from vigie.commands.database import opened
from vigie.commands.printing import AsJson, duration, local, print_json, print_table
from vigie.errors import VigieError
from vigie.settings import Settings, read_settings
from vigie.site.rules import instant

INSTANT = timedelta(seconds=1)


def who(
    line: Annotated[str, typer.Argument(help="The line's short name, such as support.")],
    at: Annotated[str | None, typer.Option(help="When, such as 2026-12-25T03:00; now unless said otherwise.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who would ring for a call to a line, in what order and why."""
    settings = read_settings()
    moment = datetime.now(UTC) if at is None else _instant(at, settings)
    plan = _plan(asyncio.run(_load(settings, moment)), line, moment)
    if as_json:
        print_json({"plan": plan, "longest_wait": longest_wait(plan)})
        return
    typer.echo(f"{plan.line.name}, {local(moment, settings.zone_info)} ({settings.zone})")
    print_table(("Step", "Rings", "By", "Why"), _rows(plan))
    rounds = f", {plan.rounds} rounds" if plan.rounds > 1 else ""
    typer.echo(f"Then voicemail{rounds}, after {duration(longest_wait(plan))} min at worst.")


async def _load(settings: Settings, at: datetime) -> RoutingInputs:
    async with opened(settings) as engine:
        return await load_routing(engine, at, at + INSTANT)


def _instant(text: str, settings: Settings) -> datetime:
    try:
        return instant(text, settings.zone)
    except ValueError as error:
        raise VigieError(f"--at: {error}.", "Write it like 2026-12-25T03:00, or with an offset.") from error


def _plan(inputs: RoutingInputs, line: str, at: datetime) -> Plan:
    try:
        return build_table(inputs, at, at + INSTANT).who(line, at)
    except UnknownLine:
        known = ", ".join(sorted(routed.line.slug for routed in inputs.lines)) or "none; see `vigie site import`"
        raise VigieError(f"No line is called {line}.", f"The lines are: {known}.") from None


def _rows(plan: Plan) -> Iterator[tuple[object, ...]]:
    for step in plan.steps:
        together = step.order is RingOrder.TOGETHER and len(step.candidates) > 1
        for candidate in step.candidates:
            phones = ", ".join(map(_phone, candidate.person.phones))
            yield f"{step.position}{' (together)' if together else ''}", candidate.person.name, phones, candidate.reason
        for nobody in step.nobody:
            yield step.position, "nobody", "", nobody


def _phone(method: ContactMethod) -> str:
    return f"{method.kind} {method.address} ({method.ring_seconds} s)"
