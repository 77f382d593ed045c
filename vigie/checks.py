"""What `vigie doctor` looks at: everything that must be right for a call to be answered."""

import asyncio
import ctypes
import os
import stat
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import aiosmtplib
import httpx

from db.backlog import read_backlog
from db.engine import check_database, make_engine
from db.errors import DatabaseError
from db.routing import RoutingReader
from notify.email import parse_sender
from notify.errors import BadMailSetting
from notify.smtp import SmtpServer
from oncall.errors import OnCallError
from oncall.manner import refusal_variable
from oncall.routing import build_table
from vigie.addresses import ari_urls, database_url
from vigie.errors import Doubt, ProgramMissing, StackError, VigieError
from vigie.fallback_checks import fallback, known_numbers, snapshot
from vigie.secrets import load_secrets
from vigie.settings import Settings
from vigie.stack.accounts import read_accounts, remembered_accounts
from vigie.stack.asterisk import AsteriskTree
from vigie.stack.machine import check_disk, check_port, is_held, stack_lock
from vigie.stack.telephony import make_asterisk
from voice.prompts import REASSURANCE, Prompts

TIME_ERROR = 5
"""What adjtimex(2) returns when nothing keeps the clock right."""
ANSWER_SECONDS = 5
REFUSED_SECONDS = 24 * 3600
"""For so long it is told that a trunk has refused a caller's number."""
LATE = timedelta(minutes=1)
"""How old a record of a call may be that is not in the database."""


REACH = timedelta(days=8)
"""How far ahead the rota is looked at: as far as the workers do."""
MEND_ROW = "Correct that row, or import the site file again. Workers that run go on with what they had."


class Verdict(StrEnum):
    GOOD = "good"
    DOUBTFUL = "doubtful"
    """Calls are served; somebody should look at it nevertheless."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``remedy`` says how to mend it."""

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""


Check = Callable[[Settings], Awaitable[str]]


async def examine(settings: Settings) -> list[Finding]:
    """One finding for each check that applies, in the order in which the parts depend on each other."""
    running = is_held(stack_lock(settings.state_dir))
    checks: dict[str, Check] = {"state directory": _state_directory, "disk": _disk, "clock": _clock}
    if settings.has_own_asterisk:
        checks |= {"Asterisk": _asterisk_version, "sounds": _sounds, "voice": _voice}
    if not running:
        checks |= {"stack": _not_running}
        if settings.has_own_asterisk:
            checks |= {"ports": _ports}
    if running or not settings.has_own_database:
        checks |= {"database": _database}
    if running and settings.has_own_asterisk:
        checks |= {"modules": _modules, "trunks": _trunks}
    if running or not settings.has_own_asterisk:
        checks |= {"ARI and workers": _workers}
    if running and settings.has_own_asterisk:
        checks |= {"snapshot": snapshot, "fallback": fallback, "known numbers": known_numbers}
    if running or not settings.has_own_database:
        checks |= {"rota": _rota}
    checks |= {"journal": _journal, "mail": _mail}
    return [await _finding(subject, check, settings) for subject, check in checks.items()]


async def _finding(subject: str, check: Check, settings: Settings) -> Finding:
    try:
        return Finding(subject, Verdict.GOOD, await check(settings))
    except Doubt as doubt:
        return Finding(subject, Verdict.DOUBTFUL, doubt.problem, doubt.remedy)
    except VigieError as error:
        return Finding(subject, Verdict.BAD, error.problem, error.remedy)
    except DatabaseError as error:
        return Finding(subject, Verdict.BAD, str(error), "Check VIGIE_DATABASE_URL and the server behind it.")


async def _state_directory(settings: Settings) -> str:
    directory = settings.state_dir
    try:
        mode = stat.S_IMODE(directory.stat().st_mode)
    except OSError as error:
        raise StackError(f"{directory}: {error.strerror}.", "Run ./install.sh.") from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StackError(f"{directory} is not ours to write.", f"As root: chown -R vigie: {directory}")
    if mode & 0o077:
        raise Doubt(f"{directory}, with its secrets, is open to others.", f"chmod 700 {directory}")
    return str(directory)


