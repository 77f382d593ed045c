"""What can go wrong when a message leaves.

NotifyError
├── BadMailSetting       the mail server or our own address cannot be understood
└── TransportError       this message was not taken; ``permanent`` says whether trying again is any use
    └── ServerUnavailable    no message can leave for now, whichever it is
"""


class NotifyError(Exception):
    """Root of this package's errors."""


class BadMailSetting(NotifyError):
    pass


class TransportError(NotifyError):
    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class ServerUnavailable(TransportError):
    """Says nothing about the message that was being sent, so it does not count against it."""
