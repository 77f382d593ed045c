"""The site of a chaos run: people and how they behave, lines whose calls end in each possible way, and who calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from oncall.outcomes import Outcome

PHONES_PORT = 5070
CALLERS_PORT = 5072
RECIPIENTS = ("astreinte@societe.example", "accueil@societe.example")
"""Who is told of each message, and of each caller who left none."""
RING_SECONDS = 5
"""How long a mobile rings that nobody answers."""
TAKES, DECLINES, BUSY, RINGS = "1", "3", "4", "5"
"""What somebody does whose mobile rings, as `lab/sipp/chaos_phone.xml` knows it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls of one kind: ``steps`` are who is rung, step after step; ``habit`` is what the caller does once answered
    (see `lab/sipp/chaos_caller.xml`); ``outcomes`` are those that the journal may have then."""

    name: str
    steps: tuple[str, ...]
    habit: str
    outcomes: frozenset[Outcome]
    confirm: bool = True

    @property
    def leaves(self) -> bool:
        """Whether it is the caller who hangs up."""
        return self.habit in ("leaves", "ends")


_ANSWERED = frozenset({Outcome.ANSWERED})
KINDS = (
    Kind("answered", (TAKES,), "stays", _ANSWERED),
    Kind("unasked", (TAKES,), "stays", _ANSWERED, confirm=False),
    Kind("together", (TAKES + RINGS,), "stays", _ANSWERED),
    Kind("declined", (DECLINES, BUSY + TAKES), "stays", _ANSWERED),
    Kind("escalated", (RINGS, TAKES), "stays", _ANSWERED),
    Kind("cut short", (TAKES,), "ends", frozenset({Outcome.ANSWERED, Outcome.ABANDONED})),
    Kind("voicemail", (DECLINES, BUSY), "speaks", frozenset({Outcome.VOICEMAIL})),
    Kind("speechless", (DECLINES,), "ends", frozenset({Outcome.NO_MESSAGE})),
    Kind("abandoned", (RINGS,), "leaves", frozenset({Outcome.ABANDONED})),
)
"""``confirm``: whoever picks up is asked to press 1."""


def number_of(kind: int, line: int) -> str:
    """The public number of the ``line``-th line for calls of a kind."""
    return f"+3318{kind:02}{line:05}"


def site(lines: int) -> str:
    """The site file, with so many lines for each kind of call. Nobody is on call for two lines."""
    everybody: dict[str, Any] = {}
    policies: dict[str, Any] = {}
    every_line: dict[str, Any] = {}
    for kind, each in enumerate(KINDS):
        for line in range(lines):
            slug = f"k{kind}-{line}"
            people = [
                {f"{slug}-{step}-{n}": behaviour for n, behaviour in enumerate(behaviours)}
                for step, behaviours in enumerate(each.steps)
            ]
            for step in people:
                everybody |= {who: _person(who, len(everybody), does, each.confirm) for who, does in step.items()}
            policies[slug] = {
                "name": slug,
                "steps": [{"ring": [{"person": who} for who in step], "order": "together"} for step in people],
            }
            every_line[slug] = {
                "name": f"{each.name} {line}",
                "numbers": [number_of(kind, line)],
                "policy": slug,
                "max_calls": 1000,
                "voicemail": {"to": list(RECIPIENTS), "silence_seconds": 2},
            }
    trunks = {
        "first": {"host": "$disorder", "port": PHONES_PORT},
        "second": {"host": "$carrier", "port": PHONES_PORT},
    }
    return yaml.safe_dump({"people": everybody, "trunks": trunks, "policies": policies, "lines": every_line})


def _person(name: str, number: int, behaviour: str, confirm: bool) -> dict[str, Any]:
    mobile = f"+3361{behaviour}{number:06}"
    seconds = RING_SECONDS if behaviour == RINGS else 30
    return {"name": name, "contact_methods": [{"phone": mobile, "ring_seconds": seconds, "confirm": confirm}]}
