"""How long to wait before trying again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import uniform


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first`` up to ``most``, each shortened at random by up to half.

    The randomness keeps messages that failed together from coming back together.
    """

    first: timedelta
    most: timedelta
    draw: Callable[[float, float], float] = uniform

    def after(self, attempts: int) -> timedelta:
        """The wait after that many failed attempts (1 or more)."""
        doublings = min(attempts - 1, 32)
        return min(self.first * (1 << doublings), self.most) * self.draw(0.5, 1.0)
