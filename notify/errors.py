"""What can go wrong when a message leaves.

NotifyError
├── BadMailSetting       the mail server or our own address cannot be understood
└── TransportError       this message was not taken; ``permanent`` says whether trying again is any use
    ├── TooBig               for the server, or for what room the recipient has left; a smaller one may be taken
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


class TooBig(TransportError):
    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)


class ServerUnavailable(TransportError):
    """Says nothing about the message that was being sent, so it does not count against it."""
