"""The most sockets of a compound in use at once: prepared by day, from sessions where it is not.

The peak of a local day is worked out from its sessions when the day is over, and kept with the
figures of days (`usage_units`). Whoever writes a session takes away, in the same transaction, the
peaks of the days that are others by it (`forget_peaks`): what is told of late, closed by inference
or measured anew changes days that are long over. Until such a peak is made anew it is not there,
and whoever asks reads the sessions of that day. So what is shown is always what all sessions say.

That a peak is not there is a negative number, one less with each session that was written: it is
only set by who found the same number before reading the sessions.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    union_all,
    update,
)

from devices.apart import peaks
from devices.days import DAY_MS, days_from, next_midnight
from devices.sessions import Session
from devices.store.schema import sessions, usage_units
from devices.store.scope import Scope
from devices.usage import HOUR_MS

# One that is open for longer ended unseen, and long ago: it counts no further.
LONGEST_SESSION_MS = 7 * DAY_MS
LONGEST_DAY_MS = 25 * HOUR_MS
NOT_MADE = -1
MOST_STRETCHES = 6  # that are read apart; beyond them all between the first and the last
SESSIONS_AT_ONCE = 500
DAYS_AT_ONCE = 31
SCOPES = 64  # whose statements are kept: to write one takes as long as to run it

Span = tuple[int, int]


class Day(NamedTuple):
    """A local day whose peak is to be made. mark: what stands in its place."""

    start_ms: int
    mark: int


class Used(NamedTuple):
    """From when to when a session used a socket of its compound; None: nobody knows when."""

    compound: str
    span: Span | None


def used_span(started_ms: int | None, ended_ms: int | None, duration_s: int | None) -> Span | None:
    """Of a session; of one whose start never came, as long as it says."""
    if ended_ms is None:
        return None if started_ms is None else (started_ms, started_ms + LONGEST_SESSION_MS)
    begin = ended_ms - (duration_s or 0) * 1000 if started_ms is None else started_ms
    end = min(ended_ms, begin + LONGEST_SESSION_MS)
    return (begin, end) if begin < end else None


def used_of(session: Session) -> Used:
    span = used_span(session.started_at_ms, session.ended_at_ms, session.duration_s)
    return Used(session.compound, span)


# Reading


def peaks_between(
    connection: Connection,
    scope: Scope | None,
    compound: str,
    borders: Sequence[int],
    zone: tzinfo,
) -> list[int]:
    """A compound's between each border and the next; the last one is now at most."""
    found = [0] * (len(borders) - 1)
    ready = _made(connection, scope, compound, borders[0], borders[-1])
    loose: list[list[int]] = []  # stretches that touch, each with the borders in it
    places: list[list[int]] = []
    for n, stretch in enumerate(pairwise(borders)):
        for begin, end, peak in _pieces(stretch, ready, zone):
            if peak is not None:
                found[n] = max(found[n], peak)
            elif loose and loose[-1][-1] == begin:
                loose[-1].append(end)
                places[-1].append(n)
            else:
                loose.append([begin, end])
                places.append([n])
    whole: list[Span] | None = None
    if len(loose) > MOST_STRETCHES:
        whole = spans_of(connection, scope, compound, loose[0][0], loose[-1][-1])
    for some, own in zip(loose, places, strict=True):
        spans = whole
        if spans is None:
            spans = spans_of(connection, scope, compound, some[0], some[-1])
        for n, peak in zip(own, peaks(spans, some), strict=True):
            found[n] = max(found[n], peak)
    return found


def _pieces(
    stretch: Span, ready: Sequence[tuple[int, int]], zone: tzinfo
) -> Iterator[tuple[int, int, int | None]]:
    """The stretch in order: whole days with their peak, and what is between them."""
    at, end = stretch
    for day, peak in ready:
        if day < at:
            continue
        over = next_midnight(day, zone)
        if over > end:
            break
        if at < day:
            yield at, day, None
        yield day, over, peak
        at = over
    if at < end:
        yield at, end, None


