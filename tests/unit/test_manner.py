"""How numbers are written for a trunk, and whose number it is shown."""

import pytest

from oncall.manner import Identity, Manner, NumberForm, Reach

MOBILE, BELGIAN, LINE = "+33612345678", "+32470123456", "+33199001234"


@pytest.mark.parametrize(
    ("form", "mobile", "belgian"),
    [
        (NumberForm.E164, "+33612345678", "+32470123456"),
        (NumberForm.DIGITS, "33612345678", "32470123456"),
        (NumberForm.INTERNATIONAL, "0033612345678", "0032470123456"),
        (NumberForm.NATIONAL, "0612345678", "0032470123456"),
    ],
)
def test_a_number_is_written_as_the_trunk_wants_it(form: NumberForm, mobile: str, belgian: str) -> None:
    manner = Manner(form)
    assert (manner.written(MOBILE, "FR"), manner.written(BELGIAN, "FR")) == (mobile, belgian)


def test_a_country_without_a_trunk_prefix_has_national_numbers_without_one() -> None:
    assert Manner(NumberForm.NATIONAL).written("+34612345678", "ES") == "612345678"


@pytest.mark.parametrize(
    ("identity", "headers"),
    [
        (Identity.CALLER, {}),
        (Identity.LINE, {}),
        (
            Identity.DIVERSION,
            {
                "P-Asserted-Identity": "<sip:0199001234@sip.carrier.example>",
                "Diversion": "<sip:0199001234@sip.carrier.example>;reason=unconditional;counter=1",
            },
        ),
        (
            Identity.HISTORY_INFO,
            {
                "P-Asserted-Identity": "<sip:0199001234@sip.carrier.example>",
                "History-Info": "<sip:0199001234@sip.carrier.example>;index=1",
            },
        ),
    ],
)
def test_the_line_vouches_for_its_callers_where_the_carrier_wants_it(
    identity: Identity, headers: dict[str, str]
) -> None:
    manner = Manner(NumberForm.NATIONAL, identity, "sip.carrier.example")
    assert manner.headers(LINE, "FR") == headers
    assert manner.shows_callers == (identity is not Identity.LINE)


@pytest.mark.parametrize("form", NumberForm)
def test_an_extension_is_dialled_as_it_is_and_a_number_outside_with_the_prefix(form: NumberForm) -> None:
    pbx = Manner(form, reaches=Reach.BOTH, prefix="0")
    assert pbx.dialled("7118", "FR") == pbx.written("7118", "FR") == "7118"
    assert pbx.dialled(MOBILE, "FR") == f"0{pbx.written(MOBILE, 'FR')}"


@pytest.mark.parametrize(
    ("reaches", "extension", "mobile", "shows_extension"),
    [(Reach.OUTSIDE, False, True, False), (Reach.EXTENSIONS, True, False, True), (Reach.BOTH, True, True, True)],
)
def test_a_trunk_is_called_for_those_whom_it_reaches(
    reaches: Reach, extension: bool, mobile: bool, shows_extension: bool
) -> None:
    trunk = Manner(reaches=reaches)
    assert (trunk.leads_to("7118"), trunk.leads_to(MOBILE)) == (extension, mobile)
    assert (trunk.may_show("7118"), trunk.may_show(MOBILE)) == (shows_extension, True)
