"""Fills a report from the database, in the scope of who asks for it.

Read in pages, so that on SQLite no commit of the judge waits: two days of one compound at a time,
and some hundred faults.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo

from sqlalchemy import Engine

from api.reports.model import (
    BadMonth,
    Compound,
    Corrected,
    FaultCount,
    Faults,
    Figure,
    LongFault,
    Month,
    Part,
    PartName,
    Period,
    Report,
    Status,
)
from api.reports.service import ledger_figures, service_figures
from devices.apart import Apart
from devices.catalogue import RULES
from devices.corrections import Way, amount_of
from devices.coverage import Sum
from devices.days import DAY_MS, DISTRICT_ZONE, began, days_from, local_date, next_midnight, zone_of
from devices.faults import FALSE_ALARM, Fault
from devices.registry import Name
from devices.store.compounds import Directory, Entry
from devices.store.corrections import corrections_of
from devices.store.database import reading
from devices.store.devices import device_names
from devices.store.faults import Filter, list_faults
from devices.store.kpis import Filter as Whose
from devices.store.scope import Scope
from devices.store.usage import device_hours
from devices.store.usage_apart import apart_of_compound
from devices.store.usage_days import sums_of_compound
from devices.usage import is_final

LONGEST = 10
CORRECTIONS = 500  # that a report lists
FAULTS_AT_ONCE = 300
HOURS_AT_ONCE_MS = 2 * DAY_MS

KIND_OF: Mapping[PartName, str] = {"gates": "gate", "charging": "port", "lighting": "lamp"}

Progress = Callable[[int, int], object]  # compounds that are read, of how many
# A compound's sums by local day of [from_ms, to_ms), which begins at a midnight.
Days = Callable[["Source", Entry, int, int], tuple[dict[date, "Day"], Apart]]


class NothingToReport(LookupError):
    """No such compound or firm in this scope."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a report comes from, for whom, and when: later figures may differ."""

    engine: Engine
    scope: Scope
    directory: Directory
    now_ms: int


@dataclass(slots=True)
class Day:
    """One local day's sums, and what does not add up. has: the parts of which there are devices."""

    summed: Sum = field(default_factory=Sum)
    has: set[PartName] = field(default_factory=set)
    apart: Apart = field(default_factory=Apart)

    def add(self, other: "Day") -> None:
        """Take in another compound's of the same day."""
        self.summed.add(other.summed)
        self.has |= other.has
        self.apart.join(other.apart)


def read_days(
    source: Source, entry: Entry, from_ms: int, to_ms: int
) -> tuple[dict[date, Day], Apart]:
    """A compound's sums by local day of [from_ms, to_ms), which begins at a midnight.

    And of all of them together what does not add up.
    """
    zone = zone_of(entry.timezone)
    has = parts_of(entry)
    starts = list(days_from(from_ms, to_ms, zone))
    sums = sums_of_compound(source.engine, source.scope, entry, starts, to_ms)
    parts, apart = apart_of_compound(
        source.engine, source.scope, entry, starts, to_ms, source.now_ms
    )
    days = {
        local_date(at, zone): Day(summed, set(has), part)
        for at, summed, part in zip(starts, sums, parts, strict=True)
    }
    return days, apart


def parts_of(entry: Entry) -> set[PartName]:
    """The parts of which the compound has devices."""
    return {part for part, kind in KIND_OF.items() if entry.devices.get(kind)}


def compounds_of_firm(source: Source, firm: str) -> list[Entry]:
    """Those in a report of the firm. Raises NothingToReport."""
    if firm not in source.directory.firms or source.scope.firm not in (None, firm):
        raise NothingToReport(firm)
    return [entry for entry in source.directory.visible(source.scope) if entry.firm == firm]