async def _disk(settings: Settings) -> str:
    return f"{check_disk(settings.state_dir) / 2**30:.1f} GB free"


async def _clock(_settings: Settings) -> str:
    if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == TIME_ERROR:
        raise Doubt("Nothing keeps this machine's clock right.", "Install chrony: shifts change hands by this clock.")
    return "kept right"


async def _asterisk_version(_settings: Settings) -> str:
    return AsteriskTree.find().version


async def _voice(settings: Settings) -> str:
    with TemporaryDirectory() as directory:
        made = await Prompts(Path(directory)).prepare([(REASSURANCE.text(settings.language), settings.language, "")])
    if not made:
        raise Doubt(
            "No sentence can be spoken: callers hear Asterisk's own sounds, and nobody hears which line is called.",
            "Run ./install.sh, which installs espeak-ng and sox; the line above says what is wrong with them.",
        )
    return "speaks"


async def _sounds(settings: Settings) -> str:
    sounds = AsteriskTree.find().sounds(settings.language)
    if sounds is None:
        raise ProgramMissing(
            f"Asterisk has no sounds in {settings.language!r}.",
            f"Install asterisk-core-sounds-{settings.language}-wav, or the archive of that name from asterisk.org.",
        )
    return str(sounds)


async def _not_running(settings: Settings) -> str:
    raise Doubt(f"No stack runs in {settings.state_dir}; less can be checked.", "Start it with `vigie up`.")


async def _ports(settings: Settings) -> str:
    sip = settings.sip_bind
    check_port(SOCK_DGRAM, sip.host, sip.port, "VIGIE_SIP_BIND")
    check_port(SOCK_STREAM, "127.0.0.1", settings.ari_port, "VIGIE_ARI_PORT")
    check_port(SOCK_STREAM, "127.0.0.1", settings.agi_port, "VIGIE_AGI_PORT")
    return f"{sip}/udp and 127.0.0.1:{settings.ari_port} and {settings.agi_port}/tcp are free"


async def _database(settings: Settings) -> str:
    engine = make_engine(database_url(settings))
    try:
        await check_database(engine)
    finally:
        await engine.dispose()
    return "reachable, recent enough and migrated"


async def _rota(settings: Settings) -> str:
    engine = make_engine(database_url(settings))
    now = datetime.now(UTC)
    try:
        reader = RoutingReader(engine)
        build_table(await reader.read(now, now + REACH), now, now + REACH)
    except OnCallError as error:
        raise StackError(f"The rota makes no table: {error}.", MEND_ROW) from error
    finally:
        await engine.dispose()
    if reader.faults:
        raise StackError(f"{'. '.join(reader.faults)}.", MEND_ROW)
    return "all of it makes sense"


async def _journal(settings: Settings) -> str:
    directory = settings.state_dir / "journal"
    try:
        backlog = await asyncio.to_thread(read_backlog, directory)
    except OSError as error:
        raise StackError(f"{directory}: {error.strerror}.", f"As root: chown -R vigie: {directory}") from error
    if backlog.newer:
        raise Doubt(f"{backlog.newer[0]} is of a newer Vigie.", "Upgrade this one: it is then written by itself.")
    if backlog.aside:
        raise Doubt(
            f"{backlog.aside[0]} holds what could not be written, each with its reason.",
            f"Mend the reason and rename the file to {backlog.aside[0].name}.spool, or remove it.",
        )
    if backlog.since is not None:
        age = datetime.now(UTC) - backlog.since
        if age > LATE:
            minutes = age.total_seconds() / 60
            raise Doubt(
                f"{backlog.waiting} records of calls wait in {directory}, the oldest for {minutes:.0f} minutes.",
                "They are written when the database takes them and a worker runs.",
            )
    return "nothing waits for the database"


async def _modules(settings: Settings) -> str:
    accounts = await read_accounts(database_url(settings))
    asterisk = make_asterisk(settings, load_secrets(settings), accounts)
    if absent := await asterisk.absent_modules():
        raise StackError(f"These do not run: {', '.join(absent)}.", f"See {asterisk.log}.")
    return "all run"