def _made(
    connection: Connection, scope: Scope | None, compound: str, from_ms: int, to_ms: int
) -> list[tuple[int, int]]:
    """Days that begin in [from_ms, to_ms) with their peaks, where these are made."""
    asked = {"compound": compound, "from_ms": from_ms, "to_ms": to_ms}
    return [(day, peak) for day, peak in connection.execute(_made_query(scope), asked).all()]


@lru_cache(maxsize=SCOPES)
def _made_query(scope: Scope | None) -> Select[Any]:
    column = usage_units.c
    query = (
        select(column.start_ms, column.peak_ports)
        .where(
            column.compound == bindparam("compound"),
            column.unit == "day",
            column.start_ms >= bindparam("from_ms"),
            column.start_ms < bindparam("to_ms"),
            column.peak_ports >= 0,
        )
        .order_by(column.start_ms)
    )
    return query if scope is None else query.where(scope.holds(column.compound))


def spans_of(
    connection: Connection, scope: Scope | None, compound: str, from_ms: int, to_ms: int
) -> list[Span]:
    """From when to when sockets were used, of sessions with a part in [from_ms, to_ms)."""
    asked = {
        "compound": compound,
        "first_ms": from_ms - LONGEST_SESSION_MS,
        "from_ms": from_ms,
        "to_ms": to_ms,
    }
    rows = connection.execute(_spans_query(scope), asked).all()
    found = (used_span(*row) for row in rows)
    return [span for span in found if span is not None and span[0] < to_ms and span[1] > from_ms]


@lru_cache(maxsize=SCOPES)
def _spans_query(scope: Scope | None) -> CompoundSelect[Any]:
    column = sessions.c
    from_ms: BindParameter[int] = bindparam("from_ms")
    ours = column.compound == bindparam("compound")
    if scope is not None:
        ours = and_(ours, scope.holds(column.compound))
    some = select(column.started_at_ms, column.ended_at_ms, column.duration_s)
    return union_all(  # and not OR, for which SQLite reads all sessions of the compound
        some.where(
            ours,
            column.started_at_ms > bindparam("first_ms"),
            column.started_at_ms < bindparam("to_ms"),
            or_(column.ended_at_ms.is_(None), column.ended_at_ms > from_ms),
        ),
        some.where(ours, column.started_at_ms.is_(None), column.ended_at_ms > from_ms),
    )


def peaks_of_many(
    connection: Connection,
    scope: Scope,
    names: Sequence[str],
    borders: Sequence[int],
    zone: tzinfo,
) -> dict[tuple[str, int], int]:
    """By compound and the border that a stretch begins with: of whole local days alone.

    Where the peak of one of the days is not made, that of the stretch is not known.
    """
    column = usage_units.c
    place = case(
        *((column.start_ms < end, start) for start, end in pairwise(borders)), else_=borders[-1]
    )
    query = (
        select(
            column.compound,
            place.label("start"),
            func.count().label("days"),
            func.min(column.peak_ports),
            func.max(column.peak_ports),
        )
        .where(
            column.compound.in_(names),
            column.unit == "day",
            column.start_ms >= borders[0],
            column.start_ms < borders[-1],
            scope.holds(column.compound),
        )
        .group_by(column.compound, "start")
    )
    days = {start: len(list(days_from(start, end, zone))) for start, end in pairwise(borders)}
    return {
        (compound, start): most
        for compound, start, count, least, most in connection.execute(query)
        if count == days[start] and least >= 0
    }


# Making them


def used_before(connection: Connection, ids: Sequence[str]) -> dict[str, Used]:
    """What is on record of these sessions: to be asked before they are written."""
    column = sessions.c
    found: dict[str, Used] = {}
    for first in range(0, len(ids), SESSIONS_AT_ONCE):
        query = select(
            column.id,
            column.compound,
            column.started_at_ms,
            column.ended_at_ms,
            column.duration_s,
        ).where(column.id.in_(ids[first : first + SESSIONS_AT_ONCE]))
        for row in connection.execute(query):
            found[row.id] = Used(row.compound, used_span(*row[2:]))
    return found


