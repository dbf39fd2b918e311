"""Bars over time as SVG: where each one stands, so that a template only draws them.

What is not known is a hatched place, never a bar of no height; what may still change is hatched in
its own colour. Drawn for the width at which it is shown, so that its text stays legible.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 330, 132
LEFT, RIGHT, TOP, BASE = 36.0, 324.0, 16.0, 110.0
LINES = 3  # of a scale, at most

Value = float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """look: bar, provisional, dark, unknown (a share that is), missing (nothing is known)."""

    x: str
    y: str
    width: str
    height: str
    look: str


@dataclass(frozen=True, slots=True)
class Chart:
    """bars; before: the path of what was so long before; grid, labels: (place, text).

    places: (x, width, lines of what is told of it) from left to right, without room between.
    """

    bars: Sequence[Bar]
    before: str
    grid: Sequence[tuple[str, str]]
    labels: Sequence[tuple[str, str]]
    places: Sequence[tuple[str, str, str]] = ()


def bars(
    values: Sequence[Value],
    provisional: Sequence[bool],
    before: Sequence[Value],
    labels: Sequence[str],
    told: Sequence[str] = (),
) -> Chart:
    """A bar for each value. before, labels: for as many places as there are, also later ones.

    told: of each value, in words.
    """
    known = [value for value in (*values, *before) if value is not None]
    top, step = scale(max(known, default=0.0))
    drawn: list[Bar] = []
    for n, (value, may_change) in enumerate(zip(values, provisional, strict=True)):
        x, width = _place(n, len(labels))
        if value is None:
            drawn.append(_bar(x, width, 0.0, 1.0, "missing"))
        elif value > 0:
            drawn.append(_bar(x, width, 0.0, value / top, "provisional" if may_change else "bar"))
    path, places = _path(before, top, len(labels)), _places(told, len(labels))
    return Chart(drawn, path, _grid(top, step), _labels(labels), places)


def shares(
    parts: Sequence[tuple[float, float, float] | None],
    provisional: Sequence[bool],
    labels: Sequence[str],
    told: Sequence[str] = (),
) -> Chart:
    """A stack up to 100 % for each (lit, unknown, dark); None where nothing is known of any."""
    drawn: list[Bar] = []
    for n, (part, may_change) in enumerate(zip(parts, provisional, strict=True)):
        x, width = _place(n, len(labels))
        if part is None:
            drawn.append(_bar(x, width, 0.0, 1.0, "missing"))
            continue
        whole, floor = sum(part), 0.0
        looks = ("provisional" if may_change else "bar", "unknown", "dark")
        for amount, look in zip(part, looks, strict=True):
            if amount > 0:
                drawn.append(_bar(x, width, floor, floor + amount / whole, look))
                floor += amount / whole
    return Chart(drawn, "", _grid(100.0, 50.0), _labels(labels), _places(told, len(labels)))


def stacks(
    parts: Sequence[Sequence[tuple[float, str]] | None],
    labels: Sequence[str],
    told: Sequence[str] = (),
) -> Chart:
    """A stack of amounts, each with its look, from the floor up; None where nothing is known."""
    known = [sum(amount for amount, _ in part) for part in parts if part is not None]
    top, step = scale(max(known, default=0.0))
    drawn: list[Bar] = []
    for n, part in enumerate(parts):
        x, width = _place(n, len(labels))
        if part is None:
            drawn.append(_bar(x, width, 0.0, 1.0, "missing"))
            continue
        floor = 0.0
        for amount, look in part:
            if amount > 0:
                drawn.append(_bar(x, width, floor / top, (floor + amount) / top, look))
                floor += amount
    return Chart(drawn, "", _grid(top, step), _labels(labels), _places(told, len(labels)))


def scale(most: float) -> tuple[float, float]:
    """The end of a scale from 0 that holds `most`, and the step between its lines."""
    if most <= 0:
        return 1.0, 1.0
    power = 1e-9
    while True:
        for step in (power, 2 * power, 5 * power):
            if most <= LINES * step:
                return step * max(1, -int(-most // step)), step
        power *= 10


def _place(n: int, places: int) -> tuple[float, float]:
    """Where the bar of a place begins, and how wide it is."""
    room = (RIGHT - LEFT) / places
    width = room * (0.72 if places <= 16 else 0.8)
    return LEFT + n * room + (room - width) / 2, width


def _places(told: Sequence[str], places: int) -> list[tuple[str, str, str]]:
    room = (RIGHT - LEFT) / max(1, places)
    return [(f"{LEFT + n * room:.1f}", f"{room:.1f}", text) for n, text in enumerate(told)]


def _bar(x: float, width: float, low: float, high: float, look: str) -> Bar:
    height = BASE - TOP
    y = BASE - high * height
    return Bar(f"{x:.1f}", f"{y:.1f}", f"{width:.1f}", f"{(high - low) * height:.1f}", look)


def _path(values: Sequence[Value], top: float, places: int) -> str:
    """A line from place to place; it is broken where nothing is known."""
    path: list[str] = []
    is_drawn = False
    for n, value in enumerate(values[:places]):
        if value is None:
            is_drawn = False
            continue
        x, width = _place(n, places)
        y = BASE - value / top * (BASE - TOP)
        path.append(f"{'L' if is_drawn else 'M'}{x + width / 2:.1f} {y:.1f}")
        is_drawn = True
    return "".join(path)


def _grid(top: float, step: float) -> list[tuple[str, str]]:
    lines = round(top / step)
    digits = 0 if step >= 1 else 1 if step >= 0.1 else 2
    return [
        (f"{BASE - n / lines * (BASE - TOP):.1f}", f"{n * step:,.{digits}f}")
        for n in range(lines + 1)
    ]


def _labels(labels: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for n, label in enumerate(labels):
        if label:
            x, width = _place(n, len(labels))
            found.append((f"{x + width / 2:.1f}", label))
    return found
