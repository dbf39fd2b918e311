"""The hours of targets, and what waits for them."""

from collections.abc import Collection, Iterable, Mapping
from datetime import time
from typing import Any

from sqlalchemy import Connection, Row, select, update

from devices.alerts import QUIET_HOURS, DeliveryState
from devices.faults import Fault
from devices.hours import TargetHours, may_wait, next_time_ms
from devices.store.database import conflict_insert
from devices.store.schema import deliveries, target_hours


def hours_of(connection: Connection, wanted: Collection[str]) -> dict[str, TargetHours]:
    """Of those of these targets that have any."""
    query = select(target_hours).where(target_hours.c.target.in_(wanted))
    return {row.target: _hours(row) for row in connection.execute(query)}


def change_hours(connection: Connection, target: str, hours: TargetHours, now_ms: int) -> None:
    """From now on these are its hours; what waits for the end of its quiet hours waits for that of
    the new ones. Does not commit."""
    row = {
        "target": target,
        "timezone": hours.timezone,
        "quiet_from": _text(hours.quiet_from),
        "quiet_to": _text(hours.quiet_to),
        "summary_at": _text(hours.summary_at),
        "summary_due_ms": None
        if hours.summary_at is None
        else next_time_ms(hours.summary_at, now_ms, hours.zone),
    }
    made = conflict_insert(connection, target_hours).values(row)
    connection.execute(
        made.on_conflict_do_update(
            index_elements=["target"],
            set_={name: made.excluded[name] for name in row if name != "target"},
        )
    )
    column = deliveries.c
    connection.execute(
        update(deliveries)
        .where(column.target == target, _waits_for_morning())
        .values(next_at_ms=hours.quiet_until_ms(now_ms) or now_ms)
    )


def queued(
    connection: Connection,
    rows: Iterable[Mapping[str, Any]],
    about: Iterable[Fault],
    now_ms: int,
) -> list[dict[str, Any]]:
    """Rows of `deliveries` that are to be made, with what may wait put off to the morning.

    What may not wait waits for nothing: what of the same fault was put off for the same target goes
    before it now.
    """
    subjects = {fault.id: fault for fault in about}
    made = [dict(row) for row in rows]
    known = hours_of(connection, {row["target"] for row in made if row["target"] is not None})
    hurried: set[tuple[str, str]] = set()
    for row in made:
        hours = known.get(row["target"])
        if row["target"] is None or hours is None:
            continue
        until_ms = hours.quiet_until_ms(now_ms) if may_wait(subjects[row["fault"]]) else None
        if until_ms is None:
            hurried.add((row["fault"], row["target"]))
        else:
            row |= {"next_at_ms": until_ms, "reason": QUIET_HOURS}
    for fault, target in sorted(hurried):
        column = deliveries.c
        connection.execute(
            update(deliveries)
            .where(column.fault == fault, column.target == target, _waits_for_morning())
            .values(next_at_ms=now_ms, reason=None)
        )
    return made


def _waits_for_morning() -> Any:
    column = deliveries.c
    return (column.state == DeliveryState.PENDING.value) & (column.reason == QUIET_HOURS)


def _hours(row: Row[Any]) -> TargetHours:
    return TargetHours(
        row.timezone, _time(row.quiet_from), _time(row.quiet_to), _time(row.summary_at)
    )


def _time(text: str | None) -> time | None:
    return None if text is None else time.fromisoformat(text)


def _text(at: time | None) -> str | None:
    return None if at is None else at.isoformat("minutes")
