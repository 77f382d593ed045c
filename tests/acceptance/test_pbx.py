"""Vigie behind a PBX: extensions call it, are its lines' numbers, and are rung."""

from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import select

from db.models import Call
from lab.waiting import eventually, until
from lab.wire import Dialog, Wire
from lab.world import World
from oncall.manner import NumberForm, Reach
from vigie.site.importer import import_site
from vigie.site.schema import ContactEntry

EXTENSION, CALLER, LINE = "7118", "7200", "7100"
MOBILE = "+33612000006"


@pytest_asyncio.fixture(loop_scope="session")
async def behind_a_pbx(world: World) -> AsyncIterator[World]:
    """The world in which the second trunk is a PBX, a line has an extension, and Frank is at another one."""
    site = world.site
    wishes = {"reaches": Reach.BOTH, "prefix": "0", "number_form": NumberForm.NATIONAL}
    trunks = {"spare": site.trunks["spare"].model_copy(update=wishes), "lab": site.trunks["lab"]}
    methods = (ContactEntry(phone=EXTENSION, ring_seconds=60), ContactEntry(phone=MOBILE, ring_seconds=60))
    people = site.people | {"frank": site.people["frank"].model_copy(update={"contact_methods": methods})}
    line = site.lines["mobile"]
    lines = site.lines | {"mobile": line.model_copy(update={"numbers": (*line.numbers, LINE)})}
    await import_site(world.engine, site.model_copy(update={"trunks": trunks, "people": people, "lines": lines}))
    world.disorder.in_its_usual_disorder()
    try:
        yield world
    finally:
        world.disorder.in_its_usual_disorder()
        await import_site(world.engine, site, prune=True)


async def _rung(world: World, pbx: Wire) -> Dialog:
    """An extension calls the line; as soon as the site is known, the extension on call rings."""
    calls: list[Dialog] = []

    async def otherwise() -> str:
        calls.append(await pbx.call(LINE, 9, from_=f"<sip:{CALLER}@pbx.lab>"))
        try:
            await until(lambda: bool(world.disorder.called), within=2, hoped="the PBX is called", instead=str)
        except AssertionError as error:
            await calls[-1].ask("BYE")
            return str(error)
        return ""

    await eventually(otherwise, within=20, hoped=f"{EXTENSION} rings", grain=0)
    return calls[-1]


async def test_extensions_call_and_are_called_and_are_not_shown_outside(behind_a_pbx: World) -> None:
    world, pbx = behind_a_pbx, behind_a_pbx.disorder
    pbx.to_invite = "180 Ringing"
    async with world.somebody(pbx.address.host) as extension:
        call = await _rung(world, extension)
        pbx.to_invite = "503 Service Unavailable"
        pbx.ends_calls("486 Busy Here")
        await world.mobile(MOBILE).rings(showing=world.site.lines["mobile"].number)
        await call.ask("BYE")

    assert pbx.called == [EXTENSION, "00612000006"]
    assert all(f"sip:{CALLER}@" in invite for invite in pbx.invites)
    query = select(Call.line_name, Call.did, Call.caller).order_by(Call.started_at.desc()).limit(1)

    async def otherwise() -> str:
        async with world.engine.connect() as connection:
            told = tuple((await connection.execute(query)).one())
        return "" if told == ("Mobile", LINE, CALLER) else f"the journal has {told}"

    await eventually(otherwise, within=10, hoped="both extensions are in the journal")
