"""The readings around a fault, drawn: what showed it, where it began and ended, and its limits.

A telemetry store that is away costs the curves and nothing else of the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite

from sqlalchemy import Connection

from api.console import curves
from api.console.curves import Limit, Mark
from api.console.device_readings import (
    CurveView,
    curve_view,
    gap_s,
    most_telling,
    picked_range,
    range_text,
    read,
    stretch_of,
)
from api.instants import print_instant, zone_of
from api.parts import Known, Parts
from api.telemetry import MOST_DAYS
from api.words import Language, duration, say
from devices.catalogue import RULES
from devices.days import DAY_MS
from devices.faults import Fault
from devices.kinds import KINDS
from devices.overrides import Overrides, Scope
from devices.quantities import Type
from devices.rule_files import read_what_fits
from devices.rules import Beyond, Equals, Rule, band
from devices.store import rule_sets
from devices.store.devices import Standing
from devices.telling import unit_of, value_text

CURVES = 2  # of one fault: what showed it, and what tells most beside it
AROUND_MS = 30 * 60_000  # at least so much before and after
LONGEST_MS = 3 * DAY_MS  # of one that lasted longer only its beginning is drawn
FIRST_MS = 2 * DAY_MS
SIZES = (("wide", curves.WIDE), ("narrow", curves.NARROW))
# What a rule looks at that is worked out by us, and the reading that it is worked out from.
_READ_AS = {
    "power_share": "power_w",
    "power_ratio": "power_w",
    "day_power_share": "power_w",
    "no_load": "power_w",
    "relay_disobeys": "power_w",
    "lamps_dark": "power_w",
    "dark_pct": "power_w",
    "lit_voltage_v": "voltage_v",
    "lit_power_factor": "power_factor",
}
_SAME_SCALE = ("lit_voltage_v", "lit_power_factor")


@dataclass(frozen=True, slots=True)
class FaultCharts:
    """What the page shows. is_first: only the beginning. more: the page of the device with all.
    most_ms: so long a time can be asked for."""

    curves: Sequence[CurveView]
    range: str
    every: str
    is_away: bool
    is_first: bool
    more: str
    most_ms: int = MOST_DAYS * DAY_MS

    @property
    def has_limits(self) -> bool:
        return any(drawn.limits for one in self.curves for _, drawn in one.drawn)

    @property
    def is_known(self) -> bool:
        return any(one.is_known for one in self.curves)


def fault_charts(
    parts: Parts,
    language: Language,
    known: Known,
    fault: Fault,
    standing: Standing | None,
    overrides: Overrides,
    now_ms: int,
    asked: tuple[str, str] = ("", ""),
) -> FaultCharts | None:
    """None for a fault of no single device, or of one that has never reported anything to draw.

    asked: from and to of the address, where somebody zoomed. Raises BadParameter for bad ones.
    """
    if standing is None or standing.kind not in KINDS:
        return None
    names = shown_quantities(fault, standing)
    entry = known.directory.compounds.get(standing.compound)
    if not names or entry is None:
        return None
    zone = zone_of(entry.timezone)
    from_ms, to_ms, is_first = span(fault, now_ms)
    if any(asked):
        from_ms, to_ms = picked_range(*asked, zone, now_ms)
        is_first = False
    of = stretch_of(from_ms, to_ms, now_ms, standing.kind, standing.interval_s, "")
    marks = [Mark(fault.since_ms, say(language, "fw_began_here"))]
    ended_ms = fault.cleared_at_ms or fault.closed_at_ms
    if ended_ms is not None:
        marks.append(Mark(ended_ms, say(language, "fw_ended_here")))
    rule = RULES.get(fault.code)
    if rule is not None:
        rule = overrides.applied(rule, lambda scope: _holds(scope, standing)) or rule
    shown: list[CurveView] = []
    is_away = False
    for name in names:
        stretch = replace(of, gap_s=gap_s(standing.kind, standing.interval_s, name))
        buckets = read(parts, standing.kind, standing.id, name, stretch)
        if buckets is None:
            is_away = True
            break
        limits = [] if rule is None else list(_limits(language, rule, standing.kind, name))
        link = _at_device(standing.id, name, of.from_ms, of.to_ms)
        view = curve_view(
            language, standing.kind, name, buckets, stretch, zone, SIZES, link, limits, marks
        )
        shown.append(view)
    return FaultCharts(
        curves=shown,
        range=range_text(of, zone),
        every=say(language, "rd_each", every=duration(language, of.every_s)),
        is_away=is_away,
        is_first=is_first,
        more=_at_device(standing.id, "", of.from_ms, of.to_ms),
    )


def span(fault: Fault, now_ms: int) -> tuple[int, int, bool]:
    """What is drawn, [from, to), and whether that is only the beginning of a long fault."""
    ends_ms = fault.cleared_at_ms or fault.closed_at_ms or now_ms
    lasted_ms = max(0, ends_ms - fault.since_ms)
    if lasted_ms > LONGEST_MS:
        return fault.since_ms - FIRST_MS // 2, fault.since_ms + FIRST_MS, True
    around_ms = max(AROUND_MS, lasted_ms // 5)
    return fault.since_ms - around_ms, min(now_ms + 1, ends_ms + around_ms), False


def shown_quantities(fault: Fault, standing: Standing) -> list[str]:
    """What its rule looks at, as far as the device reports it, then what tells most of it."""
    rule = RULES.get(fault.code)
    wanted: list[str] = []
    named = fault.evidence.get("quantity")
    if isinstance(named, str):
        wanted.append(named)
    for sign in () if rule is None else rule.signs:
        detector = sign.detector
        if isinstance(detector, Beyond) or (isinstance(detector, Equals) and detector.of is None):
            wanted.append(detector.quantity)
    names = [_READ_AS.get(name, name) for name in wanted]
    kind = KINDS[standing.kind]
    reported = [name for name in most_telling(standing) if name != "uptime_s"]
    numbers = [name for name in reported if _is_number(standing.kind, name)]
    own = [name for name in names if kind.quantity(name) is not None and name in standing.latest]
    return list(dict.fromkeys([*own, *numbers, *reported]))[:CURVES]


@lru_cache(maxsize=2)
def _parsed(number: int, body: str) -> Overrides:
    return read_what_fits(body, number=number)[0]


def overrides_in_force(connection: Connection) -> Overrides:
    """What is changed of the catalogue's figures now."""
    newest = rule_sets.newest(connection)
    return _parsed(newest.number, newest.body)


