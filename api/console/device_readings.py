"""The readings of a device over a range of time, in words and drawings, for the pages that show it.

They come through the same reader as `/v1/devices/{device}/telemetry` with `every`; a telemetry
store that is away costs the curves and nothing else of the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Literal

from markupsafe import Markup

from api.console import curves
from api.console.curve_data import curve_data
from api.console.curves import Curve, Limit, Mark, Size, Stretch
from api.console.pages import Page
from api.console.usage_views import address
from api.errors import Away, BadParameter
from api.instants import parse_range, print_instant
from api.parts import Parts
from api.telemetry import MOST_DAYS
from api.words import Language, duration, grouped, knows, say
from devices import liveness
from devices.days import DAY_MS
from devices.kinds import KINDS
from devices.messages import Value
from devices.quantities import Quantity, Role, Type
from devices.stop_reasons import PortStatus
from devices.store.devices import Standing
from devices.telemetry import Bucket, SeriesQuery, TelemetryError
from devices.telling import quantity_name, unit_of, value_text

Show = Literal["hour", "day", "week", "month"]

SPANS_MS = {"hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS, "month": 31 * DAY_MS}
LEAST_MS = 60_000  # that a range is widened to
# The classes say at which width each is shown.
ALONE = (("full", curves.FULL), ("wide", curves.WIDE), ("narrow", curves.NARROW))
BESIDE = (("wide", curves.ROW), ("narrow", curves.SMALL))
AT_ONCE = 3  # curves on the page of a device, before one is picked
READ_AT_ONCE = 20_000  # readings behind them: the embedded store gives some 3,000 a millisecond
# Those that tell most of how a device of the kind does, the first ones that it has.
MAIN = {
    "gate": ("door_state", "csq", "rssi_dbm", "board_temp_c"),
    "shed": ("power_w", "voltage_v", "board_temp_c", "csq"),
    "port": ("power_w", "port_temp_c", "port_status"),
    "lamp": ("power_w", "voltage_v", "switch_state"),
    "camera": ("channels_online", "rssi_dbm", "retention_days", "disk_free_pct"),
    "lift": ("floor", "in_service", "door_state"),
    "gateway": ("csq", "children_online", "battery_pct"),
}


@dataclass(frozen=True, slots=True)
class CurveView:
    """A quantity over the range. drawn: for each width that it is shown at; told: in words; data:
    what the script of the page draws and tells."""

    quantity: str
    name: str
    unit: str
    figures: str
    last: str
    told: str
    drawn: Sequence[tuple[str, Curve]]
    is_known: bool
    link: str
    data: Markup


@dataclass(frozen=True, slots=True)
class ReadingLine:
    """A stretch in the table of figures."""

    at: str
    least: str
    mean: str
    most: str
    last: str
    count: str


@dataclass(slots=True)
class ReadingsView:
    """What the section shows. quantity: the one that was picked, else ""."""

    quantity: str
    choices: Sequence[tuple[str, str]]
    spans: Sequence[tuple[str, str, bool]]
    range: str
    every: str
    earlier: str
    later: str
    from_text: str
    to_text: str
    curves: Sequence[CurveView]
    lines: Sequence[ReadingLine]
    is_number: bool
    is_away: bool
    zoom: str
    of_main: str
    most_ms: int = MOST_DAYS * DAY_MS


def readings_view(
    parts: Parts,
    page: Page,
    standing: Standing,
    zone: tzinfo,
    quantity: str,
    show: Show,
    start: str,
    end: str,
    now_ms: int,
) -> ReadingsView:
    """Raises BadParameter for a quantity that its kind has not, or a range that cannot be."""
    language = page.language
    kind = KINDS[standing.kind]
    if quantity and kind.quantity(quantity) is None:
        has = ", ".join(kind.quantities)
        raise BadParameter("quantity", f"a {standing.kind} has no {quantity[:60]!r}; it has {has}")
    stretch = _stretch(standing, zone, show, start, end, now_ms)
    names = [quantity] if quantity else _main(standing, stretch)
    shown: list[CurveView] = []
    lines: list[ReadingLine] = []
    is_away = is_number = False
    for name in names:
        silence_s = gap_s(standing.kind, standing.interval_s, name)
        stretch = replace(stretch, gap_s=silence_s)
        buckets = read(parts, standing.kind, standing.id, name, stretch)
        if buckets is None:
            is_away = True
            break
        link = address(page, quantity=name)
        sizes = ALONE if quantity else BESIDE
        shown.append(curve_view(language, standing.kind, name, buckets, stretch, zone, sizes, link))
        if quantity:
            is_number = any(bucket.mean is not None for bucket in buckets)
            lines = [_line(standing.kind, name, language, one, zone) for one in buckets]
    length_ms = stretch.to_ms - stretch.from_ms
    is_custom = bool(start or end)
    return ReadingsView(
        quantity=quantity,
        choices=sorted(
            ((name, quantity_name(language, standing.kind, name)) for name in standing.latest),
            key=lambda choice: choice[1],
        ),
        spans=[
            (
                say(language, f"rd_{span}"),
                address(page, show=span, **{"from": "", "to": ""}),
                not is_custom and span == show,
            )
            for span in SPANS_MS
        ],
        range=range_text(stretch, zone),
        every=say(language, "rd_each", every=duration(language, stretch.every_s)),
        earlier=_moved(page, stretch.from_ms - length_ms, stretch.from_ms),
        later=""
        if stretch.to_ms >= now_ms
        else _moved(page, stretch.to_ms, min(now_ms, stretch.to_ms + length_ms)),
        from_text=_field(stretch.from_ms, zone),
        to_text=_field(stretch.to_ms, zone),
        curves=shown,
        lines=lines,
        is_number=is_number,
        is_away=is_away,
        zoom=address(page, **{"from": "", "to": ""}),
        of_main=address(page, quantity=""),
    )


def read(parts: Parts, kind: str, device: str, quantity: str, of: Stretch) -> list[Bucket] | None:
    """The buckets of a stretch; None while the telemetry store does not give them."""
    query = SeriesQuery(kind, device, quantity, of.from_ms, of.known_to_ms, curves.MOST_BUCKETS + 2)
    try:
        with parts.series_turns.turn():
            return parts.deps.telemetry.buckets(query, of.every_s)
    except (TelemetryError, Away):
        return None


def curve_view(
    language: Language,
    kind: str,
    name: str,
    buckets: Sequence[Bucket],
    of: Stretch,
    zone: tzinfo,
    sizes: Sequence[tuple[str, Size]],
    link: str,
    limits: Sequence[Limit] = (),
    marks: Sequence[Mark] = (),
) -> CurveView:
    """A quantity, drawn. sizes: class and size of each drawing. limits: of numbers alone."""
    measured = KINDS[kind].quantity(name)
    unit = unit_of(kind, name)
    drawn = []
    is_number = measured is not None and measured.type in (Type.FLOAT, Type.INT)
    is_state = measured is not None and measured.role is Role.STATE
    for look, size in sizes:
        if is_number:
            drawn.append((look, curves.draw(buckets, of, zone, size, limits, marks)))
        else:
            words = _words(language, measured, name)
            drawn.append((look, curves.draw_words(buckets, of, zone, size, words, marks)))
    figures = ""
    found = curves.summary(buckets)
    if found is not None:
        least, mean, most = (value_text(language, value, unit) for value in found)
        figures = say(language, "rd_figures", mean=mean, least=least, most=most)
    last = word_of(language, name, buckets[-1].last, unit) if buckets else ""
    title = quantity_name(language, kind, name)
    said = figures or (say(language, "rd_last", value=last) if last else say(language, "rd_none"))
    told = say(language, "rd_told", name=title, range=range_text(of, zone), figures=said)
    if buckets and drawn[0][1].gaps:
        told += say(language, "rd_told_gaps", n=len(drawn[0][1].gaps))
    return CurveView(
        quantity=name,
        name=title,
        unit=unit,
        figures=figures,
        last=last,
        told=told,
        drawn=drawn,
        is_known=bool(buckets),
        link=link,
        data=curve_data(
            buckets,
            of,
            zone,
            [curve for _, curve in drawn],
            unit=unit,
            reports=None if is_state else of.every_s * liveness.MISSED_REPORTS / of.gap_s,
            words=[] if is_number else [word_of(language, name, one.last, unit) for one in buckets],
            limits=limits,
            marks=marks,
        ),
    )


def word_of(language: Language, quantity: str, value: Value, unit: str = "") -> str:
    """A value as people say it: a number with its unit, a word in their language."""
    if isinstance(value, str):
        if quantity == "port_status":
            try:
                status = PortStatus(value)
            except ValueError:
                return value
            return status.zh if language == "zh" else status.en
        word = f"w_{value}"
        return say(language, word) if knows(word) else value
    if unit == "s" and not isinstance(value, bool) and value >= 60:
        return duration(language, value)
    return value_text(language, value, unit)


def gap_s(kind: str, interval_s: int, quantity: str) -> float:
    """So long without a reading, and it is unknown what it was."""
    measured = KINDS[kind].quantity(quantity)
    if measured is not None and measured.role is Role.STATE:
        return 3 * max(interval_s, 900)  # sent on change, and now and then
    return liveness.MISSED_REPORTS * interval_s


def is_stale(kind: str, interval_s: int, quantity: str, at_ms: int, now_ms: int) -> bool:
    """Whether a gauge was last heard of three intervals ago; a state holds until it changes."""
    measured = KINDS[kind].quantity(quantity)
    if measured is None or measured.role is Role.STATE:
        return False
    return now_ms - at_ms > liveness.limit_s(kind, interval_s) * 1000


def range_text(of: Stretch, zone: tzinfo) -> str:
    begins, ends = (datetime.fromtimestamp(ms / 1000, zone) for ms in (of.from_ms, of.to_ms))
    if begins.date() == ends.date():
        return f"{begins:%m-%d %H:%M} – {ends:%H:%M}"
    return f"{begins:%m-%d %H:%M} – {ends:%m-%d %H:%M}"


def stretch_of(
    from_ms: int, to_ms: int, now_ms: int, kind: str, interval_s: int, quantity: str
) -> Stretch:
    """A range in whole buckets, each at least as long as it takes to report once."""
    every_s = curves.every_for(max(LEAST_MS, to_ms - from_ms))
    every_ms = every_s * 1000
    from_ms -= from_ms % every_ms
    to_ms = max(to_ms, from_ms + every_ms)
    return Stretch(from_ms, to_ms, every_s, gap_s(kind, interval_s, quantity), now_ms)


def picked_range(
    start: str, end: str, zone: tzinfo, now_ms: int, span_ms: int = DAY_MS
) -> tuple[int, int]:
    """[from, to) of an address, in ms: up to now and so long, where it does not say. Raises
    BadParameter."""
    asked = parse_range(start or None, end or None, zone, now_ms)
    to_ms = now_ms + 1 if asked.to_ms is None else asked.to_ms
    from_ms = to_ms - span_ms if asked.from_ms is None else asked.from_ms
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    return from_ms, to_ms


def _stretch(
    standing: Standing, zone: tzinfo, show: Show, start: str, end: str, now_ms: int
) -> Stretch:
    from_ms, to_ms = picked_range(start, end, zone, now_ms, SPANS_MS[show])
    return stretch_of(from_ms, to_ms, now_ms, standing.kind, standing.interval_s, "")


def most_telling(standing: Standing) -> list[str]:
    """Quantities that it has ever reported, those first that tell most."""
    first = [name for name in MAIN.get(standing.kind, ()) if name in standing.latest]
    return [*first, *sorted(name for name in standing.latest if name not in first)]


def _main(standing: Standing, of: Stretch) -> list[str]:
    """What is drawn before one is picked: fewer of a long time, so that the page stays quick."""
    readings = (of.to_ms - of.from_ms) / 1000 / standing.interval_s
    most = max(1, min(AT_ONCE, int(READ_AT_ONCE // max(1.0, readings))))
    return [name for name in most_telling(standing) if name != "uptime_s"][:most]


def _words(language: Language, measured: Quantity | None, name: str) -> list[tuple[Value, str]]:
    if measured is None:
        return []
    if measured.type is Type.BOOL:
        return [(flag, value_text(language, flag)) for flag in (True, False)]
    return [(word, word_of(language, name, word)) for word in measured.values]


def _line(kind: str, name: str, language: Language, bucket: Bucket, zone: tzinfo) -> ReadingLine:
    def shown(value: float | None) -> str:
        return "—" if value is None else value_text(language, value)

    return ReadingLine(
        at=f"{datetime.fromtimestamp(bucket.at_ms / 1000, zone):%m-%d %H:%M:%S}",
        least=shown(bucket.min),
        mean=shown(bucket.mean),
        most=shown(bucket.max),
        last=word_of(language, name, bucket.last, unit_of(kind, name)),
        count=grouped(bucket.count),
    )


def _moved(page: Page, from_ms: int, to_ms: int) -> str:
    return address(page, **{"from": print_instant(from_ms), "to": print_instant(to_ms)})


def _field(at_ms: int, zone: tzinfo) -> str:
    """As a field of a form has local time."""
    return f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%dT%H:%M}"
