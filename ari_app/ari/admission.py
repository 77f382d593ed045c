"""What is looked at before we connect to an Asterisk: our password, what it can do, and that our name is free."""

import asyncio
import logging
import re
from typing import Any

import httpx

from .errors import AriRefused
from .pulse import BEAT_SECONDS, sign_of_life

log = logging.getLogger(__name__)

BROADCAST_MODULE = "app_stasis_broadcast.so"
OLDEST = (22, 7)
"""The first version with StasisBroadcast."""
BOOT_SECONDS = 10.0
"""How long an Asterisk that answers already may take to load its other modules."""
RETRY_SECONDS = 0.3
WATCH_SECONDS = 2.5 * BEAT_SECONDS
"""One that gives no sign of life for so long is gone, or is going."""


async def admitted(url: str, username: str, password: str, name: str) -> None:
    """Returns once Asterisk can be reached and may be connected to by an application whose name begins with ``name``.

    Raises:
        AriRefused: the password is wrong, it has no StasisBroadcast, or another such application lives.
    """
    login = (username, password)
    told = False
    async with httpx.AsyncClient(base_url=f"{url.rstrip('/')}/ari/", auth=login, trust_env=False, timeout=5) as http:
        while True:
            try:
                await _can_broadcast(http, url)
                return await _name_is_free(http, url, name)
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


async def _name_is_free(http: httpx.AsyncClient, url: str, name: str) -> None:
    """Two workers of one name could not be told apart in the journal; one that has died may still be listed."""
    apps = [app["name"] for app in await _get(http, "applications") if app["name"].startswith(name)]
    before = [await _sign(http, app) for app in apps]
    if apps:
        await asyncio.sleep(WATCH_SECONDS)
    for app, sign in zip(apps, before, strict=True):
        if await _sign(http, app) != sign:
            raise AriRefused(f"{url}: there is a worker of this name already; give each a --name of its own")


async def _sign(http: httpx.AsyncClient, app: str) -> str:
    return str((await _get(http, f"asterisk/variable?variable={sign_of_life(app)}"))["value"])


async def _get(http: httpx.AsyncClient, uri: str) -> Any:
    answer = await http.get(uri)
    return answer.raise_for_status().json()
