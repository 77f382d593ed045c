"""Whom our Asterisk talks SIP with: the database's trunks and phones, remembered for a time without it."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Row, select

from db.engine import make_engine
from db.errors import explained
from db.models import ContactMethod, Trunk
from oncall.manner import FromUser, Identity, NumberIn
from oncall.plan import ContactKind
from vigie.addresses import database_url
from vigie.settings import Settings
from vigie.stack.render import TrunkAccount
from vigie.stack.resolve import Unresolved, addresses_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accounts:
    """``phones`` are SIP user names; ``faults`` say, for people, what is wrong with single trunks."""

    trunks: tuple[TrunkAccount, ...]
    phones: tuple[str, ...]
    faults: tuple[str, ...] = ()


async def read_accounts(url: str, before: Accounts | None = None) -> Accounts:
    """The trunks and phones of the database. Raises DatabaseError.

    A trunk whose password cannot be read keeps the one it had ``before``; without one it serves as far as that goes,
    unregistered. One that cannot be written into Asterisk's configuration is left out.
    """
    engine = make_engine(url)
    try:
        with explained(engine):
            async with engine.connect() as connection:
                trunks = (await connection.execute(select(Trunk.__table__).order_by(Trunk.position))).all()
                phones = await connection.scalars(
                    select(ContactMethod.address).where(ContactMethod.kind == ContactKind.SIP).distinct()
                )
                users = tuple(sorted(phones))
    finally:
        await engine.dispose()
    known = {trunk.slug: trunk for trunk in before.trunks} if before else {}
    accounts = await asyncio.to_thread(_accounts, trunks, users, known)
    located = await asyncio.gather(*(_located(trunk, known.get(trunk.slug)) for trunk in accounts.trunks))
    faults = tuple(fault for _, fault in located if fault)
    return replace(accounts, trunks=tuple(trunk for trunk, _ in located), faults=accounts.faults + faults)


def _accounts(rows: Iterable[Row[Any]], phones: tuple[str, ...], known: dict[str, TrunkAccount]) -> Accounts:
    trunks: list[TrunkAccount] = []
    faults: list[str] = []
    for row in rows:
        trunk = TrunkAccount(
            slug=row.slug,
            host=row.host,
            port=row.port,
            addresses=tuple(row.addresses),
            username=row.username,
            number=row.number,
            number_in=NumberIn(row.number_in) if row.number_in else None,
            from_user=FromUser(row.from_user),
            identity=Identity(row.identity),
        )
        if unprintable := [item.name for item in fields(trunk) if not str(getattr(trunk, item.name)).isprintable()]:
            faults.append(
                f"Trunk {row.slug} is left out: its {unprintable[0]} has a character that cannot be printed. "
                "Correct it in the site file."
            )
            continue
        if row.password_file is not None:
            trunk, fault = _with_password(trunk, row.password_file, known.get(row.slug))
            faults += [fault] if fault else []
        trunks.append(trunk)
    return Accounts(tuple(trunks), phones, tuple(faults))


async def _located(trunk: TrunkAccount, known: TrunkAccount | None) -> tuple[TrunkAccount, str]:
    """The trunk with its addresses, and what is wrong with its name, if anything is."""
    before = known.resolved if known is not None and (known.host, known.port) == (trunk.host, trunk.port) else ()
    try:
        found = await addresses_of(trunk.host, trunk.port)
    except Unresolved as error:
        fault = f"The host of trunk {trunk.slug} has no address for now ({error}). Check it, and this machine's DNS."
        what = "The addresses of before are used." if before else "Until then its calls are refused."
        return replace(trunk, resolved=before), f"{fault} {what}"
    # A resolver may tell them in another order each time, which is no reason for another configuration.
    return replace(trunk, resolved=before if set(before) == set(found) else found), ""


def _with_password(trunk: TrunkAccount, file: str, known: TrunkAccount | None) -> tuple[TrunkAccount, str]:
    """The trunk, and what is wrong with its password file, if anything is."""
    try:
        password = Path(file).read_text().strip()
        reason = (
            "" if password and password.isprintable() else "it must hold the password, on one line, and nothing else"
        )
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error)
    if not reason:
        return replace(trunk, password=password), ""
    fault = (
        f"The password file of trunk {trunk.slug}, {file}, cannot be used: {reason}. "
        "The user who runs Vigie must be able to read it."
    )
    if known is not None and known.password and known.username == trunk.username:
        return replace(trunk, password=known.password), f"{fault} The password of before is kept."
    return replace(trunk, username=None), f"{fault} Until then the trunk is neither registered nor logged in to."


async def current_accounts(settings: Settings) -> Accounts:
    """The trunks and phones of the database, remembered for a time without it. Raises DatabaseError."""
    before = remembered_accounts(settings)
    accounts = await read_accounts(database_url(settings), before)
    if accounts != before:
        _remember(settings, accounts)
    return accounts


def _remember(settings: Settings, accounts: Accounts) -> None:
    path = _memory(settings)
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(accounts))
        draft.replace(path)
    except OSError as error:  # a full disk is no reason to do without Asterisk
        log.error("Trunks and phones cannot be remembered in %s: %s.", path, error.strerror)


def remembered_accounts(settings: Settings) -> Accounts | None:
    """The trunks and phones as they were last read from the database, if they ever were."""
    try:
        return msgspec.json.decode(_memory(settings).read_bytes(), type=Accounts)
    except (OSError, msgspec.MsgspecError):
        return None


def _memory(settings: Settings) -> Path:
    return settings.state_dir / "asterisk" / "accounts.json"
