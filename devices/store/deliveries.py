"""What becomes of fault events on their way to people; the outbox that `alerts` follows.

A fault event without `routed_at_ms` is still to be decided on. Deciding writes its deliveries and
sets that mark, in one transaction. PostgreSQL may commit ids out of order, so the mark is followed
and never `id > last`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, true, update

from devices.alerts import (
    ENDS,
    NO_ROUTE,
    QUIET_HOURS,
    UNREACHABLE,
    Decision,
    DeliveryState,
    Site,
)
from devices.days import DISTRICT_TIMEZONE, zone_of
from devices.escalation import is_answered, is_held, may_begin
from devices.faults import NOTICED, PLATFORM, Fault, FaultEvent, State, Why
from devices.rules import Severity
from devices.store.database import conflict_insert
from devices.store.escalations import Begun, begin
from devices.store.faults import event_of, fault_of
from devices.store.hours import queued
from devices.store.schema import (
    LIVE,
    compounds,
    deliveries,
    fault_events,
    faults,
    people,
    targets,
)
from devices.store.scope import Scope

ANSWER_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Due:
    """An event that is to be decided on. firm: which manages its fault's compound now."""

    id: int
    event: FaultEvent
    fault: Fault
    firm: str | None
    is_live: bool
    timezone: str = DISTRICT_TIMEZONE

    @property
    def site(self) -> Site:
        return Site(self.firm, zone_of(self.timezone))


@dataclass(frozen=True, slots=True)
class Pending:
    """A delivery that has not ended. message: the key under which it was tried. was_quiet: it was
    put off to the morning."""

    id: int
    fault: str
    event: int
    reason: Why
    at_ms: int
    safety: bool
    attempts: int
    next_at_ms: int
    created_at_ms: int
    message: str | None = None
    was_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """As people see it. target: None where nobody was told, and `reason` says why. person: who was
    reached by the target, where a route led to them or to a roster."""

    id: int
    fault: str
    event: int
    event_reason: Why
    compound: str | None
    target: str | None
    target_name: str | None
    channel: str | None
    state: DeliveryState
    reason: str | None
    attempts: int
    created_at_ms: int
    attempted_at_ms: int | None
    done_at_ms: int | None
    answer: str | None
    person: str | None = None
    person_name: str | None = None


# Routing


