"""A number is tried by one trunk after the other, as long as it is the trunks that fail."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from ari_app.calls import trunks as trunks_module
from db.records import AttemptClosed, AttemptOpened, CallEvent
from oncall.outcomes import EventKind
from oncall.plan import Candidate, ContactKind, ContactMethod
from tests.calls.conftest import BOB, Office, person, until

NUMBER = "+33612345678"
FIRST, SECOND, THIRD = (f"PJSIP/{NUMBER}@trunk-{trunk}" for trunk in ("first", "second", "third"))


def mobile(ring_seconds: float = 20) -> Candidate:
    return person(1, "Alice", ContactMethod(11, ContactKind.PHONE, NUMBER, ring_seconds))  # type: ignore[arg-type]


@pytest.fixture
def office(office: Office) -> Office:
    office.steps([mobile()], [BOB])
    office.plan = replace(office.plan, trunks=("first", "second"))
    return office


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunks_module, "SILENT_SECONDS", 0.01)
    monkeypatch.setattr(trunks_module, "LAST_SILENT_SECONDS", 0.5)


def told(office: Office, kind: EventKind) -> list[CallEvent]:
    return [record for record in office.paper if isinstance(record, CallEvent) and record.kind == kind]


async def test_a_trunk_that_fails_is_followed_by_the_next_in_one_attempt(office: Office) -> None:
    caller = await office.call()
    (await office.asterisk.rung(FIRST)).hangs_up(34, 503)
    alice = await office.asterisk.rung(SECOND)
    alice.answers().presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    alice.hangs_up()
    await office.over()
    assert office.paper.dispositions() == [("Alice", "accepted")]
    (failure,) = told(office, EventKind.TRUNK_FAILED)
    assert (failure.who, failure.q850, failure.sip) == ("Alice", 34, 503)
    assert failure.reason == "first en défaut, essai par second"


async def test_each_try_is_a_channel_of_its_own_and_its_events_name_it(office: Office) -> None:
    caller = await office.call()
    failed = await office.asterisk.rung(FIRST)
    failed.hangs_up(38, 500)
    alice = await office.asterisk.rung(SECOND)
    alice.rings()
    await until(lambda: told(office, EventKind.RINGING), "alice's phone rings")
    (opened,) = (record for record in office.paper if isinstance(record, AttemptOpened))
    assert failed.channel.id == opened.leg
    assert alice.channel.id == f"{opened.leg}.2"
    assert told(office, EventKind.TRUNK_FAILED)[0].leg == failed.channel.id
    assert told(office, EventKind.RINGING)[0].leg == alice.channel.id
    caller.hangs_up()
    await office.over()
    assert not alice.alive


@pytest.mark.parametrize(("q850", "sip"), [(17, 486), (1, 404), (19, 480), (21, 603), (16, None)])
async def test_what_is_the_persons_is_asked_of_no_other_trunk(office: Office, q850: int, sip: int | None) -> None:
    caller = await office.call()
    (await office.asterisk.rung(FIRST)).hangs_up(q850, sip)
    await office.asterisk.rung("PJSIP/bob")
    assert SECOND not in office.asterisk.rung_endpoints
    assert not told(office, EventKind.TRUNK_FAILED)
    caller.hangs_up()
    await office.over()


async def test_once_it_has_rung_a_failure_is_not_the_trunks(office: Office) -> None:
    caller = await office.call()
    alice = await office.asterisk.rung(FIRST)
    alice.rings()
    alice.hangs_up(38, 500)
    await office.asterisk.rung("PJSIP/bob")
    assert SECOND not in office.asterisk.rung_endpoints
    assert office.paper.dispositions() == [("Alice", "unreachable")]
    caller.hangs_up()
    await office.over()


async def test_when_all_trunks_fail_the_hunt_moves_on_with_the_last_cause(office: Office) -> None:
    caller = await office.call()
    (await office.asterisk.rung(FIRST)).hangs_up(38, 500)
    (await office.asterisk.rung(SECOND)).hangs_up(34, 503)
    await office.asterisk.rung("PJSIP/bob")
    assert office.paper.dispositions() == [("Alice", "unreachable")]
    assert len(told(office, EventKind.TRUNK_FAILED)) == 1
    (closed,) = (record for record in office.paper if isinstance(record, AttemptClosed))
    assert (closed.q850, closed.sip) == (34, 503)
    caller.hangs_up()
    await office.over()


async def test_a_trunk_that_asterisk_does_not_know_is_followed_by_the_next(office: Office) -> None:
    office.asterisk.broken.add(FIRST)
    caller = await office.call()
    await office.asterisk.rung(SECOND)
    caller.hangs_up()
    await office.over()
    assert told(office, EventKind.TRUNK_FAILED)[0].q850 == 20


@pytest.mark.usefixtures("impatient")
async def test_a_trunk_that_says_nothing_is_left_for_the_next(office: Office) -> None:
    caller = await office.call()
    silent = await office.asterisk.rung(FIRST)
    silent.replied = False
    alice = await office.asterisk.rung(SECOND)
    assert not silent.alive, "one mobile is never rung twice at once"
    assert told(office, EventKind.TRUNK_FAILED)[0].q850 == 102
    alice.answers().presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    alice.hangs_up()
    await office.over()


@pytest.mark.usefixtures("impatient")
async def test_a_trunk_that_is_trying_is_waited_for(office: Office) -> None:
    caller = await office.call()
    alice = await office.asterisk.rung(FIRST)
    clock = asyncio.get_running_loop().time
    later = clock() + 0.1
    await until(lambda: clock() > later, "many times the patience for a silent trunk")
    assert alice.alive
    alice.answers().presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    alice.hangs_up()
    await office.over()
    assert office.asterisk.rung_endpoints == [FIRST]


@pytest.mark.usefixtures("impatient")
async def test_a_lone_trunk_that_says_nothing_is_waited_for_longer_but_not_for_ever(office: Office) -> None:
    office.plan = replace(office.plan, trunks=("first",))
    clock = asyncio.get_running_loop().time
    began = clock()
    caller = await office.call()
    (await office.asterisk.rung(FIRST)).replied = False
    await office.asterisk.rung("PJSIP/bob")
    assert clock() - began > trunks_module.LAST_SILENT_SECONDS
    assert office.paper.dispositions() == [("Alice", "unreachable")]
    (closed,) = (record for record in office.paper if isinstance(record, AttemptClosed))
    assert closed.q850 == 102
    caller.hangs_up()
    await office.over()


@pytest.mark.usefixtures("impatient")
async def test_a_lone_trunk_that_takes_its_time_is_not_given_up(office: Office) -> None:
    office.plan = replace(office.plan, trunks=("first",))
    clock = asyncio.get_running_loop().time
    began = clock()
    caller = await office.call()
    alice = await office.asterisk.rung(FIRST)
    alice.replied = False
    await until(lambda: clock() > began + 0.1, "more than the time after which another trunk would be tried")
    alice.answers().presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    alice.hangs_up()
    await office.over()


async def test_a_carrier_that_refuses_the_callers_number_is_tried_once_more_with_the_lines(office: Office) -> None:
    caller = await office.call()
    refused = await office.asterisk.rung(FIRST)
    assert "+33611223344" in refused.caller_id
    refused.hangs_up(21, 403)
    alice = await office.asterisk.rung(FIRST)
    assert office.plan.line.number in alice.caller_id
    alice.answers().presses("1")
    await until(lambda: caller.bridged_with == {alice.channel.id}, "they are connected")
    alice.hangs_up()
    await office.over()
    (failure,) = told(office, EventKind.TRUNK_FAILED)
    assert failure.reason == "first refuse le numéro de l'appelant, essai avec celui de la ligne"

    await office.call()
    again = await office.asterisk.rung(FIRST)
    assert office.plan.line.number in again.caller_id, "not each call costs a try"
    again.hangs_up(17, 486)


async def test_a_carrier_that_refuses_the_lines_number_too_is_followed_by_the_next(office: Office) -> None:
    caller = await office.call()
    for _ in range(2):
        (await office.asterisk.rung(FIRST)).hangs_up(21, 403)
    alice = await office.asterisk.rung(SECOND)
    assert "+33611223344" in alice.caller_id
    caller.hangs_up()
    await office.over()


async def test_all_trunks_share_one_ring_time(office: Office) -> None:
    office.steps([mobile(ring_seconds=0.5)], [BOB])
    office.plan = replace(office.plan, trunks=("first", "second"))
    clock = asyncio.get_running_loop().time
    began = clock()
    caller = await office.call()
    failing = await office.asterisk.rung(FIRST)
    await until(lambda: clock() > began + 0.4, "most of the ring time is over")
    failing.hangs_up(34, 503)
    failed = clock()
    (await office.asterisk.rung(SECOND)).rings()
    await office.asterisk.rung("PJSIP/bob")
    assert clock() - failed < 0.5
    assert office.paper.dispositions() == [("Alice", "no_answer")]
    caller.hangs_up()
    await office.over()


async def test_a_trunk_that_does_not_answer_options_is_tried_last_and_the_journal_says_so(office: Office) -> None:
    office.asterisk.silent_trunks = {"first"}
    caller = await office.call()
    (await office.asterisk.rung(SECOND)).hangs_up(34, 503)
    await office.asterisk.rung(FIRST)
    assert office.asterisk.rung_endpoints == [SECOND, FIRST]
    (ring,) = told(office, EventKind.RING)
    assert (ring.reason or "").endswith(f"(phone {NUMBER}, par second, first ne répond pas)")
    caller.hangs_up()
    await office.over()


@pytest.mark.parametrize("silent", [{"first", "second", "third"}, set()])
async def test_trunks_that_are_all_alike_are_tried_as_the_site_orders_them(office: Office, silent: set[str]) -> None:
    office.asterisk.silent_trunks = silent
    office.plan = replace(office.plan, trunks=("first", "second", "third"))
    caller = await office.call()
    for trunk in (FIRST, SECOND, THIRD):
        (await office.asterisk.rung(trunk)).hangs_up(34, 503)
    await office.asterisk.rung("PJSIP/bob")
    failures = [event.reason for event in told(office, EventKind.TRUNK_FAILED)]
    assert failures == [f"{one} en défaut, essai par {other}" for one, other in pairwise(("first", "second", "third"))]
    caller.hangs_up()
    await office.over()


async def test_without_any_trunk_a_number_leads_nowhere(office: Office) -> None:
    office.plan = replace(office.plan, trunks=())
    office.asterisk.broken.add(f"PJSIP/{NUMBER}@trunk-none")
    caller = await office.call()
    await office.asterisk.rung("PJSIP/bob")
    assert office.paper.dispositions() == [("Alice", "unreachable")]
    caller.hangs_up()
    await office.over()


async def test_a_caller_who_hangs_up_between_two_trunks_rings_nobody(office: Office) -> None:
    caller = await office.call()
    failing = await office.asterisk.rung(FIRST)
    failing.hangs_up(34, 503)
    caller.hangs_up()
    await office.over()
    assert [party for party in office.asterisk.parties.values() if party.alive] == []
    assert office.paper.outcomes() == ["abandoned"]
