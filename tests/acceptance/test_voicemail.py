"""The message that a caller leaves when nobody could take the call, down to the mail that carries it."""

import asyncio

from sqlalchemy import text

from lab.party import Caller
from lab.rtp import Rtp
from lab.sound import Sound, Speech, resemblance
from lab.waiting import eventually
from lab.world import World
from oncall.outcomes import Outcome

CAROL = "carol@societe.example"
PAUSE = 5
"""Seconds: longer than Asterisk itself waits for a packet, shorter than the line's silence."""


async def test_what_was_said_decides_whether_there_is_a_message_not_how_it_ended(world: World, message: Speech) -> None:
    async def spoke(ending: str) -> None:
        caller = await _after_the_beep(world)
        await caller.says(message)
        await _ends(caller, ending)
        letter = await world.letter(caller, CAROL)
        assert resemblance(message.sound, letter.sound) > 0.9, ending
        assert (await world.trace(caller)).outcome is Outcome.VOICEMAIL, ending

    async def said_nothing(ending: str) -> None:
        caller = await _after_the_beep(world)
        await _ends(caller, ending)
        letter = await world.letter(caller, CAROL)
        assert not letter.attachment_names, ending
        assert (await world.trace(caller)).outcome is Outcome.NO_MESSAGE, ending

    async with asyncio.TaskGroup() as callers:
        for ending in ("hangup", "silence"):
            callers.create_task(spoke(ending))
            callers.create_task(said_nothing(ending))


async def test_a_pause_in_which_nothing_comes_from_the_caller_ends_no_message(world: World, message: Speech) -> None:
    """Silence suppression, hold, call waiting: the lab's caller sends packets only while there is something to say."""
    caller = await _after_the_beep(world, "patient")
    await asyncio.sleep(PAUSE)
    await caller.says(message)
    await asyncio.sleep(PAUSE)
    await caller.says(message)
    await caller.is_hung_up(within=20)  # after its seven seconds of silence, told that the message is kept

    letter = await world.letter(caller, CAROL)
    assert resemblance(Sound(message.sound.samples * 2), letter.sound) > 0.9


async def test_who_is_recorded_is_sent_sound_all_the_time(world: World) -> None:
    """Gateways cut a call in which they hear nothing for ten seconds."""
    async with world.somebody(world.carrier.host) as line, Rtp(line.address.host) as sound:
        call = await line.call(world.site.lines["patient"].numbers[0], sound.address.port)
        async with sound.talking(call.media):
            await _is_recorded(world)
            heard = sound.packets
            await sound.hears_sound(packets=heard + 100, within=4)
            await call.ask("BYE")


async def test_a_message_waits_for_a_mail_server_that_is_down_and_is_sent_once(world: World, message: Speech) -> None:
    caller = await _after_the_beep(world)
    await world.mailbox.goes_down()
    try:
        await caller.says(message)
        await caller.presses("#")
        await caller.is_hung_up(within=15)
        await _outbox(world, caller, "state = 'pending' AND last_error IS NOT NULL")
    finally:
        await world.mailbox.comes_up()

    letter = await world.letter(caller, CAROL)
    assert resemblance(message.sound, letter.sound) > 0.9
    await _outbox(world, caller, "state = 'sent'")
    assert [each.about for each in world.mailbox.letters].count(letter.about) == 1


async def test_a_recipient_refused_for_good_is_given_up_and_the_message_kept(world: World, message: Speech) -> None:
    world.mailbox.refuses("gone@societe.example")
    caller = await _after_the_beep(world, "complaints")
    await caller.says(message)
    await caller.hangs_up()

    await world.mailbox.turns_away("gone@societe.example")
    await _outbox(world, caller, "state = 'failed' AND last_error LIKE '%550%'")
    async with world.engine.connect() as connection:
        kept = text("SELECT duration_ms FROM voicemail WHERE call_id = :call")
        assert await connection.scalar(kept, {"call": (await world.trace(caller)).call.id})


async def _after_the_beep(world: World, line: str = "answering-machine") -> Caller:
    """A caller who has been asked for a message and has heard the beep."""
    caller = await world.call(line)
    await caller.is_answered()
    await caller.hears_beep()
    return caller


async def _is_recorded(world: World) -> None:
    """Waits until Asterisk makes a recording that grows."""

    async def none() -> str:
        recordings = list(world.pbx.recordings.glob("*.wav"))
        return "" if any(each.stat().st_size > 8000 for each in recordings) else f"recordings: {recordings}"

    await eventually(none, within=15, hoped="the caller is recorded")


async def _ends(caller: Caller, ending: str) -> None:
    """The message ends by the caller's hanging up or, when nothing more is said, by itself."""
    if ending == "hangup":
        await caller.hangs_up()
    await caller.is_hung_up(within=15)


async def _outbox(world: World, caller: Caller, condition: str) -> None:
    """Waits until the mail of a call is as ``condition`` says."""
    trace = await world.trace(caller)
    query = text(
        f"SELECT outbox.state, attempts, last_error, {condition} AS met FROM outbox"
        " LEFT JOIN voicemail ON voicemail.id = voicemail_id WHERE call_id = :call"
    )

    async def unmet() -> str:
        async with world.engine.connect() as connection:
            rows = (await connection.execute(query, {"call": trace.call.id})).all()
        return "" if [row.met for row in rows] == [True] else f"the outbox says {rows}"

    await eventually(unmet, within=20, hoped=f"a mail with {condition}")
