"""The last 24 hours in words and pictures: power, passages, faults, messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.console import charts
from api.console.last_day import Day
from api.console.overview import SEVERITIES
from api.console.usage_views import ChartView
from api.instants import DISTRICT_ZONE
from api.reports.words import number, share
from api.words import Language, say

LABEL_EVERY_H = 6
Value = float | None


@dataclass(frozen=True, slots=True)
class DayView:
    """charts: power, passages, faults, messages. coverage: of gates and sockets, or ""."""

    charts: Sequence[ChartView]
    coverage: str
    has_before: bool
    is_read: bool


def day_view(language: Language, day: Day) -> DayView:
    """What the overview shows of a day. Without gates or sockets there is no chart of them."""
    labels = _labels(language, day)
    covered = [hour.received / hour.expected if hour.expected else None for hour in day.hours]
    made: list[ChartView] = []
    if "port" in day.kinds:
        power_kw = [hour.energy_kwh for hour in day.hours]
        if power_kw[-1] is not None:  # of the part of the hour that is over
            power_kw[-1] = power_kw[-1] / day.running_share if day.running_share > 0.05 else None
        before = [hour.energy_kwh for hour in day.before]
        value = power_kw[-2]
        made.append(
            _bars(language, day, "ld_power", power_kw, before, value, "kW", labels, covered)
        )
    if "gate" in day.kinds:
        passages = [hour.passages for hour in day.hours]
        before = [hour.passages for hour in day.before]
        unit = say(language, "ld_times")
        whole = _sum(passages)
        made.append(
            _bars(language, day, "ld_passages", passages, before, whole, unit, labels, covered)
        )
    made.append(_faults(language, day, labels))
    messages = [_float(hour.messages) for hour in day.hours]
    before = [_float(hour.messages) for hour in day.before]
    unit = say(language, "ld_pieces")
    made.append(_bars(language, day, "ld_messages", messages, before, _sum(messages), unit, labels))
    return DayView(
        made,
        "" if day.coverage is None else say(language, "u_coverage", share=share(day.coverage)),
        any(chart.drawn.before for chart in made),
        day.is_read,
    )


def _bars(
    language: Language,
    day: Day,
    word: str,
    values: Sequence[Value],
    before: Sequence[Value],
    value: Value,
    unit: str,
    labels: Sequence[str],
    covered: Sequence[Value] = (),
) -> ChartView:
    """covered: the share of what was to come of each hour, where the figures depend on it."""
    running = [*([False] * (len(values) - 1)), True]
    title, shown = say(language, word), number(value)
    told = [
        _told_hour(language, day, n, _amount(language, one, unit), unit, before[n : n + 1], covered)
        for n, one in enumerate(values)
    ]
    return ChartView(
        title,
        shown,
        unit,
        _told(language, day, title, shown, unit, values),
        charts.bars(values, running, before, labels, told),
    )


def _faults(language: Language, day: Day, labels: Sequence[str]) -> ChartView:
    # Where nothing came in nobody could raise a fault, so that none says nothing.
    is_known = [
        bool(counts) or hour.messages is not None
        for counts, hour in zip(day.opened, day.hours, strict=True)
    ]
    parts = [
        [(float(counts.get(severity, 0)), severity.lower()) for severity in reversed(SEVERITIES)]
        if known
        else None
        for counts, known in zip(day.opened, is_known, strict=True)
    ]
    sums: list[Value] = [
        None if part is None else sum(amount for amount, _ in part) for part in parts
    ]
    title, shown, unit = say(language, "ld_faults"), number(_sum(sums)), say(language, "ld_places")
    told = []
    for n, (part, amount) in enumerate(zip(parts, sums, strict=True)):
        of = [
            f"{say(language, look)} {number(count)}"
            for count, look in reversed(part or ())
            if count
        ]
        lines = say(language, "sep").join(of)
        told.append(_told_hour(language, day, n, _amount(language, amount, unit), more=lines))
    return ChartView(
        title,
        shown,
        unit,
        _told(language, day, title, shown, unit, sums),
        charts.stacks(parts, labels, told),
    )


def _amount(language: Language, value: Value, unit: str) -> str:
    if value is None:
        return say(language, "u_key_missing")
    return f"{number(value, 1 if value < 10 and value % 1 else 0)} {unit}".strip()


def _told_hour(
    language: Language,
    day: Day,
    n: int,
    amount: str,
    unit: str = "",
    before: Sequence[Value] = (),
    covered: Sequence[Value] = (),
    more: str = "",
) -> str:
    """What is told of one hour, in lines: when, how much, how sure, and what it was before."""
    at = datetime.fromtimestamp(day.starts[n] / 1000, DISTRICT_ZONE)
    lines = [f"{at:%m-%d %H:%M} – {at + timedelta(hours=1):%H:%M}", amount, more]
    sure = [say(language, "ld_key_running")] if n == len(day.starts) - 1 else []
    if covered and covered[n] is not None:
        sure.append(say(language, "u_coverage", share=share(min(1.0, covered[n] or 0.0))))
    lines.append(say(language, "sep").join(sure))
    lines += [
        f"{say(language, 'ld_key_before')} {_amount(language, value, unit)}"
        for value in before
        if value is not None
    ]
    return "\n".join(line for line in lines if line)


def _told(
    language: Language, day: Day, title: str, shown: str, unit: str, values: Sequence[Value]
) -> str:
    told = say(language, "ld_told", title=title, value=shown, unit=unit)
    known = [(amount, -n) for n, amount in enumerate(values) if amount is not None]
    if known:
        most, n = max(known)
        at = say(language, "u_oclock", n=_local_hour(day.starts[-n]))
        told += say(language, "u_told_most", at=at, value=number(most))
    if len(known) < len(values):
        told += say(language, "u_told_unknown", n=len(values) - len(known))
    return told


def _labels(language: Language, day: Day) -> list[str]:
    hours = [_local_hour(start) for start in day.starts]
    return [say(language, "u_oclock", n=n) if n % LABEL_EVERY_H == 0 else "" for n in hours]


def _local_hour(at_ms: int) -> int:
    return datetime.fromtimestamp(at_ms / 1000, DISTRICT_ZONE).hour


def _sum(values: Sequence[Value]) -> Value:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _float(count: int | None) -> Value:
    return None if count is None else float(count)
