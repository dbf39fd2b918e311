"""Targets and routes, as people make them. Addresses and secrets are read by `alerts` alone."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from devices.alerts import (
    ROUTES_AT_MOST,
    TARGETS_AT_MOST,
    ChannelName,
    Directory,
    Language,
    Route,
    Target,
)
from devices.calendars import Hours
from devices.rules import Severity
from devices.store.holidays import calendar
from devices.store.rosters import TooMany as TooMany
from devices.store.rosters import forget_target, staff
from devices.store.schema import people, rosters, routes, targets
from devices.store.scope import Scope


class UnknownTarget(LookupError):
    """No such target in this scope."""


class UnknownRoute(LookupError):
    """No such route in this scope."""


def directory(connection: Connection, at_ms: int = 0) -> Directory:
    """For whoever decides who is told at that time: without stand-ins that were over before."""
    found = {
        row.id: target_of(row)
        for row in connection.execute(select(targets).where(targets.c.deleted_at_ms.is_(None)))
    }
    made = (
        select(routes)
        .where(routes.c.deleted_at_ms.is_(None))
        .order_by(routes.c.created_at_ms, routes.c.id)
    )
    there = staff(connection, at_ms)
    return Directory(
        found,
        tuple(route_of(row) for row in connection.execute(made)),
        there.people,
        there.rosters,
        there.stand_ins,
        calendar(connection),
    )


def add_target(connection: Connection, target: Target) -> None:
    """Make it. Raises TooMany; does not commit."""
    standing = select(func.count()).where(targets.c.deleted_at_ms.is_(None))
    if connection.execute(standing).scalar_one() >= TARGETS_AT_MOST:
        raise TooMany(f"there are {TARGETS_AT_MOST} targets: delete some of them")
    connection.execute(
        insert(targets).values(
            id=target.id,
            firm=target.firm,
            name=target.name,
            channel=target.channel.value,
            url=target.url,
            secrets=list(target.secrets),
            language=target.language.value,
            created_by=target.created_by,
            created_at_ms=target.created_at_ms,
        )
    )


def change_target(connection: Connection, scope: Scope, target: str, changes: Target) -> Target:
    """Give it this name, address, secrets and language; it is tried again at once.

    Raises UnknownTarget; does not commit.
    """
    changed = connection.execute(
        update(targets)
        .where(targets.c.id == target, targets.c.deleted_at_ms.is_(None), _in(scope))
        .values(
            name=changes.name,
            url=changes.url,
            secrets=list(changes.secrets),
            language=changes.language.value,
            broken=None,
            broken_at_ms=None,
            failures=0,
            not_before_ms=0,
        )
    )
    if changed.rowcount != 1:
        raise UnknownTarget(target)
    return find_target(connection, scope, target)


def mend_target(connection: Connection, target: str) -> None:
    """It took a message: what waits for it is tried again at once."""
    connection.execute(
        update(targets)
        .where(targets.c.id == target)
        .values(broken=None, broken_at_ms=None, failures=0, not_before_ms=0)
    )


def delete_target(connection: Connection, scope: Scope, target: str, now_ms: int) -> None:
    """Nothing is sent there any more; its deliveries stay on record. Raises UnknownTarget."""
    find_target(connection, scope, target)
    connection.execute(
        update(targets)
        .where(targets.c.id == target)
        .values(deleted_at_ms=now_ms, url="", secrets=[])
    )
    connection.execute(
        update(routes)
        .where(routes.c.target == target, routes.c.deleted_at_ms.is_(None))
        .values(deleted_at_ms=now_ms)
    )
    forget_target(connection, target)


def find_target(connection: Connection, scope: Scope, target: str) -> Target:
    """One that stands; raises UnknownTarget, also outside the scope."""
    query = select(targets).where(
        targets.c.id == target, targets.c.deleted_at_ms.is_(None), _in(scope)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownTarget(target)
    return target_of(row)


def list_targets(
    connection: Connection, scope: Scope, *, behind: tuple[str, str] | None = None, limit: int = 100
) -> list[Target]:
    """Those that stand, by name. behind: (name, id) of the last one on the page before."""
    column = targets.c
    query = (
        select(targets)
        .where(column.deleted_at_ms.is_(None), _in(scope))
        .order_by(column.name, column.id)
        .limit(limit)
    )
    if behind is not None:
        name, target = behind
        query = query.where(or_(column.name > name, (column.name == name) & (column.id > target)))
    return [target_of(row) for row in connection.execute(query)]


def add_route(connection: Connection, route: Route) -> None:
    """Make it. Raises TooMany; does not commit."""
    standing = select(func.count()).where(routes.c.deleted_at_ms.is_(None))
    if connection.execute(standing).scalar_one() >= ROUTES_AT_MOST:
        raise TooMany(f"there are {ROUTES_AT_MOST} routes: delete some of them")
    connection.execute(
        insert(routes).values(
            id=route.id,
            target=route.target,
            person=route.person,
            roster=route.roster,
            hours=None if route.hours is None else _hours_row(route.hours),
            firm=route.firm,
            compound=route.compound,
            kind=route.kind,
            code=route.code,
            severities=[one.value for one in route.severities],
            created_by=route.created_by,
            created_at_ms=route.created_at_ms,
        )
    )


def delete_route(connection: Connection, scope: Scope, route: str, now_ms: int) -> None:
    """It leads nowhere any more. Raises UnknownRoute."""
    find_route(connection, scope, route)
    connection.execute(update(routes).where(routes.c.id == route).values(deleted_at_ms=now_ms))


def find_route(connection: Connection, scope: Scope, route: str) -> Route:
    """One that stands, to somebody in scope; raises UnknownRoute."""
    row = connection.execute(_to_those_in(scope).where(routes.c.id == route)).one_or_none()
    if row is None:
        raise UnknownRoute(route)
    return route_of(row)


def list_routes(
    connection: Connection,
    scope: Scope,
    *,
    target: str | None = None,
    person: str | None = None,
    roster: str | None = None,
    behind: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Route]:
    """Those that stand, in the order in which they were made.

    behind: (created_at_ms, id) of the last one on the page before.
    """
    column = routes.c
    query = _to_those_in(scope).order_by(column.created_at_ms, column.id).limit(limit)
    for led_to, wanted in (
        (column.target, target),
        (column.person, person),
        (column.roster, roster),
    ):
        if wanted is not None:
            query = query.where(led_to == wanted)
    if behind is not None:
        at_ms, route = behind
        query = query.where(
            or_(
                column.created_at_ms > at_ms,
                (column.created_at_ms == at_ms) & (column.id > route),
            )
        )
    return [route_of(row) for row in connection.execute(query)]


def _in(scope: Scope) -> ColumnElement[bool]:
    """A firm sees its own targets; the district all of them."""
    return true() if scope.firm is None else targets.c.firm == scope.firm


def _to_those_in(scope: Scope) -> Select[Any]:
    """Routes that stand, to targets, people and rosters in scope."""
    column = routes.c
    firm = func.coalesce(targets.c.firm, people.c.firm, rosters.c.firm)
    return (
        select(routes)
        .join(targets, targets.c.id == column.target, isouter=True)
        .join(people, people.c.id == column.person, isouter=True)
        .join(rosters, rosters.c.id == column.roster, isouter=True)
        .where(column.deleted_at_ms.is_(None), true() if scope.firm is None else firm == scope.firm)
    )


def _hours_row(hours: Hours) -> dict[str, Any]:
    return {
        "days": list(hours.days),
        "from_min": hours.from_min,
        "to_min": hours.to_min,
        "outside": hours.outside,
    }


def _hours_of(row: Mapping[str, Any] | None) -> Hours | None:
    if row is None:
        return None
    return Hours(tuple(row["days"]), row["from_min"], row["to_min"], row["outside"])


def target_of(row: Row[Any]) -> Target:
    """A row of `targets`."""
    return Target(
        id=row.id,
        name=row.name,
        channel=ChannelName(row.channel),
        url=row.url,
        secrets=tuple(row.secrets),
        firm=row.firm,
        language=Language(row.language),
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
        broken=row.broken,
        broken_at_ms=row.broken_at_ms,
    )


def route_of(row: Row[Any]) -> Route:
    """A row of `routes`."""
    return Route(
        id=row.id,
        target=row.target,
        person=row.person,
        roster=row.roster,
        hours=_hours_of(row.hours),
        firm=row.firm,
        compound=row.compound,
        kind=row.kind,
        code=row.code,
        severities=tuple(Severity(one) for one in row.severities),
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
    )
