"""How carriers tell that a call was diverted, and those who tell nothing."""

from lab.disorder import DivertingCarrier

ANONYMOUS = "<sip:anonymous@anonymous.invalid>"
TOLD = ("Diversion", "History-Info", "nothing")


def diverts_to(carrier: DivertingCarrier, number: str, told: str) -> None:
    """The carrier sends what it gets to ``number``. Who tells of the diversion withholds the caller's number, so that
    nothing else gives it away."""
    carrier.diverts(number, lambda mobile, to: _header(told, mobile, to), None if told == "nothing" else ANONYMOUS)


def _header(told: str, mobile: str, to: str) -> str:
    match told:
        case "Diversion":
            return f"Diversion: <sip:{mobile}@carrier.lab>;reason=unconditional;counter=1"
        case "History-Info":
            entries = f"<sip:{mobile}@carrier.lab>;index=1, <sip:{to}@carrier.lab;cause=302>;index=1.1"
            return f"History-Info: {entries}"
        case _:
            return ""
