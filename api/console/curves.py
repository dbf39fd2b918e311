"""Readings over time as SVG: a band from the least to the most of each stretch, its mean as a line.

Where nothing was read for longer than it should be there is a hatched gap: no line crosses it, and
nothing falls to zero. Words and flags are lanes. Drawn for the width at which it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

from devices.days import midnight_of
from devices.messages import Value
from devices.telemetry import Bucket

MOST_BUCKETS = 200  # of a curve: more than a screen has room to tell apart
EVERY_S = (
    10,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14_400,
    28_800,
    43_200,
    86_400,
    172_800,
)
LANES = 8  # of different words at most; others are in the table
LINES = 4  # of a scale, at most
# How far apart the marks of time may stand, and how each is written.
_TICKS_S = (
    (60, "%H:%M"), (300, "%H:%M"), (600, "%H:%M"), (900, "%H:%M"), (1800, "%H:%M"),
    (3600, "%H:%M"), (7200, "%H:%M"), (10_800, "%H:%M"), (21_600, "%H:%M"), (43_200, "%m-%d %H:%M"),
    (86_400, "%m-%d"), (2 * 86_400, "%m-%d"), (7 * 86_400, "%m-%d"), (30 * 86_400, "%m-%d"),
    (90 * 86_400, "%Y-%m-%d"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """Of a drawing, in its own units, which are CSS pixels where it is shown as large as it is."""

    width: int
    height: int
    left: float = 44.0
    right: float = 8.0
    top: float = 12.0
    foot: float = 22.0

    @property
    def end(self) -> float:
        return self.width - self.right

    @property
    def base(self) -> float:
        return self.height - self.foot


SMALL, ROW = Size(330, 140), Size(390, 150)  # one of several, on a phone and beside each other
NARROW, WIDE, FULL = Size(330, 190), Size(800, 250), Size(1340, 300)  # one alone


@dataclass(frozen=True, slots=True)
class Lane:
    """A word and when it was said: (x, width) of each stretch, and [from, to) of it in ms."""

    y: str
    height: str
    text: str
    bars: Sequence[tuple[str, str]]
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Curve:
    """bands, line: paths. gaps: (x, width) of stretches without readings. dots: readings alone.

    grid, ticks: (place, text); ticks_at: (ms, text) of the latter. limits: (y, text, look) of lines
    across. marks: (x, text, anchor) of moments. scale: its ends, of numbers that are known.
    """

    size: Size
    from_ms: int
    to_ms: int
    bands: str
    line: str
    dots: Sequence[tuple[str, str]]
    gaps: Sequence[tuple[str, str]]
    grid: Sequence[tuple[str, str]]
    ticks: Sequence[tuple[str, str]]
    lanes: Sequence[Lane] = ()
    limits: Sequence[tuple[str, str, str]] = ()
    marks: Sequence[tuple[str, str, str]] = ()
    ticks_at: Sequence[tuple[int, str]] = ()
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A level that is drawn across. look: a severity, as its colour has it."""

    level: float
    text: str
    look: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that is drawn from top to bottom."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is drawn: [from_ms, to_ms) in buckets of every_s; nothing can be known after now_ms.

    gap_s: so long without a reading is a gap.
    """

    from_ms: int
    to_ms: int
    every_s: int
    gap_s: float
    now_ms: int

    @property
    def known_to_ms(self) -> int:
        return min(self.to_ms, self.now_ms + 1)


def every_for(length_ms: int) -> int:
    """How long the buckets of a curve of this length are, in seconds."""
    return next(
        (every_s for every_s in EVERY_S if length_ms <= every_s * 1000 * MOST_BUCKETS), EVERY_S[-1]
    )


def draw(
    buckets: Sequence[Bucket],
    of: Stretch,
    zone: tzinfo,
    size: Size,
    limits: Sequence[Limit] = (),
    marks: Sequence[Mark] = (),
    *,
    from_zero: bool = False,
) -> Curve:
    """A curve of numbers, with its limits in sight. from_zero: so is 0, as for amounts."""
    known = [(bucket, *both) for bucket in buckets if (both := _ends(bucket)) is not None]
    levels = [limit.level for limit in limits] if known else []
    levels += [0.0] if from_zero and known else []
    lows = [*levels, *(low for _, low, _ in known)]
    highs = [*levels, *(high for _, _, high in known)]
    bottom, top, step = scale(min(lows, default=0.0), max(highs, default=1.0))

    def y(value: float) -> float:
        return size.base - (value - bottom) / (top - bottom) * (size.base - size.top)

    bands, line, dots = [], [], []
    for run in _runs([bucket for bucket, _, _ in known], of):
        if len(run) == 1:
            dots.append((f"{_x(_middle(run[0], of), of, size):.1f}", f"{y(_mean(run[0])):.1f}"))
            continue
        xs = [_x(_middle(bucket, of), of, size) for bucket in run]
        upper = [f"{x:.1f} {y(bucket.max or 0.0):.1f}" for x, bucket in zip(xs, run, strict=True)]
        lower = [f"{x:.1f} {y(bucket.min or 0.0):.1f}" for x, bucket in zip(xs, run, strict=True)]
        if any(bucket.min != bucket.max for bucket in run):
            bands.append("M" + "L".join([*upper, *reversed(lower)]) + "Z")
        mean = [f"{x:.1f} {y(_mean(bucket)):.1f}" for x, bucket in zip(xs, run, strict=True)]
        line.append("M" + "L".join(mean))
    lines = round((top - bottom) / step)
    digits = 0 if step >= 1 else 1 if step >= 0.1 else 2 if step >= 0.01 else 3
    grid = (
        []
        if not known
        else [
            (f"{y(bottom + n * step):.1f}", f"{bottom + n * step:,.{digits}f}")
            for n in range(lines + 1)
        ]
    )
    ticks = _ticks(of, zone, size)
    return Curve(
        size,
        of.from_ms,
        of.to_ms,
        "".join(bands),
        "".join(line),
        dots,
        _gaps([bucket for bucket, _, _ in known], of, size),
        grid,
        _placed_ticks(ticks, of, size),
        limits=[(f"{y(one.level):.1f}", one.text, one.look) for one in limits if known],
        marks=_marks(marks, of, size),
        ticks_at=ticks,
        scale=(bottom, top) if known else None,
    )


def draw_words(
    buckets: Sequence[Bucket],
    of: Stretch,
    zone: tzinfo,
    size: Size,
    words: Sequence[tuple[Value, str]],
    marks: Sequence[Mark] = (),
) -> Curve:
    """Lanes of words or flags, each as long as it was the last that was said."""
    said = {(type(bucket.last), bucket.last) for bucket in buckets}
    shown = [(value, text) for value, text in words if (type(value), value) in said][:LANES]
    height = (size.base - size.top) / max(1, len(shown))
    lanes = []
    for n, (value, text) in enumerate(shown):
        spans = _said(buckets, value, of)
        bars = [_placed(begins, ends, of, size) for begins, ends in spans]
        lanes.append(Lane(f"{size.top + n * height:.1f}", f"{height:.1f}", text, bars, spans))
    ticks = _ticks(of, zone, size)
    return Curve(
        size,
        of.from_ms,
        of.to_ms,
        "",
        "",
        (),
        _gaps(buckets, of, size),
        (),
        _placed_ticks(ticks, of, size),
        lanes,
        marks=_marks(marks, of, size),
        ticks_at=ticks,
    )


def _said(buckets: Sequence[Bucket], value: Value, of: Stretch) -> list[tuple[int, int]]:
    """When `value` was the last word: until another one comes, or nothing for too long."""
    stretches: list[tuple[int, int]] = []
    is_going_on = False
    for bucket in buckets:
        if bucket.last != value:
            is_going_on = False
            continue
        ends = bucket.at_ms + of.every_s * 1000
        if is_going_on and bucket.at_ms - stretches[-1][1] <= _apart_ms(of):
            stretches[-1] = (stretches[-1][0], ends)
        else:
            stretches.append((bucket.at_ms, ends))
        is_going_on = True
    return stretches


def _placed(begins: int, ends: int, of: Stretch, size: Size) -> tuple[str, str]:
    left = _x(max(begins, of.from_ms), of, size)
    right = _x(min(ends, of.known_to_ms), of, size)
    return f"{left:.1f}", f"{max(1.0, right - left):.1f}"


def scale(low: float, high: float) -> tuple[float, float, float]:
    """Both ends of a scale that holds these, and the step between its lines.

    It begins at 0 where that costs little: 0 to 220 W, but 218 to 232 V.
    """
    if low >= 0 and low <= 0.6 * high:
        low = 0.0
    if high - low < 1e-9:
        low, high = (0.0, 1.0) if high == 0 else (low - abs(low) * 0.05, high + abs(high) * 0.05)
    power = 1e-6
    while True:
        for step in (power, 2 * power, 5 * power):
            bottom, top = step * (low // step), step * -(-high // step)
            if top - bottom <= LINES * step * 1.000001:
                return bottom, top, step
        power *= 10


def summary(buckets: Sequence[Bucket]) -> tuple[float, float, float] | None:
    """Least, mean and most of all readings; None without one."""
    known = [bucket for bucket in buckets if _ends(bucket) is not None]
    count = sum(bucket.count for bucket in known)
    if not count:
        return None
    mean = sum(_mean(bucket) * bucket.count for bucket in known) / count
    return (
        min(bucket.min for bucket in known if bucket.min is not None),
        mean,
        max(bucket.max for bucket in known if bucket.max is not None),
    )


def _ends(bucket: Bucket) -> tuple[float, float] | None:
    if bucket.min is None or bucket.max is None or bucket.mean is None:
        return None
    return bucket.min, bucket.max


def _mean(bucket: Bucket) -> float:
    return bucket.mean or 0.0


def _middle(bucket: Bucket, of: Stretch) -> float:
    return min(bucket.at_ms + of.every_s * 500, max(of.known_to_ms, bucket.at_ms))


def _x(at_ms: float, of: Stretch, size: Size) -> float:
    share = (at_ms - of.from_ms) / max(1, of.to_ms - of.from_ms)
    return size.left + min(1.0, max(0.0, share)) * (size.end - size.left)


def _runs(buckets: Sequence[Bucket], of: Stretch) -> list[list[Bucket]]:
    """Buckets between which nothing is missing."""
    runs: list[list[Bucket]] = []
    for bucket in buckets:
        if runs and bucket.at_ms - runs[-1][-1].at_ms <= _apart_ms(of):
            runs[-1].append(bucket)
        else:
            runs.append([bucket])
    return runs


def _apart_ms(of: Stretch) -> float:
    return max(of.gap_s, of.every_s) * 1000 + of.every_s * 500


def gaps_of(buckets: Sequence[Bucket], of: Stretch) -> list[tuple[int, int]]:
    """Stretches without readings for longer than there should be, [from, to) in ms."""
    every_ms = of.every_s * 1000
    edges = [(of.from_ms, of.from_ms), *((b.at_ms, b.at_ms + every_ms) for b in buckets)]
    edges.append((of.known_to_ms, of.known_to_ms))
    least_ms = max(_apart_ms(of) - every_ms, every_ms / 2)
    return [
        (begins, ends) for (_, begins), (ends, _) in pairwise(edges) if ends - begins > least_ms
    ]


def _gaps(buckets: Sequence[Bucket], of: Stretch, size: Size) -> list[tuple[str, str]]:
    gaps = []
    for begins, ends in gaps_of(buckets, of):
        left, right = _x(begins, of, size), _x(ends, of, size)
        gaps.append((f"{left:.1f}", f"{right - left:.1f}"))
    return gaps


def _marks(marks: Sequence[Mark], of: Stretch, size: Size) -> list[tuple[str, str, str]]:
    """Those that lie in the drawing; their texts grow towards its middle."""
    middle = (size.left + size.end) / 2
    drawn = []
    for mark in marks:
        if of.from_ms <= mark.at_ms <= of.to_ms:
            x = _x(mark.at_ms, of, size)
            drawn.append((f"{x:.1f}", mark.text, "start" if x < middle else "end"))
    return drawn


def _placed_ticks(
    ticks: Sequence[tuple[int, str]], of: Stretch, size: Size
) -> list[tuple[str, str]]:
    return [(f"{_x(at_ms, of, size):.1f}", text) for at_ms, text in ticks]


def _ticks(of: Stretch, zone: tzinfo, size: Size) -> list[tuple[int, str]]:
    """Marks of time on local hours or days, so far apart that their texts do not touch."""
    room = int((size.end - size.left) // 62)
    length_s = (of.to_ms - of.from_ms) / 1000
    step_s, written = next(
        ((step_s, written) for step_s, written in _TICKS_S if length_s / step_s < room + 0.5),
        _TICKS_S[-1],
    )
    at_ms = midnight_of(of.from_ms, zone)
    ticks = []
    while at_ms <= of.to_ms:
        if at_ms >= of.from_ms:
            x = _x(at_ms, of, size)
            if size.left + 8 <= x <= size.end - 14:
                ticks.append((at_ms, f"{datetime.fromtimestamp(at_ms / 1000, zone):{written}}"))
        if step_s >= 86_400:  # local days may have 23 or 25 hours
            later = datetime.fromtimestamp(at_ms / 1000, zone) + timedelta(seconds=step_s)
            at_ms = int(later.timestamp() * 1000)
        else:
            at_ms += step_s * 1000
    return ticks
