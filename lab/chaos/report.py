"""What a chaos run came to, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from lab.chaos.books import Books
from lab.chaos.plan import Plan
from lab.chaos.reconciliation import Disagreement
from lab.chaos.run import Verdict
from lab.chaos.town import KINDS
from oncall.outcomes import EventKind, Outcome

SHOWN = 10
"""So many of the calls about which the books disagree are told in full."""


def show(plan: Plan, verdict: Verdict) -> None:
    """Prints how the calls ended, what befell, and, of each disagreement, what every book says."""
    console = Console(highlight=False, width=140, markup=False)
    console.print(_outcomes(plan, verdict.books))
    for name, value in _figures(verdict).items():
        console.print(f"{value:6}  {name}")
    concerned = list(dict.fromkeys(found.caller for found in verdict.disagreements if found.caller))
    for caller in concerned[:SHOWN]:
        console.rule(caller)
        for line in timeline(verdict.books, caller):
            console.print(line)
    for found in verdict.disagreements:
        console.print(f"! {found.caller or '-'}: {found.what}")
    console.print("The books agree." if not verdict.disagreements else f"The books do not agree (seed {plan.seed}).")


def as_json(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """The same, as JSON can hold it."""
    books = verdict.books
    return {
        "seed": plan.seed,
        "seconds": plan.seconds,
        "figures": _figures(verdict),
        "struck": [{"what": b.name, "whom": b.whom, "seconds": round(b.until - b.since, 2)} for b in books.struck],
        "disagreements": [
            {"caller": found.caller, "what": found.what, "timeline": list(timeline(books, found.caller))}
            for found in verdict.disagreements
        ],
    }


def timeline(books: Books, caller: str | None) -> Iterator[str]:
    """Everything that any book says of a caller, and what befell meanwhile, in order."""
    said: list[tuple[float, str]] = []
    placed = {call.caller: call for call in books.placed}.get(caller or "")
    seen = books.seen.get(caller or "")
    said += ((at, f"SIPp      {what}") for what, at in (seen.at.items() if seen else ()))
    said += ((event.at, f"phone     {event.what} {event.number}") for event in books.phones if event.caller == caller)
    about = set()
    for trace in books.traces:
        if trace.call.caller == caller:
            about.add(str(trace.call.id))
            said += (
                (e.at.timestamp(), f"journal   {e.seq} {e.kind} {e.who or ''} {e.reason or ''}") for e in trace.events
            )
            if trace.call.ended_at:
                said.append((trace.call.ended_at.timestamp(), f"journal   call {trace.call.id}: {trace.outcome}"))
    said += ((m.at, f"mail      to {m.recipient}, {m.sound_seconds:.1f} s") for m in books.mails if m.about in about)
    if not said:
        return
    first, last = min(said)[0] - 5, max(said)[0]
    for blow in books.struck:
        if first < blow.until and blow.since < last:
            said.append((blow.since, f"STRUCK    {blow.name} {blow.whom}, over after {blow.until - blow.since:.1f} s"))
    if placed:
        yield f"{placed.kind.name}, to {placed.number}. {seen.complaint if seen else 'SIPp knows nothing of it.'}"
    for at, what in sorted(said):
        yield f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3] + f"  {what}"


def _outcomes(plan: Plan, books: Books) -> Table:
    kinds = {call.caller: call.kind.name for call in books.placed}
    counts = Counter((kinds.get(trace.call.caller or ""), trace.outcome) for trace in books.traces)
    columns = [outcome for outcome in Outcome if any(counts[kind.name, outcome] for kind in KINDS)]
    table = Table(title=f"{plan.seconds:.0f} s, seed {plan.seed}: how the calls ended", box=box.SIMPLE)
    table.add_column("")
    for heading in ("placed", *columns):
        table.add_column(str(heading), justify="right")
    for kind in KINDS:
        placed = sum(call.kind is kind for call in books.placed)
        table.add_row(kind.name, str(placed), *(str(counts[kind.name, outcome] or "") for outcome in columns))
    return table


def _figures(verdict: Verdict) -> dict[str, int]:
    books = verdict.books
    return {
        "calls placed": len(books.placed),
        "calls in the journal": len(books.traces),
        "mails received": len(books.mails),
        "blows struck": len(books.struck),
        "times that a call changed hands": sum(trace.kinds.count(EventKind.ADOPTED) for trace in books.traces),
        "callers dropped": _dropped(verdict.disagreements),
        "disagreements": len(verdict.disagreements),
    }


def _dropped(disagreements: list[Disagreement]) -> int:
    """How many callers did not get what they called for."""
    dropped = ("the caller was dropped", "the caller was not answered", "the caller waited in vain")
    return len({found.caller for found in disagreements if found.what.startswith(dropped)})
