"""Usage in words and pictures, for the page of a compound and that of charging.

Every figure stands with its coverage and its status; what is not known is a dash, never 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query
from sqlalchemy import Engine

from api.console import charts, exclusion_pages
from api.console.pages import Page
from api.corrected import marked
from api.errors import BadParameter
from api.reports.model import PARTS, PartName
from api.reports.words import BREAKDOWNS, ROWS, UNKNOWN, Row, number, row_of, share, value_name
from api.reports.words import say as say_of_reports
from api.usage import status
from api.words import Language, named, say
from devices.apart import Apart
from devices.coverage import Places, Sum
from devices.days import (
    DAY_MS,
    began,
    local_date,
    month_after,
    zone_of,
)
from devices.stop_reasons import StopClass, StopReason
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.hour_sums import Expected, HourSums, add_hours
from devices.store.scope import Scope
from devices.store.usage import reporters
from devices.store.usage_apart import apart_of_times
from devices.store.usage_days import sums_of_compound
from devices.usage import HOUR_MS

Figures = Mapping[str, Any]  # of a part, as the API has them
Bucket = Literal["hour", "day", "week", "month"]

BUCKETS: tuple[Bucket, ...] = ("hour", "day", "week", "month")
DAYS, WEEKS, MONTHS = 14, 8, 12  # that are shown at once
MOST_BY_DAY, MOST_DAYS = 62, 366  # of a range that somebody picked; longer ones are by week
LABELS_SHOWN = 5  # below a chart of such a range
KIND_OF: Mapping[PartName, str] = {"gates": "gate", "charging": "port", "lighting": "lamp"}
CHARTED: Mapping[PartName, tuple[str, ...]] = {
    "gates": ("passages",),
    "charging": ("sessions", "energy_kwh"),
    "lighting": ("lamp_on_rate",),
}
CHARTED_ALONE: Mapping[PartName, tuple[str, ...]] = {  # where one part has the page to itself
    "charging": ("sessions", "energy_kwh", "utilisation", "turnover"),
}

_TOLD_AS: Mapping[Bucket, str] = {
    "hour": "%H:%M", "day": "%m-%d", "week": "%m-%d", "month": "%Y-%m",
}  # fmt: skip


BucketOf = Annotated[Bucket, Query(description="How long a bar is.")]
UntilOf = Annotated[str, Query(max_length=10, description="The last day that is shown.")]
SinceOf = Annotated[
    str, Query(max_length=10, description="The first day; without it what a bucket has room for.")
]


@dataclass(frozen=True, slots=True)
class Spell:
    """The time that is looked at, and as much before it.

    starts: of its buckets up to now; ends at to_ms. places: buckets that a chart has room for.
    before, before_to_ms: the same so long before, of as much of the last bucket as is over;
    is_cut: that is not all of it. days: of a range that somebody picked, None for others.
    """

    bucket: Bucket
    zone: tzinfo
    starts: Sequence[int]
    to_ms: int
    places: int
    before: Sequence[int]
    before_to_ms: int
    first: date
    last: date
    is_cut: bool = False
    days: int | None = None

    @property
    def word(self) -> str:
        """Of its texts: the bucket's, or that of a range that was picked."""
        return self.bucket if self.days is None else "span"

    @property
    def ends(self) -> list[int]:
        return [*self.starts[1:], self.to_ms]


