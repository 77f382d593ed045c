"""Telephone numbers as the trunk, the caller's telephone and the rota write them, in one form.

That is E.164, or, for what has two to five digits and no ``+``, the digits as they are: an extension of a PBX, or a
short number of the network (15, 118, 3615). Such a one is never read as the beginning of a longer number.
"""

import re
from typing import Final

import phonenumbers

EXTENSION: Final = "[0-9]{2,5}"
"""Five at most: the numbers of some territories have six digits without their country code."""


def is_extension(number: str) -> bool:
    """Whether ``number`` is an extension or a short number: nobody but the network that it comes from can call it."""
    return re.fullmatch(EXTENSION, number) is not None


def in_one_form(number: str, region: str) -> str | None:
    """``number`` as the rota and the journal have it: E.164, or an extension as it is; None when it is neither."""
    return number if is_extension(number) else e164(number, region)


def e164(number: str, region: str) -> str | None:
    """``number`` in E.164 form (``+33612345678``), read as dialled in ``region``; None when it is none.

    A withheld number ("anonymous", empty) and one that no telephone can have are None as well.
    """
    for form in (number, f"+{number}"):  # some carriers leave the + of a foreign number out
        try:
            parsed = phonenumbers.parse(form, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return None


def spoken(number: str, region: str) -> str:
    """The digits of a number as people of ``region`` say them: national form at home, 00… from abroad; those of an
    extension as they are."""
    if is_extension(number):
        return number
    parsed = phonenumbers.parse(number, region)
    form = phonenumbers.format_out_of_country_calling_number(parsed, region)
    return "".join(character for character in form if character.isdigit())
