"""The Asterisk of this installation, configured from the database's trunks and phones."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM

import msgspec
from sqlalchemy import select

from db.engine import make_engine
from db.errors import DatabaseError, explained
from db.listen import listen
from db.models import ContactMethod, Trunk
from oncall.plan import ContactKind
from vigie.addresses import database_url
from vigie.errors import StackError, VigieError
from vigie.secrets import Secrets, load_secrets
from vigie.settings import Settings
from vigie.stack.asterisk import AsteriskServer, AsteriskTree
from vigie.stack.machine import check_port
from vigie.stack.music import make_music
from vigie.stack.process import Child
from vigie.stack.render import TrunkAccount, music_directory, render, required_modules

log = logging.getLogger(__name__)

DATABASE_SECONDS = 1.0
"""How long the start of an Asterisk that knows its trunks and phones waits for the database to say them again."""
RELOADED = (
    "res_pjsip.so",
    "res_pjsip_authenticator_digest.so",
    "res_pjsip_endpoint_identifier_ip.so",
    "res_pjsip_outbound_registration.so",
)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Whom Asterisk talks SIP with. ``phones`` are SIP user names."""

    trunks: tuple[TrunkAccount, ...]
    phones: tuple[str, ...]


async def read_accounts(url: str) -> Accounts:
    """The trunks and phones of the database. Raises DatabaseError, or StackError for an unreadable password file."""
    engine = make_engine(url)
    try:
        with explained(engine):
            async with engine.connect() as connection:
                trunks = await connection.execute(select(Trunk.__table__).order_by(Trunk.position))
                phones = await connection.execute(
                    select(ContactMethod.address).where(ContactMethod.kind == ContactKind.SIP).distinct()
                )
                return Accounts(
                    tuple(
                        TrunkAccount(row.slug, row.host, row.port, row.username, _password(row.slug, row.password_file))
                        for row in trunks
                    ),
                    tuple(sorted(phones.scalars())),
                )
    finally:
        await engine.dispose()


def _password(trunk: str, file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(
            f"The password file of trunk {trunk}, {file}, cannot be read: {error}.",
            "The user who runs Vigie must be able to read it; it holds the password and nothing else.",
        ) from error


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
        await asyncio.to_thread(make_music, music_directory(settings))
        server = self._server = make_asterisk(settings, load_secrets(settings), await self._accounts())
        await server.predecessor_gone()
        check_port(SOCK_DGRAM, settings.sip_bind.host, settings.sip_bind.port, "VIGIE_SIP_BIND")
        check_port(SOCK_STREAM, "127.0.0.1", settings.ari_port, "VIGIE_ARI_PORT")
        return await server.start()

    async def answers(self) -> bool:
        return await self.server.answers()

    async def _accounts(self) -> Accounts:
        known = remembered_accounts(self._settings)
        try:
            async with asyncio.timeout(DATABASE_SECONDS if known else None):
                return await current_accounts(self._settings)
        except (DatabaseError, StackError, TimeoutError) as error:
            if known is None:
                raise
            log.error("Asterisk starts with the trunks and phones that it had last. %s", error)
            return known


async def current_accounts(settings: Settings) -> Accounts:
    """The trunks and phones of the database, remembered for a time without it. Raises as :func:`read_accounts`."""
    accounts = await read_accounts(database_url(settings))
    path = _memory(settings)
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(accounts))
        draft.replace(path)
    except OSError as error:  # a full disk is no reason to do without Asterisk
        log.error("Trunks and phones cannot be remembered in %s: %s.", path, error.strerror)
    return accounts


def remembered_accounts(settings: Settings) -> Accounts | None:
    """The trunks and phones as they were last read from the database, if they ever were."""
    try:
        return msgspec.json.decode(_memory(settings).read_bytes(), type=Accounts)
    except (OSError, msgspec.MsgspecError):
        return None


def _memory(settings: Settings) -> Path:
    return settings.state_dir / "asterisk" / "accounts.json"


async def reload_telephony(settings: Settings) -> bool:
    """Makes our running Asterisk know the database's trunks and phones; calls in progress are not touched.

    Whether anything was new to it.
    """
    asterisk = make_asterisk(settings, load_secrets(settings), await current_accounts(settings))
    if not asterisk.is_running() or not asterisk.write_config():
        return False
    for module in RELOADED:
        await asterisk.command(f"module reload {module}")
    return True


async def follow_accounts(settings: Settings, ready: asyncio.Event) -> None:
    """Reloads our Asterisk, while it is ``ready``, whenever its trunks or phones change. Never ends by itself."""
    async for _ in listen(database_url(settings), "vigie_routing"):
        await ready.wait()
        try:
            if await reload_telephony(settings):
                log.info("Asterisk has read the changed trunks and phones")
        except (VigieError, DatabaseError, OSError, TimeoutError) as error:
            log.error("Asterisk keeps its trunks and phones as they were. %s", error)
