"""What a page carries of a curve for its script, which tells figures and draws at any width.

The same buckets, gaps, scale and marks of time as the drawing of the server has, so that one may
take the place of the other. Times are epoch ms; local times follow from `clock`.
"""

import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import partial

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from api.console.curves import Curve, Limit, Mark, Stretch, gaps_of
from devices.telemetry import Bucket

_compact = partial(json.dumps, separators=(",", ":"), ensure_ascii=False)


def curve_data(
    buckets: Sequence[Bucket],
    of: Stretch,
    zone: tzinfo,
    drawn: Sequence[Curve],
    *,
    unit: str,
    reports: float | None,
    is_counted: bool = True,
    words: Sequence[str] = (),
    limits: Sequence[Limit] = (),
    marks: Sequence[Mark] = (),
) -> Markup:
    """JSON that can stand in a page.

    at: numbers of the buckets, from `from` on, each of them `every` ms long; count: readings in
    each. Of numbers: mean, least, most, and the scale (bottom, top, its lines as texts); of words:
    last, as it is said, and lanes. reports: readings that a bucket should have, None where that is
    not known. is_counted: False where a bucket is one figure, of which there is no count and no
    mean to tell. ticks: for each drawing.
    """
    first = drawn[0]
    every_ms = of.every_s * 1000
    known = [bucket for bucket in buckets if bucket.mean is not None]
    made: dict[str, object] = {
        "from": of.from_ms,
        "to": of.to_ms,
        "known": of.known_to_ms,
        "now": of.now_ms,
        "every": every_ms,
        "unit": unit,
        "reports": None if reports is None else round(reports, 4),
        "clock": clock_of(of, zone),
        "ticks": [one.ticks_at for one in drawn],
        "gaps": gaps_of(known if first.scale else buckets, of),
        "limits": [[limit.level, limit.text, limit.look] for limit in limits if first.scale],
        "marks": [[mark.at_ms, mark.text] for mark in marks],
    }
    if words or first.lanes:
        made["lanes"] = [[lane.text, lane.spans] for lane in first.lanes]
        made["last"] = list(words)
    else:
        made["scale"] = first.scale
        made["grid"] = [text for _, text in first.grid]
        buckets = known
        for name, values in (
            ("mean", [bucket.mean for bucket in known]),
            ("least", [bucket.min for bucket in known]),
            ("most", [bucket.max for bucket in known]),
        ):
            made[name] = [None if value is None else _short(value) for value in values]
    made["at"] = [(bucket.at_ms - of.from_ms) // every_ms for bucket in buckets]
    if is_counted:
        made["count"] = [bucket.count for bucket in buckets]
    return htmlsafe_json_dumps(made, dumps=_compact)


def clock_of(of: Stretch, zone: tzinfo) -> list[tuple[int, int]]:
    """(from then on, local time is ahead of UTC by ms): one, and one more where clocks change."""
    found: list[tuple[int, int]] = []
    for at_ms in range(of.from_ms, of.to_ms + 1, of.every_s * 1000):
        offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
        assert offset is not None  # a zone always knows
        ahead_ms = int(offset.total_seconds() * 1000)
        if not found or found[-1][1] != ahead_ms:
            found.append((at_ms, ahead_ms))
    return found


def _short(value: float) -> float | int:
    """As many digits as a figure that is told may need, and some more."""
    short = float(f"{value:.9g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
