"""What is looked at before we connect to an Asterisk: our password, what it can do, and that our name is free.

Asterisk cuts the older of two connections of one name, so the newcomer must find out before it connects: each
application keeps on changing a global variable there that says where it runs.
"""

import asyncio
import logging
import re
from contextlib import suppress
from typing import Any

import httpx

from .client import Ari
from .errors import AriError, AriRefused

log = logging.getLogger(__name__)

BROADCAST_MODULE = "app_stasis_broadcast.so"
OLDEST = (22, 7)
"""The first version with StasisBroadcast."""
BOOT_SECONDS = 10.0
"""How long an Asterisk that answers already may take to load its other modules."""
RETRY_SECONDS = 0.3
SIGN_SECONDS = 1.0
"""How often a name's holder gives a sign of life."""
WATCH_SECONDS = 2.5
"""A holder that gives no sign for so long is gone."""


async def admitted(url: str, username: str, password: str, app: str, place: str) -> None:
    """Returns once Asterisk can be reached and may be connected to as ``app``, which runs at ``place``.

    Raises:
        AriRefused: the password is wrong, it has no StasisBroadcast, or there is an ``app`` at another place.
    """
    login = (username, password)
    told = False
    async with httpx.AsyncClient(base_url=f"{url.rstrip('/')}/ari/", auth=login, trust_env=False, timeout=5) as http:
        while True:
            try:
                await _can_broadcast(http, url)
                return await _name_is_free(http, url, app, place)
            except httpx.HTTPStatusError as error:
                if error.response.status_code in (401, 403):
                    raise AriRefused(f"{url}: Asterisk refuses user {username!r} or its password") from None
                problem = f"{url}: Asterisk answers {error.response.status_code}"
            except httpx.HTTPError as error:
                problem = f"{url}: {error!r}"
            if not told:
                log.warning("waiting for Asterisk: %s", problem)
                told = True
            await asyncio.sleep(RETRY_SECONDS)


async def hold_name(ari: Ari, place: str) -> None:
    """Tells others, for ever, that ``ari``'s application runs at ``place``."""
    count = 0
    while True:
        await ari.wait_connected()
        count += 1
        with suppress(AriError):  # then the next sign is as good
            await ari.request("POST", "asterisk/variable", variable=_variable(ari.app), value=f"{count} {place}")
        await asyncio.sleep(SIGN_SECONDS)


async def _can_broadcast(http: httpx.AsyncClient, url: str) -> None:
    version = (await _get(http, "asterisk/info"))["system"]["version"]
    numbers = re.match(r"(\d+)\.(\d+)", version)
    old = numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST
    deadline = asyncio.get_running_loop().time() + (0 if old else BOOT_SECONDS)
    while (await http.get(f"asterisk/modules/{BROADCAST_MODULE}")).is_error:
        if asyncio.get_running_loop().time() >= deadline:
            needed = f"Asterisk {OLDEST[0]}.{OLDEST[1]} or later, with {BROADCAST_MODULE} in modules.conf, is needed"
            raise AriRefused(f"{url}: Asterisk {version} has no StasisBroadcast; {needed}")
        await asyncio.sleep(RETRY_SECONDS)


async def _name_is_free(http: httpx.AsyncClient, url: str, app: str, place: str) -> None:
    first = await _sign(http, app)
    holder = first.partition(" ")[2]
    if holder in ("", place):
        return
    await asyncio.sleep(WATCH_SECONDS)
    if await _sign(http, app) != first:
        raise AriRefused(f"{url}: {app} is connected already, from {holder}")


async def _sign(http: httpx.AsyncClient, app: str) -> str:
    return str((await _get(http, f"asterisk/variable?variable={_variable(app)}"))["value"])


async def _get(http: httpx.AsyncClient, uri: str) -> Any:
    answer = await http.get(uri)
    return answer.raise_for_status().json()


def _variable(app: str) -> str:
    return f"HOLDER_{app}"
