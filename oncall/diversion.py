"""Our own calls that come back: how the dialplan knows them, and how whoever rings learns of it.

A telephone rung by a trunk may be diverted to the number that the caller dialled. The dialplan refuses what comes
in then (extensions.conf, [vigie-doubt]) and leaves a note under the name that the leg carries.
"""

from typing import Final

FRESH_SECONDS: Final = 3
"""A leg that ends within this time of the note has ended because of what was refused. One that goes on was not
diverted: somebody else behind the caller's number has called."""

_SIGNIFICANT: Final = 9
"""So many last digits tell one number from another, however carriers write it."""


def leg_variables(line: int, shown: str, number: str, name: str) -> dict[str, str]:
    """What is set where ``number`` is rung by a trunk for a line, with ``shown`` as the caller, in Asterisk's words."""
    source = f"{line}.{shown[-_SIGNIFICANT:]}"
    called = ":" + number.lstrip("+")  # as a whole where it is an extension, else the last digits alone
    return {
        "GROUP(vigie-out)": "trunk",
        "GROUP(vigie-shown)": source,
        "__VIGIE_RINGS": f"{source}|{called[-_SIGNIFICANT:]}|{name}",
    }


def note_of(name: str) -> str:
    """The global variable in which the dialplan notes the epoch at which the call of that name came back."""
    return f"VIGIE_DIVERTED_{name}"


def is_fresh(note: str, ended: float) -> bool:
    """Whether a leg that ended at that epoch has ended because its call came back."""
    return note.isdecimal() and -1 < ended - int(note) < FRESH_SECONDS + 1
