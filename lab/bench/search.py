"""The highest rate that still holds, found with few trials. Knows nothing of calls."""

from collections.abc import Awaitable, Callable, Sequence

LEAP = 4
"""Rungs that are taken at a time while rates hold."""


def ladder(first: float, last: float, step: float) -> list[int]:
    """Whole rates from ``first`` to ``last``, each ``step`` times the one before."""
    rates = [first]
    while rates[-1] * step <= last:
        rates.append(rates[-1] * step)
    return [round(rate) for rate in rates]


async def highest(holds: Callable[[int], Awaitable[bool]], rates: Sequence[int], begin: int) -> int:
    """The highest of the ascending ``rates`` that holds, 0 if none does; ``begin`` is the index of the first tried.

    A rate that does not hold is tried once more: the machine may just have been taken from us.
    """
    below, above, at = -1, len(rates), begin
    while above - below > 1:
        if await holds(rates[at]) or await holds(rates[at]):
            below = at
        else:
            above = at
        at = min(below + LEAP, len(rates) - 1) if above == len(rates) else (below + above) // 2
    return rates[below] if below >= 0 else 0
