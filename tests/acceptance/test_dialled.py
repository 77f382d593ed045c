"""Where carriers write the number that was dialled: in the request, elsewhere, or nowhere."""

from datetime import UTC, datetime

from sqlalchemy import select

from db.models import Call
from lab.phones import ringing
from lab.waiting import eventually
from lab.wire import Dialog
from lab.world import World

NUMBER = "+33180000001"
PARTY = f"P-Called-Party-ID: <sip:{NUMBER}@carrier.lab>"
OFFICE = "+33180000008"
CALLS = [
    # by which trunk, the user in the request and in To, another header, and the line and number that are meant
    ("carrier", NUMBER, NUMBER, "", "Support", NUMBER),
    ("carrier", "account", NUMBER, "", "Support", NUMBER),
    ("carrier", "account", "0180000001;npdi", "", "Support", NUMBER),
    ("carrier", "account", "account", PARTY, "Support", NUMBER),
    ("carrier", "account", "account", "P-Called-Party-ID: ${SHELL(id)}", None, "account"),
    ("carrier", "no-number", "account", "", None, "no-number"),
    ("disorder", "+33199999999", NUMBER, "", "Support", NUMBER),
    ("disorder", "+33199999999", NUMBER, PARTY.replace("1@", "2@"), "Support", NUMBER),
    ("disorder", "account", "account", "", "Bureau", OFFICE),
]


async def test_the_number_is_found_wherever_the_carrier_writes_it(world: World) -> None:
    for phone in ("alice", "dave"):
        world.phone(phone).does_by_itself(ringing)
    began = datetime.now(UTC)
    hosts = {"carrier": world.carrier.host, "disorder": world.disorder.address.host}
    for trunk, user, to, header, *_ in CALLS:
        async with world.somebody(hosts[trunk]) as line:
            parts = {"to": f"<sip:{to}@vigie.lab>", "headers": [header] if header else []}
            answer = await line.ask(line.invite(user, **parts))
            assert answer.status == 200, (user, to, answer.first_line)
            await Dialog.of_caller(line, answer).ask("BYE")

    query = select(Call.line_name, Call.did).where(Call.started_at >= began).order_by(Call.started_at)
    meant = [(line, number) for *_, line, number in CALLS]

    async def otherwise() -> str:
        async with world.engine.connect() as connection:
            rows = [tuple(row) for row in await connection.execute(query)]
        return "" if rows == meant else f"the journal has {rows}"

    await eventually(otherwise, within=10, hoped="each call is for the line that was meant")


async def test_a_carrier_that_probes_any_user_by_options_is_answered(world: World) -> None:
    async with world.somebody(world.carrier.host) as line:
        for user in ("", "ping", "account", NUMBER, "33180000001"):
            assert (await line.ask(line.request("OPTIONS", line.uri(user)))).status == 200, user
