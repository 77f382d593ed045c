"""The site as a whole: many calls at once, a change of the rota, and no worker at all."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text

from db.models import Attempt, Call
from db.models.base import NAME
from lab.phones import accepting
from lab.sipp import sipp
from lab.waiting import eventually, until
from lab.world import World
from oncall.outcomes import Disposition, Outcome
from vigie.settings import SocketAddress
from vigie.site.importer import import_site
from vigie.site.schema import OverrideEntry
from voice.prompts import is_sound, sentences, sound_of

CALLS = 50


async def test_fifty_calls_leave_nothing_but_their_journal(world: World) -> None:
    for user in ("alice", "bob", "carol"):
        world.phone(user).does_by_itself(accepting)
    began = datetime.now(UTC)
    tally = await sipp(
        "caller",
        world.site.lines["in-turn"].numbers[0],
        source=SocketAddress(world.carrier.host, 5070),
        to=world.settings.sip_bind,
        calls=CALLS,
        rate=10,
    )
    assert (tally.successful, tally.failed) == (CALLS, 0), tally.complaints
    await world.nothing_left()

    ours = select(Call.id).where(Call.started_at >= began)
    async with world.engine.connect() as connection:
        outcomes = (await connection.scalars(select(Call.outcome).where(Call.id.in_(ours)))).all()
        workers = (await connection.scalars(select(Call.worker).where(Call.id.in_(ours)))).all()
        accepted = select(Attempt.id).where(Attempt.call_id.in_(ours), Attempt.disposition == Disposition.ACCEPTED)
        taken = (await connection.scalars(accepted)).all()
    assert len(outcomes) == CALLS
    assert outcomes.count(Outcome.ANSWERED) == len(taken) >= 3
    assert set(workers) == set(world.stack.workers)


async def test_a_change_of_the_rota_is_obeyed_within_a_second(world: World) -> None:
    now = datetime.now(UTC)
    override = OverrideEntry.model_validate({"person": "bob", "from": now, "until": now + timedelta(hours=1)})
    schedule = world.site.schedules["support"].model_copy(update={"overrides": (override,)})
    changed = world.site.model_copy(update={"schedules": {**world.site.schedules, "support": schedule}})
    await import_site(world.engine, changed)
    try:
        await eventually(lambda: _rung(world), within=1, hoped="Bob is rung instead of Alice", grain=0)
    finally:
        await import_site(world.engine, world.site, prune=True)
        await eventually(lambda: _rung(world, "Alice"), within=5, hoped="Alice is rung again")


async def _rung(world: World, person: str = "Bob") -> str:
    """Complains when a call makes somebody else's telephone ring than this person's."""
    people = {"Alice": world.phone("alice"), "Bob": world.phone("bob")}
    caller = await world.call("support")
    await until(
        lambda: any(phone.unnoticed for phone in people.values()),
        within=5,
        hoped="Alice's or Bob's telephone rings",
        instead=lambda: "neither does",
    )
    (rung,) = (name for name, phone in people.items() if phone.unnoticed)
    await people[rung].rings()
    await caller.hangs_up()
    return "" if rung == person else f"{rung} is"


async def test_a_telephone_rings_whatever_the_name_of_the_line(world: World) -> None:
    """The table refuses such a name; one that came in all the same costs no call."""
    name = "Support\r\nX: y\n\u2028\u202e" + "🚒" * 100
    await _named(world, name)
    try:
        await eventually(lambda: _shown(world, "Support X: y " + "🚒" * 16), within=5, hoped="Alice sees the line")
    finally:
        await _named(world, world.site.lines["support"].name)
        await eventually(lambda: _shown(world, world.site.lines["support"].name), within=5, hoped="the name is back")


async def _named(world: World, name: str) -> None:
    """Gives the line ``support`` a name, as an administrator of PostgreSQL might."""
    rename = text("UPDATE line SET name = :name WHERE slug = 'support'")
    async with world.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE line DROP CONSTRAINT line_name_form_check"))
        await connection.execute(rename, {"name": name})
        form = f"name ~ '{NAME}'"
        await connection.execute(text(f"ALTER TABLE line ADD CONSTRAINT line_name_form_check CHECK ({form}) NOT VALID"))


async def _shown(world: World, name: str) -> str:
    """Complains when Alice's telephone shows another name than this one."""
    caller = await world.call("support")
    call = await world.phone("alice").rings(within=5)
    await caller.hangs_up()
    shown = call.leg.channel.caller.name
    return "" if shown == name else f"it shows {shown!r}"


async def test_what_is_said_for_a_line_is_made_before_anybody_calls(world: World) -> None:
    lines = world.site.lines.values()
    wanted = [*sentences((line.name for line in lines), ())]
    directory = world.settings.state_dir / "sounds"
    await until(
        lambda: all(is_sound(sound_of(directory, text, language)) for text, language, _ in wanted),
        within=30,
        hoped="all sentences are there",
        instead=lambda: "some are missing",
    )
