"""One connection to PostgreSQL that never waits for ever, however the server has died."""

import asyncio
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen

CONNECT_SECONDS: Final = 5
COMMAND_SECONDS: Final = 15
"""The longest that a command may take before the server counts as gone."""

_SERVER_SETTINGS: Final = {
    "timezone": "UTC",
    # The server gives up before we do: what we no longer wait for must not go on waiting there, for a lock or for us.
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
}
ARGUMENTS: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "vigie",
    # A server whose machine has vanished says nothing: notice it well before the kernel does.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items()),
}

T = TypeVar("T")


class Connection(psycopg.AsyncConnection[Any]):
    """A connection that is closed at once when the server falls silent or the waiting task is cancelled.

    psycopg itself would first ask the server to cancel the command, which a frozen server does not answer either.
    """

    @classmethod
    async def open(cls, url: str, **arguments: Any) -> Self:
        """A connection to the libpq address ``url``, in autocommit mode. Raises psycopg.OperationalError."""
        return await cls.connect(url, autocommit=True, **ARGUMENTS | arguments)

    async def wait(self, gen: PQGen[T], interval: float = COMMAND_SECONDS, timeout: float | None = None) -> T:
        try:
            async with asyncio.timeout(COMMAND_SECONDS if timeout is None else None):
                return await waiting.wait_async(gen, self.pgconn.socket, interval, timeout)
        except TimeoutError as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server has not answered for {COMMAND_SECONDS} s") from error
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise
