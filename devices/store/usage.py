"""Reads of hourly usage, for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

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
    column = devices.c
    query = select(
        column.no,
        column.kind,
        column.interval_s,
        column.attributes,
        column.commissioned_at_ms,
        column.decommissioned_at_ms,
    ).where(column.compound == compound, scope.holds(column.compound))
    return [Reporter(*row) for row in connection.execute(query)]


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
            column.compound == compound,
            column.hour_ms >= from_ms,
            column.hour_ms < to_ms,
            scope.holds(column.compound),
        )
        .order_by(column.hour_ms)
    )
    if kind is not None:
        query = query.where(column.kind == kind)
    return [
        DeviceHour(*row[:4], figures=figures_of(row.figures, row.metered))
        for row in connection.execute(query)
    ]


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
