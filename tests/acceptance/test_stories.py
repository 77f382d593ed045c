"""The five stories that every on-call line must be able to tell."""

from lab.sound import Speech, resemblance
from lab.world import World
from oncall.outcomes import Disposition, EventKind, Outcome


async def test_the_person_on_call_presses_1_and_talks_with_the_caller(
    world: World, message: Speech, reply: Speech
) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    assert alice.caller_id == caller.journalled_as
    await caller.is_answered()
    await caller.hears_music()

    await alice.answers()
    await alice.hears_something()
    await alice.presses("1")
    await alice.is_connected_to(caller)
    await caller.says(message)
    await alice.hears(message)
    await alice.says(reply)
    await caller.hears(reply)
    await caller.hangs_up()
    await alice.is_hung_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Alice", Disposition.ACCEPTED)]
    assert trace.event(EventKind.CONNECTED).who == "Alice"


async def test_the_supervisor_takes_the_call_that_the_person_on_call_does_not_answer(world: World) -> None:
    caller = await world.call("unanswered")
    gina = await world.phone("gina").rings()
    await gina.is_left_alone()
    carol = await world.phone("carol").rings()
    await carol.accepts(caller)
    await carol.hangs_up()
    await caller.is_hung_up()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ANSWERED
    assert trace.dispositions == [("Gina", Disposition.NO_ANSWER), ("Carol", Disposition.ACCEPTED)]


async def test_a_machine_that_answers_a_mobile_does_not_get_the_call(world: World) -> None:
    mobile = world.mobile("+33612000006")
    caller = await world.call("mobile")
    frank = await mobile.rings()
    await frank.answers()
    await frank.hears_something()

    carol = await world.phone("carol").rings(within=25)
    await frank.is_hung_up()
    await carol.accepts(caller)
    await caller.hangs_up()
    await carol.is_hung_up()

    trace = await world.trace(caller)
    assert trace.dispositions == [("Frank", Disposition.NOT_CONFIRMED), ("Carol", Disposition.ACCEPTED)]


async def test_a_message_that_nobody_could_take_arrives_by_mail_as_it_was_spoken(world: World, message: Speech) -> None:
    caller = await world.call("alone", from_="+33655123456")
    gina = await world.phone("gina").rings()
    await gina.is_left_alone()
    await caller.is_answered()
    await caller.hears_beep()
    await caller.says(message)
    await caller.presses("#")
    await caller.is_hung_up(within=15)

    letter = await world.letter(caller, "carol@societe.example")
    assert resemblance(message.sound, letter.sound) > 0.9
    assert abs(letter.sound.seconds - message.sound.seconds) < 1
    assert "Chaufferie" in letter.subject
    assert "06 55 12 34 56" in letter.text
    assert letter.message["Auto-Submitted"] == "auto-generated"
    [name] = letter.attachment_names
    assert name.endswith("_+33655123456.wav")

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.VOICEMAIL
    assert trace.dispositions == [("Gina", Disposition.NO_ANSWER)]


async def test_a_caller_who_hangs_up_while_it_rings_leaves_the_phone_alone(world: World) -> None:
    caller = await world.call("support")
    alice = await world.phone("alice").rings()
    await caller.hangs_up()
    await alice.is_left_alone()

    trace = await world.trace(caller)
    assert trace.outcome is Outcome.ABANDONED
    assert trace.dispositions == [("Alice", Disposition.CALLER_GONE)]
