"""Faults that wait for an answer, and how people want them escalated.

A call is one row a fault. Whoever takes its next step writes the deliveries and how far it has come
in one transaction, so that each level is told once, whatever is killed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from devices.alerts import DeliveryState, Site
from devices.days import DISTRICT_TIMEZONE, zone_of
from devices.escalation import Call, Policy, Step, To, goes_on, policy_for
from devices.faults import Fault, FaultEvent
from devices.rules import Severity
from devices.store.database import conflict_insert
from devices.store.faults import fault_of, step_row
from devices.store.hours import queued
from devices.store.schema import (
    LIVE,
    calls,
    compounds,
    deliveries,
    escalation_policies,
    fault_events,
    faults,
)

Policies = Mapping[tuple[str | None, Severity], Policy]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call, its fault as it is now, and where that is."""

    call: Call
    fault: Fault
    site: Site


@dataclass(frozen=True, slots=True)
class Begun:
    """A notice that was decided on, and for which somebody should answer."""

    event_id: int
    event: FaultEvent
    fault: Fault
    firm: str | None


# Calls


def begin(connection: Connection, begun: Iterable[Begun], now_ms: int) -> None:
    """Their calls begin, anew if there are any; does not commit."""
    newest = {one.fault.id: one for one in begun}
    if not newest:
        return
    known = policies(connection)
    standing = set(connection.scalars(select(calls.c.fault).where(calls.c.fault.in_(newest))))
    rows: list[dict[str, Any]] = []
    for one in newest.values():
        if one.fault.id in standing and goes_on(one.event):
            again = update(calls).where(calls.c.fault == one.fault.id)
            connection.execute(again.values(next_at_ms=now_ms))
            continue
        call = Call(one.fault.id, one.event_id, now_ms)
        policy = policy_for(one.fault.severity, one.firm, known)
        # Whoever has the time zone looks again: working time is longer than the time that passes.
        due = [step.after_s for step in policy.steps[:1]]
        if one.fault.safety and policy.remind_every_s is not None:
            due.append(policy.remind_every_s)
        if due:
            rows.append(_row(call, now_ms + min(due) * 1000))
    if rows:
        made = conflict_insert(connection, calls)
        changed = {name: made.excluded[name] for name in rows[0] if name != "fault"}
        connection.execute(
            made.on_conflict_do_update(index_elements=[calls.c.fault], set_=changed), rows
        )


def is_any_due(connection: Connection, now_ms: int) -> bool:
    """Whether `due` would find one; takes no lock."""
    query = select(calls.c.fault).where(calls.c.next_at_ms <= now_ms).limit(1)
    return connection.execute(query).first() is not None


def due(connection: Connection, now_ms: int, limit: int) -> list[Waiting]:
    """Calls to look at, the longest due first; on PostgreSQL locked with their faults, so that
    nobody answers meanwhile, and without those that somebody else has locked."""
    query = (
        select(faults, calls, compounds.c.firm, compounds.c.timezone)
        .join(faults, faults.c.id == calls.c.fault)
        .join(compounds, compounds.c.id == faults.c.compound, isouter=True)
        .where(calls.c.next_at_ms <= now_ms, faults.c.stream == LIVE)
        .order_by(calls.c.next_at_ms, calls.c.fault)
        .limit(limit)
        .with_for_update(skip_locked=True, of=[calls, faults])
    )
    return [
        Waiting(
            _call_of(row),
            fault_of(row),
            Site(row.firm, zone_of(row.timezone or DISTRICT_TIMEZONE)),
        )
        for row in connection.execute(query)
    ]


def first_told_ms(connection: Connection, wanted: Collection[Call]) -> dict[str, int]:
    """For each fault when the first got the notice of its call; without those nobody got."""
    column = deliveries.c
    query = (
        select(column.fault, func.min(column.done_at_ms))
        .where(
            column.event.in_({call.event for call in wanted}),
            column.state == DeliveryState.DELIVERED.value,
        )
        .group_by(column.fault)
    )
    return {fault: int(at_ms) for fault, at_ms in connection.execute(query)}


def behind(connection: Connection, fault: str) -> set[str]:
    """Targets for which something of this fault waits still."""
    column = deliveries.c
    query = select(column.target).where(
        column.fault == fault, column.state == DeliveryState.PENDING.value
    )
    return set(connection.scalars(query))


