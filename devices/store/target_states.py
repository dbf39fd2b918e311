"""How each target does: what arrived there last, what waits for it, and what stops it."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from devices.alerts import DeliveryState
from devices.faults import Fault
from devices.store.faults import fault_of
from devices.store.schema import deliveries, faults, targets


@dataclass(frozen=True, slots=True)
class TargetState:
    """delivered_at_ms: when it last took a message. waiting: how many deliveries, the oldest since
    waiting_since_ms. failures: how often in a row it has failed, the last time with `answer`;
    nothing is sent there before not_before_ms."""

    delivered_at_ms: int | None = None
    waiting: int = 0
    waiting_since_ms: int | None = None
    failures: int = 0
    answer: str | None = None
    not_before_ms: int = 0


def target_states(connection: Connection, wanted: Collection[str]) -> dict[str, TargetState]:
    """Those of these targets, by id; each by its index, however much was sent there."""
    sent = deliveries.c
    newest = select(sent.done_at_ms).where(
        sent.target == targets.c.id, sent.state == DeliveryState.DELIVERED.value
    )
    newest = newest.order_by(sent.attempted_at_ms.desc()).limit(1)
    waits = (
        select(
            sent.target,
            func.count().label("waiting"),
            func.min(sent.created_at_ms).label("since_ms"),
        )
        .where(sent.state == DeliveryState.PENDING.value, sent.target.in_(wanted))
        .group_by(sent.target)
        .subquery()
    )
    answered = (
        select(sent.answer)
        .where(sent.target == targets.c.id, sent.attempted_at_ms.is_not(None))
        .order_by(sent.attempted_at_ms.desc())
        .limit(1)
    )
    query = (
        select(
            targets.c.id,
            targets.c.failures,
            targets.c.not_before_ms,
            waits.c.waiting,
            waits.c.since_ms,
            newest.scalar_subquery().label("delivered_at_ms"),
            answered.scalar_subquery().label("answer"),
        )
        .join(waits, waits.c.target == targets.c.id, isouter=True)
        .where(targets.c.id.in_(wanted))
    )
    return {
        row.id: TargetState(
            delivered_at_ms=row.delivered_at_ms,
            waiting=row.waiting or 0,
            waiting_since_ms=row.since_ms,
            failures=row.failures,
            answer=row.answer if row.failures else None,
            not_before_ms=row.not_before_ms,
        )
        for row in connection.execute(query)
    }


def faults_of(connection: Connection, wanted: Collection[str]) -> dict[str, Fault]:
    """These faults, by id, for who may see their deliveries."""
    query = select(faults).where(faults.c.id.in_(wanted))
    return {row.id: fault_of(row) for row in connection.execute(query)}
