"""All sheds of a scope with their sockets as they are now, for the board of charging.

Prepared rows only: what it costs grows with how many sockets there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, select

from devices.messages import Value
from devices.store.compounds import in_service
from devices.store.devices import shown_state
from devices.store.faults import OPEN_STATES
from devices.store.schema import LIVE, device_state, devices, faults
from devices.store.scope import Scope

Latest = Mapping[str, tuple[Value, int]]

_latest = msgspec.msgpack.Decoder(dict[str, tuple[Value, int]])


@dataclass(frozen=True, slots=True)
class OpenFault:
    """One that stands and that nothing else explains. since_ms: when its condition began."""

    id: str
    code: str
    severity: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Socket:
    """state: online, offline, unknown, never_seen. worst: its worst open fault."""

    id: str
    name: str
    port_no: int
    state: str
    latest: Latest
    interval_s: int
    worst: OpenFault | None


@dataclass(slots=True)
class Shed:
    """A shed and its sockets, in the order of their numbers."""

    id: str
    name: str
    compound: str
    state: str
    reason: str | None
    since_ms: int | None
    latest: Latest
    interval_s: int
    worst: OpenFault | None
    sockets: list[Socket] = field(default_factory=list)


def read_sheds(connection: Connection, scope: Scope, *, blind: bool, now_ms: int) -> list[Shed]:
    """In order of id. blind: the judge stands still, so what it called online is unknown."""
    worst = _worst(connection, scope)
    state = device_state.c
    query = (
        select(
            devices.c.id,
            devices.c.kind,
            devices.c.compound,
            devices.c.parent,
            devices.c.name,
            devices.c.attributes,
            devices.c.interval_s,
            state.state,
            state.reason,
            state.since_ms,
            state.latest,
        )
        .select_from(
            devices.outerjoin(
                device_state, (state.device_no == devices.c.no) & (state.stream == LIVE)
            )
        )
        .where(
            devices.c.kind.in_(("shed", "port")),
            scope.holds(devices.c.compound),
            in_service(now_ms),
        )
        .order_by(devices.c.id)
    )
    rows = connection.execute(query).all()
    sheds: dict[str, Shed] = {}
    for row in rows:
        if row.kind == "shed":
            shown, reason = shown_state(row.state or "never_seen", row.reason, blind)
            sheds[row.id] = Shed(
                row.id, row.name, row.compound, shown, reason, row.since_ms, _said(row.latest),
                row.interval_s, worst.get(row.id),
            )  # fmt: skip
    for row in rows:
        shed = sheds.get(row.parent or "") if row.kind == "port" else None
        if shed is not None:
            shown, _ = shown_state(row.state or "never_seen", row.reason, blind)
            port_no = row.attributes.get("port_no")
            shed.sockets.append(
                Socket(
                    row.id, row.name, port_no if isinstance(port_no, int) else 0, shown,
                    _said(row.latest), row.interval_s, worst.get(row.id),
                )
            )  # fmt: skip
    for shed in sheds.values():
        shed.sockets.sort(key=lambda socket: (socket.port_no, socket.id))
    return list(sheds.values())


def _said(latest: bytes | None) -> Latest:
    return _latest.decode(latest) if latest else {}


def _worst(connection: Connection, scope: Scope) -> dict[str, OpenFault]:
    """Device -> the worst that is certain and stands by itself, the oldest of several."""
    column = faults.c
    query = (
        select(column.device, column.id, column.code, column.severity, column.since_ms)
        .where(
            column.state.in_(OPEN_STATES),
            column.kind.in_(("shed", "port")),
            column.stream == LIVE,
            column.suppressed_by.is_(None),
            column.suspected.is_(False),
            scope.holds(column.compound),
        )
        .order_by(column.severity, column.since_ms)
    )
    worst: dict[str, OpenFault] = {}
    for row in connection.execute(query):
        if row.device is not None:
            worst.setdefault(row.device, OpenFault(row.id, row.code, row.severity, row.since_ms))
    return worst
