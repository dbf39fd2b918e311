"""Reads of hourly usage, for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, bindparam, select

from devices.corrections import Line
from devices.messages import Value
from devices.store.corrections import lines_of
from devices.store.schema import devices, usage_hours
from devices.store.scope import Scope
from devices.usage import Figures, total, whole

_figures = msgspec.msgpack.Decoder(dict[str, float | dict[str, float]])


class DeviceHour(NamedTuple):
    """What a device did in one hour. received: reports that arrived."""

    hour_ms: int
    device_no: int
    kind: str
    received: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Reporter:
    """A device of which reports are expected, from the registry."""

    no: int
    kind: str
    interval_s: int
    attributes: Mapping[str, Value]
    commissioned_at_ms: int | None
    decommissioned_at_ms: int | None


def reporters(connection: Connection, scope: Scope, compound: str) -> list[Reporter]:
    """All devices of a compound, also those that were taken out of service."""
    rows = connection.execute(_reporters_query(scope), {"compound": compound})
    return [Reporter(*row) for row in rows.all()]


@lru_cache(maxsize=64)
def _reporters_query(scope: Scope) -> Select[Any]:
    column = devices.c
    return select(
        column.no,
        column.kind,
        column.interval_s,
        column.attributes,
        column.commissioned_at_ms,
        column.decommissioned_at_ms,
    ).where(column.compound == bindparam("compound"), scope.holds(column.compound))


def device_hours(
    connection: Connection,
    scope: Scope,
    compound: str,
    from_ms: int,
    to_ms: int,
    kind: str | None = None,
) -> list[DeviceHour]:
    """A compound's hours that begin in [from_ms, to_ms), in order. Ask for a few days at a time:

    a compound has some 30 to 100 devices, and a read may hold up the judge's commit. Corrections
    are in them; what one adds to a kind as a whole is an hour of the device NOBODY. kind: of one
    kind alone.
    """
    hours = counted_hours(connection, scope, compound, from_ms, to_ms, kind)
    lines = lines_of(connection, scope, compound, from_ms, to_ms)
    if kind is not None:
        lines = [line for line in lines if line.kind == kind]
    return corrected(hours, lines) if lines else hours


def counted_hours(
    connection: Connection,
    scope: Scope,
    compound: str,
    from_ms: int,
    to_ms: int,
    kind: str | None = None,
) -> list[DeviceHour]:
    """The same without corrections."""
    rows = hour_rows(connection, scope, compound, from_ms, to_ms, kind)
    return [hour_of_row(row) for row in rows]


HourRow = tuple[int, int, str, int, bytes, bytes | None]  # received, figures, metered at its end


def hour_rows(
    connection: Connection,
    scope: Scope,
    compound: str,
    from_ms: int,
    to_ms: int,
    kind: str | None = None,
) -> list[HourRow]:
    """The same as they are on record, in order of hour and device."""
    asked = {"compound": compound, "from_ms": from_ms, "to_ms": to_ms}
    rows = connection.execute(_hour_rows_query(scope, kind), asked).all()
    return [tuple(row) for row in rows]


@lru_cache(maxsize=64)  # it takes as long to write as to run
def _hour_rows_query(scope: Scope, kind: str | None) -> Select[Any]:
    column = usage_hours.c
    query = (
        select(
            column.hour_ms,
            column.device_no,
            column.kind,
            column.received,
            column.figures,
            column.metered,
        )
        .where(
            column.compound == bindparam("compound"),
            column.hour_ms >= bindparam("from_ms"),
            column.hour_ms < bindparam("to_ms"),
            scope.holds(column.compound),
        )
        .order_by(column.hour_ms, column.device_no)
    )
    return query if kind is None else query.where(column.kind == kind)


def hour_of_row(row: HourRow) -> DeviceHour:
    hour_ms, device_no, kind, received, figures, metered = row
    return DeviceHour(hour_ms, device_no, kind, received, figures_of(figures, metered))


def corrected(hours: Iterable[DeviceHour], lines: Iterable[Line]) -> list[DeviceHour]:
    """The hours, in order, with what corrections add to them."""
    found = {(hour.hour_ms, hour.device_no, hour.kind): hour for hour in hours}
    for line in lines:
        key = (line.hour_ms, line.device_no, line.kind)
        was = found.get(key) or DeviceHour(*key, received=0, figures={})
        figures = total((was.figures, line.figures))
        found[key] = was._replace(received=was.received + line.received, figures=figures)
    return [found[key] for key in sorted(found)]


def figures_of(figures: bytes, metered: bytes | None) -> Figures:
    """The figures of an hour, from its row."""
    again = None if metered is None else _figures.decode(metered)
    return whole(_figures.decode(figures), again)
