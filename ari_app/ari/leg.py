"""A leg: one party's channel, as a scenario holds it, and all that can be done with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from msgspec import convert

from .errors import AriError, Conflict, Disconnected, NotFound, PlaybackFailed
from .hangup import Hangup
from .life import Life
from .recording import RecordingUnderWay
from .sound import Received


class Leg(Life):
    """One party's channel. Every verb raises HungUp once the leg has ended."""

    async def answer(self) -> None:
        """Picks up a call that came in."""
        await self.quiet()
        await self._command("POST", "answer")

    async def answered(self) -> None:
        """Returns once the leg is in our hands: one that came in at once, one that is called when the party answers."""
        await self._until(lambda: self.in_hand)

    async def play(self, *media: str, lang: str | None = None) -> None:
        """Plays media URIs (``sound:hello-world``) one after the other, to the end. Cancelling stops the sound.

        Raises:
            PlaybackFailed: the last of them could not be played.
        """
        self._turn ^= 1
        playback_id = self.playback_ids[self._turn]
        self._playbacks[playback_id] = None
        self._unstopped.discard(playback_id)
        try:
            while not await self._begins_to_play(playback_id, ",".join(media), lang):
                self._playbacks[playback_id] = None
            await self._until(lambda: self._playbacks[playback_id] is not None)
            playback = self._playbacks[playback_id]
        except asyncio.CancelledError:
            if self.hangup_cause is None:
                self._unstopped.add(playback_id)
                await self._ari.finish(self._stop_playback(playback_id), f"stopping the sound on {self.id}")
            raise
        finally:
            if playback_id not in self._unstopped:
                self._playbacks.pop(playback_id, None)
            self._wake()
        if playback is not None and playback.state == "failed":
            await self.check_soon()  # most often its hearer is just hanging up
            raise PlaybackFailed(",".join(media))

    async def digit(self) -> str:
        """The next digit pressed (0-9, *, #, A-D), in order; digits are kept from the leg's beginning."""
        await self._until(lambda: bool(self._digits))
        return self._digits.popleft()

    async def packets(self) -> int:
        """How many RTP packets have come from the party so far: none during hold, and in the pauses of a telephone
        that suppresses silence."""
        return (await self.received()).rxcount

    async def move_here(self) -> None:
        """Brings a leg that is under another application's control under ours, as soon as what it is doing is done."""
        await self._command("POST", "move", once=True, app=self._ari.app)

    async def moh(self) -> None:
        """Starts music on hold, which nobody stops: see `music`."""
        await self._command("POST", "moh")

    @asynccontextmanager
    async def music(self) -> AsyncIterator[None]:
        """While inside, music on hold is played. It is stopped however this is left: also when that is while Asterisk
        was only being asked for it, since requests are carried out in their order.

        Raises:
            RequestFailed: there is no music, on entering.
        """
        try:
            await self.moh()
            yield
        finally:
            if self.hangup_cause is None:
                await self._ari.finish(self.stop_moh(), f"stopping the music on {self.id}")

    async def stop_moh(self) -> None:
        await self._command("DELETE", "moh")

    async def start_recording(
        self,
        name: str,
        *,
        max_seconds: int,
        silence_seconds: int,
    ) -> RecordingUnderWay:
        """A recording (WAV) that has begun with a beep. The key #, silence, its length (0: no limit) or a hangup ends
        it; its ``finished`` can be awaited outside the leg's scope, where no hangup loses it.

        Raises:
            Conflict: there is a recording of that name.
        """
        recording = self._ari.expect_recording(name)
        self.is_recorded(recording)
        try:
            await self._command(
                "POST",
                "record",
                once=True,
                name=name,
                format="wav",
                maxDurationSeconds=max_seconds,
                maxSilenceSeconds=silence_seconds,
                terminateOn="#",
                beep=True,
                ifExists="fail",
            )
        except asyncio.CancelledError:
            await self._ari.finish(recording.stop(), f"stopping the recording {name}")
            raise
        except Disconnected:
            await self._ari.wait_connected()
            if recording.is_finished and not (await recording.finished).done:  # the request was lost
                return await self.start_recording(name, max_seconds=max_seconds, silence_seconds=silence_seconds)
        except AriError:
            self._ari.forget_recording(recording)
            raise
        return recording

    async def received(self) -> Received:
        """What has come from the party so far."""
        return convert({**await self._known("rtp_statistics"), "keys": self.keys_pressed}, Received)

    async def function(self, name: str) -> str:
        """The value of a dialplan function for the channel, as in ``CHANNEL(rtp,hold)``; Asterisk reads it at once,
        whatever is being played."""
        return str((await self._known("variable", variable=name))["value"])

    async def go_on(
        self, context: str | None = None, extension: str | None = None, priority: int | None = None
    ) -> None:
        """Hands the leg back to the dialplan, which carries on where it was or at the place given. It has ended for
        us then, which interrupts nobody."""
        self._released = True
        try:
            with suppress(Conflict):  # it is in the dialplan already
                await self._command("POST", "continue", context=context, extension=extension, priority=priority)
        except BaseException:
            self._released = False
            raise
        self.end(Hangup.unseen("continued in the dialplan"))

    async def _known(self, what: str, **query: Any) -> Any:
        """What Asterisk knows of the channel; that it knows nothing need not mean that the channel has gone."""
        self.check()
        try:
            return await self._ari.request("GET", f"channels/{self.id}/{what}", **query)
        except NotFound:
            await self.check_soon()
            raise

    async def _begins_to_play(self, playback_id: str, media: str, lang: str | None) -> bool:
        """Whether the sound has begun; not when the request was lost with its connection, as is known over the next."""
        try:
            await self._command("POST", f"play/{playback_id}", once=True, media=media, lang=lang)
        except Disconnected:
            await self._ari.wait_connected()
            return self._playbacks[playback_id] is None  # else nothing of that name is played
        return True