def report_of_compound(
    source: Source,
    compound: str,
    month: Month,
    given: Mapping[str, Figure] | None = None,
    days_of: Days = read_days,
) -> Report:
    """given: figures beside those of this month's service, or in their place. days_of: where its
    days are read.

    Raises NothingToReport, BadMonth for one that has not begun, and BadParameter for more faults
    than can be looked at.
    """
    entry = source.directory.find(source.scope, compound)
    if entry is None:
        raise NothingToReport(compound)
    zone = zone_of(entry.timezone)
    from_ms, to_ms, month_over = month_so_far(month, zone, source.now_ms)
    days, apart = days_of(source, entry, from_ms, to_ms)
    faults = _faults(source, Filter(compound=compound), from_ms, to_ms)[0]
    periods = _periods(days, zone, source.now_ms)
    service = _service(source, Whose(compound=compound), [entry], from_ms, to_ms)
    corrected = read_corrections(source, [entry], month)
    return Report(
        subject="compound",
        id=entry.id,
        name=entry.name,
        firm=source.directory.firms[entry.firm],
        month=month,
        month_over=month_over,
        made_at_ms=source.now_ms,
        zone=zone,
        households=entry.households,
        devices=dict(entry.devices),
        lamps=entry.lamps,
        synthetic=entry.synthetic,
        total=_total(days, periods, apart),
        days=periods,
        faults=faults,
        given=service | dict(given or {}),
        corrections=corrected[:CORRECTIONS],
        corrections_total=len(corrected),
        by_hour=_by_hour(source, entry, from_ms, to_ms, zone),
    )


def report_of_firm(
    source: Source,
    firm: str,
    month: Month,
    given: Mapping[str, Figure] | None = None,
    progress: Progress | None = None,
    days_of: Days = read_days,
) -> Report:
    """As `report_of_compound`. progress: told before each compound."""
    entries = compounds_of_firm(source, firm)
    zone = zone_of(entries[0].timezone) if entries else DISTRICT_ZONE
    from_ms, to_ms, month_over = month_so_far(month, zone, source.now_ms)
    faults, of_compound = _faults(source, Filter(firm=firm), from_ms, to_ms)
    everything: dict[date, Day] = {}
    compounds: list[Compound] = []
    month_apart = Apart()
    for n, entry in enumerate(entries):
        if progress is not None:
            progress(n, len(entries))
        own_zone = zone_of(entry.timezone)
        own_from_ms, own_to_ms, _ = month_so_far(month, own_zone, source.now_ms)
        days, apart = days_of(source, entry, own_from_ms, own_to_ms)
        month_apart.join(apart)
        periods = _periods(days, own_zone, source.now_ms)
        for day, summed in days.items():
            everything.setdefault(day, Day()).add(summed)
        compounds.append(
            Compound(
                entry.id,
                entry.name,
                entry.households,
                entry.synthetic,
                _total(days, periods, apart),
                periods,
                of_compound.get(entry.id, 0),
            )
        )
    if not everything:
        everything = {local_date(at, zone): Day() for at in days_from(from_ms, to_ms, zone)}
    periods = _periods(everything, zone, source.now_ms)
    service = _service(source, Whose(firm=firm), entries, from_ms, to_ms)
    corrected = read_corrections(source, entries, month)
    return Report(
        subject="firm",
        id=firm,
        name=source.directory.firms[firm],
        firm=source.directory.firms[firm],
        month=month,
        month_over=month_over,
        made_at_ms=source.now_ms,
        zone=zone,
        households=sum(entry.households for entry in entries),
        devices=_added(entry.devices for entry in entries),
        lamps=sum(entry.lamps for entry in entries),
        synthetic=any(entry.synthetic for entry in entries),
        total=_total(everything, periods, month_apart),
        days=periods,
        faults=faults,
        given=service | dict(given or {}),
        compounds=compounds,
        corrections=corrected[:CORRECTIONS],
        corrections_total=len(corrected),
    )


def _service(
    source: Source, whose: Whose, entries: Sequence[Entry], from_ms: int, to_ms: int
) -> dict[str, Figure]:
    figures = service_figures(
        source.engine, source.scope, whose, entries, from_ms, to_ms, source.now_ms
    )
    return figures | ledger_figures(
        source.engine, source.directory, source.scope, whose, from_ms, to_ms, source.now_ms
    )


