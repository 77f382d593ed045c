"""Who a leg is: the person and the contact method, as its channel carries them for every worker to read."""

from dataclasses import dataclass
from typing import Self

from ari_app.ari import Channel
from oncall.plan import Candidate, ContactKind, ContactMethod, Person
from oncall.reasons import on_the_line
from oncall.routing import RoutingTable

VARIABLE = "VIGIE_CONTACT"


@dataclass(frozen=True, slots=True)
class Contact:
    """Ids of the rota's."""

    person: int
    method: int

    @classmethod
    def of(cls, channel: Channel) -> Self | None:
        """Who is behind a channel; None when it is a caller's, or none of ours."""
        person, _, method = channel.channelvars.get(VARIABLE, "").partition(".")
        return cls(int(person), int(method)) if person.isdecimal() and method.isdecimal() else None

    def __str__(self) -> str:
        return f"{self.person}.{self.method}"

    def found(self, table: RoutingTable, language: str) -> tuple[Candidate, ContactMethod]:
        """The person and the contact method as the rota has them, or as somebody who is no longer in it."""
        person = table.people.get(self.person) or Person(self.person, "?", language, ())
        method = next((phone for phone in person.phones if phone.id == self.method), None)
        return Candidate(person, on_the_line(language)), method or ContactMethod(self.method, ContactKind.SIP, "?")
