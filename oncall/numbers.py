"""Telephone numbers as the trunk, the caller's telephone and the rota write them, in one form: E.164."""

import phonenumbers


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
    """The digits of an E.164 number as people of ``region`` say them: national form at home, 00… from abroad."""
    parsed = phonenumbers.parse(number, region)
    form = phonenumbers.format_out_of_country_calling_number(parsed, region)
    return "".join(character for character in form if character.isdigit())
