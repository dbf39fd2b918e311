"""What has changed since the last look: fault events and device states, for a poller.

A `Watcher` remembers what it has told. It is cheap to ask: what it reads every time are the newest
fault events and the counts per compound and kind; devices are compared only where the counts moved,
and all of them now and then, because two that change places leave the counts as they were.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select, tuple_

from devices.store.compounds import States, device_states
from devices.store.schema import LIVE, deliveries, device_state, devices, fault_events, faults
from devices.store.scope import DISTRICT, Scope

# On PostgreSQL ids may become visible out of order: so far behind the newest we look again.
SLACK = 200
MOST_EVENTS = 1000  # in one look; the rest comes with the next
MOST_PAIRS = 40  # (compound, kind) that moved at once; beyond it all devices are compared
COMPARE_ALL_EVERY = 30  # looks


@dataclass(frozen=True, slots=True)
class FaultNews:
    """A fault event, with what is needed to show it without asking again.

    held: why nobody is told of it; None: people are, or it is nothing to tell of.
    """

    event: int
    at_ms: int
    fault: str
    compound: str | None
    device: str | None
    kind: str
    code: str
    severity: str
    safety: bool
    was: str | None
    becomes: str
    reason: str
    actor: str
    note: str | None
    held: str | None


@dataclass(frozen=True, slots=True)
class StateNews:
    """A device that is in another state than it was."""

    device: str
    compound: str
    kind: str
    state: str
    reason: str | None
    since_ms: int | None


class Watcher:
    """Looks for news of the live stream. `start` once, then `look`; from one thread at a time."""

    def __init__(self) -> None:
        self._newest = 0
        self._told: set[int] = set()
        self._counts: dict[tuple[str, str], States] = {}
        self._states: dict[int, str] = {}
        self._looks = 0

    def start(self, connection: Connection) -> None:
        """From here on: what has happened before is no news."""
        self._newest = connection.scalar(select(func.max(fault_events.c.id))) or 0
        recent = select(fault_events.c.id).where(fault_events.c.id > self._newest - SLACK)
        self._told = set(connection.scalars(recent))
        self._counts = device_states(connection, DISTRICT)
        self._states = {row.no: row.state for row in connection.execute(_states())}

    def look(self, connection: Connection) -> list[FaultNews | StateNews]:
        """What is new, fault events first."""
        return [*self._fault_events(connection), *self._device_states(connection)]

    def _fault_events(self, connection: Connection) -> list[FaultNews]:
        event, fault = fault_events.c, faults.c
        newest = connection.scalar(select(func.max(event.id))) or 0
        rows = connection.execute(
            select(
                event.id,
                event.at_ms,
                fault.id,
                fault.compound,
                fault.device,
                fault.kind,
                fault.code,
                fault.severity,
                fault.safety,
                event.was,
                event.becomes,
                event.reason,
                event.actor,
                event.note,
                event.held,
            )
            .join_from(fault_events, faults, fault.id == event.fault)
            .where(event.id > self._newest - SLACK, event.id <= newest, fault.stream == LIVE)
            .order_by(event.id)
            .limit(MOST_EVENTS)
        ).all()
        news = [FaultNews(*tuple(row)) for row in rows if row[0] not in self._told]
        self._newest = rows[-1][0] if len(rows) == MOST_EVENTS else newest
        self._told.update(item.event for item in news)
        self._told = {told for told in self._told if told > self._newest - SLACK}
        return news

    def _device_states(self, connection: Connection) -> list[StateNews]:
        counts = device_states(connection, DISTRICT)
        moved = [pair for pair, now in counts.items() if self._counts.get(pair) != now]
        self._counts = counts
        self._looks += 1
        if len(moved) > MOST_PAIRS or self._looks % COMPARE_ALL_EVERY == 0:
            return self._compare(connection, _states())
        if moved:
            return self._compare(connection, _states(moved))
        return []

    def _compare(self, connection: Connection, query: Select[Any]) -> list[StateNews]:
        news = []
        for row in connection.execute(query):
            if self._states.get(row.no) == row.state:
                continue
            self._states[row.no] = row.state
            news.append(
                StateNews(row.id, row.compound, row.kind, row.state, row.reason, row.since_ms)
            )
        return news


def newest_events(connection: Connection) -> tuple[int, int]:
    """Another pair whenever something happened to a fault; also where what was written first
    appears last, as it may on PostgreSQL."""
    column = fault_events.c.id
    newest: int = connection.execute(select(func.max(column))).scalar_one() or 0
    count = select(func.count()).select_from(fault_events).where(column > newest - SLACK)
    return newest, connection.execute(count).scalar_one()


def last_heard(connection: Connection, names: Collection[str]) -> dict[str, tuple[str, int | None]]:
    """Device -> its compound, and when it was heard last; a few hundred at a time."""
    if not names:
        return {}
    query = (
        select(devices.c.id, devices.c.compound, device_state.c.last_seen_ms)
        .join_from(devices, device_state, device_state.c.device_no == devices.c.no)
        .where(device_state.c.stream == LIVE, devices.c.id.in_(names))
    )
    return {row.id: (row.compound, row.last_seen_ms) for row in connection.execute(query)}


def last_told(
    connection: Connection, names: Collection[str]
) -> dict[str, tuple[str | None, object]]:
    """Fault -> its compound, and another mark whenever a delivery of it has begun, ended or was
    tried; a few hundred at a time."""
    if not names:
        return {}
    column = deliveries.c
    query = (
        select(
            faults.c.id,
            faults.c.compound,
            func.count(),
            func.sum(column.attempts),
            func.max(column.attempted_at_ms),
            func.max(column.done_at_ms),
            func.count(column.done_at_ms),
        )
        .join_from(deliveries, faults, faults.c.id == column.fault)
        .where(column.fault.in_(names))
        .group_by(faults.c.id, faults.c.compound)
    )
    return {row[0]: (row[1], tuple(row[2:])) for row in connection.execute(query)}


def holds_fault(connection: Connection, scope: Scope, fault: str) -> bool:
    """Whether it is there, for this scope."""
    query = select(faults.c.id).where(faults.c.id == fault, scope.holds(faults.c.compound))
    return connection.execute(query).first() is not None


def _states(of: Collection[tuple[str, str]] | None = None) -> Select[Any]:
    query = select(
        devices.c.no,
        devices.c.id,
        devices.c.compound,
        devices.c.kind,
        device_state.c.state,
        device_state.c.reason,
        device_state.c.since_ms,
    ).join_from(devices, device_state, device_state.c.device_no == devices.c.no)
    query = query.where(device_state.c.stream == LIVE)
    if of is not None:
        query = query.where(tuple_(devices.c.compound, devices.c.kind).in_(of))
    return query
