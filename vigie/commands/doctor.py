"""``vigie doctor``: what is wrong with this installation, and how to mend it."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from vigie.checks import Finding, Verdict, examine
from vigie.settings import read_settings

MARKS = {Verdict.GOOD: "[green]✓[/]", Verdict.DOUBTFUL: "[yellow]![/]", Verdict.BAD: "[red]✗[/]"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check everything that must be right for a call to be answered; fails when something is not."""
    findings = asyncio.run(examine(read_settings()))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        _show(findings)
    raise typer.Exit(int(any(finding.verdict is Verdict.BAD for finding in findings)))


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(MARKS[finding.verdict], f"[bold]{finding.subject:<16}[/]", end=" ")
        console.print(finding.detail, markup=False)
        if finding.remedy:
            console.print(" " * 18, finding.remedy, markup=False)
