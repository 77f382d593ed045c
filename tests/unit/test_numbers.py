"""Telephone numbers as carriers and callers write them."""

import pytest

from oncall.numbers import e164, in_one_form, spoken


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


@pytest.mark.parametrize("region", ["FR", "GB", "DE", "US", "RE", "NC"])
@pytest.mark.parametrize("number", ["15", "112", "118", "3615", "7118", "71180"])
def test_an_extension_or_short_number_is_never_read_as_part_of_another(number: str, region: str) -> None:
    assert in_one_form(number, region) == number
    assert spoken(number, region) == number


@pytest.mark.parametrize(
    ("written", "meant"),
    [("0612345678", "+33612345678"), ("7", None), ("711800", None), ("+7118", None), ("71a8", None)],
)
def test_what_is_no_extension_is_a_number_or_nothing(written: str, meant: str | None) -> None:
    assert in_one_form(written, "FR") == meant
