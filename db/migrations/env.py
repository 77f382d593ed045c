"""Run by Alembic for each command: one transaction, on the connection it is given."""

from alembic import context
from sqlalchemy import text

from db.models import Base

# Any constant will do, as long as nobody else takes it: the letters "vigi".
UPGRADE_LOCK = 0x76696769

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
with context.begin_transaction():
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
    context.run_migrations()