def is_any_due(connection: Connection, now_ms: int) -> bool:
    """Whether `due_events` would find one; takes no lock."""
    column = fault_events.c
    query = (
        select(column.id)
        .where(
            column.routed_at_ms.is_(None),
            or_(column.notice_at_ms.is_(None), column.notice_at_ms <= now_ms),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def due_events(connection: Connection, now_ms: int, limit: int) -> list[Due]:
    """Events whose time has come, oldest first; on PostgreSQL locked, and without those that
    somebody else is deciding on."""
    column = fault_events.c
    query = (
        select(fault_events)
        .where(
            column.routed_at_ms.is_(None),
            or_(column.notice_at_ms.is_(None), column.notice_at_ms <= now_ms),
        )
        .order_by(column.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(query).all()
    subjects = _faults(connection, {row.fault for row in rows})
    due = []
    for row in rows:
        fault, stream, firm, timezone = subjects[row.fault]
        due.append(Due(row.id, event_of(row), fault, firm, stream == LIVE, timezone))
    return due


def _faults(
    connection: Connection, wanted: Collection[str]
) -> dict[str, tuple[Fault, str, str | None, str]]:
    query = (
        select(faults, compounds.c.firm.label("firm"), compounds.c.timezone)
        .join(compounds, compounds.c.id == faults.c.compound, isouter=True)
        .where(faults.c.id.in_(wanted))
    )
    return {
        row.id: (fault_of(row), row.stream, row.firm, row.timezone or DISTRICT_TIMEZONE)
        for row in connection.execute(query)
    }


def told(connection: Connection, wanted: Collection[str]) -> dict[str, dict[str, str | None]]:
    """For each of these faults the targets that were told of it, or that are about to be; each with
    the person who was reached by it last."""
    column = deliveries.c
    query = (
        select(column.fault, column.target, column.person)
        .where(
            column.fault.in_(wanted),
            column.target.is_not(None),
            column.state.in_((DeliveryState.PENDING, DeliveryState.DELIVERED)),
        )
        .order_by(column.id)
    )
    found: dict[str, dict[str, str | None]] = {}
    for fault, target, person in connection.execute(query):
        known = found.setdefault(fault, {})
        known[target] = person or known.get(target)
    return found


def decided(
    connection: Connection, decisions: Iterable[tuple[Due, Decision, bool]], now_ms: int
) -> int:
    """Write what was decided, and mark the events; how many deliveries are to be made.

    Each with whether it is to be kept on record that nobody is told. From now on somebody is to
    answer. Does not commit.
    """
    rows: list[dict[str, Any]] = []
    ids: list[int] = []
    subjects: dict[str, Fault] = {}
    begun: list[Begun] = []
    for due, decision, is_kept in decisions:
        ids.append(due.id)
        subjects[due.fault.id] = due.fault
        if due.event.reason in NOTICED and (
            decision.targets
            or (decision.reason in (NO_ROUTE, UNREACHABLE) and may_begin(due.fault))
        ):
            begun.append(Begun(due.id, due.event, due.fault, due.firm))
        row = {
            "fault": due.fault.id,
            "event": due.id,
            "target": None,
            "person": None,
            "state": DeliveryState.SUPPRESSED.value,
            "reason": decision.reason,
            "safety": due.fault.safety,
            "attempts": 0,
            "next_at_ms": now_ms,
            "created_at_ms": now_ms,
            "done_at_ms": now_ms,
        }
        if decision.targets:
            pending = {"state": DeliveryState.PENDING.value, "done_at_ms": None}
            rows += [
                row | pending | {"target": target, "person": decision.people.get(target)}
                for target in decision.targets
            ]
        elif is_kept:
            rows.append(row)
    if rows:
        made = conflict_insert(connection, deliveries).on_conflict_do_nothing()
        connection.execute(made, queued(connection, rows, subjects.values(), now_ms))
    begin(connection, begun, now_ms)
    if ids:
        connection.execute(
            update(fault_events).where(fault_events.c.id.in_(ids)).values(routed_at_ms=now_ms)
        )
    return sum(row["target"] is not None for row in rows)


# Sending: one worker at a time for a target


def ready_targets(connection: Connection, me: str, now_ms: int) -> dict[str, int]:
    """Targets to which something is to be sent now, and that nobody else has leased; with the
    newest delivery that waits for each."""
    column = targets.c
    waiting = (
        select(deliveries.c.target, func.max(deliveries.c.id).label("newest"))
        .where(deliveries.c.state == DeliveryState.PENDING.value, deliveries.c.next_at_ms <= now_ms)
        .group_by(deliveries.c.target)
        .subquery()
    )
    query = (
        select(column.id, waiting.c.newest)
        .join(waiting, waiting.c.target == column.id)
        .where(*_sendable(me, now_ms))
    )
    return {target: int(newest) for target, newest in connection.execute(query)}


def free_targets(
    connection: Connection, wanted: Collection[str], me: str, now_ms: int
) -> list[str]:
    """Of these those to which something may be sent now, and that nobody else has leased."""
    if not wanted:
        return []
    query = select(targets.c.id).where(targets.c.id.in_(wanted), *_sendable(me, now_ms))
    return list(connection.scalars(query))


def lease(connection: Connection, target: str, me: str, until_ms: int, now_ms: int) -> bool:
    """Take the target, or keep it for longer; False: somebody else has it."""
    taken = connection.execute(
        update(targets)
        .where(targets.c.id == target, targets.c.deleted_at_ms.is_(None), _free(me, now_ms))
        .values(leased_by=me, leased_until_ms=until_ms)
    )
    return taken.rowcount == 1


def release(connection: Connection, target: str, me: str) -> None:
    """Give it back, if it is still ours."""
    connection.execute(
        update(targets)
        .where(targets.c.id == target, targets.c.leased_by == me)
        .values(leased_by=None, leased_until_ms=None)
    )


def _sendable(me: str, now_ms: int) -> tuple[ColumnElement[bool], ...]:
    column = targets.c
    return (
        column.deleted_at_ms.is_(None),
        column.broken.is_(None),
        column.not_before_ms <= now_ms,
        _free(me, now_ms),
    )


def _free(me: str, now_ms: int) -> ColumnElement[bool]:
    column = targets.c
    return or_(column.leased_by.is_(None), column.leased_by == me, column.leased_until_ms <= now_ms)


def pending(connection: Connection, target: str, limit: int) -> list[Pending]:
    """What is still to be sent there: the safety tier first, then as it happened, and last what is
    put off to the morning, which is never of a fault of which something else waits."""
    column = deliveries.c
    query = (
        select(deliveries, fault_events.c.reason.label("why"), fault_events.c.at_ms.label("at_ms"))
        .join(fault_events, fault_events.c.id == column.event)
        .where(column.target == target, column.state == DeliveryState.PENDING.value)
        .order_by(column.safety.desc(), _was_quiet(), column.event)
        .limit(limit)
    )
    return [
        Pending(
            row.id,
            row.fault,
            row.event,
            Why(row.why),
            row.at_ms,
            row.safety,
            row.attempts,
            row.next_at_ms,
            row.created_at_ms,
            row.message,
            row.reason == QUIET_HOURS,
        )
        for row in connection.execute(query)
    ]


def _was_quiet() -> ColumnElement[bool]:
    return func.coalesce(deliveries.c.reason, "") == QUIET_HOURS


def sent_lately(connection: Connection, target: str, since_ms: int) -> list[int]:
    """When messages were sent there since then, oldest first; those of a digest count once."""
    column = deliveries.c
    query = (
        select(func.max(column.attempted_at_ms))
        .where(column.target == target, column.attempted_at_ms >= since_ms)
        .group_by(column.message)
    )
    return sorted(connection.scalars(query))


def still_pending(connection: Connection, ids: Sequence[int]) -> bool:
    """Whether all of them are still to be sent."""
    column = deliveries.c
    query = select(func.count()).where(
        column.id.in_(ids), column.state == DeliveryState.PENDING.value
    )
    return connection.execute(query).scalar_one() == len(ids)


def put_together(connection: Connection, ids: Sequence[int], message: str) -> bool:
    """They are one message from now on, however often it is tried; False: some no longer may be."""
    column = deliveries.c
    fixed = connection.execute(
        update(deliveries)
        .where(column.id.in_(ids), column.state == DeliveryState.PENDING.value)
        .values(message=message)
    )
    return fixed.rowcount == len(ids)


@dataclass(frozen=True, slots=True)
class Tried:
    """A message that was sent. message: its key. at_ms: when it was tried."""

    message: str
    at_ms: int
    answer: str


def delivered(connection: Connection, ids: Sequence[int], tried: Tried, now_ms: int) -> None:
    """They were accepted. Whoever was deaf before hears again."""
    _tried(connection, ids, tried, {"state": DeliveryState.DELIVERED.value, "done_at_ms": now_ms})
    reached = connection.scalars(
        select(deliveries.c.target).where(deliveries.c.id.in_(ids)).distinct()
    ).all()
    for target in reached:
        hears_again(connection, target)


def hears_again(connection: Connection, target: str) -> None:
    """It took a message: nothing holds up the next one."""
    column = targets.c
    connection.execute(
        update(targets)
        .where(
            column.id == target,
            or_(column.failures > 0, column.not_before_ms > 0, column.broken.is_not(None)),
        )
        .values(failures=0, not_before_ms=0, broken=None, broken_at_ms=None)
    )


def later(connection: Connection, ids: Sequence[int], tried: Tried, next_at_ms: int) -> None:
    """They were not accepted, and are tried again then."""
    _tried(connection, ids, tried, {"next_at_ms": next_at_ms})


def put_back(connection: Connection, ids: Sequence[int]) -> None:
    """They found no room in the message, and go with the next one."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.PENDING.value)
        .values(message=None)
    )


def _tried(
    connection: Connection, ids: Sequence[int], tried: Tried, more: Mapping[str, object]
) -> None:
    column = deliveries.c
    connection.execute(
        update(deliveries)
        .where(column.id.in_(ids), column.state == DeliveryState.PENDING.value)
        .values(
            message=tried.message,
            attempts=column.attempts + 1,
            attempted_at_ms=tried.at_ms,
            first_at_ms=func.coalesce(column.first_at_ms, tried.at_ms),
            answer=tried.answer[:ANSWER_CHARACTERS],
            **more,
        )
    )


def count_failure(connection: Connection, target: str) -> int:
    """It failed; how often in a row it has."""
    failed = connection.execute(
        update(targets)
        .where(targets.c.id == target)
        .values(failures=targets.c.failures + 1)
        .returning(targets.c.failures)
    ).scalar_one_or_none()
    return failed or 0


def rest(connection: Connection, target: str, until_ms: int) -> None:
    """Nothing is sent there before then."""
    connection.execute(update(targets).where(targets.c.id == target).values(not_before_ms=until_ms))


def break_target(connection: Connection, target: str, why: str, now_ms: int) -> None:
    """Nothing is sent there until a person has mended it; what waits goes on waiting."""
    connection.execute(
        update(targets)
        .where(targets.c.id == target, targets.c.broken.is_(None))
        .values(broken=why[:ANSWER_CHARACTERS], broken_at_ms=now_ms)
    )


def give_up(connection: Connection, before_ms: int, now_ms: int) -> int:
    """Deliveries that have waited since then end as failed; how many."""
    column = deliveries.c
    ended = connection.execute(
        update(deliveries)
        .where(column.state == DeliveryState.PENDING.value, column.created_at_ms < before_ms)
        .values(state=DeliveryState.FAILED.value, reason="given_up", done_at_ms=now_ms)
    )
    return ended.rowcount


def answered(connection: Connection, wanted: Collection[str]) -> set[str]:
    """Of these faults those that nobody need be pressed to answer any more, or for now."""
    query = select(faults).where(faults.c.id.in_(wanted))
    subjects = [fault_of(row) for row in connection.execute(query)]
    return {fault.id for fault in subjects if is_answered(fault) or is_held(fault)}


def drop(connection: Connection, ids: Sequence[int], reason: str, now_ms: int) -> None:
    """They are no longer to be told."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.PENDING.value)
        .values(state=DeliveryState.CANCELLED.value, reason=reason, done_at_ms=now_ms)
    )


def drop_ends_of_unheard(
    connection: Connection, target: str, of: Collection[str], now_ms: int
) -> None:
    """Ends of these faults that wait for a target, where it has not heard of the fault and will
    not."""
    waiting = deliveries.alias()
    ends = sorted(ENDS)
    heard = (
        select(waiting.c.id)
        .join(fault_events, fault_events.c.id == waiting.c.event)
        .where(
            waiting.c.fault == deliveries.c.fault,
            waiting.c.target == target,
            waiting.c.state != DeliveryState.CANCELLED.value,
            or_(waiting.c.state != DeliveryState.PENDING.value, fault_events.c.reason.not_in(ends)),
        )
        .exists()
    )
    connection.execute(
        update(deliveries)
        .where(
            deliveries.c.target == target,
            deliveries.c.fault.in_(of),
            deliveries.c.state == DeliveryState.PENDING.value,
            ~heard,
        )
        .values(state=DeliveryState.CANCELLED.value, reason="answered", done_at_ms=now_ms)
    )


def cancel(connection: Connection, ids: Sequence[int], reason: str, now_ms: int) -> None:
    """They are no longer to be told there, and their events are decided on again."""
    drop(connection, ids, reason, now_ms)
    again = select(deliveries.c.event).where(deliveries.c.id.in_(ids))
    connection.execute(
        update(fault_events).where(fault_events.c.id.in_(again)).values(routed_at_ms=None)
    )


def cancel_deleted(connection: Connection, now_ms: int) -> int:
    """What waits for targets that somebody has deleted ends; how many."""
    column = deliveries.c
    gone = select(targets.c.id).where(targets.c.deleted_at_ms.is_not(None))
    ended = connection.execute(
        update(deliveries)
        .where(column.state == DeliveryState.PENDING.value, column.target.in_(gone))
        .values(state=DeliveryState.CANCELLED.value, reason="target_deleted", done_at_ms=now_ms)
    )
    return ended.rowcount


# What people see


class UnknownDelivery(LookupError):
    """No such delivery in this scope."""


class NotFailed(Exception):
    """It has not failed, so there is nothing to try again."""


def list_deliveries(
    connection: Connection,
    scope: Scope,
    *,
    fault: str | None = None,
    target: str | None = None,
    state: str | None = None,
    compound: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """The newest first. before: the id of the last one on the page before."""
    column = deliveries.c
    # Their ids first, backwards through them: a join would begin with the faults, and sort it all.
    newest = select(column.id).order_by(column.id.desc()).limit(limit)
    for wanted, value in ((column.fault, fault), (column.target, target), (column.state, state)):
        if value is not None:
            newest = newest.where(wanted == value)
    if before is not None:
        newest = newest.where(column.id < before)
    if compound is not None:
        newest = newest.where(_fault_where(faults.c.compound == compound))
    if scope.firm is not None:
        theirs = select(targets.c.id).where(targets.c.id == column.target, _is_shown(scope))
        newest = newest.where(
            _fault_where(scope.holds(faults.c.compound)),
            or_(column.target.is_(None), theirs.exists()),
        )
    ids = connection.scalars(newest).all()
    query = _shown(scope).where(column.id.in_(ids)).order_by(column.id.desc())
    return [_delivery_of(row) for row in connection.execute(query)]


def _fault_where(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """That the delivery's fault is one of these; looked up for each, and never begun with."""
    return select(faults.c.id).where(faults.c.id == deliveries.c.fault, condition).exists()


def find_delivery(connection: Connection, scope: Scope, delivery: int) -> Delivery:
    """One delivery; raises UnknownDelivery, also outside the scope."""
    row = connection.execute(_shown(scope).where(deliveries.c.id == delivery)).one_or_none()
    if row is None:
        raise UnknownDelivery(delivery)
    return _delivery_of(row)


def try_again(connection: Connection, scope: Scope, delivery: int, now_ms: int) -> Delivery:
    """A failed one is to be sent again. Raises UnknownDelivery, NotFailed; does not commit."""
    found = find_delivery(connection, scope, delivery)
    again = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery, deliveries.c.state == DeliveryState.FAILED.value)
        .values(
            state=DeliveryState.PENDING.value,
            reason=None,
            next_at_ms=now_ms,
            created_at_ms=now_ms,
            done_at_ms=None,
        )
    )
    if again.rowcount != 1:
        raise NotFailed(f"delivery {delivery} is {found.state}, not failed")
    return find_delivery(connection, scope, delivery)


def _shown(scope: Scope) -> Any:
    return (
        select(
            deliveries,
            fault_events.c.reason.label("why"),
            faults.c.compound.label("compound"),
            targets.c.name.label("target_name"),
            targets.c.channel.label("channel"),
            targets.c.firm.label("firm"),
            people.c.name.label("person_name"),
        )
        .join(fault_events, fault_events.c.id == deliveries.c.event)
        .join(faults, faults.c.id == deliveries.c.fault)
        .join(targets, targets.c.id == deliveries.c.target, isouter=True)
        .join(people, people.c.id == deliveries.c.person, isouter=True)
        .where(scope.holds(faults.c.compound), _is_shown(scope))
    )


def _is_shown(scope: Scope) -> ColumnElement[bool]:
    """A firm sees to whom of its own people a fault went, and not to whom of others."""
    if scope.firm is None:
        return true()
    return or_(deliveries.c.target.is_(None), targets.c.firm == scope.firm)


def _delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        fault=row.fault,
        event=row.event,
        event_reason=Why(row.why),
        compound=row.compound,
        target=row.target,
        target_name=row.target_name,
        channel=row.channel,
        state=DeliveryState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        created_at_ms=row.created_at_ms,
        attempted_at_ms=row.attempted_at_ms,
        done_at_ms=row.done_at_ms,
        answer=row.answer,
        person=row.person,
        person_name=row.person_name,
    )


def counted(connection: Connection, now_ms: int) -> tuple[int, int]:
    """How many deliveries are pending, and how many events are due and not decided on."""
    waiting = select(func.count()).where(deliveries.c.state == DeliveryState.PENDING.value)
    unrouted = select(func.count()).where(
        fault_events.c.routed_at_ms.is_(None),
        or_(fault_events.c.notice_at_ms.is_(None), fault_events.c.notice_at_ms <= now_ms),
    )
    return (
        int(connection.execute(waiting).scalar_one()),
        int(connection.execute(unrouted).scalar_one()),
    )


@dataclass(frozen=True, slots=True)
class Untold:
    """Faults that somebody should know of, and nobody does. why: of the first one."""

    count: int
    since_ms: int = 0
    examples: tuple[str, ...] = ()
    why: str = ""


def untold(connection: Connection, late_before_ms: int, examples: int) -> Untold:
    """Open safety faults, and open ones of P1 and P2, of which no delivery has arrived.

    late_before_ms: one that is pending since before then counts as not arriving. What was held on
    purpose does not count.
    """
    column = deliveries.c
    other = deliveries.alias()
    arrived = (
        select(other.c.id)
        .where(other.c.fault == faults.c.id, other.c.state == DeliveryState.DELIVERED.value)
        .exists()
    )
    is_lost = or_(
        column.state == DeliveryState.FAILED.value,
        column.reason.in_((NO_ROUTE, UNREACHABLE)),
        (column.state == DeliveryState.PENDING.value) & (column.created_at_ms < late_before_ms),
    )
    query = (
        select(faults.c.id, func.min(column.created_at_ms), func.min(column.state))
        .join(deliveries, column.fault == faults.c.id)
        .where(
            is_lost,
            faults.c.stream == LIVE,
            faults.c.state == State.OPEN.value,
            or_(faults.c.safety, faults.c.severity.in_((Severity.P1.value, Severity.P2.value))),
            faults.c.kind != PLATFORM,
            ~arrived,
        )
        .group_by(faults.c.id)
        .order_by(func.min(column.created_at_ms), faults.c.id)
    )
    rows = connection.execute(query).all()
    if not rows:
        return Untold(0)
    states = {
        DeliveryState.FAILED.value: "failed",
        DeliveryState.PENDING.value: "pending",
        DeliveryState.SUPPRESSED.value: NO_ROUTE,
    }
    return Untold(
        len(rows),
        int(rows[0][1]),
        tuple(row[0] for row in rows[:examples]),
        states.get(rows[0][2], "failed"),
    )
