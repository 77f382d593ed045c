"""What can happen to a call served over AGI.

FallbackError
├── CallerGone      the caller has hung up
├── CommandFailed   Asterisk did not do what it was asked; the caller is still there
├── LinkLost        Asterisk, or its AGI, went away in the midst of the call
└── ConsoleFailed   Asterisk's console cannot be used, or did not do what it was asked
"""


class FallbackError(Exception):
    """Root of the errors of this package."""


class CallerGone(FallbackError):
    pass


class CommandFailed(FallbackError):
    pass


class LinkLost(FallbackError):
    pass


class ConsoleFailed(FallbackError):
    pass