def _holds(scope: Scope, standing: Standing) -> bool:
    of = {
        "device": standing.id,
        "model": standing.model,
        "vendor": standing.vendor,
        "compound": standing.compound,
        "kind": standing.kind,
    }
    return all(getattr(scope, name) in (None, value) for name, value in of.items())


def _is_number(kind: str, name: str) -> bool:
    measured = KINDS[kind].quantity(name)
    return measured is not None and measured.type in (Type.FLOAT, Type.INT)


def _limits(language: Language, rule: Rule, kind: str, name: str) -> Iterator[Limit]:
    """The levels at which this rule takes the quantity for bad, the mildest first."""
    levels: dict[tuple[float, str], None] = {}
    for sign in rule.signs:
        detector = sign.detector
        if not isinstance(detector, Beyond):
            continue
        is_it = detector.quantity == name
        is_like_it = detector.quantity in _SAME_SCALE and _READ_AS[detector.quantity] == name
        if is_it or is_like_it:
            for level in band(detector.raises):
                if isfinite(level):
                    levels[round(level, 6), sign.severity.value] = None
    for level, severity in sorted(levels, key=lambda one: one[1], reverse=True):
        text = value_text(language, level, unit_of(kind, name))
        word = say(language, severity.lower())
        yield Limit(level, say(language, "fw_limit", severity=word, level=text), severity.lower())


def _at_device(device: str, quantity: str, from_ms: int, to_ms: int) -> str:
    of = f"quantity={quantity}&" if quantity else ""
    begins, ends = print_instant(from_ms), print_instant(to_ms)
    return f"/devices/{device}?{of}from={begins}&to={ends}#readings"
