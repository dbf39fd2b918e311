"""Reads of charging sessions for people."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, literal, select, tuple_

from devices.reconciliation import Measured
from devices.sessions import EndedBy, Session, SessionState
from devices.store.schema import LIVE, device_state, devices, sessions
from devices.store.scope import Scope


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions of a compound are asked for. from/to: of when it started, where known."""

    compound: str
    port: str | None = None
    shed: str | None = None
    state: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def list_sessions(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    before: tuple[int | None, str] | None = None,
    limit: int = 100,
) -> list[Session]:
    """Sessions, the newest start first; those whose start is unknown come last.

    before: (started_at_ms, id) of the last one on the page before.
    """
    column = sessions.c
    query = select(sessions).where(column.compound == wanted.compound, scope.holds(column.compound))
    for where, value in (
        (column.port, wanted.port),
        (column.shed, wanted.shed),
        (column.state, wanted.state),
    ):
        if value is not None:
            query = query.where(where == value)
    found: list[Session] = []
    # Asked for one after the other: with both in one order, PostgreSQL sorts a year for each page.
    if before is None or before[0] is not None:
        known = query.where(column.started_at_ms.is_not(None))
        if wanted.from_ms is not None:
            known = known.where(column.started_at_ms >= wanted.from_ms)
        if wanted.to_ms is not None:
            known = known.where(column.started_at_ms < wanted.to_ms)
        order = (column.started_at_ms, column.id)
        if before is not None:
            known = known.where(tuple_(*order) < tuple_(*(literal(value) for value in before)))
        known = known.order_by(*(one.desc() for one in order)).limit(limit)
        found = [session_of(row) for row in connection.execute(known)]
    if len(found) < limit and wanted.from_ms is None and wanted.to_ms is None:
        unknown = query.where(column.started_at_ms.is_(None))
        if before is not None and before[0] is None:
            unknown = unknown.where(column.id < before[1])
        unknown = unknown.order_by(column.id.desc()).limit(limit - len(found))
        found += [session_of(row) for row in connection.execute(unknown)]
    return found


def find_session(connection: Connection, scope: Scope, session: str) -> Session | None:
    """One session; None outside the scope."""
    query = select(sessions).where(sessions.c.id == session, scope.holds(sessions.c.compound))
    row = connection.execute(query).one_or_none()
    return None if row is None else session_of(row)


def silent_ports(connection: Connection, ports: Iterable[str], now_ms: int) -> set[str]:
    """Those of which nothing was heard for three of their intervals."""
    column = device_state.c
    asked = set(ports)
    if not asked:
        return set()
    query = (
        select(devices.c.id, devices.c.interval_s, column.device_at_ms)
        .join(device_state, devices.c.no == column.device_no)
        .where(devices.c.id.in_(asked), column.stream == LIVE)
    )
    heard = {
        port
        for port, interval_s, at_ms in connection.execute(query)
        if at_ms is not None and now_ms - at_ms <= 3 * interval_s * 1000
    }
    return asked - heard


def session_of(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        compound=row.compound,
        shed=row.shed,
        port=row.port,
        order=row.order,
        state=SessionState(row.state),
        started_at_ms=row.started_at_ms,
        ended_at_ms=row.ended_at_ms,
        duration_s=row.duration_s,
        energy_kwh=row.energy_kwh,
        fee_fen=row.fee_fen,
        stop_reason=row.stop_reason,
        native_reason=row.native_reason,
        ended_by=None if row.ended_by is None else EndedBy(row.ended_by),
        provisional=row.provisional,
        measured=None
        if row.power_known is None
        else Measured(row.register_kwh, row.register_known, row.power_kwh, row.power_known),
    )


def measured_row(measured: Measured | None) -> dict[str, float | None]:
    """Its columns, all of them null where nothing is worked out."""
    return {
        "register_kwh": None if measured is None else measured.register_kwh,
        "register_known": None if measured is None else measured.register_known,
        "power_kwh": None if measured is None else measured.power_kwh,
        "power_known": None if measured is None else measured.power_known,
    }


def session_around(
    connection: Connection, scope: Scope, port: str, at_ms: int, apart_ms: int = 120_000
) -> Session | None:
    """The session of a port that ran at that time, or ended within apart_ms before it.

    A stop that shows a fault is often told a moment before the fault begins.
    """
    column = sessions.c
    query = (
        select(sessions)
        .where(
            column.port == port,
            scope.holds(column.compound),
            column.started_at_ms <= at_ms + apart_ms,
        )
        .order_by(column.started_at_ms.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    found = session_of(row)
    ended_ms = found.ended_at_ms
    return found if ended_ms is None or ended_ms >= at_ms - apart_ms else None
