"""Figures of usage that do not add up, from the rows below: credentials, sessions and faults.

Of one compound they are worked out when somebody asks. Of many, what takes long is made beforehand,
with the sums of days: people of local days, weeks and months, and the most sockets in use at once
of days (`usage_units`; of the latter `usage_peaks` has more to say).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, or_, select

from devices.apart import Apart, dark_s
from devices.credentials import distinct, published
from devices.days import (
    midnight_of,
    month_of,
    next_midnight,
    next_monday,
    next_month,
    week_of,
    zone_of,
)
from devices.faults import FALSE_ALARM
from devices.store.compounds import Entry
from devices.store.database import conflict_insert, reading
from devices.store.schema import (
    devices,
    faults,
    usage_credentials,
    usage_since,
    usage_units,
)
from devices.store.scope import Scope
from devices.store.usage_peaks import NOT_MADE, SCOPES, peaks_between, peaks_of_many

LAMP_OUT = "LAMP_OUT"
MOST_FAULTS = 20_000  # of many compounds, the newest; a year of the district has some 500

_Span = tuple[int, int]


def apart_of_compound(
    engine: Engine, scope: Scope, entry: Entry, starts: Sequence[int], to_ms: int, now_ms: int
) -> tuple[list[Apart], Apart]:
    """A compound's from each start to the next one and, from the last, to `to_ms`; and of all.

    People are known by whole local days: a stretch that cuts one, and not just because it runs
    until now, has None.
    """
    with reading(engine) as connection:
        since = _since(connection)
        return _apart(connection, scope, entry, [*starts, to_ms], now_ms, since)


def apart_of_times(
    engine: Engine, scope: Scope, entry: Entry, times: Iterable[Sequence[int]], now_ms: int
) -> list[Apart]:
    """The same of each of these times in all. times: borders, of which the last one ends it."""
    with reading(engine) as connection:
        since = _since(connection)
        return [_apart(connection, scope, entry, borders, now_ms, since)[1] for borders in times]


def _apart(
    connection: Connection,
    scope: Scope,
    entry: Entry,
    borders: Sequence[int],
    now_ms: int,
    since: Mapping[str, int],
) -> tuple[list[Apart], Apart]:
    zone, whole = zone_of(entry.timezone), (borders[0], borders[-1])
    days = _credentials(connection, scope, entry.id, midnight_of(whole[0], zone), whole[1])
    most = peaks_between(connection, scope, entry.id, borders, zone)
    out = _lamps_out(connection, scope, [entry.id], *whole, now_ms)
    found = [
        Apart(_people(days, stretch, zone, now_ms), peak, unknown=_unknown(since, stretch[0]))
        for stretch, peak in zip(_pairs(borders), most, strict=True)
    ]
    total = Apart(_people(days, whole, zone, now_ms), max(one.peak_ports or 0 for one in found))
    total.unknown = _unknown(since, whole[0])
    _count_dark(found, total, borders, entry, out.get(entry.id, ()))
    return found, total


def apart_of_many(
    engine: Engine,
    scope: Scope,
    entries: Sequence[Entry],
    borders: Mapping[str, Sequence[int]],
    groups: Mapping[str, str],
    newest_ms: int,
    now_ms: int,
) -> dict[str, tuple[list[Apart], Apart]]:
    """By group, between the borders of its compounds, and of all that is between them.

    borders, groups: by compound; as many borders for each. newest_ms: when the newest day ends that
    may be asked for: the week and the month that hold it are known as far as they have come.
    """
    found: dict[str, tuple[list[Apart], Apart]] = {}
    if not entries:
        return found
    names = [entry.id for entry in entries]
    from_ms = min(borders[name][0] for name in names)
    to_ms = max(borders[name][-1] for name in names)
    zones = {entry.timezone: zone_of(entry.timezone) for entry in entries}
    asked: dict[tuple[str, int, int], str | None] = {}
    for entry in entries:
        its = borders[entry.id]
        for start, end in (*_pairs(its), (its[0], its[-1])):
            key = (entry.timezone, start, end)
            if key not in asked:
                asked[key] = unit_of(start, end, zones[entry.timezone], newest_ms)
    wanted = {unit for unit in asked.values() if unit is not None}
    with reading(engine) as connection:
        since = _since(connection)
        units = _units(connection, scope, names, wanted, from_ms, to_ms)
        most: dict[tuple[str, int], int] = {}
        for timezone, zone in zones.items():
            here = [entry.id for entry in entries if entry.timezone == timezone]
            most |= peaks_of_many(connection, scope, here, borders[here[0]], zone)
        out = _lamps_out(connection, scope, names, from_ms, to_ms, now_ms)
    for entry in entries:
        its = borders[entry.id]
        made = []
        for start, end in (*_pairs(its), (its[0], its[-1])):
            unit = asked[entry.timezone, start, end]
            people = units.get((entry.id, unit or "", start))
            shown = None if people is None else published(people)
            made.append(Apart(shown, unknown=_unknown(since, start)))
        *parts, total = made
        for one, start in zip(parts, its, strict=False):
            one.peak_ports = most.get((entry.id, start))
        known = [one.peak_ports for one in parts if one.peak_ports is not None]
        total.peak_ports = max(known) if len(known) == len(parts) else None
        _count_dark(parts, total, its, entry, out.get(entry.id, ()))
        into = found.get(groups[entry.id])
        if into is None:
            found[groups[entry.id]] = (parts, total)
        else:
            for one, other in zip(into[0], parts, strict=True):
                one.join(other)
            into[1].join(total)
    return found


def unit_of(start: int, end: int, zone: tzinfo, newest_ms: int) -> str | None:
    """Which of day, week and month this stretch is, or is so far; None for any other."""
    if start != midnight_of(start, zone):
        return None
    for unit, begins, ends in (
        ("day", midnight_of, next_midnight),
        ("week", week_of, next_monday),
        ("month", month_of, next_month),
    ):
        ends_ms = ends(start, zone)
        if begins(start, zone) == start and end in (ends_ms, min(ends_ms, newest_ms)):
            return unit
    return None


# Making them


def units_around(
    connection: Connection, compound: str, days: Sequence[int], zone: tzinfo
) -> list[dict[str, Any]]:
    """The rows of `usage_units` that these local days are a part of."""
    stretches: set[tuple[str, int, int]] = set()
    for day in days:
        stretches.add(("day", day, next_midnight(day, zone)))
        stretches.add(("week", week_of(day, zone), next_monday(day, zone)))
        stretches.add(("month", month_of(day, zone), next_month(day, zone)))
    from_ms = min(start for _, start, _ in stretches)
    to_ms = max(end for _, _, end in stretches)
    people = _credentials(connection, None, compound, from_ms, to_ms)
    return [
        {
            "compound": compound,
            "unit": unit,
            "start_ms": start,
            "credentials": distinct(hashes for day, hashes in people.items() if start <= day < end),
            "peak_ports": NOT_MADE,
        }
        for unit, start, end in sorted(stretches)
    ]


def write_units(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """People of these; a peak that is there stays, as sessions alone change it."""
    if rows:
        made = conflict_insert(connection, usage_units)
        connection.execute(
            made.on_conflict_do_update(
                index_elements=["compound", "unit", "start_ms"],
                set_={"credentials": made.excluded.credentials},
            ),
            list(rows),
        )


# Reading


def _pairs(borders: Sequence[int]) -> list[_Span]:
    return list(pairwise(borders))


_SINCE = select(usage_since.c.figure, usage_since.c.since_ms)


def _since(connection: Connection) -> dict[str, int]:
    return {row.figure: row.since_ms for row in connection.execute(_SINCE)}


def _unknown(since: Mapping[str, int], start: int) -> frozenset[str]:
    return frozenset(figure for figure, since_ms in since.items() if start < since_ms)


def _credentials(
    connection: Connection, scope: Scope | None, compound: str, from_ms: int, to_ms: int
) -> dict[int, bytes]:
    asked = {"compound": compound, "from_ms": from_ms, "to_ms": to_ms}
    rows = connection.execute(_credentials_query(scope), asked)
    return {row.day_ms: row.hashes for row in rows}


@lru_cache(maxsize=SCOPES)
def _credentials_query(scope: Scope | None) -> Select[Any]:
    column = usage_credentials.c
    query = select(column.day_ms, column.hashes).where(
        column.compound == bindparam("compound"),
        column.day_ms >= bindparam("from_ms"),
        column.day_ms < bindparam("to_ms"),
    )
    return query if scope is None else query.where(scope.holds(column.compound))


def _people(days: Mapping[int, bytes], stretch: _Span, zone: tzinfo, now_ms: int) -> int | None:
    start, end = stretch
    if midnight_of(start, zone) != start or (midnight_of(end, zone) != end and end < now_ms):
        return None
    return published(distinct(hashes for day, hashes in days.items() if start <= day < end))


def _units(
    connection: Connection,
    scope: Scope,
    names: Sequence[str],
    units: Iterable[str],
    from_ms: int,
    to_ms: int,
) -> dict[tuple[str, str, int], int]:
    """How many people, by compound, unit and start."""
    column = usage_units.c
    query = select(column.compound, column.unit, column.start_ms, column.credentials).where(
        column.compound.in_(names),
        column.unit.in_(sorted(units)),
        column.start_ms >= from_ms,
        column.start_ms < to_ms,
        scope.holds(column.compound),
    )
    return {(row[0], row[1], row[2]): row[3] for row in connection.execute(query)}


@lru_cache(maxsize=SCOPES)
def _lamps_out_query(scope: Scope) -> Select[Any]:
    column = faults.c
    return (
        select(column.compound, column.since_ms, column.cleared_at_ms, column.closed_at_ms)
        .join(devices, devices.c.id == column.subject)
        .where(
            devices.c.compound.in_(bindparam("names", expanding=True)),
            devices.c.kind == "lamp",
            column.code == LAMP_OUT,
            column.opened_at_ms < bindparam("to_ms"),
            column.suspected.is_(False),
            column.suppressed_by.is_(None),
            or_(column.closed_at_ms.is_(None), column.closed_at_ms >= bindparam("from_ms")),
            or_(column.resolution.is_(None), column.resolution != FALSE_ALARM),
            scope.holds(column.compound),
        )
        .order_by(column.opened_at_ms.desc())
        .limit(MOST_FAULTS)
    )


def _lamps_out(
    connection: Connection,
    scope: Scope,
    names: Sequence[str],
    from_ms: int,
    to_ms: int,
    now_ms: int,
) -> dict[str, list[_Span]]:
    """By compound: from when to when lamps were out, each fault by itself.

    Without those that another fault explains, that nobody confirmed, or that were none.
    """
    asked = {"names": list(names), "from_ms": from_ms, "to_ms": to_ms}
    found: dict[str, list[_Span]] = {}
    for compound, since_ms, cleared_ms, closed_ms in connection.execute(
        _lamps_out_query(scope), asked
    ):
        ends = [at_ms for at_ms in (cleared_ms, closed_ms) if at_ms is not None]
        span = (max(since_ms, from_ms), min([to_ms, now_ms, *ends]))
        if span[0] < span[1]:
            found.setdefault(compound, []).append(span)
    return found


def _count_dark(
    parts: Sequence[Apart],
    total: Apart,
    borders: Sequence[int],
    entry: Entry,
    spans: Iterable[_Span],
) -> None:
    """Share out the dark time of faults; one counts wherever some of it lies."""
    for one in (*parts, total):
        one.dark_faults = 0
    for begin, end in spans:
        counted = 0.0
        for at in range(max(0, bisect_right(borders, begin) - 1), len(parts)):
            if borders[at] >= end:
                break
            stretch = (max(begin, borders[at]), min(end, borders[at + 1]))
            seconds = dark_s(entry.latitude, entry.longitude, *stretch)
            if seconds > 0:
                parts[at].dark_s += seconds
                parts[at].dark_faults = (parts[at].dark_faults or 0) + 1
                counted += seconds
        if counted > 0:
            total.dark_s += counted
            total.dark_faults = (total.dark_faults or 0) + 1
