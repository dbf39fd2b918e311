"""Dry runs over what stands in the database: who would be told of a fault. Reads only."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from devices import faults, routing
from devices.alerts import Directory, Site
from devices.days import zone_of
from devices.faults import Fault, Why
from devices.maintenance import covering
from devices.registry import Name
from devices.routing import BadDescription, Rehearsal, again, described
from devices.rules import Severity
from devices.store.deliveries import told
from devices.store.devices import compounds_of
from devices.store.faults import find_fault
from devices.store.hours import hours_of
from devices.store.maintenance import standing_windows
from devices.store.schema import compounds, firms
from devices.store.scope import Scope
from devices.store.targets import directory


class UnknownPlace(LookupError):
    """No such compound or device in this scope."""


def rehearse_fault(
    connection: Connection, scope: Scope, fault: str, why: Why, at_ms: int
) -> Rehearsal:
    """As if this happened then to a fault that there is. Raises UnknownFault."""
    found = find_fault(connection, scope, fault)
    move = again(found, why, _window(connection, found, at_ms), at_ms)
    known = told(connection, {fault}).get(fault, {})
    return _rehearse(connection, scope, move, known, at_ms)


@dataclass(frozen=True, slots=True)
class Description:
    """A fault that might be raised. kind: where there is no device to say it."""

    code: str
    compound: str | None = None
    device: str | None = None
    kind: str | None = None
    severity: Severity | None = None


def rehearse_described(
    connection: Connection, scope: Scope, wanted: Description, at_ms: int
) -> Rehearsal:
    """As if such a fault were raised then. Raises UnknownPlace, BadDescription."""
    compound, kind = wanted.compound, wanted.kind
    if wanted.device is not None:
        place, its_kind = place_of(connection, scope, wanted.device)
        if compound not in (None, place):
            raise BadDescription("device", f"{wanted.device} is in {place}, not in {compound}")
        if kind not in (None, its_kind):
            raise BadDescription("device", f"{wanted.device} is a {its_kind}, not a {kind}")
        compound, kind = place, its_kind
    if compound is None and scope.firm is not None:
        raise BadDescription("compound", "name one of your compounds, or a device")
    if compound is not None and not _is_there(connection, scope, compound):
        raise UnknownPlace(compound)
    move = described(
        wanted.code,
        compound=compound,
        device=wanted.device,
        kind=kind,
        severity=wanted.severity,
        at_ms=at_ms,
    )
    window = _window(connection, move[0], at_ms)
    if window is not None:
        move = faults.hold(move, window)
    return _rehearse(connection, scope, move, {}, at_ms)


def place_of(connection: Connection, scope: Scope, device: str) -> tuple[str, str]:
    """Compound and kind of a device; raises UnknownPlace, also outside the scope."""
    found = compounds_of(connection, scope, [device]).get(device)
    if found is None:
        raise UnknownPlace(device)
    return found


def _is_there(connection: Connection, scope: Scope, compound: str) -> bool:
    query = select(compounds.c.id).where(compounds.c.id == compound, scope.holds(compounds.c.id))
    return connection.execute(query).first() is not None


def _rehearse(
    connection: Connection,
    scope: Scope,
    move: faults.Move,
    known: dict[str, str | None],
    at_ms: int,
) -> Rehearsal:
    standing = _seen_by(scope, directory(connection, at_ms))
    seen = {one: person for one, person in known.items() if one in standing.targets}
    hours = hours_of(connection, standing.targets)
    site, names = _site(connection, move[0]), _firms(connection, scope)
    return routing.rehearse(move, site, standing, seen, at_ms, hours, names)


def _window(connection: Connection, fault: Fault, at_ms: int) -> str | None:
    window = covering(standing_windows(connection, at_ms), fault, at_ms)
    return None if window is None else window.id


def _site(connection: Connection, fault: Fault) -> Site:
    query = select(compounds.c.firm, compounds.c.timezone).where(compounds.c.id == fault.compound)
    row = connection.execute(query).one_or_none()
    return Site() if row is None else Site(row.firm, zone_of(row.timezone))


def _firms(connection: Connection, scope: Scope) -> dict[str, Name]:
    """Names of the firms that one may know of."""
    query = select(firms.c.id, firms.c.name_zh, firms.c.name_en)
    if scope.firm is not None:
        query = query.where(firms.c.id == scope.firm)
    return {firm: Name(zh, en) for firm, zh, en in connection.execute(query)}


def _seen_by(scope: Scope, standing: Directory) -> Directory:
    """What a firm may know of: its own targets, people, rosters, and routes to them."""
    if scope.firm is None:
        return standing
    targets = {one.id: one for one in standing.targets.values() if one.firm == scope.firm}
    people = {one.id: one for one in standing.people.values() if one.firm == scope.firm}
    rosters = {one.id: one for one in standing.rosters.values() if one.firm == scope.firm}
    routes = tuple(
        route
        for route in standing.routes
        if route.target in targets or route.person in people or route.roster in rosters
    )
    return replace(standing, targets=targets, people=people, rosters=rosters, routes=routes)
