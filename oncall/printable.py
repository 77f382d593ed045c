"""What can be printed on one line: names and other words that go into headers, the dialplan, sounds and logs."""

import unicodedata
from typing import Final

UNPRINTABLE: Final = (
    r"\u0001-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
"""Control characters, line breaks, and what turns or hides the text around it, as a range of regular expressions (both
Python's and PostgreSQL's)."""

_JOINERS = "\u200c\u200d"
"""Persian words and the emoji of professions are written with them."""


LONGEST_CALLER_NAME: Final = 79
"""Bytes. Asterisk cuts a caller's name there, be it in the midst of a character."""


def prints(character: str) -> bool:
    """Whether ``character`` can stand on a line, be it as a blank."""
    return character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def one_line(text: str) -> str:
    """``text`` on one line: breaks and blanks of any kind are single spaces, what cannot be printed is left out."""
    if not text.isprintable():
        text = "".join(char if prints(char) or char.isspace() else "" for char in text)
    return " ".join(text.split())


def caller_name(text: str) -> str:
    """As much of ``text`` as a telephone can show as the name of who calls, without what has a meaning in headers."""
    name = one_line(text.translate(_MEANINGFUL))
    return name.encode()[:LONGEST_CALLER_NAME].decode(errors="ignore").rstrip()


_MEANINGFUL = str.maketrans({'"': None, "\\": None, "<": None, ">": None})
