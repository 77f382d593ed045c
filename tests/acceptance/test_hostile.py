"""Callers and telephones that we do know, and that mean no good, or are out of their mind."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from sqlalchemy import select

from db.models import Attempt, Call
from lab.phones import ringing
from lab.waiting import eventually
from lab.wire import Dialog, Wire
from lab.wired import picked_up
from lab.world import World
from oncall.outcomes import Outcome

pytestmark = pytest.mark.usefixtures("unleaked")

NUMBER = "+33655000002"
PREMIUM = "+33899000001"
TRICKS = ("REFER", "MESSAGE", "NOTIFY", "PUBLISH", "SUBSCRIBE", "EXTERMINATE")
CALLERS = {
    # the header From, and which number it is
    "<sip:anonymous@anonymous.invalid>": None,
    '"Anonymous" <sip:anonymous@anonymous.invalid>': None,
    "<sip:carrier.lab>": None,
    "<sip:%ff%fe@carrier.lab>": None,
    "<sip:%1b%5b2J@carrier.lab>": None,
    "<sip:%24%7BSHELL(touch%20owned)%7D@carrier.lab>": None,
    "<sip:%27%3B%20DROP%20TABLE%20call%3B--@carrier.lab>": None,
    f"<sip:{'9' * 500}@carrier.lab>": None,
    f"<sip:{'n' * 500}@carrier.lab>": None,
    f"<sip:{NUMBER};phone-context=+33;npdi@carrier.lab>": NUMBER,
    f"<sip:{NUMBER}%00@carrier.lab>": NUMBER,
    f"<tel:{NUMBER}>": NUMBER,
    f"<sips:{NUMBER}@carrier.lab>": NUMBER,
    f'"${{SHELL(touch owned)}}" <sip:{NUMBER}@carrier.lab>': NUMBER,
    f'"\\"quoted\\" \\\\ <b>&amp;" <sip:{NUMBER}@carrier.lab>': NUMBER,
    f'"Zoé \u202e\U0001f4a3" <sip:{NUMBER}@carrier.lab>': NUMBER,
    f'"\udcff\udcfe" <sip:{NUMBER}@carrier.lab>': NUMBER,
    f'"{"n" * 1000}" <sip:{NUMBER}@carrier.lab>': NUMBER,
}
HEADERS = {
    # another header, and which number is then the caller's
    "P-Asserted-Identity: <sip:%ff@carrier.lab>": None,
    "Remote-Party-ID: <sip:%ff%fe@carrier.lab>;party=calling": None,
    "Diversion: <sip:%ff%fe@carrier.lab>;reason=unconditional": NUMBER,
    "X-Odd: \udcff": NUMBER,
    "Route: <sip:192.0.2.1;lr>": NUMBER,
    "Alert-Info: info=alert-autoanswer": NUMBER,
    f"Subject: {'x' * 3000}": NUMBER,
}
SUFFIXES = (
    ";phone-context=+33",
    "%00",
    "%ff%fe",
    quote("é\u202e"),
    quote("${SHELL(touch owned)}"),
    quote('"),System(touch owned)'),
)
OFFERS = {
    # in place of v=0 … m=audio …, and what is answered
    "": 200,
    "garbage": 400,
    "v=0\r\n": 400,
    "m=audio 0 RTP/AVP 8": 488,
    "m=audio 99999 RTP/AVP 8": 400,
    "m=audio -1 RTP/AVP 8": 400,
    "m=audio 9 RTP/AVP 3 4 18": 488,
    "m=video 9 RTP/AVP 8": 488,
    "\r\n".join(["m=audio 9 RTP/AVP 8"] * 40): 200,
    "m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/0\r\na=ptime:-5\r\na=maxptime:99999999999": 200,
}


async def test_odd_callers_are_served_like_any_other(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    began = datetime.now(UTC)
    number = world.site.lines["support"].numbers[0]
    async with world.somebody(world.carrier.host) as line:
        calls = [line.call(number, 9, from_=who) for who in CALLERS]
        calls += [line.call(number, 9, headers=[header]) for header in HEADERS]
        calls += [line.call(number + suffix, 9) for suffix in SUFFIXES]
        for call in calls:
            await (await call).ask("BYE")

    query = select(Call.line_name, Call.outcome, Call.caller, Call.worker.is_not(None)).order_by(Call.started_at)
    callers = [*CALLERS.values(), *HEADERS.values(), *([NUMBER] * len(SUFFIXES))]
    served = [("Support", Outcome.ABANDONED, caller, True) for caller in callers]

    async def otherwise() -> str:
        async with world.engine.connect() as connection:
            rows = [tuple(row) for row in await connection.execute(query.where(Call.started_at >= began))]
        return "" if rows == served else f"the journal has {rows}"

    await eventually(otherwise, within=10, hoped="all are served and journalled")
    assert not list(world.pbx.directory.glob("owned")), "a command was carried out"


async def test_nobody_takes_the_place_of_a_call_that_he_does_not_know(world: World) -> None:
    """RFC 3891, 3: an INVITE that is to replace a call which there is not is refused."""
    replaces = ["Replaces: a;to-tag=b;from-tag=c"]
    async with world.somebody(world.carrier.host) as line:
        assert (await line.ask(line.invite(world.site.lines["support"].numbers[0], headers=replaces))).status == 481


async def test_what_is_no_number_cannot_be_called(world: World) -> None:
    async with world.somebody(world.carrier.host) as line, world.own_phone("eve") as phone:
        for user in ("s", "h", "i", "t", "o", "a", "*", "alice", "eve", "trunk-lab", "vigie-phones", "lab"):
            if len(user) == 1:
                assert (await line.ask(line.invite(user))).status == 404, user
            answer = await phone.log_in("INVITE", phone.uri(user), "eve", world.password("eve"), body=phone.session())
            assert answer.status == 404, user


async def test_no_caller_and_no_phone_is_put_through_to_a_number(world: World) -> None:
    victim = world.mobile(PREMIUM)
    began = datetime.now(UTC)
    async with world.somebody(world.carrier.host) as line, world.own_phone("eve") as phone:
        for number in (PREMIUM, "0033899000001", "0899000001", "899", "9" + PREMIUM, PREMIUM + quote("@trunk-lab")):
            await (await line.call(number, 9)).ask("BYE")
            uri, password = phone.uri(number), world.password("eve")
            assert (await phone.log_in("INVITE", uri, "eve", password, body=phone.session())).status == 404
    await world.nothing_left()

    assert not victim.calls
    async with world.engine.connect() as connection:
        attempts = select(Attempt.id).join(Call, Call.id == Attempt.call_id).where(Call.started_at >= began)
        assert not (await connection.execute(attempts)).all()


async def test_offers_of_sound_that_make_no_sense(world: World) -> None:
    world.phone("alice").does_by_itself(ringing)
    async with world.somebody(world.carrier.host) as line:
        for media, status in OFFERS.items():
            body = f"{line.session().partition('m=')[0]}{media}\r\n" if media.startswith("m=") else media
            answer = await line.ask(line.invite(world.site.lines["support"].numbers[0], body=body))
            assert answer.status == status, media
            if status == 200:
                await Dialog.of_caller(line, answer).ask("BYE")


async def test_a_phone_cannot_have_its_calls_go_to_a_number_of_the_trunk(world: World) -> None:
    """It registers itself at the carrier's address, and waits to be called."""
    victim = world.mobile(PREMIUM)
    world.phone("carol").does_by_itself(ringing)
    async with Wire(world.address(202), world.settings.sip_bind) as phone:
        where = f"sip:{PREMIUM}@{phone.address}"
        for contact in (
            f"sip:{PREMIUM}@{world.carrier}",
            f"{where};maddr={world.carrier.host}",
            f"{where};maddr={world.carrier.host};transport=udp",
            f"{where}?Route=%3Csip%3A{world.carrier}%3Blr%3E",
            f"{where};lr",
        ):
            assert (await phone.register("eve", world.password("eve"), contact=contact)).status == 200
            caller = await world.call("eve")
            await caller.is_answered()
            await caller.hangs_up()
            await world.nothing_left()
        await phone.register("eve", world.password("eve"), seconds=0)
    assert not victim.calls


