"""The FastAGI server: calls that Asterisk hands to it, each served by a thread of its own."""

import asyncio
import hmac
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO, Final, NoReturn, TextIO

from agi_scripts.channel import CallerChannel
from agi_scripts.errors import FallbackError, LinkLost
from db.errors import SnapshotError
from lasting import beside
from oncall.errors import OnCallError

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
MOST_CALLS: Final = 256
"""Calls at once, conversations included; the dialplan serves those beyond by its own means."""
BACKLOG: Final = 128
GREETING_SECONDS: Final = 5
"""How long Asterisk may take to say what call it is about; it says so in one breath."""


class AgiServer:
    """Serves, by ``serve``, the calls of an Asterisk on this machine that knows the ``password``."""

    def __init__(self, port: int, password: str, serve: Callable[[CallerChannel], None]) -> None:
        self._password = password
        self._serve = serve
        self._threads = threading.BoundedSemaphore(MOST_CALLS)
        self._listener = socket.create_server((HOST, port), backlog=BACKLOG)  # with SO_REUSEADDR
        self._listener.setblocking(False)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """While inside, calls are served; those in progress then go on, or are carried on by the dialplan."""
        try:
            async with beside("serving calls", self._accept):
                yield
        finally:
            self._listener.close()

    async def _accept(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            connection, (host, _) = await loop.sock_accept(self._listener)
            if host != HOST:
                log.warning("refused a connection from %s", host)
                connection.close()
            elif not self._threads.acquire(blocking=False):
                log.error("%d calls at once are too many: this one is left to the dialplan", MOST_CALLS)
                connection.close()
            else:
                threading.Thread(target=self._take, args=(connection,), name="call", daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(GREETING_SECONDS)
            with (
                suppress(OSError),  # what could not be said any more
                connection,
                connection.makefile("rb") as incoming,
                connection.makefile("w", encoding="utf-8") as outgoing,
            ):
                self._take_call(connection, incoming, outgoing)
        finally:
            self._threads.release()

    def _take_call(self, connection: socket.socket, incoming: BinaryIO, outgoing: TextIO) -> None:
        """Serves one connection; whatever goes wrong, the dialplan carries the call on."""
        try:
            caller = CallerChannel(incoming, outgoing)
            connection.settimeout(None)
            if not hmac.compare_digest(caller.password.encode(), self._password.encode()):
                log.warning(
                    "refused a call that does not say the right password: does Asterisk's configuration lag behind?"
                )
                return
            self._serve(caller)
        except LinkLost as error:
            log.warning("lost the call: %s", error)
        except (FallbackError, SnapshotError, OnCallError) as error:
            log.error("the dialplan carries the call on: %s", error)
        except Exception:
            log.exception("the dialplan carries the call on")
