"""Whose turn it is to claim a call that is on offer to all: one application's at once, the others' a moment later,
unless it is taken by then. That spares the others a request for each call, and Asterisk its refusal."""

import asyncio
from collections.abc import Callable, Iterable
from zlib import crc32

from .events import CallBroadcast, CallClaimed

TURN_SECONDS = 0.05
"""How long the one whose turn it is may be busy."""


class Offers:
    """The calls on offer to ``app`` and to the others that ``serving()`` names; ``claim`` is called when it is time to.

    Where the applications see each other differently, two claim at once, or none does and all a moment later.
    """

    def __init__(self, app: str, serving: Callable[[], Iterable[str]], claim: Callable[[CallBroadcast], None]) -> None:
        self._app = app
        self._serving = serving
        self._claim = claim
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    def offered(self, offer: CallBroadcast) -> None:
        """A call is on offer; claims it now or soon."""
        channel = offer.channel.id
        if self._is_our_turn(channel):
            self._claim(offer)
        elif channel not in self._waiting:
            self._waiting[channel] = asyncio.get_running_loop().call_later(TURN_SECONDS, self._turn, offer)

    def claimed(self, event: CallClaimed) -> None:
        """A call has been taken, by whomever."""
        if (turn := self._waiting.pop(event.channel.id, None)) is not None:
            turn.cancel()

    def _is_our_turn(self, channel: str) -> bool:
        all_of_us = sorted((self._app, *self._serving()))
        return all_of_us[crc32(channel.encode()) % len(all_of_us)] == self._app

    def _turn(self, offer: CallBroadcast) -> None:
        del self._waiting[offer.channel.id]
        self._claim(offer)