def month_so_far(month: Month, zone: tzinfo, now_ms: int) -> tuple[int, int, bool]:
    """The month's range up to now, and whether it is over."""
    from_ms, to_ms = month.range_ms(zone)
    if now_ms <= from_ms:
        raise BadMonth(f"{month} has not begun: nothing has happened there yet")
    return from_ms, min(to_ms, now_ms), now_ms >= to_ms


def _periods(days: Mapping[date, Day], zone: tzinfo, now_ms: int) -> list[Period]:
    return [
        _period(summed, day, day, _status(day, zone, now_ms))
        for day, summed in sorted(days.items())
    ]


def _total(days: Mapping[date, Day], periods: Sequence[Period], apart: Apart) -> Period:
    everything = Day()
    for day in days.values():
        everything.add(day)
    everything.apart = apart
    # the youngest day is the last that becomes final
    return _period(everything, periods[0].first, periods[-1].last, periods[-1].status)


def _period(day: Day, first: date, last: date, status: Status) -> Period:
    parts: dict[PartName, Part] = {}
    for part, kind in KIND_OF.items():
        if part not in day.has:
            continue
        own = day.summed.only(kind)
        figures = own.shape({kind}, day.apart)[part]
        assert isinstance(figures, dict)
        is_known = own.received > 0 or bool(own.part(kind).figures)
        parts[part] = Part(figures, own.coverage, is_known)
    return Period(first, last, status, day.summed.coverage, parts)


def _status(day: date, zone: tzinfo, now_ms: int) -> Status:
    ends_ms = next_midnight(began(day, zone), zone)
    return Status.FINAL if is_final(ends_ms, now_ms) else Status.PROVISIONAL


def read_corrections(source: Source, entries: Sequence[Entry], month: Month) -> list[Corrected]:
    """Corrections of days of the month, the newest first."""
    found: list[Corrected] = []
    for zone in {zone_of(entry.timezone) for entry in entries}:
        from_ms, to_ms = month.range_ms(zone)
        there = {entry.id: entry for entry in entries if zone_of(entry.timezone) == zone}
        with reading(source.engine) as connection:
            rows = list(corrections_of(connection, source.scope, sorted(there), from_ms, to_ms))
            ids = {row.device for row in rows if row.device is not None}
            names = device_names(connection, source.scope, ids)
        found += (
            Corrected(
                there[row.compound].name,
                local_date(row.day_ms, zone),
                row.revision,
                row.way is Way.RECOUNT,
                "" if row.device is None else names.get(row.device, (row.device,))[0],
                row.stated,
                row.reason,
                row.created_by,
                row.created_at_ms,
            )
            for row in rows
        )
    return sorted(found, key=lambda one: one.at_ms, reverse=True)


def _by_hour(
    source: Source, entry: Entry, from_ms: int, to_ms: int, zone: tzinfo
) -> list[tuple[int, int]]:
    """Passages and refusals of the range by hour of the local day; nothing without a gate."""
    if not entry.devices.get("gate"):
        return []
    granted, denied = [0.0] * 24, [0.0] * 24
    for start in range(from_ms, to_ms, HOURS_AT_ONCE_MS):
        end = min(start + HOURS_AT_ONCE_MS, to_ms)
        with reading(source.engine) as connection:
            rows = device_hours(connection, source.scope, entry.id, start, end, "gate")
        for row in rows:
            hour = datetime.fromtimestamp(row.hour_ms / 1000, zone).hour
            granted[hour] += amount_of(row.figures, "granted", None)
            denied[hour] += amount_of(row.figures, "denied", None)
    return [(int(passed), int(refused)) for passed, refused in zip(granted, denied, strict=True)]


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    added: dict[str, int] = {}
    for one in counts:
        for kind, n in one.items():
            added[kind] = added.get(kind, 0) + n
    return added


