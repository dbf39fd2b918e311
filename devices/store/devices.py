"""Reads of devices for people: registry entry, state with its evidence, latest values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, false, func, or_, select

from devices.messages import Value
from devices.store.compounds import in_service
from devices.store.schema import LIVE, compounds, device_state, devices, faults
from devices.store.scope import Scope

_latest = msgspec.msgpack.Decoder(dict[str, tuple[Value, int]])

OPEN_STATES = ("open", "acknowledged", "cleared")


@dataclass(frozen=True, slots=True)
class Standing:
    """A device and how it stands; instants are UTC epoch ms.

    state: online, offline, unknown or never_seen, with its reason and since when. last_seen_ms:
    our clock at its last sign of life; device_at_ms: its own clock then. latest: quantity ->
    (value, event time). open_faults: faults that are not closed.
    """

    no: int
    id: str
    kind: str
    compound: str
    parent: str | None
    circuit: str | None
    name: str
    building: str
    unit: str
    protocol: str
    external_id: str
    vendor: str
    model: str
    interval_s: int
    attributes: Mapping[str, Value]
    commissioned_at_ms: int | None
    decommissioned_at_ms: int | None
    state: str
    reason: str | None
    since_ms: int | None
    last_seen_ms: int | None
    device_at_ms: int | None
    latest: Mapping[str, tuple[Value, int]]
    open_faults: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which devices are asked for; None leaves a question open."""

    compound: str | None = None
    kind: str | None = None
    state: str | None = None
    firm: str | None = None
    parent: str | None = None


def compounds_of(
    connection: Connection, scope: Scope, ids: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Compound and kind of the devices with these ids, as far as they are in scope."""
    query = select(devices.c.id, devices.c.compound, devices.c.kind).where(
        devices.c.id.in_(ids), scope.holds(devices.c.compound)
    )
    return {row.id: (row.compound, row.kind) for row in connection.execute(query)}


def list_devices(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    blind: bool,
    now_ms: int,
    after: str | None = None,
    limit: int = 100,
) -> list[Standing]:
    """Devices in service, in order of id, beginning behind the id `after`.

    blind: the judge stands still, so what it called online is unknown.
    """
    query = (
        _standing()
        .where(scope.holds(devices.c.compound), in_service(now_ms))
        .order_by(devices.c.id)
        .limit(limit)
    )
    if wanted.compound is not None:
        query = query.where(devices.c.compound == wanted.compound)
    if wanted.kind is not None:
        query = query.where(devices.c.kind == wanted.kind)
    if wanted.firm is not None:
        query = query.where(
            devices.c.compound.in_(select(compounds.c.id).where(compounds.c.firm == wanted.firm))
        )
    if wanted.parent is not None:
        query = query.where(devices.c.parent == wanted.parent)
    if wanted.state is not None:
        query = query.where(_in_state(wanted.state, blind))
    if after is not None:
        query = query.where(devices.c.id > after)
    return _finish(connection, connection.execute(query).all(), blind)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a search: of a device's name, place or numbers, or of one of these compounds."""

    text: str
    compounds: frozenset[str] = frozenset()


def search_devices(
    connection: Connection,
    scope: Scope,
    words: Sequence[Word],
    *,
    blind: bool,
    now_ms: int,
    after: str | None = None,
    limit: int = 100,
) -> list[Standing]:
    """Devices in service that each of these words fits, in order of id, behind the id `after`."""
    query = (
        _standing()
        .where(scope.holds(devices.c.compound), in_service(now_ms))
        .where(*(_fits(word) for word in words))
        .order_by(devices.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(devices.c.id > after)
    return _finish(connection, connection.execute(query).all(), blind)


def find_device(
    connection: Connection, scope: Scope, device: str, *, blind: bool
) -> Standing | None:
    """One device, also one that was taken out of service; None outside the scope."""
    query = _standing().where(devices.c.id == device, scope.holds(devices.c.compound))
    found = _finish(connection, connection.execute(query).all(), blind)
    return found[0] if found else None


def device_names(
    connection: Connection, scope: Scope, ids: Collection[str]
) -> dict[str, tuple[str, str, str]]:
    """Device id -> (name, building, unit); without those outside the scope."""
    query = select(devices.c.id, devices.c.name, devices.c.building, devices.c.unit).where(
        devices.c.id.in_(ids), scope.holds(devices.c.compound)
    )
    return {row.id: (row.name, row.building, row.unit) for row in connection.execute(query)}


def shown_state(state: str, reason: str | None, blind: bool) -> tuple[str, str | None]:
    """A state as it can be answered for: what a judge that stands still called online is unknown.

    Offline stays: it was seen with evidence.
    """
    if blind and state == "online":
        return "unknown", "platform_down"
    return state, reason


def _standing() -> Select[Any]:
    state = device_state.c
    joined = devices.outerjoin(
        device_state, (state.device_no == devices.c.no) & (state.stream == LIVE)
    )
    return select(
        devices,
        func.coalesce(state.state, "never_seen").label("state"),
        state.reason,
        state.since_ms,
        state.last_seen_ms,
        state.device_at_ms,
        state.latest,
    ).select_from(joined)


def _in_state(state: str, blind: bool) -> ColumnElement[bool]:
    column = func.coalesce(device_state.c.state, "never_seen")
    if not blind:
        return column == state
    if state == "online":
        return false()
    return column.in_(("unknown", "online")) if state == "unknown" else column == state


def _fits(word: Word) -> ColumnElement[bool]:
    column = devices.c
    said = (column.id, column.name, column.building, column.unit, column.external_id)
    ways: list[ColumnElement[bool]] = [
        field.icontains(word.text, autoescape=True) for field in said
    ]
    if word.compounds:
        ways.append(column.compound.in_(word.compounds))
    return or_(*ways)


def _finish(connection: Connection, rows: Collection[Row[Any]], blind: bool) -> list[Standing]:
    open_faults = _open_faults(connection, [row.id for row in rows])
    return [_one(row, open_faults.get(row.id, 0), blind) for row in rows]


def _one(row: Row[Any], open_faults: int, blind: bool) -> Standing:
    state, reason = shown_state(row.state, row.reason, blind)
    return Standing(
        row.no,
        row.id,
        row.kind,
        row.compound,
        row.parent,
        row.circuit,
        row.name,
        row.building,
        row.unit,
        row.protocol,
        row.external_id,
        row.vendor,
        row.model,
        row.interval_s,
        row.attributes,
        row.commissioned_at_ms,
        row.decommissioned_at_ms,
        state,
        reason,
        row.since_ms,
        row.last_seen_ms,
        row.device_at_ms,
        _latest.decode(row.latest) if row.latest else {},
        open_faults,
    )


def _open_faults(connection: Connection, ids: list[str]) -> dict[str, int]:
    if not ids:
        return {}
    counted = (
        select(faults.c.device, func.count())
        .where(faults.c.device.in_(ids), faults.c.state.in_(OPEN_STATES), faults.c.stream == LIVE)
        .group_by(faults.c.device)
    )
    return {device: count for device, count in connection.execute(counted) if device is not None}
