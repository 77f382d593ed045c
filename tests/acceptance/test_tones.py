"""Keys as tones in the sound, where a telephone knows no telephone-event; and what sounds like one and is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab.rtp import Rtp
from lab.sound import speak
from lab.wire import Dialog, Wire
from lab.wired import Side
from lab.world import World
from oncall.outcomes import Disposition

ONE = ("synth", "0.2", "sine", "697", "synth", "0.2", "sine", "mix", "1209")
GREETING = "Bonjour, vous êtes sur la messagerie de Madame Un. Laissez un message après le bip, ou faites le 1."
SOUNDS = {
    "a beep": ("synth", "1", "sine", "1000"),
    "special information tones": (
        *("synth", "0.33", "sine", "950", ":"),
        *("synth", "0.33", "sine", "1400", ":", "synth", "0.33", "sine", "1800"),
    ),
    "music": ("synth", "3", "pluck", "A3", "pluck", "C#4", "pluck", "E4", "remix", "-", "tremolo", "4", "50"),
    "ringing tone": ("synth", "1", "sine", "440", "synth", "1", "sine", "mix", "480"),
    "fax": ("synth", "1", "sine", "2100"),
}


async def alaw(directory: Path, name: str, *effects: str, source: str = "-n") -> bytes:
    """A sound of sox's as a telephone sends it."""
    file = directory / f"{name.replace(' ', '-')}.al"
    shape = ("-r", "8000", "-c", "1", "-e", "a-law", "-t", "al")
    process = await asyncio.create_subprocess_exec("sox", *source.split(), *shape, str(file), *effects, "gain", "-3")
    assert await process.wait() == 0
    return file.read_bytes()


@asynccontextmanager
async def answers_without_keys(phone: Wire, *, within: float = 10) -> AsyncIterator[Side]:
    """A telephone that picks up and knows no telephone-event."""
    async with Rtp(phone.address.host) as sound:
        invite = await phone.is_asked("INVITE", within=within)
        session = phone.session(sound.address.port)
        plain = "\r\n".join(line for line in session.split("\r\n") if "101" not in line or line.startswith("m="))
        phone.answer(invite, "200 OK", body=plain.replace(" 8 101", " 8"))
        yield Side(Dialog.of_called(phone, invite), sound)


async def test_1_is_heard_as_a_tone_where_nothing_else_was_agreed(world: World, tmp_path: Path) -> None:
    one = await alaw(tmp_path, "one", *ONE)
    async with world.own_phone("eve") as phone:
        caller = await world.call("eve")
        async with answers_without_keys(phone) as eve:
            await eve.sound.hears_sound()
            await eve.sound.plays(one, eve.dialog.media)
            async with eve.sound.talking(eve.dialog.media):
                await asyncio.sleep(0.5)
            await caller.hangs_up()
    trace = await world.trace(caller)
    assert trace.dispositions == [("Eve", Disposition.ACCEPTED)]


async def test_no_greeting_presses_1(world: World, tmp_path: Path) -> None:
    """A voicemail's greeting with what may come before and after it: tones of the network, music, a beep."""
    greeting = await speak(GREETING, tmp_path / "greeting.wav")
    sounds = [await alaw(tmp_path, name, *effects) for name, effects in SOUNDS.items()]
    sounds.append(await alaw(tmp_path, "greeting", source=str(greeting.file)))
    async with world.own_phone("eve") as phone:
        caller = await world.call("eve")
        async with answers_without_keys(phone) as voicemail:
            playing = asyncio.create_task(voicemail.sound.plays(b"".join(sounds), voicemail.dialog.media))
            carol = await world.phone("carol").rings(within=25)
            assert playing.done(), "all was played before Carol was rung"
            await caller.hangs_up()
            await carol.is_left_alone()
    trace = await world.trace(caller)
    assert trace.dispositions[0] == ("Eve", Disposition.NOT_CONFIRMED)
