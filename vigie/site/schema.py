"""The form of a site file: what may be written where, and within which bounds.

Bounds are those of the tables in ``db.models``. What depends on several places of the file is in ``rules``.
"""

import re
from datetime import date, datetime, time
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import available_timezones

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from db.models.base import EMAIL, SIP_USER, SLUG
from oncall.plan import CallerIdShown, ContactKind, RingOrder
from oncall.rotation import RotationUnit

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def number(value: str, info: ValidationInfo) -> str:
    """The E.164 form of a telephone number, national ones being those of the context's region."""
    return e164(value, (info.context or {}).get("region"))


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


def _form(pattern: str, meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} is not {meaning}")
        return value

    return AfterValidator(check)


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
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is not a date such as 2026-01-31") from None


def _moment(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is not a date and time such as 2026-12-24 18:00") from None


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


Slug: TypeAlias = Annotated[
    str, _form(SLUG, "a short name (lower-case letters, digits and -, 40 at most, not beginning with -)")
]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]
Language: TypeAlias = Literal["fr", "en"]
Zone: TypeAlias = Annotated[str, AfterValidator(_zone)]
Number: TypeAlias = Annotated[str, AfterValidator(number)]
Email: TypeAlias = Annotated[str, _form(EMAIL, "an e-mail address")]
Recipient: TypeAlias = Annotated[str, _form(f"{SLUG}|{EMAIL}", "a person's short name or an e-mail address")]
SipUser: TypeAlias = Annotated[
    str,
    _form(SIP_USER, "a SIP user name (letters, digits, . _ -)"),
    _form("(?!trunk-).*", "allowed: names in trunk- are the trunks'"),
]
Clock: TypeAlias = Annotated[time, BeforeValidator(_clock), PlainSerializer(lambda clock: f"{clock:%H:%M}")]
Day: TypeAlias = Annotated[date, BeforeValidator(_day)]
Moment: TypeAlias = Annotated[
    datetime, BeforeValidator(_moment), PlainSerializer(lambda at: at.isoformat(" "), when_used="json")
]
Turn: TypeAlias = Annotated[tuple[int, RotationUnit], BeforeValidator(_turn), PlainSerializer(_say_turn)]
Weekdays: TypeAlias = Annotated[frozenset[int], BeforeValidator(_weekdays), PlainSerializer(_say_weekdays)]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpanEntry(Entry):
    starts: Moment = Field(alias="from")
    ends: Moment = Field(alias="until")
    reason: str | None = None


class ContactEntry(Entry):
    """One way to reach a person: exactly one of ``sip``, ``phone``, ``email``, ``sms``."""

    sip: SipUser | None = None
    phone: Number | None = None
    email: Email | None = None
    sms: Number | None = None
    ring_seconds: Annotated[int, Field(ge=5, le=120)] = 20
    confirm: bool = True
    shows: CallerIdShown = CallerIdShown.CALLER

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if sum(address is not None for _, address in self._addresses()) != 1:
            raise ValueError("must have exactly one of sip, phone, email and sms")
        return self

    @property
    def key(self) -> tuple[ContactKind, str]:
        """The kind and the address."""
        return next((kind, address) for kind, address in self._addresses() if address is not None)

    def _addresses(self) -> list[tuple[ContactKind, str | None]]:
        return [(kind, getattr(self, kind.value)) for kind in ContactKind]


class PersonEntry(Entry):
    name: Name
    language: Language | None = None
    contact_methods: tuple[ContactEntry, ...] = ()
    absences: tuple[SpanEntry, ...] = ()


class WindowEntry(Entry):
    days: Weekdays
    starts: Clock = Field(alias="from")
    ends: Clock = Field(alias="until")


class RotationEntry(Entry):
    name: Name
    people: Annotated[tuple[Slug, ...], Field(min_length=1)]
    starts: Day
    handover: Clock
    every: Turn
    windows: tuple[WindowEntry, ...] = ()


class OverrideEntry(SpanEntry):
    person: Slug


class ScheduleEntry(Entry):
    """Rotations are layers, from the lowest: where several have somebody on duty, the last one answers."""

    name: Name
    zone: Zone | None = None
    rotations: tuple[RotationEntry, ...] = ()
    overrides: tuple[OverrideEntry, ...] = ()


class TargetEntry(Entry):
    """``on_call: SCHEDULE``, ``person: PERSON`` or the word ``supervisors``."""

    on_call: Slug | None = None
    person: Slug | None = None
    supervisors: bool = False

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != "supervisors":
                raise ValueError(f"{value!r} is not whom to ring: on_call: …, person: … or supervisors")
            return {"supervisors": True}
        return value

    @model_serializer
    def _say(self) -> str | dict[str, str]:
        if self.supervisors:
            return "supervisors"
        return {"person": self.person} if self.person is not None else {"on_call": self.on_call or ""}

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.on_call is not None) + (self.person is not None) + self.supervisors != 1:
            raise ValueError("must have exactly one of on_call, person and supervisors")
        return self


class StepEntry(Entry):
    ring: Annotated[tuple[TargetEntry, ...], Field(min_length=1)]
    order: RingOrder = RingOrder.IN_TURN
    max_seconds: Annotated[int, Field(ge=5, le=600)] | None = None


class PolicyEntry(Entry):
    name: Name
    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    max_hunt_seconds: Annotated[int, Field(ge=10, le=1800)] = 180
    steps: Annotated[tuple[StepEntry, ...], Field(min_length=1)]


class VoicemailEntry(Entry):
    """``to``: people, or e-mail addresses."""

    to: tuple[Recipient, ...] = ()
    min_seconds: Annotated[int, Field(ge=0, le=30)] = 2
    max_seconds: Annotated[int, Field(ge=10, le=600)] = 180
    silence_seconds: Annotated[int, Field(ge=2, le=60)] = 10

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.min_seconds >= self.max_seconds:
            raise ValueError("min_seconds must be less than max_seconds")
        return self


class LineEntry(Entry):
    """``number`` is the one shown when the line calls out: the first of ``numbers`` unless said otherwise."""

    name: Name
    language: Language | None = None
    zone: Zone | None = None
    numbers: Annotated[tuple[Number, ...], Field(min_length=1)]
    number: Number | None = None
    greeting: str | None = None
    policy: Slug
    supervisors: tuple[Slug, ...] = ()
    voicemail: VoicemailEntry = VoicemailEntry()


class TrunkEntry(Entry):
    """The password is in a file of its own, so that a site file can be shown to anybody."""

    host: Annotated[str, _form(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", "a host name or an IPv4 address")]
    port: Annotated[int, Field(ge=1, le=65535)] = 5060
    username: Annotated[str, _form(r"[!-~]{1,100}", "a user name")] | None = None
    password_file: Annotated[str, _form(r"/.*", "an absolute path")] | None = None

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together")
        return self


class Site(Entry):
    """A whole site; ``zone`` and ``language`` serve where an entry has none of its own."""

    zone: Zone = "Europe/Paris"
    language: Language = "fr"
    people: dict[Slug, PersonEntry] = {}
    trunks: dict[Slug, TrunkEntry] = {}
    schedules: dict[Slug, ScheduleEntry] = {}
    policies: dict[Slug, PolicyEntry] = {}
    lines: dict[Slug, LineEntry] = {}
