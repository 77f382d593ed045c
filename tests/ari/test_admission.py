"""What a worker finds out about an Asterisk before it connects, so that it never cuts one that serves."""

import asyncio
import itertools
import json

import pytest

from ari_app.ari import AriRefused, admission, admitted
from tests.support.ari_server import USER, AriServer

MODULE = "asterisk/modules/app_stasis_broadcast.so"
NAME, OTHER = "vigie-w1.", "vigie-w1.5f3a21"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_SECONDS", "WATCH_SECONDS", "BOOT_SECONDS"):
        monkeypatch.setattr(admission, name, getattr(admission, name) / 20)


@pytest.fixture
async def recent(asterisk: AriServer) -> AriServer:
    """An Asterisk that can broadcast calls, and where nobody has our name."""
    runs(asterisk, "22.10.1")
    asterisk.files[MODULE] = b"{}"
    lists(asterisk, "vigie-w2.77aa01")
    return asterisk


def runs(asterisk: AriServer, version: str) -> None:
    asterisk.files["asterisk/info"] = json.dumps({"system": {"version": version}}).encode()


def lists(asterisk: AriServer, *apps: str) -> None:
    asterisk.files["applications"] = json.dumps([{"name": app} for app in apps]).encode()


def said(asterisk: AriServer, value: str) -> None:
    asterisk.files[f"asterisk/variable?variable=VIGIE_ALIVE_{OTHER}"] = json.dumps({"value": value}).encode()


async def apply(asterisk: AriServer, password: str = USER[1]) -> None:
    await admitted(asterisk.url, USER[0], password, NAME)


async def test_all_is_well(recent: AriServer) -> None:
    await apply(recent)
    assert recent.connections == 0


async def test_a_wrong_password(recent: AriServer) -> None:
    with pytest.raises(AriRefused, match="refuses user 'vigie' or its password"):
        await apply(recent, "wrong")


@pytest.mark.parametrize("version", ["20.9.0", "22.6.1", "GIT-master-5a3f"])
async def test_an_asterisk_without_broadcast_is_refused_by_its_version(asterisk: AriServer, version: str) -> None:
    runs(asterisk, version)
    with pytest.raises(AriRefused, match=rf"Asterisk {version} has no StasisBroadcast; Asterisk 22\.7 or later"):
        await apply(asterisk)


async def test_an_asterisk_that_has_not_loaded_all_its_modules_yet(recent: AriServer) -> None:
    module = recent.files.pop("asterisk/modules/app_stasis_broadcast.so")
    asyncio.get_running_loop().call_later(
        0.1, recent.files.__setitem__, "asterisk/modules/app_stasis_broadcast.so", module
    )
    await apply(recent)


async def test_an_asterisk_that_is_away_is_waited_for(recent: AriServer, caplog: pytest.LogCaptureFixture) -> None:
    await recent.stop()
    applying = asyncio.create_task(apply(recent))
    while "waiting for Asterisk" not in caplog.text:
        await asyncio.sleep(0.01)
    await recent.listen()
    await applying


async def test_a_name_that_another_worker_has_is_refused(recent: AriServer) -> None:
    lists(recent, OTHER)

    async def live() -> None:
        for count in itertools.count():
            said(recent, str(count))
            await asyncio.sleep(0.01)

    living = asyncio.create_task(live())
    await asyncio.sleep(0)
    with pytest.raises(AriRefused, match="there is a worker of this name already"):
        await apply(recent)
    living.cancel()


async def test_the_name_of_a_worker_that_has_died_is_free(recent: AriServer) -> None:
    lists(recent, OTHER)
    said(recent, "17")
    await apply(recent)
