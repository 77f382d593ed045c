"""The results as a picture, in SVG: the delay over the rate of each way, and the processor time of a call."""

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite, log10

from lab.bench.measure import BEARABLE_MS, Result
from lab.bench.usage import KINDS

COLOURS = ("#1b6ca8", "#e07a1f", "#3a9d5d", "#b3364a", "#7a5aa6", "#6b6b6b")
SHADES = {"Asterisk": "#1b6ca8", "Python": "#e07a1f", "PostgreSQL": "#3a9d5d"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 1000, 760, 200, 50, 90
PANEL = (HEIGHT - TOP - 2 * GAP) / 2
LEAST_MS, MOST_MS = 1, 10_000


def picture(results: Sequence[Result]) -> str:
    """An SVG document."""
    parts = [*_delays(results), *_costs(results)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _delays(results: Sequence[Result]) -> Iterable[str]:
    """p99 over calls per second, on a logarithmic scale, with the limit of what is bearable."""
    most = max(run.rate for result in results for run in (*result.runs, *result.trials))
    wide = WIDTH - LEFT - 230

    def x(rate: float) -> float:
        return LEFT + wide * rate / most

    def y(delay: float) -> float:
        share = log10(min(max(delay, LEAST_MS), MOST_MS) / LEAST_MS) / log10(MOST_MS / LEAST_MS)
        return TOP + PANEL * (1 - share)

    yield _text(LEFT, TOP - 20, "99 % of telephones have their INVITE within … ms, by calls per second", weight="bold")
    for exponent in range(5):
        delay = 10**exponent
        yield _line(LEFT, y(delay), LEFT + wide, y(delay), "#dddddd")
        yield _text(LEFT - 8, y(delay) + 4, f"{delay:,}", anchor="end")
    yield _line(LEFT, y(BEARABLE_MS), LEFT + wide, y(BEARABLE_MS), "#b3364a", dashes="6 4")
    for tick in range(0, round(most) + 1, 50 if most > 150 else 10):
        yield _text(x(tick), TOP + PANEL + 20, str(tick), anchor="middle")
    for number, result in enumerate(results):
        colour = COLOURS[number % len(COLOURS)]
        runs = sorted((run for run in (*result.runs, *result.trials) if isfinite(run.p99)), key=lambda run: run.rate)
        points = " ".join(f"{x(run.rate):.1f},{y(run.p99):.1f}" for run in runs)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for run in runs:
            fill = colour if run.answered == run.calls else "white"
            yield f'<circle cx="{x(run.rate):.1f}" cy="{y(run.p99):.1f}" r="4" fill="{fill}" stroke="{colour}"/>'
        at = TOP + 10 + 22 * number
        yield _line(LEFT + wide + 15, at, LEFT + wide + 40, at, colour, thick=3)
        yield _text(LEFT + wide + 46, at + 4, result.way)
    yield _text(LEFT + wide + 15, TOP + 10 + 22 * len(results), "○ not all calls answered")


def _costs(results: Sequence[Result]) -> Iterable[str]:
    """Milliseconds of processor per call at the lowest rate, one bar a way."""
    top, wide = TOP + PANEL + GAP, WIDTH - LEFT - 230
    longest = max(sum(result.runs[0].cpu[kind] for kind in KINDS) for result in results) or 1
    thick = PANEL / len(results)
    rate = results[0].runs[0].rate
    yield _text(LEFT, top - 20, f"Milliseconds of processor per call at {rate:g} calls/s", weight="bold")
    for number, result in enumerate(results):
        at, x = top + thick * number, float(LEFT)
        yield _text(LEFT - 8, at + thick / 2 + 4, result.way, anchor="end")
        for kind in KINDS:
            spent = result.runs[0].cpu[kind]
            long = wide * spent / longest
            yield (
                f'<rect x="{x:.1f}" y="{at + 4:.1f}" width="{long:.1f}" height="{thick - 8:.1f}" '
                f'fill="{SHADES[kind]}"/>'
            )
            x += long
        total = sum(result.runs[0].cpu[kind] for kind in KINDS)
        yield _text(x + 8, at + thick / 2 + 4, f"{total:.1f}")
    for number, kind in enumerate(KINDS):
        at = top + 10 + 22 * number
        yield f'<rect x="{LEFT + wide + 90}" y="{at - 10}" width="14" height="14" fill="{SHADES[kind]}"/>'
        yield _text(LEFT + wide + 110, at + 2, kind)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
    return f"<text {place}>{escape(text)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, thick: float = 1, dashes: str = "none") -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{thick}" stroke-dasharray="{dashes}"/>'
