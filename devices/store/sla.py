"""Reads of what the service ledger rests on, and the limits of the firms. Nothing of it is stored.

Bounded, and along an index each. Only faults of the live stream: of a back-filled past nobody was
told, and nobody was to do anything about it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, insert, select

from devices.alerts import DeliveryState
from devices.faults import PLATFORM, RETOLD, Held, State, Why
from devices.rules import Severity
from devices.sla import Limits, parse_limits, print_limits
from devices.store.faults import OPEN_STATES, UNEXPLAINED
from devices.store.kpis import Filter
from devices.store.schema import LIVE, deliveries, fault_events, faults, sla_limits
from devices.store.scope import Scope

EVERYTHING = Filter()
AT_ONCE = 1_000  # faults whose events are asked for together
_REASONS = {one.value: one for one in Why}
_HELD = {one.value: one for one in Held}
# What moves a ledger; the others are of no weight in it.
_WEIGH = tuple(
    one.value
    for one in Why
    if one not in (Why.EASED, Why.ASSIGNED, Why.COMMENTED, Why.SHELVED, Why.UNSHELVED, *RETOLD)
)


class Case(NamedTuple):
    """A fault, as far as its ledger needs it."""

    id: str
    code: str
    kind: str
    compound: str | None
    device: str | None
    severity: Severity
    safety: bool
    state: State
    suspected: bool
    suppressed_by: str | None
    opened_at_ms: int
    resolution: str | None


class Told(NamedTuple):
    """An event, as far as the ledger needs it."""

    at_ms: int
    reason: Why
    actor: str
    held: Held | None


@dataclass(frozen=True, slots=True)
class Cases:
    """Faults with what happened to each, oldest first, and when notices of it arrived."""

    cases: Sequence[Case]
    events: Mapping[str, Sequence[Told]]
    arrived_ms: Mapping[str, Sequence[int]]


def opened(
    connection: Connection, scope: Scope, wanted: Filter, from_ms: int, to_ms: int, limit: int
) -> Cases:
    """Counted faults (`devices.sla.is_counted`) that were opened in [from_ms, to_ms), however they
    stand. Ask for a few days."""
    column = faults.c
    when = (column.opened_at_ms >= from_ms, column.opened_at_ms < to_ms)
    return _cases(connection, scope, wanted, (*when, *_COUNTED), limit)


def standing(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    limit: int,
    opened: tuple[int, int] | None = None,
) -> Cases:
    """Counted faults that are not closed. opened: only those that were in [from, to)."""
    column = faults.c
    conditions = [column.state.in_(OPEN_STATES), *_COUNTED]
    if opened is not None:
        conditions += [column.opened_at_ms >= opened[0], column.opened_at_ms < opened[1]]
    return _cases(connection, scope, wanted, conditions, limit)


def of_faults(connection: Connection, scope: Scope, ids: Collection[str]) -> Cases:
    """These, whatever they are."""
    return _cases(connection, scope, EVERYTHING, (faults.c.id.in_(ids),), len(ids))


def newest_event(connection: Connection) -> int:
    """The id of the newest event of any fault."""
    return connection.execute(select(func.max(fault_events.c.id))).scalar_one() or 0


def events_since(connection: Connection, number: int, opened_before_ms: int) -> dict[int, int]:
    """Events behind this one that weigh in a ledger, each with when its fault was opened; of faults
    that were opened before then."""
    column = fault_events.c
    query = (
        select(column.id, faults.c.opened_at_ms)
        .join(faults, faults.c.id == column.fault)
        .where(
            column.id > number,
            column.reason.in_(_WEIGH),
            faults.c.opened_at_ms < opened_before_ms,
            faults.c.stream == LIVE,
        )
    )
    return {row.id: row.opened_at_ms for row in connection.execute(query)}


_COUNTED = (
    faults.c.stream == LIVE,
    faults.c.suspected.is_(False),
    UNEXPLAINED,
    faults.c.kind != PLATFORM,
)


def _cases(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
) -> Cases:
    column = faults.c
    query = (
        select(*(getattr(column, name) for name in Case._fields))
        .where(*conditions, scope.holds(column.compound), *wanted.holds(column.compound))
        .limit(limit)
    )
    found = [_case_of(row) for row in connection.execute(query).all()]
    events: dict[str, list[Told]] = {}
    arrived_ms: dict[str, list[int]] = {}
    # By their ids: for a join SQLite reads all events that there are, in the order of their faults.
    for first in range(0, len(found), AT_ONCE):
        ids = [case.id for case in found[first : first + AT_ONCE]]
        _read_events(connection, ids, events)
        _read_arrivals(connection, ids, arrived_ms)
    return Cases(found, events, arrived_ms)


def _read_events(connection: Connection, ids: Sequence[str], into: dict[str, list[Told]]) -> None:
    column = fault_events.c
    query = (
        select(column.fault, column.at_ms, column.reason, column.actor, column.held)
        .where(column.fault.in_(ids), column.reason.in_(_WEIGH))
        .order_by(column.fault, column.id)
    )
    for fault, at_ms, reason, actor, held in connection.execute(query).all():
        told = Told(at_ms, _REASONS[reason], actor, None if held is None else _HELD[held])
        into.setdefault(fault, []).append(told)


def _read_arrivals(connection: Connection, ids: Sequence[str], into: dict[str, list[int]]) -> None:
    column = deliveries.c
    query = select(column.fault, column.done_at_ms).where(
        column.fault.in_(ids), column.state == DeliveryState.DELIVERED.value
    )
    for fault, at_ms in connection.execute(query).all():
        into.setdefault(fault, []).append(at_ms)


def _case_of(row: Any) -> Case:
    values = list(row)
    values[5], values[7] = Severity(values[5]), State(values[7])
    return Case(*values)


# Limits


@dataclass(frozen=True, slots=True)
class Agreed:
    """The limits that somebody set for a firm, and since when they hold."""

    firm: str
    limits: Limits
    by: str
    since_ms: int


def agreed(connection: Connection) -> dict[str, list[Agreed]]:
    """Firm -> all that were ever set for it, oldest first; without those that have none."""
    found: dict[str, list[Agreed]] = {}
    for row in connection.execute(select(sla_limits).order_by(sla_limits.c.id)):
        one = Agreed(row.firm, parse_limits(row.body), row.created_by, row.created_at_ms)
        found.setdefault(row.firm, []).append(one)
    return found


def agree(connection: Connection, firm: str, limits: Limits, by: str, now_ms: int) -> Agreed:
    """These hold for the firm's faults that are raised from now on. Does not commit."""
    connection.execute(
        insert(sla_limits).values(
            firm=firm, body=print_limits(limits), created_by=by, created_at_ms=now_ms
        )
    )
    return Agreed(firm, limits, by, now_ms)
