"""Telephone numbers as carriers and callers write them."""

import pytest

from oncall.numbers import e164, spoken


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0612345678", "+33612345678"),
        ("+33612345678", "+33612345678"),
        ("33612345678", "+33612345678"),
        ("0033612345678", "+33612345678"),
        ("06 12 34 56 78", "+33612345678"),
        ("447911123456", "+447911123456"),
        ("+447911123456", "+447911123456"),
        ("anonymous", None),
        ("", None),
        ("12", None),
        ("+", None),
    ],
)
def test_a_number_has_one_form_however_it_is_written(written: str, meant: str | None) -> None:
    assert e164(written, "FR") == meant


def test_numbers_are_said_as_people_say_them() -> None:
    assert spoken("+33612345678", "FR") == "0612345678"
    assert spoken("+447911123456", "FR") == "00447911123456"
