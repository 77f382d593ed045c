"""``vigie phone USER``: what to type into a softphone."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vigie.secrets import load_secrets
from vigie.settings import read_settings


def phone(
    user: Annotated[str, typer.Argument(help="The SIP user name of a contact method, such as alice.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the account to enter in a softphone or desk phone."""
    settings = read_settings()
    account = {
        "user": user,
        "password": load_secrets(settings).sip_password(user),
        "server": str(settings.sip_public_address or settings.sip_bind.host),
        "port": settings.sip_bind.port,
        "transport": "UDP",
        "codecs": "G.711 A-law, G.711 mu-law, G.722",
        "dtmf": "RFC 4733",
    }
    if as_json:
        typer.echo(json.dumps(account))
        return
    table = Table(show_header=False, box=None)
    for name, value in account.items():
        table.add_row(name, str(value))
    Console().print(table)
