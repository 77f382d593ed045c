"""What a hangup cause says about an attempt: busy, off, refused, or a number that does not exist.

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
