"""What is wrong with a site file.

VigieError
└── BadSite   the file cannot be imported; carries every Problem found
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vigie.errors import VigieError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: ``line`` counts from 1, ``path`` leads to it (``lines.support.numbers.1``)."""

    line: int
    path: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}: {self.reason}" if self.path else f"line {self.line}: {self.reason}"


class BadSite(VigieError):
    """The site file has mistakes; nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
