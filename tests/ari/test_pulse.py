"""Signs of life: who is declared dead, who inherits, and how one that was only hung finds out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ari_app.ari.pulse import ANY_BEAT, FAMILY_BEATS, MISSES, Pulse


class Site:
    """The global variables and the applications of one Asterisk, which the members of a family share."""

    def __init__(self) -> None:
        self.variables = {"EPOCH": "1795636159"}
        self.members: dict[str, Member] = {}
        self.before_reading: dict[str, Any] = {}
        """What happens just before a variable is read."""

    def joins(self, app: str) -> "Member":
        self.members[app] = Member(self, app)
        return self.members[app]

    async def turns(self, *members: "Member", times: int = 1) -> None:
        """Lets these members live on, one after the other, and nobody else."""
        for _ in range(times):
            for member in members:
                await member.pulse.beat()
                await member.pulse.look_around()

    async def ask(self, method: str, uri: str, /, **query: Any) -> Any:
        if uri == "applications":
            return [{"name": app} for app in (*self.members, "somebody-else")]
        name = query["variable"]
        if method == "GET":
            if act := self.before_reading.pop(name, None):
                await act()
            return {"value": self.variables.get(name, "")}
        if query["value"] is None:
            self.variables.pop(name, None)
        else:
            self.variables[name] = query["value"]
        return None


class Member:
    def __init__(self, site: Site, app: str) -> None:
        self.buried: list[str] = []
        self.superseded = False
        self.on_burial: Callable[[], Awaitable[None]] | None = None
        self.pulse = Pulse(app, "vigie-", site.ask, self._buries, self._is_superseded)

    async def _buries(self, app: str) -> None:
        if self.on_burial:
            await self.on_burial()
        self.buried.append(app)

    def _is_superseded(self) -> None:
        self.superseded = True


async def test_everybody_lives_as_long_as_everybody_beats() -> None:
    site = Site()
    members = [site.joins(app) for app in ("vigie-a", "vigie-b", "vigie-c")]
    await site.turns(*members, times=5 * MISSES)
    assert [member.buried for member in members] == [[], [], []]
    assert all(member.pulse.sure and member.pulse.others_serve for member in members)


async def test_the_nearest_one_before_it_inherits_what_a_dead_one_has_left() -> None:
    site = Site()
    a, b, c, d = (site.joins(f"vigie-{letter}") for letter in "abcd")
    await site.turns(a, b, c, d, times=2)
    await site.turns(a, b, d, times=MISSES + 1)
    assert b.buried == ["vigie-c"]
    assert not a.buried + d.buried


async def test_of_two_that_die_together_the_same_one_inherits_both() -> None:
    site = Site()
    a, b, c = (site.joins(f"vigie-{letter}") for letter in "abc")
    await site.turns(a, b, c, times=2)
    await site.turns(b, times=2 * MISSES + 2)
    assert set(b.buried) == {"vigie-a", "vigie-c"}
    assert not b.pulse.others_serve


async def test_of_two_that_declared_each_other_dead_somebody_else_inherits() -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    site.variables |= {"VIGIE_DEAD_vigie-a": "vigie-b", "VIGIE_DEAD_vigie-b": "vigie-a"}
    c = site.joins("vigie-c")
    await site.turns(c, times=MISSES + 2)
    assert set(c.buried) == {"vigie-a", "vigie-b"}


async def test_an_heir_looks_after_what_it_has_inherited_whoever_joins_in_between() -> None:
    """What the dead one asked for last may be carried out late."""
    site = Site()
    a, c = site.joins("vigie-a"), site.joins("vigie-c")
    await site.turns(a, c, times=2)
    await site.turns(a, times=MISSES + 1)
    b = site.joins("vigie-b")
    await site.turns(a, b, times=FAMILY_BEATS)
    a.buried.clear()
    await site.turns(a, b, times=2 * FAMILY_BEATS)
    assert set(a.buried) == {"vigie-c"}
    assert not b.buried


async def test_one_that_says_it_is_gone_is_inherited_at_once() -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    assert await b.pulse.hand_over()
    await site.turns(b)  # nothing it still does takes its word back
    await site.turns(a)
    assert a.buried == ["vigie-b"]


async def test_of_two_that_stop_at_once_none_leaves_what_it_has_to_the_other() -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    for member in (a, b):
        await member.pulse.leave()
    assert not await a.pulse.hand_over()
    assert not await b.pulse.hand_over()
    await site.turns(a, b, times=2 * MISSES)
    assert a.buried + b.buried == []
    assert a.pulse.sure
    assert b.pulse.sure


async def test_one_that_stops_while_another_hands_over_to_it_leaves_nothing_behind() -> None:
    """Whichever of their words comes first, one of the two sees that of the other."""
    for before_gone in (True, False):
        site = Site()
        a, b = site.joins("vigie-a"), site.joins("vigie-b")
        await site.turns(a, b, times=2)
        await a.pulse.leave()
        if before_gone:
            site.before_reading["VIGIE_ALIVE_vigie-b"] = b.pulse.leave
            assert not await a.pulse.hand_over()
            assert b.buried == ["vigie-a"]
            assert a.superseded
        else:
            assert await a.pulse.hand_over()
            await b.pulse.leave()
            assert b.buried == ["vigie-a"]


async def test_the_last_one_that_is_leaving_inherits_what_others_leave() -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    await b.pulse.leave()
    await site.turns(b, times=MISSES + 1)
    assert b.buried == ["vigie-a"]


async def test_one_that_is_leaving_lives_and_inherits_nothing() -> None:
    site = Site()
    a, b, c = (site.joins(f"vigie-{letter}") for letter in "abc")
    await site.turns(a, b, c, times=2)
    await b.pulse.leave()
    await site.turns(a, b, times=MISSES + 2)
    assert not b.buried
    assert a.buried == ["vigie-c"]


async def test_one_that_never_gave_a_sign_of_life_has_nothing_to_leave() -> None:
    site = Site()
    a = site.joins("vigie-a")
    site.joins("vigie-b")
    await site.turns(a, times=3 * MISSES)
    assert not a.buried


async def test_one_that_was_hung_finds_its_tombstone_before_it_may_act() -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    await site.turns(a, times=MISSES + 1)
    assert a.buried
    await site.turns(b)
    assert b.superseded


async def test_one_that_revives_while_its_tombstone_is_put_up_is_not_inherited() -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    await site.turns(a, times=MISSES)

    async def look_once_more() -> None:
        site.before_reading["VIGIE_ALIVE_vigie-b"] = b.pulse.beat

    site.before_reading["VIGIE_ALIVE_vigie-b"] = look_once_more
    await site.turns(a)
    assert not a.buried
    assert b.superseded, "it saw the tombstone, and cannot know that it was taken away again"


async def test_a_lease_runs_out_while_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    a = site.joins("vigie-a")
    assert not a.pulse.sure
    await site.turns(a)
    assert a.pulse.sure
    monkeypatch.setattr("ari_app.ari.pulse.LEASE_SECONDS", -1)
    await site.turns(a)
    assert not a.pulse.sure
    assert not await a.pulse.becomes_sure(0.01)
    monkeypatch.undo()
    waiting = asyncio.create_task(a.pulse.becomes_sure(5))
    await site.turns(a)
    assert await waiting


async def test_nobody_is_declared_dead_while_asterisk_is_slow_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b, times=2)
    monkeypatch.setattr("ari_app.ari.pulse.LATE_SECONDS", -1)
    await site.turns(a, times=3 * MISSES)
    assert not a.buried
    monkeypatch.undo()
    await site.turns(a, times=MISSES)
    assert a.buried


async def test_the_dialplan_can_read_when_somebody_last_served() -> None:
    site = Site()
    a = site.joins("vigie-a")
    await a.pulse.begin()
    assert site.variables[ANY_BEAT] == "1795636159"
    site.variables["EPOCH"] = "1795636160"
    await site.turns(a, times=5)
    assert site.variables[ANY_BEAT] == "1795636160"
    await a.pulse.leave()
    site.variables["EPOCH"] = "1795636161"
    await site.turns(a, times=5)
    assert site.variables[ANY_BEAT] == "1795636160"


async def test_one_that_comes_later_leaves_what_was_inherited_to_its_heir() -> None:
    site = Site()
    a, c = site.joins("vigie-a"), site.joins("vigie-c")
    await site.turns(a, c, times=2)
    await site.turns(a, times=MISSES + 1)
    assert a.buried == ["vigie-c"]
    b = site.joins("vigie-b")
    await site.turns(a, b, times=4 * MISSES)
    assert not b.buried, "it is nearer to the dead one, but another serves what that one has left"


async def test_whoever_inherits_an_heir_inherits_all_that_one_had_inherited() -> None:
    site = Site()
    a, c, d = (site.joins(f"vigie-{letter}") for letter in "acd")
    await site.turns(a, c, d, times=2)
    await site.turns(a, c, times=MISSES + 1)
    assert c.buried == ["vigie-d"]
    await site.turns(a, times=MISSES + 1)
    assert a.buried == ["vigie-c", "vigie-d"]


async def test_one_whose_heir_has_left_no_trace_is_inherited_again() -> None:
    site = Site()
    a, b, c = (site.joins(f"vigie-{letter}") for letter in "abc")
    await site.turns(a, b, c, times=2)
    await site.turns(a, b, times=MISSES + 1)
    assert b.buried == ["vigie-c"]
    del site.members["vigie-b"]
    await site.turns(a, times=3 * MISSES)
    assert "vigie-c" in a.buried


async def test_one_that_comes_later_does_not_wait_for_those_long_dead() -> None:
    site = Site()
    a, b, c, d = (site.joins(f"vigie-{letter}") for letter in "abcd")
    await site.turns(a, b, c, d, times=2)
    await site.turns(a, d, times=2 * MISSES + 2)
    assert {"vigie-b", "vigie-c"} == set(a.buried)
    late = site.joins("vigie-aa")
    await site.turns(a, late, times=MISSES + 1)
    assert late.buried == ["vigie-d"]


async def test_whoever_inherits_goes_on_giving_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ari_app.ari.pulse.BEAT_SECONDS", 0.001)
    site = Site()
    a, b = site.joins("vigie-a"), site.joins("vigie-b")
    await site.turns(a, b)

    async def needs_a_lease_that_outlives_the_last_beat() -> None:
        beaten = int(site.variables["VIGIE_ALIVE_vigie-a"])
        while int(site.variables["VIGIE_ALIVE_vigie-a"]) < beaten + 10:
            await asyncio.sleep(0)

    a.on_burial = needs_a_lease_that_outlives_the_last_beat
    running = asyncio.create_task(a.pulse.run(lambda: True))
    async with asyncio.timeout(5):
        while not a.buried:
            await asyncio.sleep(0)
    running.cancel()