def forget_peaks(
    connection: Connection, before: Mapping[str, Used], after: Mapping[str, Used]
) -> None:
    """Take away the peaks of days that these sessions, by id, change. To be called in the
    transaction that writes them."""
    column = usage_units.c
    changed = sorted(
        {one for id_, used in after.items() for one in _changed(before.get(id_), used)}
    )
    if not changed:
        return
    connection.execute(
        update(usage_units)
        .where(
            column.compound == bindparam("of_compound"),
            column.unit == "day",
            column.start_ms > bindparam("from_ms"),
            column.start_ms < bindparam("to_ms"),
        )
        .values(peak_ports=case((column.peak_ports < 0, column.peak_ports - 1), else_=NOT_MADE)),
        [
            {"of_compound": compound, "from_ms": begin - LONGEST_DAY_MS, "to_ms": end}
            for compound, begin, end in changed
        ],
    )


def _changed(before: Used | None, after: Used) -> Iterator[tuple[str, int, int]]:
    """When a socket was used by only one of both."""
    was = None if before is None or before.compound != after.compound else before.span
    if was is not None and after.span is not None:
        for one, other in zip(was, after.span, strict=True):
            if one != other:
                yield after.compound, min(one, other), max(one, other)
        return
    for used in (before, after):
        if used is not None and used.span is not None:
            yield used.compound, *used.span


def compounds_without(connection: Connection) -> list[str]:
    """Those with days whose peak is to be made."""
    column = usage_units.c
    query = (
        select(column.compound)
        .distinct()
        .where(column.unit == "day", column.peak_ports < 0)
        .order_by(column.compound)
    )
    return list(connection.scalars(query))


def days_without(connection: Connection, compound: str, from_ms: int = 0) -> list[Day]:
    """Days of a month at most whose peak is to be made, with what stands there."""
    column = usage_units.c
    without = and_(
        column.compound == compound,
        column.unit == "day",
        column.peak_ports < 0,
        column.start_ms >= from_ms,
    )
    query = (
        select(column.start_ms, column.peak_ports)
        .where(without)
        .order_by(column.start_ms)
        .limit(DAYS_AT_ONCE)
    )
    days = [Day(*row) for row in connection.execute(query)]
    return [day for day in days if day.start_ms < days[0].start_ms + DAYS_AT_ONCE * DAY_MS]


def work_out(
    connection: Connection, compound: str, days: Sequence[Day], zone: tzinfo
) -> list[dict[str, int]]:
    """The peaks of these days; in the transaction that asked for them."""
    end_ms = next_midnight(days[-1].start_ms, zone)
    spans = spans_of(connection, None, compound, days[0].start_ms, end_ms)
    return [
        {
            "of_day_ms": day.start_ms,
            "was": day.mark,
            "peak": peaks(spans, [day.start_ms, next_midnight(day.start_ms, zone)])[0],
        }
        for day in days
    ]


def write_peaks(connection: Connection, compound: str, rows: Sequence[Mapping[str, int]]) -> int:
    """Set those beside which no session was written meanwhile; the others wait for another turn.

    A row that somebody else is about to change is left to them, so that nobody waits for it.
    """
    column = usage_units.c
    free = (
        select(column.start_ms, column.peak_ports)
        .where(
            column.compound == compound,
            column.unit == "day",
            column.start_ms.in_([row["of_day_ms"] for row in rows]),
        )
        .with_for_update(skip_locked=True)
    )
    there = {row.start_ms: row.peak_ports for row in connection.execute(free)}
    some = [dict(row) for row in rows if there.get(row["of_day_ms"]) == row["was"]]
    if some:
        connection.execute(
            update(usage_units)
            .where(
                column.compound == compound,
                column.unit == "day",
                column.start_ms == bindparam("of_day_ms"),
                column.peak_ports == bindparam("was"),
            )
            .values(peak_ports=bindparam("peak")),
            some,
        )
    return len(some)
