"""Words on one line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.models.base import NAME
from oncall.printable import UNPRINTABLE, caller_name, one_line

LINES = {
    "Support": "Support",
    "Support\n": "Support",
    " Support\t\r\nde\u00a0nuit ": "Support de nuit",
    "a\u2028b\u2029c": "a b c",
    "Bob\0\x07\x7f\x9b": "Bob",
    "\u202egninrom\u2066": "gninrom",
    "\ud83dBob": "Bob",
    "\ufeffBob\u200b": "Bob",
    "Garde 👩\u200d⚕️ 🚒": "Garde 👩\u200d⚕️ 🚒",
    "\u061c\n": "",
}


@pytest.mark.parametrize("text", LINES)
def test_what_cannot_be_printed_is_left_out(text: str) -> None:
    assert one_line(text) == LINES[text]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('"Support" <sip:x>\n', "Support sip:x"),
        ("🚒" * 20, "🚒" * 19),
        ("a" + "é" * 40, "a" + "é" * 39),
        ("a" * 78 + " é", "a" * 78),
    ],
)
def test_a_telephone_is_shown_whole_characters(name: str, shown: str) -> None:
    assert caller_name(name) == shown


@given(st.text())
def test_one_line_is_one_line_that_a_table_takes_as_a_name(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line
    assert not re.search(f"[{UNPRINTABLE}\0]", line)
    line.encode()
    assert not line or re.fullmatch(NAME, line[:100].strip())
