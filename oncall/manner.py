"""How a trunk wants to be called by: in which form numbers are written, and whose number it is shown."""

from dataclasses import dataclass
from enum import StrEnum

import phonenumbers

from oncall.numbers import is_extension


class NumberForm(StrEnum):
    """How numbers are written, the one called as well as those shown."""

    E164 = "e164"
    """+33612345678"""
    DIGITS = "digits"
    """33612345678"""
    INTERNATIONAL = "international"
    """0033612345678"""
    NATIONAL = "national"
    """0612345678, and 00… for numbers of other countries."""


class Identity(StrEnum):
    """Whose number a person called sees, where their contact method says the caller's."""

    CALLER = "caller"
    """The caller's, as From and P-Asserted-Identity (RFC 3325)."""
    LINE = "line"
    """Always the line's: this carrier lets nobody show another number than one's own."""
    DIVERSION = "diversion"
    """The caller's as From; the line's as P-Asserted-Identity and as who diverts the call (Diversion, RFC 5806)."""
    HISTORY_INFO = "history_info"
    """The same, told by History-Info (RFC 7044)."""


class NumberIn(StrEnum):
    """Where a carrier writes the number that was dialled; without a word of it, wherever there is one."""

    REQUEST = "request"
    TO = "to"
    P_CALLED_PARTY_ID = "p_called_party_id"


class FromUser(StrEnum):
    """What stands in From: the number that is shown, or the account's user name (the number is then asserted)."""

    NUMBER = "number"
    USERNAME = "username"


class Reach(StrEnum):
    """Whom a trunk is called for: a carrier leads outside, a PBX to its extensions, and it may lead outside as well."""

    OUTSIDE = "outside"
    EXTENSIONS = "extensions"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Manner:
    """What one trunk wants; ``host`` is its address, for the headers, and ``prefix`` what is dialled before numbers
    outside ("0" for a line, as one says at a PBX)."""

    number_form: NumberForm = NumberForm.E164
    identity: Identity = Identity.CALLER
    host: str = ""
    reaches: Reach = Reach.OUTSIDE
    prefix: str = ""

    @property
    def shows_callers(self) -> bool:
        return self.identity is not Identity.LINE

    def leads_to(self, number: str) -> bool:
        """Whether a number, or extension, is to be called by this trunk."""
        return self.reaches in (Reach.BOTH, Reach.EXTENSIONS if is_extension(number) else Reach.OUTSIDE)

    def may_show(self, number: str) -> bool:
        """Whether it can show a caller's number: an extension means nothing outside its PBX."""
        return not (is_extension(number) and self.reaches is Reach.OUTSIDE)

    def dialled(self, number: str, region: str) -> str:
        """What to call by this trunk in order to reach a number."""
        return ("" if is_extension(number) else self.prefix) + self.written(number, region)

    def written(self, number: str, region: str) -> str:
        """A number in the trunk's form, as dialled in ``region`` (ISO 3166); an extension as it is."""
        if is_extension(number):
            return number
        digits = number.removeprefix("+")
        match self.number_form:
            case NumberForm.E164:
                return number
            case NumberForm.DIGITS:
                return digits
            case NumberForm.INTERNATIONAL:
                return f"00{digits}"
            case NumberForm.NATIONAL:
                parsed = phonenumbers.parse(number, region)
                if parsed.country_code != phonenumbers.country_code_for_region(region):
                    return f"00{digits}"
                prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
                return prefix + phonenumbers.national_significant_number(parsed)

    def headers(self, line: str, region: str) -> dict[str, str]:
        """The SIP headers that go with a call that shows its caller's number; ``line`` is the line's, in E.164 form."""
        if self.identity not in (Identity.DIVERSION, Identity.HISTORY_INFO):
            return {}
        ours = f"<sip:{self.written(line, region)}@{self.host}>"
        if self.identity is Identity.DIVERSION:
            return {"P-Asserted-Identity": ours, "Diversion": f"{ours};reason=unconditional;counter=1"}
        return {"P-Asserted-Identity": ours, "History-Info": f"{ours};index=1"}


NOTHING_SPECIAL = Manner()

REFUSALS = frozenset({403, 433, 606})
"""Responses by which carriers refuse the number that is shown: forbidden, anonymity disallowed (RFC 5079), not
acceptable. Seen before anything rang, they are reason for one try with the line's own number."""


def refusal_variable(trunk: str) -> str:
    """Asterisk's global variable with the epoch at which a trunk last refused a caller's number."""
    return f"VIGIE_REFUSED_{trunk}"