def spell(bucket: Bucket, last: date, zone: tzinfo, end_ms: int) -> Spell:
    """What is shown up to the local day `last`, of which there is nothing after `end_ms`."""
    if bucket == "hour":
        first = last
        begins = [began(last, zone) + n * HOUR_MS for n in range(24)]
        earlier = [at_ms - DAY_MS for at_ms in begins]
        before_end_ms = begins[0]
    else:
        dates = list(_dates(bucket, last))
        first = dates[0]
        begins = [began(day, zone) for day in dates]
        earlier = [began(_earlier(bucket, day), zone) for day in dates]
        before_end_ms = begins[0]
    over_ms = min(end_ms, began(_after(bucket, begins[-1], zone), zone))
    starts = [at_ms for at_ms in begins if at_ms < over_ms]
    open_ms = -(-(over_ms - starts[-1]) // HOUR_MS) * HOUR_MS  # of the last bucket, whole hours
    is_cut = bucket != "hour" and over_ms < began(_after(bucket, starts[-1], zone), zone)
    before_to_ms = before_end_ms
    if is_cut:
        before_to_ms = min(before_end_ms, earlier[len(starts) - 1] + open_ms)
        earlier = earlier[: len(starts)]
    return Spell(
        bucket, zone, starts, over_ms, len(begins), earlier, before_to_ms, first, last, is_cut
    )


def picked(first: date, last: date, zone: tzinfo, end_ms: int) -> Spell:
    """The local days from `first` to `last`, beside as many before them: by hour, day or week."""
    days = (last - first).days + 1
    if days == 1:
        return spell("hour", last, zone, end_ms)
    bucket: Bucket = "day" if days <= MOST_BY_DAY else "week"
    step = 1 if bucket == "day" else 7
    dates = [first + timedelta(days=n) for n in range(0, days, step)]
    begins = [began(day, zone) for day in dates]
    earlier = [began(day - timedelta(days=days), zone) for day in dates]
    whole_ms = began(last + timedelta(days=1), zone)
    over_ms = min(end_ms, whole_ms)
    starts = [at_ms for at_ms in begins if at_ms < over_ms]
    before_to_ms, is_cut = begins[0], over_ms < whole_ms
    if is_cut:
        open_ms = -(-(over_ms - starts[-1]) // HOUR_MS) * HOUR_MS
        before_to_ms = min(begins[0], earlier[len(starts) - 1] + open_ms)
        earlier = earlier[: len(starts)]
    return Spell(
        bucket,
        zone,
        starts,
        over_ms,
        len(begins),
        earlier,
        before_to_ms,
        first,
        last,
        is_cut,
        days,
    )


def last_week(today: date) -> tuple[date, date]:
    """Monday and Sunday of the week before."""
    monday = today - timedelta(days=today.weekday() + 7)
    return monday, monday + timedelta(days=6)


def _dates(bucket: Bucket, last: date) -> Iterator[date]:
    if bucket == "day":
        yield from (last - timedelta(days=n) for n in reversed(range(DAYS)))
    elif bucket == "week":
        monday = last - timedelta(days=last.weekday())
        yield from (monday - timedelta(weeks=n) for n in reversed(range(WEEKS)))
    else:
        month = last.year * 12 + last.month - 1
        yield from (
            date((month - n) // 12, (month - n) % 12 + 1, 1) for n in reversed(range(MONTHS))
        )


def _earlier(bucket: Bucket, day: date) -> date:
    if bucket == "month":
        return day.replace(year=day.year - MONTHS // 12)
    return day - (timedelta(days=DAYS) if bucket == "day" else timedelta(weeks=WEEKS))


def _after(bucket: Bucket, start_ms: int, zone: tzinfo) -> date:
    """The day behind the bucket that begins then; of hours, behind their day."""
    day = local_date(start_ms, zone)
    if bucket == "month":
        return month_after(day)
    return day + timedelta(days=7 if bucket == "week" else 1)


def nothing_apart() -> Apart:
    """Where nobody worked out what does not add up: it is unknown, and not none."""
    unknown = ("active_households", "peak_ports", "mean_dark_h", "dark_faults")
    return Apart(unknown=frozenset(unknown))


@dataclass(frozen=True, slots=True)
class Sums:
    """What is known of a spell: of each bucket, and of those before it; None: nothing can be.

    apart, apart_before: of the whole spell and of that before it, what does not add up.
    """

    now: Sequence[Sum | None]
    before: Sequence[Sum | None]
    apart: Apart = field(default_factory=nothing_apart)
    apart_before: Apart = field(default_factory=nothing_apart)


def read_compound(
    engine: Engine, scope: Scope, entry: Entry, asked: Spell, now_ms: int, kept: HourSums
) -> Sums:
    borders, before, now = borders_of(asked)
    sums = sums_of_compound(engine, scope, entry, borders, asked.to_ms, kept)
    times = [*asked.starts, asked.to_ms], [*asked.before, asked.before_to_ms]
    apart, apart_before = apart_of_times(engine, scope, entry, times, now_ms)
    return Sums([sums[n] for n in now], [sums[n] for n in before], apart, apart_before)


def read_gates(engine: Engine, scope: Scope, entry: Entry, asked: Spell, kept: HourSums) -> Sums:
    """Of the gates alone, of a day by the hour and that before it: a tenth of all rows."""
    borders, before, now = borders_of(asked)
    places = Places(borders)
    stretch = borders[0], asked.to_ms
    with reading(engine) as connection:
        gates = [one for one in reporters(connection, scope, entry.id) if one.kind == "gate"]
        expected = Expected(entry, gates, asked.to_ms)
        add_hours(connection, scope, entry.id, expected, stretch, places, kept, kind="gate")
    return Sums([places.sums[n] for n in now], [places.sums[n] for n in before])


def borders_of(asked: Spell) -> tuple[list[int], range, range]:
    """Where buckets begin, from the first of before on; places of before and of now in them.

    Between both there may be a stretch that is in neither.
    """
    gap = [asked.before_to_ms] if asked.before_to_ms < asked.starts[0] else []
    borders = [*asked.before, *gap, *asked.starts]
    return borders, range(len(asked.before)), range(len(borders) - len(asked.starts), len(borders))


# In words


@dataclass(frozen=True, slots=True)
class FigureLine:
    """A figure beside the one before. change: in words, empty where one of both is unknown."""

    name: str
    value: str
    unit: str
    before: str
    change: str


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart with its headline. told: what it shows, in words. covered: the share and the words of
    its own coverage, where that is not its part's."""

    title: str
    value: str
    unit: str
    told: str
    drawn: charts.Chart
    covered: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class PartView:
    """One kind of device. coverage: of its own devices; breakdowns: name and counts, in words."""

    name: str
    title: str
    coverage: str
    share: float
    before_coverage: str
    is_known: bool
    charts: Sequence[ChartView]
    figures: Sequence[FigureLine]
    breakdowns: Sequence[tuple[str, str]]
    note: str


@dataclass(frozen=True, slots=True)
class BucketLine:
    """A bucket in a table. cells: as the heads of the table."""

    label: str
    cells: Sequence[str]
    coverage: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class StopLine:
    name: str
    count: str
    share: str
    width: float
    is_fault: bool


@dataclass(slots=True)
class UsageView:
    """Usage of a spell, in one language."""

    asked: Spell
    title: str
    range: str
    before_word: str
    is_final: bool
    coverage: str
    parts: Sequence[PartView]
    head: Sequence[str]
    lines: Sequence[BucketLine]
    stops: Sequence[StopLine]
    stopped: str
    choices: Sequence[tuple[str, str, bool]]
    earlier: str
    later: str
    is_known: bool
    has_before: bool
    since: str
    until: str
    newest: str
    csv: str = ""
    notices: list[str] = field(default_factory=list)


def view(
    page: Page,
    asked: Spell,
    sums: Sums,
    kinds: Sequence[str],
    now_ms: int,
    newest: date,
    *,
    own: Sequence[PartName] = PARTS,
    buckets: Sequence[Bucket] = BUCKETS,
    hourly: tuple[Spell, Sums] | None = None,
) -> UsageView:
    """What a page shows. kinds: that there are; newest: the last day that can be asked for.

    hourly: the last day by hour, of which passages are drawn too.
    """
    language = page.language
    parts = [part for part in own if KIND_OF[part] in kinds]
    finals = [status(end, asked.zone, now_ms) == "final" for end in asked.ends]
    labels = _labels(language, asked)
    total, earlier = total_of(sums.now), total_of(sums.before)
    charted = {**CHARTED, **CHARTED_ALONE} if len(own) == 1 else CHARTED
    each = {part: figures_of_each(sums.now, part) for part in parts}
    made = [
        _part(
            language, asked, part, charted[part], sums, each[part], total, earlier, finals, labels
        )
        for part in parts
    ]
    columns = [(part, row_of(part, key)) for part in parts for key in charted[part]]
    stops = _stops(language, total) if "charging" in parts else []
    if hourly is not None and "gates" in parts:
        made[0] = _with_hours(language, made[0], *hourly, now_ms)
    step = {"hour": 1, "day": DAYS, "week": 7 * WEEKS, "month": 365}[asked.bucket]
    if asked.days is not None:
        step = asked.days
    week = last_week(newest)
    of_parts = Sum({KIND_OF[part]: total.part(KIND_OF[part]) for part in parts})
    whole = total if len(own) == len(PARTS) else of_parts
    return UsageView(
        asked=asked,
        title=say(language, "u_each_span", n=asked.days, each=say(language, f"u_of_{asked.bucket}"))
        if asked.days is not None
        else say(language, f"u_each_{asked.bucket}"),
        range=range_of(asked),
        before_word=say(language, f"u_before_{asked.word}", n=asked.days),
        is_final=finals[-1],
        coverage=share(whole.coverage),
        parts=made,
        head=[f"{named(language, row.name)} {_unit(language, row)}".strip() for _, row in columns],
        lines=[
            BucketLine(
                _told_bucket(asked, start),
                [value_of(each[part][n], row) for part, row in columns],
                UNKNOWN if one is None else share(_of(one, parts).coverage),
                final,
            )
            for n, (start, one, final) in enumerate(
                zip(asked.starts, sums.now, finals, strict=True)
            )
        ],
        stops=stops,
        stopped=number(sum(_counts(total).values())),
        choices=[
            (
                say(language, f"u_{one}"),
                address(page, bucket=one, since="", until=""),
                one == asked.word,
            )
            for one in buckets
        ]
        + (
            [
                (
                    say(language, "u_last_week"),
                    address(page, bucket="", since=str(week[0]), until=str(week[1])),
                    (asked.first, asked.last) == week and asked.days is not None,
                )
            ]
            if len(own) == len(PARTS)
            else []
        ),
        earlier=_moved(page, asked, asked.first - timedelta(days=1)),
        later=""
        if asked.last >= newest
        else _moved(page, asked, min(newest, asked.last + timedelta(days=step))),
        is_known=any(part.is_known for part in made),
        has_before=any(chart.drawn.before for part in made for chart in part.charts),
        since=str(asked.first),
        until=str(asked.last),
        newest=str(newest),
    )


def _moved(page: Page, asked: Spell, last: date) -> str:
    """The same so long a time, with another last day."""
    if asked.days is None:
        return address(page, until=str(last))
    return address(page, since=str(last - timedelta(days=asked.days - 1)), until=str(last))


def _with_hours(
    language: Language, part: PartView, asked: Spell, sums: Sums, now_ms: int
) -> PartView:
    """The gates with their passages of the last day by hour before those of all days."""
    finals = [status(end, asked.zone, now_ms) == "final" for end in asked.ends]
    total, before = total_of(sums.now), total_of(sums.before)
    labels = _labels(language, asked)
    charted = CHARTED["gates"]
    each = figures_of_each(sums.now, "gates")
    of_day = _part(language, asked, "gates", charted, sums, each, total, before, finals, labels)
    (chart,) = of_day.charts
    day = f"{asked.last:%m-%d}"
    titled = replace(
        chart,
        title=f"{chart.title}{say(language, 'u_at_day', day=day)}",
        covered=(of_day.share, of_day.coverage),
    )
    return replace(part, charts=[titled, *part.charts])


def address(page: Page, **changed: str) -> str:
    """This page's address with these parameters; without empty ones, and on its first page."""
    kept = {
        name: value
        for name, value in page.request.query_params.items()
        if name not in ("cursor", "lang")
    } | changed
    query = urlencode({name: value for name, value in kept.items() if value})
    return f"{page.request.url.path}?{query}" if query else page.request.url.path


def _of(one: Sum, parts: Sequence[PartName]) -> Sum:
    """Of these parts alone; of all devices where a compound's whole usage is shown."""
    if len(parts) == 1:
        return one.only(KIND_OF[parts[0]])
    return one


def _part(
    language: Language,
    asked: Spell,
    part: PartName,
    charted: Sequence[str],
    sums: Sums,
    each: Sequence[Figures | None],
    total: Sum,
    before: Sum,
    finals: Sequence[bool],
    labels: Sequence[str],
) -> PartView:
    own, its_before = total.only(KIND_OF[part]), before.only(KIND_OF[part])
    figures = figures_of(own, part, sums.apart)
    figures_before = figures_of(its_before, part, sums.apart_before)
    each_before = figures_of_each(sums.before, part)
    coverages = [None if one is None else one.only(KIND_OF[part]).coverage for one in sums.now]
    provisional = [not final for final in finals]
    made: list[ChartView] = []
    for key in charted:
        row = row_of(part, key)
        values = [_number(one, row) for one in each]
        earlier = [_number(one, row) for one in each_before]
        if asked.is_cut and earlier:
            earlier[-1] = None  # of a part of a bucket, which beside whole ones looks like a fall
        told = [
            _told_of(language, asked, n, part, row, one, covered, earlier[n : n + 1], final)
            for n, (one, covered, final) in enumerate(zip(each, coverages, finals, strict=True))
        ]
        if part == "lighting":
            drawn = charts.shares([_lit(one) for one in each], provisional, labels, told)
        else:
            drawn = charts.bars(values, provisional, earlier, labels, told)
        name = named(language, row.name)
        value = value_of(figures, row)
        title = say(language, f"u_chart_{asked.bucket}", name=name)
        made.append(
            ChartView(
                title,
                value,
                _unit(language, row),
                _told_chart(language, asked, row, values, title, value),
                drawn,
            )
        )
    return PartView(
        name=part,
        title=say(language, "u_charging_of" if part == "charging" else f"u_{part}"),
        coverage=share(own.coverage),
        share=min(1.0, own.coverage or 0.0),
        before_coverage=share(its_before.coverage),
        is_known=figures is not None,
        charts=made,
        figures=[
            FigureLine(
                named(language, row.name),
                value_of(figures, row),
                _unit(language, row),
                value_of(figures_before, row),
                _change(figures, figures_before, row),
            )
            for row in ROWS[part]
            if figures is None or row.key in figures
        ],
        breakdowns=_breakdowns(language, part, figures or {}),
        note=_lighting_note(language, figures) if part == "lighting" else "",
    )


def _told_of(
    language: Language,
    asked: Spell,
    n: int,
    part: PartName,
    row: Row,
    figures: Figures | None,
    covered: float | None,
    before: Sequence[float | None],
    is_final: bool,
) -> str:
    """What is told of one bar, in lines: when, how much, how sure, and what it was before."""
    unit = _unit(language, row)
    value = value_of(figures, row)
    lines = [
        _told_span(asked, n),
        say(language, "u_key_missing") if value == UNKNOWN else f"{value} {unit}".strip(),
        _lighting_note(language, figures) if part == "lighting" else "",
        say(language, "sep").join(
            [
                say(language, "u_final" if is_final else "u_provisional"),
                say(language, "u_coverage_none")
                if covered is None
                else say(language, "u_coverage", share=share(min(1.0, covered))),
            ]
        ),
    ]
    lines += [
        f"{say(language, f'u_before_{asked.word}', n=asked.days)} "
        f"{number(value, row.digits)} {unit}".strip()
        for value in before
        if value is not None
    ]
    return "\n".join(line for line in lines if line)


def _told_span(asked: Spell, n: int) -> str:
    """From when to when a bar is: 11-23 14:00 – 15:00; 11-23; 11-17 – 11-23; 2026-11."""
    begins = datetime.fromtimestamp(asked.starts[n] / 1000, asked.zone)
    ends = datetime.fromtimestamp(asked.ends[n] / 1000, asked.zone)
    if asked.bucket == "hour":
        return f"{begins:%m-%d %H:%M} – {begins + timedelta(hours=1):%H:%M}"
    if asked.bucket == "week":
        return f"{begins:%m-%d} – {ends - timedelta(milliseconds=1):%m-%d}"
    return begins.strftime(_TOLD_AS[asked.bucket])


def figures_of(own: Sum, part: PartName, apart: Apart | None = None) -> Figures | None:
    """The figures of the API; None where nothing arrived, so that no zero stands for it."""
    kind = KIND_OF[part]
    if not own.received and not own.part(kind).figures:
        return None
    shaped = own.shape({kind}, apart or nothing_apart())[part]
    assert isinstance(shaped, Mapping)
    return shaped


def figures_of_each(sums: Sequence[Sum | None], part: PartName) -> list[Figures | None]:
    """Of each bucket what adds up."""
    kind = KIND_OF[part]
    return [None if one is None else figures_of(one.only(kind), part) for one in sums]


def _number(figures: Figures | None, row: Row) -> float | None:
    value = None if figures is None else figures.get(row.key)
    return None if value is None else float(value) * row.scale


def value_of(figures: Figures | None, row: Row) -> str:
    if figures is None:
        return UNKNOWN
    value = figures.get(row.key)
    if row.unit.en == "%":
        return share(value, row.digits).removesuffix(" %")
    return number(value, row.digits, row.scale)


def _change(now: Figures | None, before: Figures | None, row: Row) -> str:
    """+8 %; of shares in points. Nothing where there is nothing to compare with."""
    if now is None or before is None:
        return ""
    value, other = now.get(row.key), before.get(row.key)
    if value is None or other is None:
        return ""
    if row.unit.en in ("%", "‰"):
        apart = (value - other) * row.scale
        return _signed(apart, 1, "pp" if row.unit.en == "%" else "‰")
    if not other:
        return ""
    return _signed(100 * (value - other) / other, 0, "%")


def _signed(apart: float, digits: int, unit: str) -> str:
    rounded = round(apart, digits)
    text = f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"
    return f"{text} {unit}".replace("-", "−")


def _lit(figures: Figures | None) -> tuple[float, float, float] | None:
    """Lamp-hours lit, unknown and dark; None where nothing is known, or no lamp was to burn."""
    if figures is None:
        return None
    parts = float(figures["lit"]), float(figures["unknown"]), float(figures["dark"])
    return parts if sum(parts) > 0 else (0.0, 0.0, 0.0)


def _breakdowns(
    language: Language, part: PartName, figures: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Methods, directions, reasons: the most first."""
    found = []
    for of in BREAKDOWNS[part]:
        counts: Mapping[str, int] = figures.get(of) or {}
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if most:
            texts = [f"{value_name(language, of, value)} {number(n)}" for value, n in most]
            found.append((say_of_reports(language, of), say(language, "sep").join(texts)))
    return found


def _lighting_note(language: Language, figures: Figures | None) -> str:
    if figures is None:
        return ""
    amounts = {name: number(figures[name]) for name in ("lit", "dark", "unknown")}
    return say(language, "u_lamp_hours", **amounts)


def _unit(language: Language, row: Row) -> str:
    """Empty for a mere count in English."""
    unit = named(language, row.unit)
    return "" if unit == "n" else unit


def _told_chart(
    language: Language,
    asked: Spell,
    row: Row,
    values: Sequence[float | None],
    title: str,
    value: str,
) -> str:
    known = [(amount, n) for n, amount in enumerate(values) if amount is not None]
    unit = _unit(language, row)
    told = say(language, "u_told", title=title, value=value, unit=unit)
    if known:
        most, n = max(known, key=lambda one: (one[0], -one[1]))
        at = _told_bucket(asked, asked.starts[n])
        told += say(language, "u_told_most", at=at, value=number(most, row.digits))
    if len(known) < len(values):
        told += say(language, "u_told_unknown", n=len(values) - len(known))
    return told


def _counts(total: Sum) -> Mapping[str, int]:
    figures = figures_of(total.only("port"), "charging")
    counts: Mapping[str, int] = {} if figures is None else figures["stop_reasons"]
    return counts


def _stops(language: Language, total: Sum) -> list[StopLine]:
    counts = _counts(total)
    whole = sum(counts.values())
    most = max(counts.values(), default=0)
    return [
        StopLine(
            value_name(language, "stop_reasons", reason),
            number(count),
            share(count / whole, 0 if 100 * count >= whole else 1),
            100 * count / most,
            stop_class(reason) is StopClass.FAULT,
        )
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def stop_class(reason: str | None) -> StopClass:
    try:
        return StopReason(reason or "").stop_class
    except ValueError:
        return StopClass.NONE


def total_of(sums: Sequence[Sum | None]) -> Sum:
    total = Sum()
    for one in sums:
        if one is not None:
            total.add(one)
    return total


def range_of(asked: Spell) -> str:
    """From when to when, as it is told."""
    if asked.bucket == "hour":
        return f"{asked.last:%Y-%m-%d}"
    if asked.first.year != asked.last.year and asked.days is not None:
        return f"{asked.first:%Y-%m-%d} – {asked.last:%Y-%m-%d}"
    last = local_date(asked.to_ms - 1, asked.zone)
    return f"{asked.first:%Y-%m-%d} – {last:%m-%d}"


def _told_bucket(asked: Spell, start_ms: int) -> str:
    at = datetime.fromtimestamp(start_ms / 1000, asked.zone)
    return at.strftime(_TOLD_AS[asked.bucket])


def _labels(language: Language, asked: Spell) -> list[str]:
    """Below a chart: a text for each place, empty where there is no room for one."""
    if asked.bucket == "hour":
        return [say(language, "u_oclock", n=n) if n % 6 == 0 else "" for n in range(24)]
    labels = []
    for n in range(asked.places):
        day = local_date(asked.starts[n], asked.zone) if n < len(asked.starts) else None
        if day is None:
            labels.append("")
        elif asked.days is not None:
            every = max(1, -(-asked.places // LABELS_SHOWN))
            labels.append(f"{day:%m-%d}" if n % every == 0 else "")
        elif asked.bucket == "month":
            labels.append(say(language, "u_month_no", n=day.month) if n % 2 == 0 else "")
        elif asked.bucket == "week":
            labels.append(f"{day:%m-%d}" if n % 2 == 0 else "")
        else:
            labels.append(f"{day:%m-%d}" if n % 4 == 1 else "")
    return labels


def parse_since(since: str, last: date) -> date:
    """The first day of a range that ends with `last`. Raises BadParameter."""
    try:
        first = date.fromisoformat(since)
    except ValueError:
        raise BadParameter("since", f"{since!r} is no date like 2026-11-23") from None
    if first > last:
        raise BadParameter("since", f"{since} is after the last day, {last}")
    if (last - first).days >= MOST_DAYS:
        raise BadParameter("since", f"a range has at most {MOST_DAYS} days")
    return first


def parse_until(until: str, newest: date) -> date:
    """The last day that is shown: at most the newest. Raises BadParameter."""
    if not until:
        return newest
    try:
        asked = date.fromisoformat(until)
    except ValueError:
        raise BadParameter("until", f"{until!r} is no date like 2026-11-23") from None
    if asked.year < 2001:
        raise BadParameter("until", "before 2001 there is nothing")
    return min(asked, newest)


# A compound's part of its page


def asked_for(entry: Entry, bucket: Bucket, since: str, until: str, now_ms: int) -> Spell:
    """What the address of a compound's page asks for. Raises BadParameter."""
    zone = zone_of(entry.timezone)
    last = parse_until(until, local_date(now_ms, zone))
    if since:
        return picked(parse_since(since, last), last, zone, now_ms)
    return spell(bucket, last, zone, now_ms)


def of_compound(
    page: Page,
    engine: Engine,
    scope: Scope,
    entry: Entry,
    bucket: Bucket,
    until: str,
    now_ms: int,
    own: Sequence[PartName] = PARTS,
    since: str = "",
) -> UsageView | None:
    """None: the compound has none of these devices. since: the first day of a range that was
    picked."""
    if not any(entry.devices.get(KIND_OF[part]) for part in own):
        return None
    asked = asked_for(entry, bucket, since, until, now_ms)
    zone, last = asked.zone, asked.last
    newest = local_date(now_ms, zone)
    kept: HourSums = page.request.app.state.hour_sums
    sums = read_compound(engine, scope, entry, asked, now_ms, kept)
    kinds = [kind for kind in KIND_OF.values() if entry.devices.get(kind)]
    hourly = None
    if asked.bucket == "day" and "gate" in kinds and len(own) == len(PARTS):
        of_day = spell("hour", last, zone, now_ms)
        hourly = of_day, read_gates(engine, scope, entry, of_day, kept)
    shown = view(page, asked, sums, kinds, now_ms, newest, own=own, hourly=hourly)
    of_range = asked.starts[0], asked.to_ms
    corrections, _ = marked(engine, scope, [entry.id], *of_range).of(*of_range)
    if corrections:
        shown.notices.append(page.say("u_corrected", n=corrections))
    with reading(engine) as connection:
        left_out = exclusion_pages.notice(connection, scope, page, entry.id, *of_range)
    if left_out:
        shown.notices.append(left_out)
    return shown