async def test_a_phone_cannot_register_under_another_name_or_in_two_places(world: World) -> None:
    async with world.own_phone("eve") as phone:
        eve, password = f"<{phone.uri('eve')}>", world.password("eve")
        for name in ("bob", "trunk-lab", "vigie-party"):
            whose, contact = f"<{phone.uri(name)}>", f"<sip:{name}@{phone.address}>"
            for from_, status in ((eve, 404), (whose, 401)):
                parts = {"to": whose, "from_": from_, "contact": contact}
                assert (await phone.log_in("REGISTER", phone.uri(), "eve", password, **parts)).status == status, name
        two = f"<sip:eve@{phone.address}>, <sip:{PREMIUM}@{world.carrier}>"
        assert (await phone.log_in("REGISTER", phone.uri(), "eve", password, to=eve, contact=two)).status == 403

    bob = world.phone("bob")
    caller = await world.call("together")
    await world.phone("alice").rings()
    await bob.rings()
    await caller.hangs_up()


async def test_nobody_changes_a_call_into_another_one(world: World) -> None:
    """What a party to a conversation may ask for in its midst: nothing that makes a call, or moves this one."""
    victim, elsewhere = world.mobile(PREMIUM), f"<sip:{PREMIUM}@{world.carrier}>"
    async with picked_up(world, "eve", "eve") as (caller, eve):
        eve.presses("1")
        await eve.is_connected_to(caller)
        for side in (caller, eve):
            wire = side.dialog.wire
            headers = [f"Refer-To: {elsewhere}", "Event: refer", "Referred-By: <sip:eve@lab>"]
            for method in TRICKS:
                wire.send(side.dialog.text(method, headers=headers))  # some are not even answered
            offer = wire.session(side.sound.address.port)
            assert (await side.dialog.ask("INVITE", contact=elsewhere, body=offer)).status == 200
            assert not [said for said in wire.heard if said.status // 100 == 2 and said.method in TRICKS]
        await eve.is_connected_to(caller)
        await caller.hangs_up()
    assert not victim.calls
