"""The Asterisk of this installation, configured from the database's trunks and phones."""

import asyncio
import logging
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import NoReturn

from db.errors import DatabaseError
from db.listen import hints
from db.models import ROUTING_CHANNEL
from vigie.addresses import database_url
from vigie.errors import VigieError
from vigie.secrets import Secrets, load_secrets
from vigie.settings import Settings
from vigie.stack.accounts import Accounts, current_accounts, remembered_accounts
from vigie.stack.asterisk import AsteriskServer, AsteriskTree
from vigie.stack.machine import check_port
from vigie.stack.music import make_music
from vigie.stack.process import Child
from vigie.stack.render import music_directory, render, required_modules

log = logging.getLogger(__name__)

DATABASE_SECONDS = 1.0
"""How long the start of an Asterisk that knows its trunks and phones waits for the database to say them again."""
LOOK_SECONDS = 60.0
"""How often at least it is looked whether all is as it should be: a password file changes without a word to us."""
GATHER_SECONDS = 0.2
"""How long changes are gathered after the first."""
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
RELOADED = (
    "res_pjsip.so",
    "res_pjsip_authenticator_digest.so",
    "res_pjsip_endpoint_identifier_ip.so",
    "res_pjsip_outbound_registration.so",
)


def make_asterisk(settings: Settings, secrets: Secrets, accounts: Accounts) -> AsteriskServer:
    """The installation's own Asterisk, not started. Raises ProgramMissing when there is none to run."""
    config = render(settings, secrets, accounts.trunks, accounts.phones)
    return AsteriskServer(
        AsteriskTree.find(), settings.state_dir / "asterisk", config, required_modules=required_modules(config)
    )


class OwnAsterisk:
    """The installation's Asterisk as a program to keep, configured anew at each start.

    When the database does not say whom it talks with, that is what it was told last.
    """

    name = "Asterisk"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: AsteriskServer | None = None
        self._is_behind = False
        """Whether it may not have read its configuration as that was written last."""
        self._faults: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        return self._settings.state_dir / "asterisk" / "log" / "messages"

    @property
    def server(self) -> AsteriskServer:
        """The server that runs, or ran last."""
        assert self._server is not None, "never started"
        return self._server

    async def start(self) -> Child:
        settings = self._settings
        try:
            await asyncio.to_thread(make_music, music_directory(settings))
        except OSError as error:  # such as a full disk
            log.error("Callers may have to wait without music: %s.", error)
        server = self._server = self._configured(await self._accounts())
        await server.predecessor_gone()
        check_port(SOCK_DGRAM, settings.sip_bind.host, settings.sip_bind.port, "VIGIE_SIP_BIND")
        check_port(SOCK_STREAM, "127.0.0.1", settings.ari_port, "VIGIE_ARI_PORT")
        child = await server.start()
        self._is_behind = False
        return child

    async def answers(self) -> bool:
        return await self.server.answers()

    async def follow(self, ready: asyncio.Event) -> NoReturn:
        """Has Asterisk, while it is ``ready``, know the trunks and phones as they should be, at each change of the rota
        and each minute; what fails is tried again soon."""
        retry, said = FIRST_RETRY_SECONDS, ""
        async with hints(database_url(self._settings), ROUTING_CHANNEL) as changes:
            while True:
                await ready.wait()
                try:
                    if await self.renew():
                        log.info("Asterisk has read the changed trunks and phones")
                    pause, retry, said = LOOK_SECONDS, FIRST_RETRY_SECONDS, ""
                except (VigieError, DatabaseError, OSError) as error:
                    if said != (said := str(error)):
                        log.error("Asterisk keeps its trunks and phones as they were, for now. %s", error)
                    pause, retry = retry, min(2 * retry, LONGEST_RETRY_SECONDS)
                await changes.within(pause, GATHER_SECONDS)

    async def renew(self) -> bool:
        """Has the running Asterisk know the trunks and phones of now; calls in progress are not touched.

        Whether anything was new to it. Raises VigieError, DatabaseError or OSError; then it may know a part of it.
        """
        asterisk = self._configured(await current_accounts(self._settings))
        was_behind, self._is_behind = self._is_behind, True  # until all is written and read
        is_new = asterisk.write_config() or was_behind
        if is_new:
            for module in RELOADED:
                await asterisk.reload(module)
        self._is_behind = False
        return is_new

    def _configured(self, accounts: Accounts) -> AsteriskServer:
        for fault in accounts.faults:
            if fault not in self._faults:
                log.error("%s", fault)
        self._faults = accounts.faults
        return make_asterisk(self._settings, load_secrets(self._settings), accounts)

    async def _accounts(self) -> Accounts:
        known = remembered_accounts(self._settings)
        try:
            async with asyncio.timeout(DATABASE_SECONDS if known else None):
                return await current_accounts(self._settings)
        except (DatabaseError, TimeoutError) as error:
            if known is None:
                raise
            log.error("Asterisk starts with the trunks and phones that it had last. %s", error)
            return known
