"""How single values are written in a site file: numbers, addresses, zones, times, lengths of turns, weekdays."""

import re
from datetime import date, datetime, time
from functools import cache
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from zoneinfo import available_timezones

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo

from db.models.base import EMAIL, SIP_USER, SLUG, YEARS
from oncall.numbers import is_extension
from oncall.printable import one_line, prints
from oncall.rotation import RotationUnit

T = TypeVar("T")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def number(value: str, info: ValidationInfo) -> str:
    """The E.164 form of a telephone number, national ones being those of the context's region; or an extension."""
    return in_one_form(value, (info.context or {}).get("region"))


def outside(value: str, info: ValidationInfo) -> str:
    """The E.164 form of a telephone number that anybody can call."""
    return e164(value, (info.context or {}).get("region"))


def in_one_form(value: str, region: str | None) -> str:
    """An extension as it is, anything else in E.164 form; raises ValueError when it is neither."""
    if region and phonenumbers.is_emergency_number(value, region):
        raise ValueError(f"{value!r} is an emergency number: nobody on call has it")
    return value if is_extension(value) else e164(value, region)


def e164(value: str, region: str | None) -> str:
    """The E.164 form of ``value``; raises ValueError when it cannot be a telephone number."""
    try:
        parsed = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        raise ValueError(f"{value!r} is not a telephone number") from None
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(f"{value!r} cannot be a telephone number: {_NUMBER_REASONS.get(reason, 'wrong length')}")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


_NUMBER_REASONS = {
    phonenumbers.ValidationResult.TOO_SHORT: "it is too short",
    phonenumbers.ValidationResult.TOO_LONG: "it is too long",
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "no country has this code",
}


def form(pattern: str, meaning: str) -> AfterValidator:
    """The check that a text has the form of ``pattern``, which is said to be ``meaning``."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} is not {meaning}")
        return value

    return AfterValidator(check)


def _on_one_line(value: Any) -> Any:
    """A block scalar ends with a line break, which is not meant; one in the middle, or what nobody sees, is refused."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if strange := next((character for character in value if not prints(character)), ""):
        raise ValueError(f"must be one line of what can be printed: {value!r} has the character U+{ord(strange):04X}")
    return one_line(value)


def _words(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value


@cache
def zones() -> frozenset[str]:
    """The time zones that this machine knows; asking zoneinfo each time would search the disk each time."""
    return frozenset(available_timezones())


def _zone(value: str) -> str:
    if value not in zones():
        raise ValueError(f"{value!r} is not a time zone such as Europe/Paris")
    return value


def _clock(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError(f"{value!r} is not a time of day such as 08:30")
    return value


def _day(value: Any) -> Any:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is not a date such as 2026-01-31") from None
    return in_our_years(day)


def _moment(value: Any) -> Any:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is not a date and time such as 2026-12-24 18:00") from None
    return in_our_years(at)


def in_our_years(value: T) -> T:
    """``value``, which may be a date; raises ValueError when it is one that the tables do not take."""
    if isinstance(value, date) and value.year not in YEARS:
        raise ValueError(f"the year {value.year} is not between {YEARS[0]} and {YEARS[-1]}")
    return value


def _turn(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([1-9]\d{0,2}) (hour|day|week)s?", value)
    if not match:
        raise ValueError(f"{value!r} is not a length such as 1 week, 3 days or 12 hours")
    return int(match[1]), RotationUnit(f"{match[2]}s")


def _say_turn(turn: tuple[int, RotationUnit]) -> str:
    length, unit = turn
    return f"{length} {unit.value.removesuffix('s') if length == 1 else unit.value}"


def _weekdays(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    days: set[int] = set()
    for part in value.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise ValueError(f"{value!r} are not weekdays such as mon-fri or sat,sun")
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days.update(range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)])
    return frozenset(days)


def _say_weekdays(days: frozenset[int]) -> str:
    return ",".join(WEEKDAYS[day] for day in sorted(days))


def _network(value: str) -> str:
    try:
        network = IPv4Network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 address or network such as 198.51.100.0/24") from None
    return str(network.network_address if network.prefixlen == 32 else network)


OneLine = BeforeValidator(_on_one_line)

Slug: TypeAlias = Annotated[
    str, form(SLUG, "a short name (lower-case letters, digits and -, 40 at most, not beginning with -)")
]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=100), OneLine]
Words: TypeAlias = Annotated[str, BeforeValidator(_words)]
"""Free text, which may be written on several lines and is told on one."""
Language: TypeAlias = Literal["fr", "en"]
Zone: TypeAlias = Annotated[str, AfterValidator(_zone)]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]
Number: TypeAlias = Annotated[str, AfterValidator(number)]
OutsideNumber: TypeAlias = Annotated[str, AfterValidator(outside)]
Email: TypeAlias = Annotated[str, OneLine, form(EMAIL, "an e-mail address")]
Recipient: TypeAlias = Annotated[str, OneLine, form(f"{SLUG}|{EMAIL}", "a person's short name or an e-mail address")]
SipUser: TypeAlias = Annotated[
    str,
    form(SIP_USER, "a SIP user name (letters, digits, . _ -)"),
    form("(?!trunk-).*", "allowed: names in trunk- are the trunks'"),
]
Clock: TypeAlias = Annotated[time, BeforeValidator(_clock), PlainSerializer(lambda clock: f"{clock:%H:%M}")]
Day: TypeAlias = Annotated[date, BeforeValidator(_day)]
Moment: TypeAlias = Annotated[
    datetime, BeforeValidator(_moment), PlainSerializer(lambda at: at.isoformat(" "), when_used="json")
]
Turn: TypeAlias = Annotated[tuple[int, RotationUnit], BeforeValidator(_turn), PlainSerializer(_say_turn)]
Weekdays: TypeAlias = Annotated[frozenset[int], BeforeValidator(_weekdays), PlainSerializer(_say_weekdays)]
