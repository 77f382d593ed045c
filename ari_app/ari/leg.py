"""A leg: one party's channel, as a scenario holds it, and all that can be done with it."""

import asyncio
from contextlib import suppress
from uuid import uuid4

from .errors import AriError, NotFound, PlaybackFailed
from .hangup import Hangup
from .life import Life
from .recording import Recording, RecordingUnderWay


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
        playback_id = str(uuid4())
        self._playbacks[playback_id] = None
        try:
            await self._command("POST", f"play/{playback_id}", media=",".join(media), lang=lang)
            await self._until(lambda: self._playbacks[playback_id] is not None)
            playback = self._playbacks[playback_id]
        except asyncio.CancelledError:
            if self.hangup_cause is None:
                await self._ari.finish(self._stop_playback(playback_id), f"stopping the sound on {self.id}")
            raise
        finally:
            del self._playbacks[playback_id]
            self._wake()
        if playback is not None and playback.state == "failed":
            raise PlaybackFailed(",".join(media))

    async def digit(self) -> str:
        """The next digit pressed (0-9, *, #, A-D), in order; digits are kept from the leg's beginning."""
        await self._until(lambda: bool(self._digits))
        return self._digits.popleft()

    def forget_digits(self) -> None:
        """Drops the digits pressed so far."""
        self._digits.clear()

    async def moh(self, moh_class: str | None = None) -> None:
        """Starts music on hold."""
        await self._command("POST", "moh", mohClass=moh_class)

    async def stop_moh(self) -> None:
        await self._command("DELETE", "moh")

    async def silence(self) -> None:
        """Starts sending silence, which keeps the media path open."""
        await self._command("POST", "silence")

    async def stop_silence(self) -> None:
        await self._command("DELETE", "silence")

    async def ring(self) -> None:
        """Lets the party hear that the other end rings."""
        await self._command("POST", "ring")

    async def ring_stop(self) -> None:
        await self._command("DELETE", "ring")

    async def send_digits(self, digits: str) -> None:
        """Sends DTMF to the party."""
        await self._command("POST", "dtmf", dtmf=digits)

    async def start_recording(
        self,
        name: str,
        *,
        max_seconds: int,
        silence_seconds: int,
        terminate_on: str = "#",
        beep: bool = True,
        format: str = "wav",  # noqa: A002 - ARI's word
    ) -> RecordingUnderWay:
        """A recording that has begun. The digit ``terminate_on``, silence, its length (0: no limit) or a hangup end
        it.

        Raises:
            Conflict: there is a recording of that name.
        """
        recording = self._ari.expect_recording(name)
        recording.when_finished(self._wake)
        self._recordings.append(recording)
        try:
            await self._command(
                "POST",
                "record",
                name=name,
                format=format,
                maxDurationSeconds=max_seconds,
                maxSilenceSeconds=silence_seconds,
                terminateOn=terminate_on,
                beep=beep,
                ifExists="fail",
            )
        except asyncio.CancelledError:
            await self._ari.finish(recording.stop(), f"stopping the recording {name}")
            raise
        except AriError:
            self._ari.forget_recording(recording)
            raise
        return recording

    async def record(
        self,
        name: str,
        *,
        max_seconds: int,
        silence_seconds: int,
        terminate_on: str = "#",
        beep: bool = True,
        format: str = "wav",  # noqa: A002 - ARI's word
    ) -> Recording:
        """A finished recording; cancelling ends it and keeps the sound. Where a hangup must not lose the answer, use
        `start_recording`, whose ``finished`` can be awaited outside the leg's scope."""
        recording = await self.start_recording(
            name,
            max_seconds=max_seconds,
            silence_seconds=silence_seconds,
            terminate_on=terminate_on,
            beep=beep,
            format=format,
        )
        try:
            return await recording.finished
        except asyncio.CancelledError:
            await self._ari.finish(recording.stop(), f"stopping the recording {name}")
            raise

    async def set_var(self, name: str, value: str) -> None:
        """Sets a channel variable."""
        await self.quiet()
        await self._command("POST", "variable", variable=name, value=value)

    async def go_on(
        self, context: str | None = None, extension: str | None = None, priority: int | None = None
    ) -> None:
        """Hands the leg back to the dialplan, which carries on where it was or at the place given. It has ended for
        us then, which interrupts nobody."""
        self._released = True
        try:
            await self._command("POST", "continue", context=context, extension=extension, priority=priority)
        except BaseException:
            self._released = False
            raise
        self.end(Hangup.unseen("continued in the dialplan"))

    async def _stop_playback(self, playback_id: str) -> None:
        with suppress(NotFound):
            await self._ari.request("DELETE", f"playbacks/{playback_id}")
