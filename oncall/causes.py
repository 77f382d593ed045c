"""What a hangup cause says about an attempt: busy, off, refused, a number that does not exist, or a trunk that failed.

The SIP response is the more precise of the two and is believed first (RFC 3261 section 21; 607: RFC 8197);
without one, the Q.850 cause (ITU-T Q.850 table 1) decides.
"""

from oncall.outcomes import Disposition

_BY_SIP = {
    404: Disposition.DEAD_NUMBER,
    410: Disposition.DEAD_NUMBER,
    484: Disposition.DEAD_NUMBER,
    604: Disposition.DEAD_NUMBER,
    486: Disposition.BUSY,
    600: Disposition.BUSY,
    603: Disposition.REFUSED,
    607: Disposition.REFUSED,
    480: Disposition.UNREACHABLE,
    408: Disposition.UNREACHABLE,
    487: Disposition.NO_ANSWER,
}

_BY_Q850 = {
    1: Disposition.DEAD_NUMBER,  # unallocated number
    22: Disposition.DEAD_NUMBER,  # number changed
    28: Disposition.DEAD_NUMBER,  # invalid number format
    17: Disposition.BUSY,
    16: Disposition.NO_ANSWER,  # normal clearing, before any answer
    18: Disposition.NO_ANSWER,  # no user responding
    19: Disposition.NO_ANSWER,  # no answer from user
    21: Disposition.REFUSED,  # call rejected
}


def disposition_of(q850: int, sip: int | None) -> Disposition:
    """The disposition of an attempt whose leg ended with these causes before anybody answered.

    Every cause that is not told apart (no route, out of order, congestion, trunk refusing us, …) means that the
    number cannot be reached for now: the hunt moves on at once.
    """
    if sip is not None and sip >= 400:
        return _BY_SIP.get(sip, Disposition.UNREACHABLE)
    return _BY_Q850.get(q850, Disposition.UNREACHABLE)


_OF_THE_NUMBER = frozenset({404, 410, 433, 480, 484, 485, 486, 487})
"""Responses below 500 that speak of who is called: no such number, off, busy, not to be called anonymously. Others
speak of us and the trunk: not paid, not allowed, not understood, too late."""

_OF_THE_TRUNK_BY_Q850 = frozenset({2, 3, 20, 25, 27, 34, 38, 41, 42, 44, 46, 47, 58, 63, 65, 69, 79, 88, 102, 111, 127})
"""Causes that Asterisk gives, without a SIP response, for a trunk that it does not know or cannot reach, and those of
Q.850 that are the network's: no route, no circuit, out of order, congestion, not available, not implemented, timer,
protocol."""


def is_of_the_trunk(q850: int, sip: int | None) -> bool:
    """Whether a leg that ended with these causes, before its telephone rang, may fare better by another trunk.

    The SIP response decides: 5xx are the server's (RFC 3261, 21.5), 6xx are final for the person wherever the call
    comes by (21.6), 3xx ask to call somebody else. 480 and 487 are how carriers tell of a phone that is off or rang
    for too long (RFC 3398, 7.2.4.1), 408 that they, or those behind them, got no reply at all.
    """
    if sip is None or sip < 300:
        return q850 in _OF_THE_TRUNK_BY_Q850
    return 400 <= sip < 600 and sip not in _OF_THE_NUMBER
