"""Safety alerts that do not arrive where they were sent, and who is told instead."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from devices.alerts import HANDED_ON, DeliveryState
from devices.faults import NOTICED, State
from devices.store.database import conflict_insert
from devices.store.schema import LIVE, compounds, deliveries, fault_events, faults, targets

AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Stuck:
    """A safety alert that waits for a target. firm: which manages the fault's compound."""

    event: int
    fault: str
    target: str
    firm: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A target as it is now. fails: the newest that was sent there was not accepted."""

    id: str
    firm: str | None
    channel: str
    created_at_ms: int
    is_broken: bool
    fails: bool


def stuck(connection: Connection, before_ms: int) -> list[Stuck]:
    """Alerts of standing safety faults that wait since before then, or for a target that is
    broken, and that nobody was told instead; the oldest first."""
    column = deliveries.c
    other = deliveries.alias()
    is_handed_on = (
        select(other.c.id).where(other.c.event == column.event, other.c.reason == HANDED_ON)
    ).exists()
    query = (
        select(column.event, column.fault, column.target, compounds.c.firm)
        .join(targets, targets.c.id == column.target)
        .join(faults, faults.c.id == column.fault)
        .join(fault_events, fault_events.c.id == column.event)
        .join(compounds, compounds.c.id == faults.c.compound, isouter=True)
        .where(
            column.safety,
            column.state == DeliveryState.PENDING.value,
            or_(column.created_at_ms <= before_ms, targets.c.broken.is_not(None)),
            faults.c.stream == LIVE,
            faults.c.state == State.OPEN.value,
            fault_events.c.reason.in_(sorted(NOTICED)),
            ~is_handed_on,
        )
        .order_by(column.id)
        .limit(AT_ONCE)
    )
    return [Stuck(row.event, row.fault, row.target, row.firm) for row in connection.execute(query)]


def standing(connection: Connection) -> list[Standing]:
    """All targets, the oldest first."""
    column = targets.c
    query = (
        select(targets)
        .where(column.deleted_at_ms.is_(None))
        .order_by(column.created_at_ms, column.id)
    )
    return [
        Standing(
            row.id,
            row.firm,
            row.channel,
            row.created_at_ms,
            row.broken is not None,
            row.failures > 0,
        )
        for row in connection.execute(query)
    ]


def sent_to(connection: Connection, events: Collection[int]) -> dict[int, dict[str, bool]]:
    """For each of these events the targets that it goes to, and whether it has arrived."""
    column = deliveries.c
    query = select(column.event, column.target, column.state).where(
        column.event.in_(events), column.target.is_not(None)
    )
    found: dict[int, dict[str, bool]] = {}
    for event, target, state in connection.execute(query):
        found.setdefault(event, {})[target] = state == DeliveryState.DELIVERED.value
    return found


def hand_on(connection: Connection, alert: Stuck, target: str, now_ms: int) -> None:
    """It goes to this target too. Does not commit; nothing changes where it goes there already."""
    connection.execute(
        conflict_insert(connection, deliveries)
        .values(
            fault=alert.fault,
            event=alert.event,
            target=target,
            state=DeliveryState.PENDING.value,
            reason=HANDED_ON,
            safety=True,
            attempts=0,
            next_at_ms=now_ms,
            created_at_ms=now_ms,
        )
        .on_conflict_do_nothing()
    )
