"""``vigie site``: the site file, checked, imported and exported."""

import asyncio
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from vigie.commands.database import opened
from vigie.commands.printing import AsJson, duration, print_json
from vigie.errors import FileRefused
from vigie.settings import Settings, read_settings
from vigie.site.check import read_site
from vigie.site.errors import BadSite, Problem
from vigie.site.exporter import export_site
from vigie.site.importer import Change, import_site
from vigie.site.schema import Site
from vigie.site.store import load_site
from vigie.site.waits import longest_waits

app = typer.Typer(help="The site file: people, trunks, schedules, policies and lines.", no_args_is_help=True)

SiteFile = Annotated[Path, typer.Argument(help="The site file (YAML).", dir_okay=False)]


@app.command("check")
def check_file(file: SiteFile, as_json: AsJson = False) -> None:
    """Say what is wrong with a site file, line by line, or how long a caller may wait at worst."""
    try:
        site = _read(file, read_settings())
    except BadSite as error:
        _refuse(file, error.problems, as_json)
    if as_json:
        print_json({"problems": [], "longest_waits": longest_waits(site)})
        return
    typer.echo(f"{file}: no mistake.")
    _print_waits(site)


@app.command("import")
def import_file(
    file: SiteFile,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what the file does not have.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a site file whole, then bring the database to what it says; the second time nothing changes."""
    settings = read_settings()
    try:
        site = _read(file, settings)
        changes = asyncio.run(_import(settings, site, prune))
    except BadSite as error:
        _refuse(file, error.problems, as_json)
    if as_json:
        print_json({"changes": changes, "longest_waits": longest_waits(site)})
        return
    typer.echo("\n".join(map(str, changes)) or "Nothing to change.")
    _print_waits(site)


@app.command("export")
def export_file(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; else it is printed.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Write the site as it is in the database; importing that changes nothing."""
    site = asyncio.run(_export(read_settings()))
    if as_json:
        print_json(site.model_dump(mode="json", by_alias=True))
    elif file is None:
        typer.echo(export_site(site), nl=False)
    else:
        file.write_text(export_site(site), encoding="utf-8")


async def _import(settings: Settings, site: Site, prune: bool) -> list[Change]:
    async with opened(settings) as engine:
        return await import_site(engine, site, prune=prune)


async def _export(settings: Settings) -> Site:
    async with opened(settings) as engine, engine.connect() as connection:
        return await load_site(connection, settings.zone)


def _read(file: Path, settings: Settings) -> Site:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileRefused(file, "read", error) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadSite([Problem(line, "", "this is not UTF-8 text")]) from error
    return read_site(text, settings.region)


def _refuse(file: Path, problems: tuple[Problem, ...], as_json: bool) -> NoReturn:
    """Prints the mistakes, and ends the command as failed."""
    if as_json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            place = f"{file}:{problem.line}" if problem.line else str(file)
            path = f" {problem.path}:" if problem.path else ""
            typer.echo(f"{place}:{path} {problem.reason}", err=True)
    raise typer.Exit(1)


def _print_waits(site: Site) -> None:
    for line, seconds in longest_waits(site).items():
        typer.echo(f"Line {line}: the caller is led to voicemail after {duration(seconds)} min at worst.")
