"""The Asterisk of this installation, configured from the database's trunks and phones."""

import logging
from dataclasses import dataclass
from pathlib import Path

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
from vigie.stack.render import TrunkAccount, render, required_modules

log = logging.getLogger(__name__)

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


async def reload_telephony(settings: Settings) -> bool:
    """Makes our running Asterisk know the database's trunks and phones; calls in progress are not touched.

    Whether anything was new to it.
    """
    asterisk = make_asterisk(settings, load_secrets(settings), await read_accounts(database_url(settings)))
    if not asterisk.answers() or not asterisk.write_config():
        return False
    for module in RELOADED:
        await asterisk.command(f"module reload {module}")
    return True


async def follow_accounts(settings: Settings) -> None:
    """Reloads our Asterisk whenever its trunks or phones change in the database. Never ends by itself."""
    async for _ in listen(database_url(settings), "vigie_routing"):
        try:
            if await reload_telephony(settings):
                log.info("Asterisk has read the changed trunks and phones")
        except (VigieError, DatabaseError, OSError, TimeoutError) as error:
            log.error("Asterisk keeps its trunks and phones as they were. %s", error)