def tell(
    connection: Connection,
    waiting: Waiting,
    event: FaultEvent,
    told: Mapping[str, str | None],
    now_ms: int,
) -> None:
    """Write the event and a delivery to each of these targets, with the person who is reached by
    it; does not commit."""
    row = step_row(event, routed_at_ms=now_ms)
    made = connection.execute(insert(fault_events).values(row).returning(fault_events.c.id))
    number = made.scalar_one()
    rows = [
        {
            "fault": waiting.fault.id,
            "event": number,
            "target": target,
            "person": person,
            "state": DeliveryState.PENDING.value,
            "reason": None,
            "safety": waiting.fault.safety,
            "attempts": 0,
            "next_at_ms": now_ms,
            "created_at_ms": now_ms,
            "done_at_ms": None,
        }
        for target, person in told.items()
    ]
    connection.execute(insert(deliveries), queued(connection, rows, [waiting.fault], now_ms))


def looked_at(connection: Connection, call: Call, next_at_ms: int) -> None:
    """It has come so far, and is looked at again then."""
    moved = update(calls).where(calls.c.fault == call.fault)
    connection.execute(moved.values(**_row(call, next_at_ms)))


def end(connection: Connection, ended: Collection[str]) -> None:
    """Nobody need answer any more."""
    if ended:
        connection.execute(delete(calls).where(calls.c.fault.in_(ended)))


def _row(call: Call, next_at_ms: int) -> dict[str, Any]:
    return {
        "fault": call.fault,
        "event": call.event,
        "called_ms": call.called_ms,
        "from_ms": call.from_ms,
        "level": call.level,
        "reminders": call.reminders,
        "reminded_ms": call.reminded_ms,
        "next_at_ms": next_at_ms,
    }


def _call_of(row: Row[Any]) -> Call:
    return Call(
        row.fault,
        row.event,
        row.called_ms,
        row.from_ms,
        row.level,
        row.reminders,
        row.reminded_ms,
    )


# Policies, as people make them


def policies(connection: Connection) -> dict[tuple[str | None, Severity], Policy]:
    """Those that people have changed, by firm (None: the district's) and class."""
    rows = connection.execute(select(escalation_policies)).all()
    return {(row.firm or None, Severity(row.severity)): _policy_of(row) for row in rows}


def change_policy(connection: Connection, policy: Policy, now_ms: int) -> None:
    """From now on it is that of its firm and class; does not commit."""
    row = {
        "firm": policy.firm or "",
        "severity": policy.severity.value,
        "steps": [
            {
                "after_s": step.after_s,
                "to": step.to.value,
                "id": step.id,
                "working": step.is_working,
            }
            for step in policy.steps
        ],
        "remind_every_s": policy.remind_every_s,
        "reminders": policy.reminders,
        "changed_by": policy.changed_by,
        "changed_at_ms": now_ms,
    }
    made = conflict_insert(connection, escalation_policies).values(row)
    keys = ("firm", "severity")
    connection.execute(
        made.on_conflict_do_update(
            index_elements=list(keys),
            set_={name: made.excluded[name] for name in row if name not in keys},
        )
    )
    _look_again(connection, policy.firm, policy.severity, now_ms)


def forget_policy(
    connection: Connection, firm: str | None, severity: Severity, now_ms: int
) -> bool:
    """What it was before anybody changed it; False: nobody has. Does not commit."""
    column = escalation_policies.c
    gone = connection.execute(
        delete(escalation_policies).where(
            column.firm == (firm or ""), column.severity == severity.value
        )
    )
    _look_again(connection, firm, severity, now_ms)
    return gone.rowcount == 1


def _look_again(connection: Connection, firm: str | None, severity: Severity, now_ms: int) -> None:
    """When calls are due is worked out anew for those whom it concerns."""
    concerned = select(faults.c.id).where(
        faults.c.severity == severity.value, faults.c.id == calls.c.fault
    )
    if firm is not None:
        managed = select(compounds.c.id).where(compounds.c.firm == firm)
        concerned = concerned.where(faults.c.compound.in_(managed))
    connection.execute(
        update(calls)
        .where(calls.c.next_at_ms > now_ms, concerned.exists())
        .values(next_at_ms=now_ms)
    )


def _policy_of(row: Row[Any]) -> Policy:
    return Policy(
        severity=Severity(row.severity),
        steps=tuple(
            Step(one["after_s"], To(one["to"]), one["id"], one["working"]) for one in row.steps
        ),
        remind_every_s=row.remind_every_s,
        reminders=row.reminders,
        firm=row.firm or None,
        changed_by=row.changed_by,
        changed_at_ms=row.changed_at_ms,
    )
