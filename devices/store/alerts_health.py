"""How `courtyard alerts` does, for whoever asks from another process."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select, true

from devices.store import progress
from devices.store.schema import fault_events, targets
from devices.store.scope import Scope

ROUND_WITHIN_MS = 30_000  # it says so every 5 s


@dataclass(frozen=True, slots=True)
class AlertsHealth:
    """seen_ms: when it last had decided on all that was due; None: never. behind_ms: how long the
    oldest event waits to be decided on. targets, broken: how many of them the scope has."""

    at_ms: int
    seen_ms: int | None
    behind_ms: int
    targets: int
    broken: int

    @property
    def is_missing(self) -> bool:
        """Nobody follows the faults, though somebody is to be told of them."""
        if self.seen_ms is None:
            return self.targets > 0
        return self.at_ms - self.seen_ms > ROUND_WITHIN_MS


def read_health(connection: Connection, scope: Scope, now_ms: int) -> AlertsHealth:
    """A few rows by their index, so that every page may ask."""
    column = fault_events.c
    oldest = (
        select(func.coalesce(column.notice_at_ms, column.at_ms))
        .where(
            column.routed_at_ms.is_(None),
            or_(column.notice_at_ms.is_(None), column.notice_at_ms <= now_ms),
        )
        .order_by(column.id)
        .limit(1)
    )
    due_ms = connection.execute(oldest).scalar_one_or_none()
    mine = true() if scope.firm is None else targets.c.firm == scope.firm
    count, broken = connection.execute(
        select(func.count(), func.count(targets.c.broken)).where(
            targets.c.deleted_at_ms.is_(None), mine
        )
    ).one()
    seen = progress.read(connection, progress.ALERTS)
    seen_ms = None if seen is None else seen.updated_at_ms
    behind_ms = 0
    if due_ms is not None:
        # what happened long ago, as of late data, waits since it was written: after the last round
        behind_ms = max(0, now_ms - max(due_ms, seen_ms or 0))
    return AlertsHealth(now_ms, seen_ms, behind_ms, count, broken)
