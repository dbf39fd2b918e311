"""Usage of whole days and months, summed up beforehand, so that nobody adds up a year of hours.

A sum is made from the hours and the registry once its day is over, and again when an hour of it has
changed: whoever writes such an hour marks its day in the same transaction (`mark_days`), and until
the sum is made anew a compound's usage is read from its hours. What is expected of a day rests on
the registry as it was when the day became final; a change of it afterwards does not change the
past.

A range begins and ends in the middle of months. So there are sums of the first and of the last so
many days of each month: what a range cuts off a month is one row, too, and not one for each day.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Select, Table, bindparam, delete, func, select

from devices.coverage import Part, Places, Promise, Sum, sum_hours, sum_stretch
from devices.days import (
    DAY_MS,
    days_from,
    midnight_of,
    month_of,
    months_from,
    next_midnight,
    next_month,
    zone_of,
)
from devices.store.audit import registry_changed
from devices.store.compounds import Entry
from devices.store.corrections import newest_revision as newest_correction
from devices.store.database import answering, conflict_insert, reading, writing
from devices.store.hour_sums import Expected, HourSums, add_hours
from devices.store.schema import (
    compounds,
    usage_corrections,
    usage_days,
    usage_days_due,
    usage_hours,
    usage_months,
    usage_spans,
)
from devices.store.scope import DISTRICT, Scope
from devices.store.usage import DeviceHour, device_hours, reporters
from devices.store.usage_apart import units_around, write_units
from devices.store.usage_peaks import compounds_without, days_without, work_out, write_peaks
from devices.usage import FINAL_AFTER_MS, HOUR_MS, hour_of

READ_DAYS = 2  # of one compound in one transaction: some 5,000 rows at most, below 30 ms
# The judge has the newest two hours of a device in memory and writes them until then; nothing is
# wrong if it does so later, the day is only summed up once more.
SETTLED_AFTER_MS = HOUR_MS
FURTHEST_DAYS = 3660  # an hour that is older is nobody's usage
# Months before anything came: they say what was expected. A year by month stands beside the year
# before it, so that a page of a compound asks for two.
MONTHS_BACK_MS = 2 * 366 * DAY_MS
SPANS_BACK_MS = 400 * DAY_MS  # a range is at most a year, and begins somewhere in a month
DAYS_AT_ONCE = 16  # of a compound, in one commit
DUE_AT_ONCE = 500
NEVER_MS = 2**62

_Packed = dict[str, tuple[float, float, float, dict[str, float | dict[str, float]]]]
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Packed).decode


def pack(summed: Sum) -> bytes:
    return _pack(
        {
            kind: (part.received, part.expected, part.port_s, part.figures)
            for kind, part in summed.parts.items()
        }
    )


def unpack(packed: bytes) -> Sum:
    return Sum(
        {
            kind: Part(figures, received, expected, port_s)
            for kind, (received, expected, port_s, figures) in _unpack(packed).items()
        }
    )


def _add(into: Sum, packed: bytes, only: str | None = None) -> None:
    """Add what is packed, without a `Sum` of its own. only: of this kind alone."""
    for kind, part in _unpack(packed).items():
        if only is None or kind == only:
            into.count(kind, *part)


# What is due


def mark_days(
    connection: Connection, hours: Iterable[tuple[str, int]], over_at_ms: int | None
) -> None:
    """Say that hours, as (compound, hour), were written: days of theirs that are over are due.

    over_at_ms: now; None marks every day, for a writer to whom it is not now. To be called in the
    transaction that writes them.
    """
    first_ms = None if over_at_ms is None else hour_of(over_at_ms)
    past = {one for one in hours if first_ms is None or one[1] < first_ms}
    if not past:  # as nearly always
        return
    names = sorted({compound for compound, _ in past})
    zones: dict[str, tzinfo] = {}
    for start in range(0, len(names), DUE_AT_ONCE):
        some = names[start : start + DUE_AT_ONCE]
        query = select(compounds.c.id, compounds.c.timezone).where(compounds.c.id.in_(some))
        zones |= {name: zone_of(zone) for name, zone in connection.execute(query)}
    days = set()
    for compound, hour_ms in past:
        zone = zones.get(compound)
        if zone is None:
            continue
        if over_at_ms is None or next_midnight(hour_ms, zone) <= over_at_ms:
            days.add((compound, midnight_of(hour_ms, zone)))
    if not days:
        return
    made = conflict_insert(connection, usage_days_due)
    connection.execute(
        made.on_conflict_do_update(
            index_elements=["compound", "day_ms"], set_={"marks": usage_days_due.c.marks + 1}
        ),
        [{"compound": compound, "day_ms": day, "marks": 1} for compound, day in sorted(days)],
    )


def due_days(
    connection: Connection, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int
) -> set[tuple[str, int]]:
    """(compound, day) of which an hour was written since its sum was made."""
    asked = {"names": names, "from_ms": from_ms, "to_ms": to_ms}
    rows = connection.execute(_between(scope, usage_days_due, "day_ms"), asked)
    return {(compound, day_ms) for compound, day_ms in rows}


@lru_cache(maxsize=256)  # it takes as long to write as to run
def _between(scope: Scope, table: Table, start: str, value: str = "") -> Select[Any]:
    """Of some compounds what begins in [from_ms, to_ms)."""
    column = table.c
    columns = [column.compound, column[start], *([column[value]] if value else [])]
    return select(*columns).where(
        column.compound.in_(bindparam("names", expanding=True)),
        column[start] >= bindparam("from_ms"),
        column[start] < bindparam("to_ms"),
        scope.holds(column.compound),
    )


# Reading


def day_sums(
    connection: Connection, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int
) -> dict[tuple[str, int], bytes]:
    """(compound, day) -> the packed sum of it, of days that begin in [from_ms, to_ms)."""
    asked = {"names": names, "from_ms": from_ms, "to_ms": to_ms}
    rows = connection.execute(_between(scope, usage_days, "day_ms", "sums"), asked)
    return {(compound, at_ms): sums for compound, at_ms, sums in rows.all()}


def month_sums(
    connection: Connection, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int
) -> dict[tuple[str, int], bytes]:
    """(compound, month) -> the packed sum of it, of months that begin in [from_ms, to_ms)."""
    asked = {"names": names, "from_ms": from_ms, "to_ms": to_ms}
    rows = connection.execute(_between(scope, usage_months, "month_ms", "sums"), asked)
    return {(compound, at_ms): sums for compound, at_ms, sums in rows.all()}


def span_sums(
    connection: Connection, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int
) -> dict[str, bytes]:
    """compound -> the packed sum of all days of [from_ms, to_ms), where there is one."""
    column = usage_spans.c
    query = select(column.compound, column.sums).where(
        column.compound.in_(names),
        column.from_ms == from_ms,
        column.to_ms == to_ms,
        scope.holds(column.compound),
    )
    return {row.compound: row.sums for row in connection.execute(query)}


def first_hours(connection: Connection, names: Sequence[str]) -> dict[str, int | None]:
    """When the first hour on record of each compound began; None where there is none."""
    return {row.id: row.first_ms for row in connection.execute(_FIRST_HOURS, {"names": names})}


_FIRST_HOURS = select(
    compounds.c.id,
    select(func.min(usage_hours.c.hour_ms))
    .where(usage_hours.c.compound == compounds.c.id)
    .scalar_subquery()
    .label("first_ms"),
).where(compounds.c.id.in_(bindparam("names", expanding=True)))


class Cut(NamedTuple):
    """A piece of a range: of a month, a day or a span that is summed up, or else of hours."""

    from_ms: int
    to_ms: int
    unit: str  # month, span, day, hour


def cut(
    from_ms: int, to_ms: int, zone: tzinfo, months: Collection[int], days: Collection[int]
) -> Iterator[Cut]:
    """The range in as few pieces as those that are there allow."""
    hours_from_ms = at_ms = from_ms
    while at_ms < to_ms:
        unit, end_ms = "", next_midnight(at_ms, zone)
        if at_ms in months and next_month(at_ms, zone) <= to_ms:
            unit, end_ms = "month", next_month(at_ms, zone)
        elif at_ms in days and end_ms <= to_ms:
            unit = "day"
        if unit:
            if hours_from_ms < at_ms:
                yield Cut(hours_from_ms, at_ms, "hour")
            yield Cut(at_ms, end_ms, unit)
            hours_from_ms = end_ms
        at_ms = end_ms
    if hours_from_ms < to_ms:
        yield Cut(hours_from_ms, to_ms, "hour")


def sums_of_compound(
    engine: Engine,
    scope: Scope,
    entry: Entry,
    starts: Sequence[int],
    to_ms: int,
    kept: HourSums | None = None,
) -> list[Sum]:
    """A compound's sums from each start to the next one and, from the last, to `to_ms`.

    The first start is a whole hour, the others are borders of hours, days, weeks or months in the
    compound's time; `to_ms` may be now. As exact as the hours at this moment: what is summed up is
    used where no hour was written since. kept: hours that were added up for another question.
    """
    zone, names, from_ms = zone_of(entry.timezone), [entry.id], starts[0]
    months: dict[tuple[str, int], bytes] = {}
    days: dict[tuple[str, int], bytes] = {}
    with reading(engine) as connection:
        expected = Expected(entry, reporters(connection, scope, entry.id), to_ms)
        recorded_ms = _recorded_from(connection, entry.id)
        if len(starts) == 1 or starts[-1] - starts[0] > HOUR_MS * (len(starts) - 1):
            due = due_days(connection, scope, names, month_of(from_ms, zone), to_ms)
            days = day_sums(connection, scope, names, from_ms, to_ms)
            months = month_sums(connection, scope, names, from_ms, to_ms)
            for _, day_ms in due:
                days.pop((entry.id, day_ms), None)
                months.pop((entry.id, month_of(day_ms, zone)), None)
        places = Places(starts)
        portions: list[tuple[int, int]] = []
        for begin, end in _of_hours(places, [*starts, to_ms], zone, entry.id, months, days):
            known_ms = min(max(begin, recorded_ms), end)
            sum_hours(expected.promise, (), begin, known_ms, places)
            portions += in_steps(known_ms, end, READ_DAYS * DAY_MS)
        left_ms = READ_DAYS * DAY_MS
        while portions and portions[0][1] - portions[0][0] <= left_ms:
            left_ms -= portions[0][1] - portions[0][0]
            add_hours(connection, scope, entry.id, expected, portions.pop(0), places, kept)
    for portion in portions:
        with reading(engine) as connection:
            add_hours(connection, scope, entry.id, expected, portion, places, kept)
    return places.sums


def _of_hours(
    places: Places,
    borders: Sequence[int],
    zone: tzinfo,
    compound: str,
    months: Mapping[tuple[str, int], bytes],
    days: Mapping[tuple[str, int], bytes],
) -> list[tuple[int, int]]:
    """Add what is summed up; the stretches that are not."""
    month_starts, day_starts = {at for _, at in months}, {at for _, at in days}
    stretches: list[tuple[int, int]] = []
    for start, end in pairwise(borders):
        for piece in cut(start, end, zone, month_starts, day_starts):
            if piece.unit != "hour":
                ready = months if piece.unit == "month" else days
                _add(places.of(piece.from_ms), ready[compound, piece.from_ms])
            elif stretches and stretches[-1][1] == piece.from_ms:
                stretches[-1] = (stretches[-1][0], piece.to_ms)
            else:
                stretches.append((piece.from_ms, piece.to_ms))
    return stretches


def in_steps(from_ms: int, to_ms: int, step_ms: int) -> Iterator[tuple[int, int]]:
    """[from_ms, to_ms) in pieces of that length, the last one shorter."""
    for at_ms in range(from_ms, to_ms, step_ms):
        yield at_ms, min(at_ms + step_ms, to_ms)


def _recorded_from(connection: Connection, compound: str) -> int:
    """When the first hour on record or correction of a compound began: nothing is read before.

    Of two years by month, one of them before it was there, that is three quarters of the time.
    """
    first_ms = first_hours(connection, [compound]).get(compound)
    corrected_ms = connection.scalar(_FIRST_CORRECTED, {"compound": compound})
    known = [at_ms for at_ms in (first_ms, corrected_ms) if at_ms is not None]
    return hour_of(min(known, default=NEVER_MS))


_FIRST_CORRECTED = select(func.min(usage_corrections.c.from_ms)).where(
    usage_corrections.c.compound == bindparam("compound")
)


def _hours(
    engine: Engine,
    scope: Scope,
    compound: str,
    from_ms: int,
    to_ms: int,
    kind: str | None = None,
) -> Iterator[DeviceHour]:
    for begin, end in in_steps(from_ms, to_ms, READ_DAYS * DAY_MS):
        with reading(engine) as connection:
            page = device_hours(connection, scope, compound, begin, end, kind)
        yield from page


class TooMuch(Exception):
    """More than may be added up for one answer.

    days: compound-days with hours that are not summed up yet. from_ms: before it there is nothing
    on record, and too many days of it were asked for; None: there is.
    """

    def __init__(self, days: int, from_ms: int | None = None) -> None:
        super().__init__(f"{days} compound-days are not summed up")
        self.days = days
        self.from_ms = from_ms


@dataclass(slots=True)
class Together:
    """Sums by group, each between its borders. pending: compound-days that are summed up anew."""

    sums: dict[str, list[Sum]] = field(default_factory=dict)
    pending: int = 0


def sums_of_many(
    engine: Engine,
    scope: Scope,
    entries: Sequence[Entry],
    borders: Mapping[str, Sequence[int]],
    groups: Mapping[str, str],
    most_days: int,
    most_empty_days: int,
    only: str | None = None,
) -> Together:
    """By group the sums between the borders of its compounds: local midnights in a compound's time.

    borders, groups: by compound; as many borders for each. A day whose hours were written since is
    taken as it was summed up before and counted as pending: within a minute it is right. Days
    without a sum are added up from their hours, at most `most_days`; of those before anything came,
    of which only is known what was expected, `most_empty_days`. only: of one kind of device alone.
    Raises TooMuch.
    """
    together = Together()
    by_id = {entry.id: entry for entry in entries}
    zones = {entry.id: zone_of(entry.timezone) for entry in entries}
    names = list(by_id)
    if not names:
        return together
    from_ms = min(borders[name][0] for name in names)
    to_ms = max(borders[name][-1] for name in names)
    pieces: dict[str, list[tuple[int, Cut]]] = {}
    days: dict[tuple[str, int], bytes] = {}
    spans: dict[tuple[str, int, int], bytes] = {}
    firsts: dict[str, int | None] = {}
    with reading(engine) as connection:
        together.pending = len(due_days(connection, scope, names, from_ms, to_ms))
        months = month_sums(connection, scope, names, from_ms, to_ms)
        month_starts: dict[str, set[int]] = {name: set() for name in names}
        for name, at_ms in months:
            month_starts[name].add(at_ms)
        asked: dict[tuple[int, int], list[str]] = {}
        for name in names:
            pieces[name] = list(_cut_all(borders[name], zones[name], month_starts[name], ()))
            for _, piece in pieces[name]:
                if piece.unit == "hour" and piece.to_ms - piece.from_ms > DAY_MS:
                    asked.setdefault((piece.from_ms, piece.to_ms), []).append(name)
        for (begin, end), some in asked.items():
            if _may_be_span(begin, end, zones[some[0]]):
                found = span_sums(connection, scope, some, begin, end)
                spans |= {(name, begin, end): sums for name, sums in found.items()}
        gaps: dict[tuple[int, int], list[str]] = {}
        for name in names:
            pieces[name] = [
                (index, piece._replace(unit="span"))
                if (name, piece.from_ms, piece.to_ms) in spans
                else (index, piece)
                for index, piece in pieces[name]
            ]
            for gap in _joined(pieces[name]):
                gaps.setdefault(gap, []).append(name)
        for (begin, end), some in gaps.items():
            days |= day_sums(connection, scope, some, begin, end)
        if gaps:
            firsts = first_hours(connection, names)
    day_starts: dict[str, set[int]] = {name: set() for name in names}
    for name, at_ms in days:
        day_starts[name].add(at_ms)
    missing: dict[str, list[tuple[int, Cut]]] = {}
    for name in names:
        sums = together.sums.get(groups[name])
        if sums is None:
            sums = together.sums[groups[name]] = [Sum() for _ in borders[name][1:]]
        for index, piece in pieces[name]:
            if piece.unit == "month":
                _add(sums[index], months[name, piece.from_ms], only)
                continue
            if piece.unit == "span":
                _add(sums[index], spans[name, piece.from_ms, piece.to_ms], only)
                continue
            for part in cut(piece.from_ms, piece.to_ms, zones[name], (), day_starts[name]):
                if part.unit == "day":
                    _add(sums[index], days[name, part.from_ms], only)
                else:
                    missing.setdefault(name, []).append((index, part))
    _check(missing, firsts, most_days, most_empty_days)
    for name, parts in missing.items():
        with reading(engine) as connection:
            devices = reporters(connection, scope, name)
        if only is not None:
            devices = [one for one in devices if one.kind == only]
        for index, part in parts:
            rows = _hours(
                engine,
                scope,
                name,
                max(part.from_ms, _since(firsts, name)),
                part.to_ms,
                only,
            )
            promise = Promise(by_id[name], devices, part.to_ms)
            together.sums[groups[name]][index].add(
                sum_stretch(promise, rows, part.from_ms, part.to_ms)
            )
    return together


def _cut_all(
    borders: Sequence[int], zone: tzinfo, months: Collection[int], days: Collection[int]
) -> Iterator[tuple[int, Cut]]:
    for index, (start, end) in enumerate(pairwise(borders)):
        for piece in cut(start, end, zone, months, days):
            yield index, piece


def _may_be_span(from_ms: int, to_ms: int, zone: tzinfo) -> bool:
    """Whether these are the first days of a month, or the last ones."""
    if from_ms == month_of(from_ms, zone):
        return to_ms < next_month(from_ms, zone)
    return to_ms == next_month(from_ms, zone)


def _joined(pieces: Iterable[tuple[int, Cut]]) -> Iterator[tuple[int, int]]:
    """The stretches of what is not there by month."""
    begin = end = 0
    for _, piece in pieces:
        if piece.unit != "hour":
            continue
        if piece.from_ms != end:
            if begin < end:
                yield begin, end
            begin = piece.from_ms
        end = piece.to_ms
    if begin < end:
        yield begin, end


def _check(
    missing: Mapping[str, Sequence[tuple[int, Cut]]],
    firsts: Mapping[str, int | None],
    most_days: int,
    most_empty_days: int,
) -> None:
    full = empty = 0.0
    for name, parts in missing.items():
        since_ms = _since(firsts, name)
        for _, part in parts:
            known_ms = max(0, part.to_ms - max(part.from_ms, since_ms))
            full += known_ms / DAY_MS
            empty += (part.to_ms - part.from_ms - known_ms) / DAY_MS
    if full > most_days:
        raise TooMuch(round(full))
    if empty > most_empty_days:
        since = [at_ms for at_ms in firsts.values() if at_ms is not None]
        raise TooMuch(round(empty), min(since, default=0))


def _since(firsts: Mapping[str, int | None], name: str) -> int:
    first_ms = firsts.get(name)
    return 2**62 if first_ms is None else first_ms


# Making them


class Work(NamedTuple):
    """Days of one compound to be summed up."""

    compound: str
    days: Sequence[int]


class Site(NamedTuple):
    """Of a compound what its days and their expectations depend on."""

    id: str
    timezone: str
    latitude: float
    longitude: float


class UsageDays:
    """Sums up days and months, a few at a time. One of them works on a database at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(self, now_ms: int, most: int = DUE_AT_ONCE) -> dict[tuple[str, int], int]:
        """(compound, day) of which an hour was written since -> how often it was.

        Only days that are over and settled; at most `most`, so ask again.
        """
        column = usage_days_due.c
        query = (
            select(column.compound, column.day_ms, column.marks)
            .where(column.day_ms < now_ms - SETTLED_AFTER_MS)
            .order_by(column.compound, column.day_ms)
            .limit(most)
        )
        with answering(), reading(self._engine) as connection:
            rows = connection.execute(query).all()
            zones = {site.id: zone_of(site.timezone) for site in _sites(connection)} if rows else {}
        return {
            (compound, day_ms): marks
            for compound, day_ms, marks in rows
            if compound in zones and _is_settled(day_ms, zones[compound], now_ms)
        }

    def missing(self, now_ms: int) -> Iterator[Work]:
        """Days that are over and have no sum, or one that an earlier registry made, by compound.

        From the month of the first hour on record: what was before it is summed up by month alone.
        """
        with answering(), reading(self._engine) as connection:
            sites = _sites(connection)
            _, changed_ms = registry_changed(connection)
        for site in sites:
            zone = zone_of(site.timezone)
            with answering(), reading(self._engine) as connection:
                since_ms = _begins(connection, site, now_ms)
                column = usage_days.c
                query = select(column.day_ms, column.built_at_ms).where(
                    column.compound == site.id, column.day_ms >= since_ms
                )
                built = {row.day_ms: row.built_at_ms for row in connection.execute(query)}
            wanted = [
                day_ms
                for day_ms in days_from(since_ms, now_ms, zone)
                if _is_settled(day_ms, zone, now_ms)
                and (
                    day_ms not in built
                    or built[day_ms] < changed_ms < next_midnight(day_ms, zone) + FINAL_AFTER_MS
                )
            ]
            yield from in_portions({site.id: wanted})

    def build(self, work: Work, now_ms: int) -> None:
        """Sum up these days, and take their marks away unless somebody marked them meanwhile."""
        rows = []
        seen: dict[int, int] = {}
        with answering(), reading(self._engine) as connection:
            site = _site(connection, work.compound)
            devices = reporters(connection, DISTRICT, work.compound)
        if site is None:
            return
        zone = zone_of(site.timezone)
        for day_ms in work.days:  # a transaction each: a read may hold up the judge's commit
            end_ms = next_midnight(day_ms, zone)
            column = usage_days_due.c
            marked = select(column.marks).where(
                column.compound == work.compound, column.day_ms == day_ms
            )
            with answering(), reading(self._engine) as connection:
                seen[day_ms] = connection.execute(marked).scalar() or 0
                hours = device_hours(connection, DISTRICT, work.compound, day_ms, end_ms)
                kept = _kept_of_corrected(connection, work.compound, day_ms)
            promise = Promise(site, devices, end_ms)
            summed = sum_stretch(promise, hours, day_ms, end_ms)
            if kept is not None:
                _expect_as(kept, summed)
            rows.append((day_ms, pack(summed)))
        with answering(), reading(self._engine) as connection:
            units = units_around(connection, work.compound, work.days, zone)
        with answering(), writing(self._engine) as connection:
            write_units(connection, units)
            made = conflict_insert(connection, usage_days)
            connection.execute(
                made.on_conflict_do_update(
                    index_elements=["compound", "day_ms"],
                    set_={name: made.excluded[name] for name in ("sums", "built_at_ms")},
                ),
                [
                    {
                        "compound": work.compound,
                        "day_ms": day_ms,
                        "sums": sums,
                        "built_at_ms": now_ms,
                    }
                    for day_ms, sums in rows
                ],
            )
            for day_ms, marks in seen.items():
                column = usage_days_due.c
                connection.execute(
                    delete(usage_days_due).where(
                        column.compound == work.compound,
                        column.day_ms == day_ms,
                        column.marks == marks,
                    )
                )
            months = sorted({month_of(day_ms, zone) for day_ms in work.days})
            for month_ms in months:
                connection.execute(
                    delete(usage_months).where(
                        usage_months.c.compound == work.compound,
                        usage_months.c.month_ms == month_ms,
                    )
                )
            for day_ms in work.days:
                connection.execute(
                    delete(usage_spans).where(
                        usage_spans.c.compound == work.compound,
                        usage_spans.c.from_ms <= day_ms,
                        usage_spans.c.to_ms > day_ms,
                    )
                )
        self._build_spans(site, months, now_ms)

    def build_spans(self, compound: str, now_ms: int) -> None:
        """Make whatever span of the compound's days is missing, and forget old ones."""
        first_ms = now_ms - SPANS_BACK_MS
        column = usage_spans.c
        with answering(), reading(self._engine) as connection:
            site = _site(connection, compound)
            oldest = select(func.min(column.from_ms)).where(column.compound == compound)
            begins_ms = connection.execute(oldest).scalar()
        if begins_ms is not None and begins_ms < first_ms:
            with answering(), writing(self._engine) as connection:
                old = (column.compound == compound) & (column.from_ms < first_ms)
                connection.execute(delete(usage_spans).where(old))
        if site is None:
            return
        zone = zone_of(site.timezone)
        months = months_from(month_of(first_ms, zone), now_ms, zone)
        self._build_spans(site, list(months), now_ms)

    def _build_spans(self, site: Site, months: Sequence[int], now_ms: int) -> None:
        """Of these months: of the first days, so many as have sums, and likewise of the last."""
        zone, days, spans = zone_of(site.timezone), usage_days.c, usage_spans.c
        months = [at_ms for at_ms in months if at_ms >= month_of(now_ms - SPANS_BACK_MS, zone)]
        if not months:
            return
        with answering(), reading(self._engine) as connection:
            query = select(days.day_ms).where(days.compound == site.id, days.day_ms >= months[0])
            known = set(connection.scalars(query))
            there = select(spans.from_ms, spans.to_ms).where(
                spans.compound == site.id, spans.from_ms >= months[0]
            )
            missing = _spans(months, known, zone) - {
                (from_ms, to_ms) for from_ms, to_ms in connection.execute(there)
            }
        for month_ms in sorted({month_of(from_ms, zone) for from_ms, _ in missing}):
            end_ms = next_month(month_ms, zone)
            with answering(), writing(self._engine) as connection:  # so that no day changes
                packed = day_sums(connection, DISTRICT, [site.id], month_ms, end_ms)
                wanted = missing & _spans([month_ms], {day_ms for _, day_ms in packed}, zone)
                if wanted:
                    connection.execute(
                        conflict_insert(connection, usage_spans).on_conflict_do_nothing(),
                        [
                            {"compound": site.id, "from_ms": begin, "to_ms": end, "sums": sums}
                            for (begin, end), sums in _summed(packed, wanted, zone)
                        ],
                    )

    def build_peaks(self, compound: str) -> int:
        """Work out the peaks of the compound's days that have none; how many of them are made.

        Of days that `build` was at some seconds ago: a session that was being written just then
        may not have seen that there is a peak to take away.
        """
        count, from_ms = 0, 0
        while True:
            with answering(), reading(self._engine) as connection:
                site = _site(connection, compound)
                days = days_without(connection, compound, from_ms)
                if site is None or not days:
                    return count
                made = work_out(connection, compound, days, zone_of(site.timezone))
            with answering(), writing(self._engine) as connection:
                count += write_peaks(connection, compound, made)
            from_ms = days[-1].start_ms + 1

    def without_peaks(self) -> list[str]:
        """Compounds with days whose peak is to be worked out."""
        with answering(), reading(self._engine) as connection:
            return compounds_without(connection)

    def build_months(self, compound: str, now_ms: int) -> int:
        """Sum up the compound's months that are over, have no sum, and whose days all have one."""
        with answering(), reading(self._engine) as connection:
            site = _site(connection, compound)
            if site is None:
                return 0
            zone = zone_of(site.timezone)
            devices = reporters(connection, DISTRICT, compound)
            since_ms = _begins(connection, site, now_ms)
            column = usage_months.c
            query = select(column.month_ms).where(column.compound == compound)
            there = set(connection.scalars(query))
        first_ms = month_of(min(since_ms, now_ms - MONTHS_BACK_MS), zone)
        count = 0
        for month_ms in months_from(first_ms, now_ms, zone):
            end_ms = next_month(month_ms, zone)
            if month_ms in there or end_ms + SETTLED_AFTER_MS > now_ms:
                continue
            nothing = Sum()  # of a month before anything came
            if month_ms < since_ms:
                nothing = sum_stretch(Promise(site, devices, end_ms), (), month_ms, end_ms)
            with answering(), writing(self._engine) as connection:  # so that no day changes
                days = day_sums(connection, DISTRICT, [compound], month_ms, end_ms)
                wanted = set(days_from(month_ms, end_ms, zone))
                if month_ms >= since_ms and {day for _, day in days} < wanted:
                    continue
                if month_ms < since_ms:
                    total = nothing
                else:
                    total = Sum()
                    for day_ms in sorted(wanted):
                        _add(total, days[compound, day_ms])
                made = conflict_insert(connection, usage_months)
                connection.execute(
                    made.on_conflict_do_nothing(),
                    {
                        "compound": compound,
                        "month_ms": month_ms,
                        "sums": pack(total),
                        "built_at_ms": now_ms,
                    },
                )
                count += 1
        return count

    def compounds(self) -> list[str]:
        """All of them, in order of id."""
        with answering(), reading(self._engine) as connection:
            return [site.id for site in _sites(connection)]