@dataclass(slots=True)
class Tally:
    """Faults as they are counted, a page at a time: never all of them in memory."""

    now_ms: int
    counts: dict[str, FaultCount] = field(default_factory=dict)
    longest: list[tuple[float, str, Fault]] = field(default_factory=list)  # a heap
    of_compound: dict[str, int] = field(default_factory=dict)
    suppressed: int = 0
    suspected: int = 0
    refuted: int = 0

    def add(self, fault: Fault) -> None:
        if fault.resolution == FALSE_ALARM:
            self.refuted += 1
        elif fault.suppressed_by is not None:
            self.suppressed += 1
        elif fault.suspected:
            self.suspected += 1
        else:
            self._count(fault)

    def _count(self, fault: Fault) -> None:
        ended_ms = _ended_ms(fault)
        until_ms = self.now_ms if ended_ms is None else ended_ms
        lasted_s = max(0.0, (until_ms - fault.since_ms) / 1000)
        line = self.counts.get(fault.code)
        if line is None:
            name = _fault_name(fault.code)
            line = FaultCount(fault.code, name, fault.severity, 0, 0, 0.0, 0.0)
        self.counts[fault.code] = replace(
            line,
            severity=min(line.severity, fault.severity),
            count=line.count + 1,
            standing=line.standing + (ended_ms is None),
            total_s=line.total_s + lasted_s,
            longest_s=max(line.longest_s, lasted_s),
        )
        if fault.compound is not None:
            self.of_compound[fault.compound] = self.of_compound.get(fault.compound, 0) + 1
        heapq.heappush(self.longest, (lasted_s, fault.id, fault))
        if len(self.longest) > LONGEST:
            heapq.heappop(self.longest)


def _faults(
    source: Source, wanted: Filter, from_ms: int, to_ms: int
) -> tuple[Faults, dict[str, int]]:
    """What was raised in [from_ms, to_ms), and compound -> how many of them count."""
    tally = Tally(source.now_ms)
    wanted = replace(wanted, from_ms=from_ms, to_ms=to_ms)
    before: tuple[int, str] | None = None
    while True:
        with reading(source.engine) as connection:
            page = list_faults(
                connection, source.scope, wanted, before=before, limit=FAULTS_AT_ONCE
            )
        for fault in page:
            tally.add(fault)
        if len(page) < FAULTS_AT_ONCE:
            break
        before = (page[-1].opened_at_ms, page[-1].id)
    ids = {fault.device for _, _, fault in tally.longest if fault.device is not None}
    with reading(source.engine) as connection:
        names = {
            id_: name for id_, (name, *_) in device_names(connection, source.scope, ids).items()
        }
    longest = [
        _long_fault(source, names, fault, lasted_s)
        for lasted_s, _, fault in sorted(tally.longest, reverse=True)
    ]
    counts = sorted(tally.counts.values(), key=lambda line: (line.severity, -line.count, line.code))
    faults = Faults(counts, longest, tally.suppressed, tally.suspected, tally.refuted)
    return faults, tally.of_compound


def _long_fault(
    source: Source, names: Mapping[str, str], fault: Fault, lasted_s: float
) -> LongFault:
    entry = source.directory.compounds.get(fault.compound or "")
    return LongFault(
        fault.id,
        fault.code,
        _fault_name(fault.code),
        fault.severity,
        Name(fault.subject, fault.subject) if entry is None else entry.name,
        names.get(fault.device or "", fault.device or ""),
        fault.since_ms,
        _ended_ms(fault),
        lasted_s,
    )


def _ended_ms(fault: Fault) -> int | None:
    """When its condition was over, before a person answered where one has to."""
    return fault.cleared_at_ms if fault.cleared_at_ms is not None else fault.closed_at_ms


def _fault_name(code: str) -> Name:
    rule = RULES.get(code)
    return Name(code, code) if rule is None else Name(rule.zh, rule.en)
