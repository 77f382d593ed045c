"""What the on-call rules refuse.

OnCallError
├── NaiveTime            a date and time without its zone
├── BadRule              a rotation, span, schedule or policy that makes no sense
├── BrokenReference      routing inputs that name something they do not hold
├── BadTable             bytes that are not a routing table
└── NoRoute              the table has no answer
    ├── UnknownNumber    no line has this number
    ├── UnknownLine      no line has this name
    └── NotCovered       the instant is outside the table's span
"""


class OnCallError(Exception):
    """Root of the errors of this package."""


class NaiveTime(OnCallError, ValueError):
    """A date and time was given without its zone."""


class BadRule(OnCallError, ValueError):
    """A rotation, span, schedule or policy makes no sense; the message says why."""


class BrokenReference(OnCallError):
    """Routing inputs name a person, schedule, policy or number that they do not hold exactly once."""


class BadTable(OnCallError):
    """Bytes that should have been a routing table are not one."""


class NoRoute(OnCallError):
    """The routing table has no answer to what was asked."""


class UnknownNumber(NoRoute):
    """The dialled number leads to no line."""


class UnknownLine(NoRoute):
    """There is no line of this name (slug)."""


class NotCovered(NoRoute):
    """The instant is outside the span for which the table was built."""