def _kept_of_corrected(connection: Connection, compound: str, day_ms: int) -> Sum | None:
    """The sum that there is of a day that was corrected: a correction does not change what was
    expected of it, though the registry may have changed since."""
    if not newest_correction(connection, compound, day_ms):
        return None
    packed = connection.execute(
        select(usage_days.c.sums).where(
            usage_days.c.compound == compound, usage_days.c.day_ms == day_ms
        )
    ).scalar()
    return None if packed is None else unpack(packed)


def _expect_as(kept: Sum, summed: Sum) -> None:
    for kind in {*kept.parts, *summed.parts}:
        summed.part(kind).expected = kept.part(kind).expected


_SITES = select(
    compounds.c.id, compounds.c.timezone, compounds.c.latitude, compounds.c.longitude
).order_by(compounds.c.id)


def _sites(connection: Connection) -> list[Site]:
    return [Site(*row) for row in connection.execute(_SITES)]


def _site(connection: Connection, compound: str) -> Site | None:
    row = connection.execute(_SITES.where(compounds.c.id == compound)).one_or_none()
    return None if row is None else Site(*row)


def _begins(connection: Connection, site: Site, now_ms: int) -> int:
    """The month from which on the days of a compound are summed up: that of its first hour."""
    zone = zone_of(site.timezone)
    first_ms = first_hours(connection, [site.id]).get(site.id)
    if first_ms is None:
        return month_of(now_ms, zone)
    return month_of(max(first_ms, now_ms - FURTHEST_DAYS * DAY_MS), zone)


