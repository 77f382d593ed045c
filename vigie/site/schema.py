"""The form of a site file: what may be written where, and within which bounds.

Bounds are those of the tables in ``db.models``. What depends on several places of the file is in ``rules``.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from oncall.manner import FromUser, Identity, NumberForm, NumberIn, Reach
from oncall.plan import CallerIdShown, ContactKind, RingOrder
from vigie.site.forms import (
    Clock,
    Day,
    Email,
    Language,
    Moment,
    Name,
    Network,
    Number,
    OneLine,
    OutsideNumber,
    Recipient,
    SipUser,
    Slug,
    Turn,
    Weekdays,
    Words,
    Zone,
    form,
)


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpanEntry(Entry):
    starts: Moment = Field(alias="from")
    ends: Moment = Field(alias="until")
    reason: Words | None = None


class ContactEntry(Entry):
    """One way to reach a person: exactly one of ``sip``, ``phone``, ``email``, ``sms``."""

    sip: SipUser | None = None
    phone: Number | None = None
    email: Email | None = None
    sms: OutsideNumber | None = None
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
    abandoned_seconds: Annotated[int, Field(ge=0, le=1800)] = 20

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.min_seconds >= self.max_seconds:
            raise ValueError("min_seconds must be less than max_seconds")
        return self


class LineEntry(Entry):
    """``number`` is the one shown when the line calls out: the first of ``numbers`` unless said otherwise.

    More calls at once than ``max_calls``, or than ``max_calls_per_caller`` from one number, are refused.
    """

    name: Name
    language: Language | None = None
    zone: Zone | None = None
    numbers: Annotated[tuple[Number, ...], Field(min_length=1)]
    number: Number | None = None
    greeting: Words | None = None
    max_calls: Annotated[int, Field(ge=1, le=10_000)] = 30
    max_calls_per_caller: Annotated[int, Field(ge=1, le=10_000)] = 5
    policy: Slug
    supervisors: tuple[Slug, ...] = ()
    voicemail: VoicemailEntry = VoicemailEntry()


class TrunkEntry(Entry):
    """The password is in a file of its own, so that a site file can be shown to anybody."""

    host: Annotated[str, form(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", "a host name or an IPv4 address")]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    addresses: tuple[Network, ...] = ()
    username: Annotated[str, form(r"[!-~]{1,100}", "a user name")] | None = None
    password_file: Annotated[str, OneLine, form(r"/.*", "an absolute path")] | None = None
    number: Number | None = None
    number_in: NumberIn | None = None
    from_user: FromUser = FromUser.NUMBER
    identity: Identity = Identity.CALLER
    number_form: NumberForm = NumberForm.E164
    reaches: Reach = Reach.OUTSIDE
    prefix: Annotated[str, form(r"[0-9]{0,8}", "what is dialled before numbers outside: digits, 8 at most")] = ""

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together")
        if self.from_user is FromUser.USERNAME and self.username is None:
            raise ValueError("from_user: username needs a username")
        if self.prefix and self.number_form is NumberForm.E164:
            raise ValueError("a prefix cannot stand before +33…: prefix needs another number_form, such as national")
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
