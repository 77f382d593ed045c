"""Whose fault a failed leg is: the trunk's, so that the next one is tried, or the number's and the person's."""

import pytest

from ari_app.calls.trunks import RECOVERY_ON_TIMER_EXPIRY
from oncall.causes import is_of_the_trunk


@pytest.mark.parametrize(
    ("sip", "q850", "why"),
    [
        (500, 38, "server internal error"),
        (501, 29, "not implemented"),
        (502, 27, "bad gateway"),
        (503, 34, "service unavailable"),
        (504, 102, "server time-out"),
        (599, 42, "any other of the server's"),
        (400, 127, "it does not understand us"),
        (401, 21, "it does not know our password"),
        (402, 127, "it has not been paid"),
        (403, 21, "it does not let us"),
        (407, 21, "nor does its proxy"),
        (408, 18, "it, or who is behind it, got no reply"),
        (415, 127, "it does not read what we send"),
        (482, 127, "it goes round in circles"),
        (483, 19, "too many hops"),
        (488, 58, "it has none of our codecs"),
        (None, 20, "Asterisk does not know the trunk"),
        (None, RECOVERY_ON_TIMER_EXPIRY, "it said nothing at all"),
        (None, 3, "no route"),
        (None, 34, "no circuit"),
        (None, 38, "network out of order"),
        (None, 41, "temporary failure"),
        (None, 42, "congestion"),
        (None, 58, "not available"),
    ],
)
def test_another_trunk_may_fare_better(sip: int | None, q850: int, why: str) -> None:
    assert is_of_the_trunk(q850, sip), why


@pytest.mark.parametrize(
    ("sip", "q850", "why"),
    [
        (404, 1, "no such number"),
        (410, 22, "no longer"),
        (484, 28, "too short a number"),
        (485, 1, "ambiguous"),
        (604, 1, "nowhere"),
        (433, 127, "does not take withheld numbers"),
        (480, 19, "phone off, or rang for too long"),
        (486, 17, "busy"),
        (600, 17, "busy everywhere"),
        (603, 21, "declined"),
        (606, 58, "not acceptable, wherever it comes from"),
        (607, 127, "unwanted"),
        (487, 127, "cancelled"),
        (302, 23, "wants the call to go elsewhere"),
        (None, 1, "no such number"),
        (None, 16, "hung up"),
        (None, 17, "busy"),
        (None, 18, "no user responding"),
        (None, 19, "no answer"),
        (None, 21, "rejected"),
        (None, 0, "nobody knows"),
    ],
)
def test_no_trunk_would_fare_better(sip: int | None, q850: int, why: str) -> None:
    assert not is_of_the_trunk(q850, sip), why
