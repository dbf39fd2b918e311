"""Maintenance windows as people make and end them; each of that is a revision for the judge."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from devices.maintenance import STANDING_AT_MOST, Phase, Window
from devices.store.registry import add_revision
from devices.store.schema import compounds, maintenance
from devices.store.scope import Scope

MAINTENANCE = "maintenance"  # what such revisions are about


class UnknownWindow(LookupError):
    """No such window in this scope."""


class WindowOver(Exception):
    """It is over already, so it cannot be ended."""


class TooManyWindows(Exception):
    """So many are planned or active that no other can be made."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which windows are asked for; None leaves a question open."""

    compound: str | None = None
    firm: str | None = None
    phase: Phase | None = None


def add_window(connection: Connection, window: Window) -> None:
    """Make it. Raises TooManyWindows; does not commit."""
    column = maintenance.c
    standing = select(func.count()).where(
        column.ends_at_ms > window.created_at_ms, column.ended_at_ms.is_(None)
    )
    if connection.execute(standing).scalar_one() >= STANDING_AT_MOST:
        raise TooManyWindows(f"{STANDING_AT_MOST} windows are planned or active: end some of them")
    row = asdict(window) | {"devices": list(window.devices), "codes": list(window.codes)}
    connection.execute(insert(maintenance).values(row))
    add_revision(connection, MAINTENANCE, window.id, row, window.created_at_ms)


def end_window(
    connection: Connection, scope: Scope, window: str, actor: str, now_ms: int
) -> Window:
    """End it now, or call it off. Raises UnknownWindow, WindowOver; does not commit."""
    found = find_window(connection, scope, window)
    ended = connection.execute(
        update(maintenance)
        .where(
            maintenance.c.id == window,
            maintenance.c.ended_at_ms.is_(None),
            maintenance.c.ends_at_ms > now_ms,
        )
        .values(ended_at_ms=now_ms)
    )
    if ended.rowcount != 1:
        raise WindowOver(f"maintenance window {found.id} is over already")
    add_revision(connection, MAINTENANCE, window, {"ended_at_ms": now_ms, "by": actor}, now_ms)
    return find_window(connection, scope, window)


def find_window(connection: Connection, scope: Scope, window: str) -> Window:
    """One window; raises UnknownWindow, also outside the scope."""
    query = select(maintenance).where(
        maintenance.c.id == window, scope.holds(maintenance.c.compound)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownWindow(window)
    return window_of(row)


def list_windows(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    now_ms: int,
    before: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Window]:
    """Windows, the one that was to last longest first.

    before: (ends_at_ms, id) of the last one on the page before.
    """
    order = (maintenance.c.ends_at_ms, maintenance.c.id)
    query = (
        _matching(scope, wanted, now_ms).order_by(*(column.desc() for column in order)).limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(*order) < tuple_(*(literal(value) for value in before)))
    return [window_of(row) for row in connection.execute(query)]


def windows_between(
    connection: Connection,
    scope: Scope,
    from_ms: int,
    to_ms: int,
    *,
    compound: str | None = None,
    limit: int = 500,
) -> list[Window]:
    """Those that held, hold or will hold at some time of [from_ms, to_ms), by their beginning."""
    column = maintenance.c
    query = (
        select(maintenance)
        .where(
            scope.holds(column.compound),
            column.starts_at_ms < to_ms,
            column.ends_at_ms > from_ms,
            or_(
                column.ended_at_ms.is_(None),
                # one that was called off before it began held nothing
                and_(column.ended_at_ms > from_ms, column.ended_at_ms > column.starts_at_ms),
            ),
        )
        .order_by(column.starts_at_ms, column.id)
        .limit(limit)
    )
    if compound is not None:
        query = query.where(column.compound == compound)
    return [window_of(row) for row in connection.execute(query)]


def standing_windows(connection: Connection, now_ms: int) -> list[Window]:
    """All that are not over at `now_ms`, for the judge, in the order of their ids."""
    column = maintenance.c
    query = (
        select(maintenance)
        .where(
            column.ends_at_ms > now_ms,
            or_(column.ended_at_ms.is_(None), column.ended_at_ms > now_ms),
        )
        .order_by(column.id)
    )
    return [window_of(row) for row in connection.execute(query)]


def _matching(scope: Scope, wanted: Filter, now_ms: int) -> Select[Any]:
    column = maintenance.c
    query = select(maintenance).where(scope.holds(column.compound))
    if wanted.compound is not None:
        query = query.where(column.compound == wanted.compound)
    if wanted.firm is not None:
        query = query.where(
            column.compound.in_(select(compounds.c.id).where(compounds.c.firm == wanted.firm))
        )
    lasts = (column.ends_at_ms > now_ms) & column.ended_at_ms.is_(None)
    match wanted.phase:
        case Phase.PLANNED:
            query = query.where(lasts, column.starts_at_ms > now_ms)
        case Phase.ACTIVE:
            query = query.where(lasts, column.starts_at_ms <= now_ms)
        case Phase.OVER:
            query = query.where(~lasts)
    return query


def window_of(row: Row[Any]) -> Window:
    """A row of `maintenance`."""
    return Window(
        id=row.id,
        compound=row.compound,
        kind=row.kind,
        devices=tuple(row.devices or ()),
        codes=tuple(row.codes or ()),
        starts_at_ms=row.starts_at_ms,
        ends_at_ms=row.ends_at_ms,
        reason=row.reason,
        owner=row.owner,
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
        ended_at_ms=row.ended_at_ms,
    )
