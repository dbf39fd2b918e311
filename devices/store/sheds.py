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
            devices.c.attributes["port_no"].as_integer(),
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
    sheds: dict[str, Shed] = {}
    sockets: list[tuple[str | None, Socket]] = []
    # Unpacked at once: by its name each member of a row costs a microsecond, and there are 19,000.
    for device, kind, compound, parent, name, port_no, interval_s, *standing in connection.execute(
        query
    ):
        known, why, since_ms, said = standing
        shown, reason = shown_state(known or "never_seen", why, blind)
        latest = _latest.decode(said) if said else {}
        if kind == "shed":
            sheds[device] = Shed(
                device, name, compound, shown, reason, since_ms, latest, interval_s,
                worst.get(device),
            )  # fmt: skip
        else:
            socket = Socket(
                device, name, port_no or 0, shown, latest, interval_s, worst.get(device)
            )
            sockets.append((parent, socket))
    for parent, socket in sockets:
        if parent in sheds:
            sheds[parent].sockets.append(socket)
    for shed in sheds.values():
        shed.sockets.sort(key=lambda socket: (socket.port_no, socket.id))
    return list(sheds.values())


def _worst(connection: Connection, scope: Scope) -> dict[str, OpenFault]:
    """Device -> the worst that is certain and stands by itself, the oldest of several."""
    column = faults.c
    # Suppressed ones are left out here: asked for NULL, SQLite would rather walk through the index
    # of roots, in which all that ever stood by itself is (4 ms for a year).
    query = select(
        column.severity, column.since_ms, column.id, column.code, column.device,
        column.suppressed_by,
    ).where(
        column.state.in_(OPEN_STATES),
        column.kind.in_(("shed", "port")),
        column.stream == LIVE,
        column.suspected.is_(False),
        scope.holds(column.compound),
    )  # fmt: skip
    worst: dict[str, OpenFault] = {}
    found = [tuple(row) for row in connection.execute(query)]
    for severity, since_ms, fault, code, device, root in sorted(found, key=lambda row: row[:3]):
        if device is not None and root is None:
            worst.setdefault(device, OpenFault(fault, code, severity, since_ms))
    return worst
