"""Rows of corrections: written once, and read with every usage.

What makes one is in `devices.store.correcting`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, func, select

from devices.corrections import Line, Way
from devices.store.database import conflict_insert
from devices.store.schema import compounds, usage_corrections
from devices.store.scope import Scope
from devices.usage import HOUR_MS

LONGEST_DAY_MS = 25 * HOUR_MS  # one that has its clocks put back
AT_ONCE = 500

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Line]).decode


@dataclass(frozen=True, slots=True)
class Correction:
    """What was added to the usage of a day, why, by whom and when.

    revision: of that day of that compound, from 1 on. device: None for a kind as a whole, and for a
    recount. stated: by kind the figures by the names that people use, and what is added to them.
    corrects: the one that was wrong.
    """

    id: str
    compound: str
    day_ms: int
    revision: int
    way: Way
    kinds: tuple[str, ...]
    device: str | None
    from_ms: int
    to_ms: int
    stated: Mapping[str, Mapping[str, float]]
    reason: str
    corrects: str | None
    created_by: str
    created_at_ms: int


class Mark(NamedTuple):
    """That something was corrected, and when that was done: of these kinds in [from_ms, to_ms)."""

    compound: str
    from_ms: int
    to_ms: int
    kinds: tuple[str, ...]
    created_at_ms: int


class RevisionTaken(Exception):
    """Somebody else corrected the same day at this moment, or since it was looked at."""


class UnknownCorrection(LookupError):
    """There is none with this id, or it is outside the scope."""


_MEMBERS = [column for column in usage_corrections.c if column.name != "lines"]


def add_correction(connection: Connection, new: Correction, lines: Sequence[Line]) -> None:
    """Record it. Raises RevisionTaken if this revision of the day is there already."""
    row = {
        "compound": new.compound,
        "day_ms": new.day_ms,
        "revision": new.revision,
        "id": new.id,
        "way": new.way.value,
        "kinds": list(new.kinds),
        "device": new.device,
        "from_ms": new.from_ms,
        "to_ms": new.to_ms,
        "stated": dict(new.stated),
        "reason": new.reason,
        "corrects": new.corrects,
        "created_by": new.created_by,
        "created_at_ms": new.created_at_ms,
        "lines": _pack(list(lines)),
    }
    made = conflict_insert(connection, usage_corrections).values(row).on_conflict_do_nothing()
    if connection.execute(made.returning(usage_corrections.c.revision)).first() is None:
        raise RevisionTaken(f"{new.compound}: revision {new.revision} of this day is there already")


def newest_revision(connection: Connection, compound: str, day_ms: int) -> int:
    """How often this day was corrected."""
    column = usage_corrections.c
    query = select(func.max(column.revision)).where(
        column.compound == compound, column.day_ms == day_ms
    )
    return connection.execute(query).scalar() or 0


def lines_of(
    connection: Connection,
    scope: Scope,
    compound: str,
    from_ms: int,
    to_ms: int,
    way: Way | None = None,
) -> list[Line]:
    """What is added to the compound's hours that begin in [from_ms, to_ms); by one way only."""
    asked = {"compound": compound, "from_ms": from_ms, "to_ms": to_ms}
    query = _lines_query(scope)
    if way is not None:
        query = query.where(usage_corrections.c.way == way.value)
    return [
        line
        for packed in connection.scalars(query, asked)
        for line in _unpack(packed)
        if from_ms <= line.hour_ms < to_ms
    ]


@lru_cache(maxsize=64)  # it takes as long to write as to run, and is asked with all usage
def _lines_query(scope: Scope) -> Select[Any]:
    column = usage_corrections.c
    from_ms: BindParameter[int] = bindparam("from_ms")
    to_ms: BindParameter[int] = bindparam("to_ms")
    return (
        select(column.lines)
        .where(
            column.compound == bindparam("compound"),
            column.day_ms > from_ms - LONGEST_DAY_MS,
            column.day_ms < to_ms,
            column.to_ms > from_ms,
            column.from_ms < to_ms,
            scope.holds(column.compound),
        )
        .order_by(column.day_ms, column.revision)
    )


def marks(
    connection: Connection, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int
) -> list[Mark]:
    """What was corrected of these compounds in [from_ms, to_ms)."""
    column = usage_corrections.c
    found: list[Mark] = []
    for start in range(0, len(names), AT_ONCE):
        query = select(
            column.compound, column.from_ms, column.to_ms, column.kinds, column.created_at_ms
        ).where(
            column.compound.in_(names[start : start + AT_ONCE]),
            column.day_ms > from_ms - LONGEST_DAY_MS,
            column.day_ms < to_ms,
            column.to_ms > from_ms,
            column.from_ms < to_ms,
            scope.holds(column.compound),
        )
        found += (
            Mark(row.compound, row.from_ms, row.to_ms, tuple(row.kinds), row.created_at_ms)
            for row in connection.execute(query)
        )
    return found


def find_correction(connection: Connection, scope: Scope, correction: str) -> Correction:
    """One of them; raises UnknownCorrection, also outside the scope."""
    column = usage_corrections.c
    query = select(*_MEMBERS).where(column.id == correction, scope.holds(column.compound))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownCorrection(correction)
    return _correction_of(row)


def list_corrections(
    connection: Connection,
    scope: Scope,
    *,
    compound: str | None = None,
    firm: str | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
    before: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Correction]:
    """Corrections of days that begin in [from_ms, to_ms), the newest first.

    before: (created_at_ms, id) of the last one on the page before.
    """
    column = usage_corrections.c
    query = select(*_MEMBERS).where(scope.holds(column.compound))
    if compound is not None:
        query = query.where(column.compound == compound)
    if firm is not None:
        query = query.where(
            column.compound.in_(select(compounds.c.id).where(compounds.c.firm == firm))
        )
    if from_ms is not None:
        query = query.where(column.day_ms >= from_ms)
    if to_ms is not None:
        query = query.where(column.day_ms < to_ms)
    if before is not None:
        at_ms, id_ = before
        query = query.where(
            (column.created_at_ms < at_ms) | ((column.created_at_ms == at_ms) & (column.id < id_))
        )
    query = query.order_by(column.created_at_ms.desc(), column.id.desc()).limit(limit)
    return [_correction_of(row) for row in connection.execute(query)]


def corrections_of(
    connection: Connection, scope: Scope, names: Sequence[str], from_ms: int, to_ms: int
) -> Iterator[Correction]:
    """All corrections of days of these compounds that begin in [from_ms, to_ms)."""
    column = usage_corrections.c
    for start in range(0, len(names), AT_ONCE):
        query = (
            select(*_MEMBERS)
            .where(
                column.compound.in_(names[start : start + AT_ONCE]),
                column.day_ms >= from_ms,
                column.day_ms < to_ms,
                scope.holds(column.compound),
            )
            .order_by(column.compound, column.day_ms, column.revision)
        )
        yield from (_correction_of(row) for row in connection.execute(query))


def each_line(connection: Connection, correction: str) -> Iterator[Line]:
    """What it adds to which hour."""
    query = select(usage_corrections.c.lines).where(usage_corrections.c.id == correction)
    for packed in connection.scalars(query):
        yield from _unpack(packed)


def _correction_of(row: Row[Any]) -> Correction:
    return Correction(
        id=row.id,
        compound=row.compound,
        day_ms=row.day_ms,
        revision=row.revision,
        way=Way(row.way),
        kinds=tuple(row.kinds),
        device=row.device,
        from_ms=row.from_ms,
        to_ms=row.to_ms,
        stated=row.stated,
        reason=row.reason,
        corrects=row.corrects,
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
    )
