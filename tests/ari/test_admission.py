"""What a worker finds out about an Asterisk before it connects, so that it never cuts one that serves."""

import asyncio
import itertools
import json

import pytest

from ari_app.ari import Ari, AriRefused, admission, admitted, hold_name
from tests.ari.conftest import client
from tests.support.ari_server import USER, AriServer

MODULE = "asterisk/modules/app_stasis_broadcast.so"
HERE, ELSEWHERE = "pbx1:/var/lib/vigie", "pbx2:/var/lib/vigie"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_SECONDS", "SIGN_SECONDS", "WATCH_SECONDS", "BOOT_SECONDS"):
        monkeypatch.setattr(admission, name, getattr(admission, name) / 20)


@pytest.fixture
async def recent(asterisk: AriServer) -> AriServer:
    """An Asterisk that can broadcast calls, and where nobody has our name."""
    runs(asterisk, "22.10.1")
    asterisk.files[MODULE] = b"{}"
    said(asterisk, "")
    return asterisk


def runs(asterisk: AriServer, version: str) -> None:
    asterisk.files["asterisk/info"] = json.dumps({"system": {"version": version}}).encode()


def said(asterisk: AriServer, value: str) -> None:
    asterisk.files["asterisk/variable?variable=HOLDER_vigie-w1"] = json.dumps({"value": value}).encode()


async def apply(asterisk: AriServer, password: str = USER[1]) -> None:
    await admitted(asterisk.url, USER[0], password, "vigie-w1", HERE)


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


async def test_a_name_that_is_held_elsewhere_is_refused(recent: AriServer) -> None:
    async def live() -> None:
        for count in itertools.count():
            said(recent, f"{count} {ELSEWHERE}")
            await asyncio.sleep(0.01)

    living = asyncio.create_task(live())
    await asyncio.sleep(0)
    with pytest.raises(AriRefused, match="vigie-w1 is connected already, from pbx2"):
        await apply(recent)
    living.cancel()


@pytest.mark.parametrize("sign", [f"7 {ELSEWHERE}", f"7 {HERE}"], ids=["elsewhere", "here"])
async def test_a_name_whose_holder_is_dead_is_free(recent: AriServer, sign: str) -> None:
    said(recent, sign)
    await apply(recent)


async def test_a_name_is_held_by_signs_that_differ(asterisk: AriServer) -> None:
    async with client(asterisk) as ari:
        holding = asyncio.create_task(hold_name(ari, HERE))
        signs = [(await asterisk.asked("POST asterisk/variable", times)).query for times in (1, 2)]
        holding.cancel()
    assert {sign["variable"] for sign in signs} == {"HOLDER_vigie-w1"}
    assert len({sign["value"] for sign in signs}) == 2
    assert all(sign["value"].endswith(f" {HERE}") for sign in signs)


async def test_a_sign_that_fails_is_followed_by_the_next(asterisk: AriServer, ari: Ari) -> None:
    asterisk.will_answer("POST asterisk/variable", 500, {"error": "Allocation failed"})
    holding = asyncio.create_task(hold_name(ari, HERE))
    await asterisk.asked("POST asterisk/variable", times=2)
    asterisk.cut()
    await asterisk.asked("POST asterisk/variable", times=4)
    holding.cancel()
