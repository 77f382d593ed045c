"""The end of all calls when the whole of Vigie stops: no new one is taken, those in progress go on for a while, and
whoever is still on the line then is told, rather than cut in the middle of a word."""

import asyncio
import logging
from http import HTTPStatus

import httpx

from vigie.errors import VigieError
from vigie.stack.asterisk import AsteriskServer
from voice import prompts
from voice.prompts import Prompts

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
SENTENCE_SECONDS = 10
"""How long the sentence may take at most."""
ANSWER_SECONDS = 3
PLACE: dict[str, str | int] = {"context": "vigie-farewell", "extension": "s", "priority": 1}


class Farewell:
    """Takes leave, in ``language``, of those who are on the line with our Asterisk, whose ARI is at ``ari_url``."""

    def __init__(self, asterisk: AsteriskServer, ari_url: str, voice: Prompts, language: str) -> None:
        self._asterisk = asterisk
        self._ari_url = ari_url
        self._voice = voice
        self._language = language

    async def refuse_calls(self) -> None:
        """From now on a call that no worker takes gets 503 (RFC 3261, 21.5.4): the carrier may have another way."""
        sound = await self._voice.phrase(prompts.INTERRUPTED, self._language)
        await self._command(f"dialplan set global VIGIE_FAREWELL {sound.removeprefix('sound:')}")

    async def take_leave(self, seconds: float) -> None:
        """Lets what is in progress go on for so long, then tells whoever is left, and returns when they are gone."""
        if await self._are_gone(seconds):
            return
        channels = await self._channels()
        log.warning("%d channels are told that the service stops", len(channels))
        async with httpx.AsyncClient(base_url=self._ari_url, timeout=ANSWER_SECONDS, trust_env=False) as ari:
            await asyncio.gather(*(self._tell(ari, *channel) for channel in channels))
        await self._are_gone(SENTENCE_SECONDS)

    async def _tell(self, ari: httpx.AsyncClient, channel: str, name: str) -> None:
        """Sends a channel to the sentence: a worker's over ARI, the fallback's by the console."""
        try:
            answer = await ari.post(f"/channels/{channel}/continue", params=PLACE)
        except httpx.HTTPError as error:
            log.warning("%s cannot be told: %r", name, error)
            return
        if answer.status_code == HTTPStatus.CONFLICT:
            await self._command(f"channel redirect {name} vigie-farewell,s,1")

    async def _are_gone(self, within: float) -> bool:
        until = asyncio.get_running_loop().time() + within
        while await self._channels():
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def _channels(self) -> list[tuple[str, str]]:
        """The channels of callers and of people called: their ids and names."""
        listed = await self._command("core show channels concise")
        lines = [line.strip().split("!") for line in listed.splitlines() if line.startswith("PJSIP/")]
        return [(fields[-1], fields[0]) for fields in lines]

    async def _command(self, command: str) -> str:
        """Asterisk's answer; nothing when it is gone, and all calls with it."""
        try:
            return await self._asterisk.command(command)
        except (VigieError, OSError, TimeoutError) as error:
            log.warning("%s", error)
            return ""