async def _trunks(settings: Settings) -> str:
    accounts = await read_accounts(database_url(settings), remembered_accounts(settings))
    if not accounts.trunks:
        raise Doubt("There is none: no call comes in or goes out.", "Describe it in the site file.")
    if accounts.faults:
        raise StackError(" ".join(accounts.faults))
    asterisk = make_asterisk(settings, load_secrets(settings), accounts)
    identified = await asterisk.command("pjsip show identifies")
    if unknown := [trunk.slug for trunk in accounts.trunks if f" trunk-{trunk.slug}/" not in identified]:
        raise StackError(
            f"Asterisk does not know from where the calls of {', '.join(unknown)} come: they are refused.",
            "It learns that within a minute; if not, see its log.",
        )
    registrations = await asterisk.command("pjsip show registrations")
    for trunk in accounts.trunks:
        known = next((line for line in registrations.splitlines() if f" trunk-{trunk.slug}/" in line), "Registered")
        if " Registered" not in f" {known}":
            raise StackError(
                f"Trunk {trunk.slug} is not registered at {trunk.domain}.",
                "Check its user name and password file, and that the carrier is reachable from here.",
            )
    (url,) = ari_urls(settings, load_secrets(settings))
    states = {endpoint["resource"]: endpoint["state"] for endpoint in await _asked(url, "endpoints/PJSIP")}
    slugs = [trunk.slug for trunk in accounts.trunks]
    if silent := [slug for slug in slugs if states.get(f"trunk-{slug}.in") != "online"]:
        raise Doubt(
            f"No answer to OPTIONS from {', '.join(silent)}: numbers are called by other trunks first.",
            "Check its host, and that it can be reached from here. A carrier who takes calls but never answers OPTIONS "
            "is best named last.",
        )
    noted = {
        slug: (await _asked(url, f"asterisk/variable?variable={refusal_variable(slug)}"))["value"] for slug in slugs
    }
    if refusing := [slug for slug, at in noted.items() if time.time() - int(at or 0) < REFUSED_SECONDS]:
        raise Doubt(
            f"{', '.join(refusing)} refuses callers' numbers: people called see the line's instead.",
            "Ask the carrier in which form it wants them (README, My carrier wants), and set `identity` of the trunk; "
            "`identity: line` never shows them.",
        )
    return f"{', '.join(slugs)} answer{'s' if len(slugs) == 1 else ''}"


async def _workers(settings: Settings) -> str:
    workers = [await _workers_of(url) for url in ari_urls(settings, load_secrets(settings))]
    return "; ".join(", ".join(names) for names in workers)


async def _workers_of(url: str) -> list[str]:
    """The workers connected to one Asterisk."""
    listed = await _asked(url, "applications")
    names = sorted(app["name"].partition(".")[0] for app in listed if app["name"].startswith("vigie-"))
    if not names:
        where = _address(url)
        raise StackError(f"No worker is connected to {where}: calls are left to the fallback.", "Start `vigie ari`.")
    return names


async def _asked(url: str, what: str) -> Any:
    """What ARI answers to a GET."""
    where = _address(url)
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as client:
        try:
            answer = await client.get(f"{url}/{what}")
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise StackError(
                f"ARI at {where} answers {error.response.status_code}.",
                "Check user, password and path in VIGIE_ARI_URLS.",
            ) from error
        except httpx.HTTPError as error:
            raise StackError(
                f"ARI at {where} cannot be reached: {error}.", "Check that Asterisk runs there."
            ) from error
    return answer.json()


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"


async def _mail(settings: Settings) -> str:
    try:
        server = SmtpServer.parse(settings.smtp_url)
        parse_sender(settings.mail_from)
    except BadMailSetting as error:
        raise StackError(
            f"{error}: no mail leaves.", "Correct it and start Vigie again; mails wait meanwhile."
        ) from error
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        timeout=ANSWER_SECONDS,
    )
    try:
        async with client:
            pass
    except (aiosmtplib.SMTPException, OSError) as error:
        raise StackError(
            f"{server} does not take our mail: {' '.join(str(error).split())}.",
            "Check VIGIE_SMTP_URL and the mail server; messages wait in the outbox meanwhile.",
        ) from error
    return str(server)
