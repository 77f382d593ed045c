"""The ways to put a call through that are compared, and the one site that they all serve.

All lead to the same lines: each way has a number of its own for each line, and rings the one person of the line, who
has a telephone behind the trunk.
"""

from dataclasses import dataclass
from typing import Any

from vigie.settings import SocketAddress

LINES = 600
"""More than there are calls at any time: nobody is rung while in another conversation."""
TELEPHONES = "bench-telephones"
"""The context through which FollowMe() rings."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way. ``application`` is what the dialplan itself does with a call, None to leave it to Vigie; ``staff`` are
    the programs that must run for it. ``digit`` tells the way's numbers from the others'."""

    name: str
    digit: int
    application: str | None = None
    staff: tuple[str, ...] = ()
    confirms: bool = False
    """Whether the person called has to press 1."""

    @property
    def numbers(self) -> list[str]:
        """The number of each line."""
        return [f"+33188{self.digit}{line:05d}" for line in range(LINES)]

    @property
    def extension(self) -> str:
        """The dialplan's pattern for all of them."""
        return f"_+33188{self.digit}XXXXX"


WAYS = (
    Way("Dial()", 0, "Dial(PJSIP/+336100${EXTEN:-5}@trunk-bench)"),
    Way("pyst2 AGI", 1, "AGI(agi://${BENCH_AGI})", ("agi",)),
    Way("Vigie, 1 worker", 2, staff=("w1",)),
    Way("Vigie, 2 workers", 2, staff=("w1", "w2")),
    # N: the caller is answered when somebody was found. Answering waits for the caller's first sound; SIPp makes none.
    Way("FollowMe(), press 1", 3, "FollowMe(bench${EXTEN:-5},N)", confirms=True),
    Way("Vigie, 2 workers, press 1", 4, staff=("w1", "w2"), confirms=True),
)


def telephone(line: int, confirms: bool) -> str:
    """The number of the telephone of a line's only person."""
    return f"+3361{int(confirms)}{line:06d}"


def site(trunk: SocketAddress) -> dict[str, Any]:
    """The site file: lines with a policy of one step and one person, who has to press 1 or not."""
    people, policies, lines = {}, {}, {}
    for confirms in (False, True):
        ways = {way.digit: way for way in WAYS if way.confirms is confirms}
        for line, numbers in enumerate(zip(*(way.numbers for way in ways.values()), strict=True)):
            name = f"{'c' if confirms else 'd'}{line}"
            phone = {"phone": telephone(line, confirms), "confirm": confirms}
            people[name] = {"name": f"Person {name}", "contact_methods": [phone]}
            policies[name] = {"name": f"Policy {name}", "steps": [{"ring": [{"person": name}]}]}
            # One name for all, as each name is a sentence to be spoken and kept.
            told = {"to": ["bench@societe.example"]}
            lines[name] = {"name": "Support", "numbers": list(numbers), "policy": name, "voicemail": told}
    trunks = {"bench": {"host": trunk.host, "port": trunk.port}}
    return {"people": people, "trunks": trunks, "policies": policies, "lines": lines}


def follow_me() -> str:
    """followme.conf: a profile for each line. It says as little as it can, and then what to press."""
    profiles = (
        f"[bench{line:05d}]\ncontext = {TELEPHONES}\nnumber = {telephone(line, confirms=True)},20\n"
        for line in range(LINES)
    )
    return "[general]\nnorecording_prompt = beep\n" + "".join(profiles)
