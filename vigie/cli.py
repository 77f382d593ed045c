"""The command line: ``vigie COMMAND``."""

import os
import pwd
import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from db.errors import DatabaseError
from oncall.errors import OnCallError
from vigie.errors import SettingsError, VigieError
from vigie.settings import setting_names

USER = "vigie"
COMMANDS = (
    *("up", "restart", "ari", "agi", "scheduler", "db"),
    *("site", "who", "calls", "voicemails", "outbox", "phone", "doctor"),
)
"""Each is a module of :mod:`vigie.commands` with an ``app``, or else a function of its own name."""


def main() -> None:
    """Runs the command that was asked for; what is wrong is said in a sentence, without a traceback."""
    try:
        give_up_root()
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        command_line([command] if command in COMMANDS else COMMANDS)()
    except (VigieError, DatabaseError, OnCallError) as error:
        sys.stderr.write(f"vigie: {error}\n")
        sys.exit(1)


def command_line(commands: Iterable[str]) -> typer.Typer:
    """The application with these commands alone: a worker that starts need not load what the others use."""
    application = typer.Typer(
        name="vigie",
        help="Self-hosted on-call telephone system.",
        epilog=f"Settings, from the environment: {', '.join(setting_names())}.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    application.callback()(lambda: None)  # without it, a lone command would not be asked for by its name
    for name in commands:
        module = import_module(f"vigie.commands.{name}")
        if isinstance(sub := getattr(module, "app", None), typer.Typer):
            application.add_typer(sub, name=name)
        else:
            application.command(name)(getattr(module, name))
    return application


def give_up_root() -> None:
    """From root we become the system user for good: PostgreSQL refuses root, and nothing here needs it."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        raise SettingsError(f"There is no user {USER} on this machine.", "Run ./install.sh.") from None
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
