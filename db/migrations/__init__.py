"""The history of the schema, as Alembic migrations, and bringing a database up to its end."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from db.errors import explained
from db.url import parse_url


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the database at ``url`` to the latest revision, or to another one; does nothing when it is there.

    Several processes may do so at once: one does, the others wait for it. Raises DatabaseError.
    """
    engine = create_engine(parse_url(url), poolclass=NullPool)
    with explained(engine), engine.connect() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(connection: Connection) -> None:
    """Removes all tables, with all they hold."""
    command.downgrade(_config(connection), "base")


def latest() -> str:
    """The revision that this version of Vigie works with."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def current(connection: Connection) -> str | None:
    """The revision of the database behind ``connection``; None when it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def is_older(revision: str) -> bool:
    """Whether ``revision`` is one of ours, before the latest."""
    return any(script.revision == revision for script in _scripts().walk_revisions()) and revision != latest()


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