def _spans(months: Iterable[int], days: Collection[int], zone: tzinfo) -> set[tuple[int, int]]:
    """The spans that these months can have, with sums of `days`: two days or more, but not all."""
    found: set[tuple[int, int]] = set()
    for month_ms in months:
        end_ms = next_month(month_ms, zone)
        starts = list(days_from(month_ms, end_ms, zone))
        ends = [*starts[1:], end_ms]
        first = takewhile(lambda one: one[0] in days, zip(starts, ends, strict=True))
        found |= {(month_ms, end) for _, end in first}
        last = takewhile(days.__contains__, reversed(starts))
        found |= {(start, end_ms) for start in last}
        found.discard((month_ms, end_ms))
    return {span for span in found if span[1] - span[0] > DAY_MS}


def _summed(
    days: Mapping[tuple[str, int], bytes], wanted: Collection[tuple[int, int]], zone: tzinfo
) -> Iterator[tuple[tuple[int, int], bytes]]:
    """The packed sums of spans of one compound's month, from those of its days.

    A span begins with the first of them or ends with the last one, and has no gap.
    """
    in_order = sorted((day_ms, sums) for (_, day_ms), sums in days.items())
    first_ms, end_ms = in_order[0][0], next_midnight(in_order[-1][0], zone)
    total = Sum()
    for day_ms, sums in in_order:
        _add(total, sums)
        span = first_ms, next_midnight(day_ms, zone)
        if span in wanted:
            yield span, pack(total)
    total = Sum()
    for day_ms, sums in reversed(in_order):
        _add(total, sums)
        if (day_ms, end_ms) in wanted:
            yield (day_ms, end_ms), pack(total)


def _is_settled(day_ms: int, zone: tzinfo, now_ms: int) -> bool:
    return next_midnight(day_ms, zone) + SETTLED_AFTER_MS <= now_ms


def in_portions(days: Mapping[str, Sequence[int]]) -> Iterator[Work]:
    """The days of compounds, a few of one compound at a time."""
    for compound, some in days.items():
        for start in range(0, len(some), DAYS_AT_ONCE):
            yield Work(compound, some[start : start + DAYS_AT_ONCE])
