"""Policies: how long a caller may wait at worst."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncall.errors import BadRule
from oncall.plan import Candidate, ContactKind, ContactMethod, Person, Plan, PlanStep, RingOrder
from oncall.policy import CONFIRM_SECONDS, OnCallOf, Policy, PolicyStep, Supervisors, Target, ThePerson, longest_wait
from tests.support.rota import line, paris, person, phone

TOGETHER, IN_TURN = RingOrder.TOGETHER, RingOrder.IN_TURN

ALICE = person(1, "Alice", phone(1, 20))
BOB = person(2, "Bob", phone(2, 10, confirm=False), phone(3, 30, confirm=False))
CAROL = person(3, "Carol", ContactMethod(4, ContactKind.EMAIL, "carol@example.org"))
ALICE_SECONDS, BOB_SECONDS = 20 + CONFIRM_SECONDS, 10 + 30


def plan(*steps: tuple[RingOrder, int | None, tuple[Person, ...]], rounds: int = 1, cap: int = 1000) -> Plan:
    numbered = (
        PlanStep(position, order, tuple(Candidate(who, "") for who in people), max_seconds=limit)
        for position, (order, limit, people) in enumerate(steps, 1)
    )
    return Plan(line(), paris("2026-01-12 08:00"), tuple(numbered), rounds, cap, ())


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        pytest.param([], 0, id="no step"),
        pytest.param([(IN_TURN, None, ())], 0, id="nobody on call"),
        pytest.param([(IN_TURN, None, (ALICE,))], ALICE_SECONDS, id="rings out, then answers and presses nothing"),
        pytest.param([(IN_TURN, None, (BOB,))], BOB_SECONDS, id="two phones, one after the other, no confirmation"),
        pytest.param([(IN_TURN, None, (ALICE, BOB))], ALICE_SECONDS + BOB_SECONDS, id="in turn: the sum"),
        pytest.param([(TOGETHER, None, (ALICE, BOB))], BOB_SECONDS, id="together: the slowest"),
        pytest.param([(TOGETHER, None, (CAROL,))], 0, id="an e-mail address does not ring"),
        pytest.param([(IN_TURN, 25, (ALICE, BOB))], 25, id="the step is cut short"),
        pytest.param([(IN_TURN, 600, (ALICE,))], ALICE_SECONDS, id="a limit beyond the ring time adds nothing"),
        pytest.param([(IN_TURN, None, (ALICE,)), (TOGETHER, 30, (BOB,))], ALICE_SECONDS + 30, id="steps follow on"),
    ],
)
def test_the_callers_longest_wait(steps: list[tuple[RingOrder, int | None, tuple[Person, ...]]], seconds: int) -> None:
    assert longest_wait(plan(*steps)) == seconds


def test_rounds_multiply_and_the_cap_of_the_hunt_holds() -> None:
    assert longest_wait(plan((IN_TURN, None, (ALICE,)), rounds=3)) == 3 * ALICE_SECONDS
    assert longest_wait(plan((IN_TURN, None, (ALICE,)), rounds=3, cap=90)) == 90


STANDING: dict[Target, list[Person]] = {
    OnCallOf(1): [ALICE, BOB],
    OnCallOf(2): [CAROL],
    ThePerson(1): [ALICE],
    ThePerson(2): [BOB],
    Supervisors(): [BOB, CAROL],
}


def policy(*targets: Target, order: RingOrder = IN_TURN, rounds: int = 1, cap: int = 1000) -> Policy:
    return Policy(1, "p", "Policy", cap, rounds, (PolicyStep(1, order, None, targets),))


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [
        pytest.param(policy(OnCallOf(1)), BOB_SECONDS, id="the slowest who may be on call"),
        pytest.param(policy(OnCallOf(2)), 0, id="only somebody without a phone"),
        pytest.param(policy(OnCallOf(1), Supervisors()), BOB_SECONDS + ALICE_SECONDS, id="each person once"),
        pytest.param(policy(OnCallOf(1), OnCallOf(1)), BOB_SECONDS, id="each schedule once"),
        pytest.param(policy(ThePerson(1), ThePerson(2)), ALICE_SECONDS + BOB_SECONDS, id="persons in turn"),
        pytest.param(policy(ThePerson(1), ThePerson(2), order=TOGETHER), BOB_SECONDS, id="persons together"),
        pytest.param(policy(ThePerson(1), rounds=2), 2 * ALICE_SECONDS, id="rounds"),
        pytest.param(policy(ThePerson(1), rounds=9, cap=60), 60, id="cap"),
    ],
)
def test_the_longest_wait_of_a_policy_whoever_is_on_call(rule: Policy, seconds: int) -> None:
    assert rule.longest_wait(STANDING.__getitem__) == seconds


@given(
    steps=st.lists(
        st.tuples(st.lists(st.sampled_from(list(STANDING)), max_size=4), st.sampled_from(RingOrder)), max_size=3
    ),
    chosen=st.data(),
)
def test_no_plan_waits_longer_than_its_policy(
    steps: list[tuple[list[Target], RingOrder]], chosen: st.DataObject
) -> None:
    rule = Policy(
        1, "p", "Policy", 1000, 1, tuple(PolicyStep(n, order, None, tuple(to)) for n, (to, order) in enumerate(steps))
    )
    on_call = {target: chosen.draw(st.sampled_from(STANDING[target])) for target in (OnCallOf(1), OnCallOf(2))}
    rung = [
        {who.id: who for target in to for who in ([on_call[target]] if target in on_call else STANDING[target])}
        for to, _ in steps
    ]
    frozen = plan(*((order, None, tuple(who.values())) for (_, order), who in zip(steps, rung, strict=True)))
    assert longest_wait(frozen) <= rule.longest_wait(STANDING.__getitem__)


def test_a_policy_without_rounds_or_time_is_refused() -> None:
    with pytest.raises(BadRule):
        policy(rounds=0)
    with pytest.raises(BadRule):
        policy(cap=0)
