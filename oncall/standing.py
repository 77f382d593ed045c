"""Where a call stands, for whoever must carry it on: another worker, or a rung of the fallback."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

LEAST_HUNT_SECONDS = 20
"""What is left of the longest hunt at least, when a call is carried on."""


def variable_of(call_hex: str) -> str:
    """The global variable of Asterisk's in which a call's standing is kept."""
    return f"VIGIE_CALL_{call_hex}"


@dataclass(slots=True)
class Standing:
    """``generation`` counts the workers that had the call before; ``step`` is a position in the plan (0: not begun);
    ``tried`` are the contact methods of that step that need not be rung again; ``message`` says that the caller has
    been asked for one. ``done`` is what the dialplan needs of it, which reads it without any JSON as what is between
    the bars: ``_person/method_`` for each method tried in any step, ``_person/_`` for each person who refused.
    """

    generation: int = 0
    round: int = 1
    step: int = 0
    tried: set[int] = field(default_factory=set)
    message: bool = False
    done: str = "||"

    def has_passed(self, round_: int, step: int) -> bool:
        """Whether the hunt was over with that step already."""
        return (round_, step) < (self.round, self.step)

    def enter(self, round_: int, step: int) -> bool:
        """Takes note that the hunt is at that step now; False when it was so already."""
        if (round_, step) == (self.round, self.step):
            return False
        self.round, self.step = round_, step
        self.tried.clear()
        return True

    def try_no_more(self, person: int, methods: Iterable[int], *, refused: bool) -> None:
        """Takes note that these methods of a person have been tried, or that the person has refused."""
        methods = tuple(methods)
        self.tried.update(methods)
        marks = [mark(person)] if refused else [mark(person, method) for method in methods]
        self.done = f"{self.done[:-1]}{''.join(new for new in marks if new not in self.done)}|"

    def refused(self) -> frozenset[int]:
        """The people who have refused the call, in whichever step."""
        return frozenset(int(person) for person in re.findall(r"_(\d+)/_", self.done))


def mark(person: int, method: int | None = None) -> str:
    """What stands in ``done`` for a person who refused, or for one of their contact methods that was tried."""
    return f"_{person}/{'' if method is None else method}_"


def standing_of(text: str) -> Standing:
    """The standing that was written down as JSON; a call's beginning when nothing was. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=Standing) if text else Standing()
