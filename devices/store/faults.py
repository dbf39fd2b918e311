"""Faults as people read and move them. (The judge's own writes are `devices.store.judgements`.)

A person's action is one transaction: the move by compare-and-set on the state, its line in the
fault's history, and a revision that tells the judge.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from devices.days import DAY_MS
from devices.faults import Fault, FaultEvent, FaultMoved, Held, Move, State, Why
from devices.roots import SUPPRESSES
from devices.rules import Severity
from devices.store.registry import add_revision
from devices.store.schema import LASTED, LIVE, compounds, devices, fault_events, faults
from devices.store.scope import Scope

# Spelled out, not `<> 'closed'`: so the index on (state, compound, severity) serves.
OPEN_STATES = (State.OPEN, State.ACKNOWLEDGED, State.CLEARED)
# Not `IS NULL`: SQLite takes that for the best index, and reads all faults that there ever were.
UNEXPLAINED = func.coalesce(faults.c.suppressed_by, "") == ""
CHILDREN_AT_ONCE = 500
ROOTS_DEEP = 3  # a compound, a gateway or a shed, what is behind it


class UnknownFault(LookupError):
    """No such fault in this scope."""


@dataclass(frozen=True, slots=True)
class Sought:
    """One word of a search: in the name or id of the device, or the fault's whole id; or the fault
    is of one of these codes or compounds, whose names have the word in them."""

    text: str
    codes: frozenset[str] = frozenset()
    compounds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which faults are asked for; None leaves a question open.

    from/to: of when it was opened. is_open: it is not closed. shelved, maintained: whether its
    notices are held for that. suppressed_by: the root that explains it. ids: only these.
    assignee: assigned to this name. of: somebody's, so assigned to them, or acknowledged by them
    and assigned to nobody. unassigned: assigned to nobody. acute: P1, or of the safety tier.
    sought: each of these words fits.
    """

    compound: str | None = None
    device: str | None = None
    state: str | None = None
    severity: str | None = None
    kind: str | None = None
    code: str | None = None
    firm: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    suppressed: bool | None = None
    is_open: bool = False
    suspected: bool | None = None
    shelved: bool | None = None
    maintained: bool | None = None
    suppressed_by: str | None = None
    ids: frozenset[str] | None = None
    assignee: str | None = None
    of: str | None = None
    unassigned: bool = False
    acute: bool = False
    sought: tuple[Sought, ...] = ()

    @property
    def is_of_now(self) -> bool:
        """Whether what stands is asked for: that is nothing of a past that is being filled in."""
        return self.is_open or self.state in OPEN_STATES


@dataclass(frozen=True, slots=True)
class Tally:
    """How many live faults are not closed. Suppressed ones count in `suppressed` alone.

    severities: of those that are certain and not shelved. unanswered: of those, the open ones.
    """

    severities: Mapping[str, int]
    unanswered: int
    suspected: int
    suppressed: int
    shelved: int
    maintained: int

    @property
    def listed(self) -> int:
        """Those that somebody has to deal with now."""
        return sum(self.severities.values())


def list_faults(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    before: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Fault]:
    """Faults of live and back-filled streams, the newest opened first.

    before: (opened_at_ms, id) of the last one on the page before.
    """
    order = (faults.c.opened_at_ms, faults.c.id)
    query = _matching(scope, wanted).order_by(*(column.desc() for column in order)).limit(limit)
    if before is not None:
        query = query.where(tuple_(*order) < tuple_(*(literal(value) for value in before)))
    return [fault_of(row) for row in connection.execute(query)]


def list_by_rank(
    connection: Connection,
    scope: Scope,
    wanted: Filter,
    *,
    behind: tuple[float, int, str] | None = None,
    limit: int = 100,
) -> list[Fault]:
    """The same faults, the one that matters most first, then the newest. Closed ones keep theirs.

    One query a state, so that the index on (state, rank) serves each, however many are closed.
    behind: (rank, opened_at_ms, id) of the last one on the page before.
    """
    order = (faults.c.rank, faults.c.opened_at_ms, faults.c.id)
    found: list[Fault] = []
    for state in OPEN_STATES if wanted.is_open else tuple(State):
        if wanted.state not in (None, state):
            continue
        query = _matching(scope, replace(wanted, state=None, is_open=False))
        query = query.where(faults.c.state == state)
        if wanted.is_of_now:
            query = query.where(faults.c.stream == LIVE)
        query = query.order_by(*(column.desc() for column in order)).limit(limit)
        if behind is not None:
            query = query.where(tuple_(*order) < tuple_(*(literal(value) for value in behind)))
        found += [fault_of(row) for row in connection.execute(query)]
    found.sort(key=lambda fault: (fault.rank, fault.opened_at_ms, fault.id), reverse=True)
    return found[:limit]


def count_faults(connection: Connection, scope: Scope, wanted: Filter) -> int:
    """How many there are. For what is bounded by itself, like those that are not closed."""
    query = _matching(scope, wanted).with_only_columns(func.count())
    return connection.execute(query).scalar_one()


def assignees(connection: Connection, scope: Scope, limit: int = 100) -> list[str]:
    """To whom live faults that are not closed are assigned, by name."""
    column = faults.c
    query = (
        select(column.assignee)
        .where(
            column.state.in_(OPEN_STATES),
            column.stream == LIVE,
            column.assignee.is_not(None),
            scope.holds(column.compound),
        )
        .distinct()
        .order_by(column.assignee)
        .limit(limit)
    )
    return [name for (name,) in connection.execute(query) if name is not None]


def children_of(
    connection: Connection, scope: Scope, roots: Collection[str], limit: int = CHILDREN_AT_ONCE
) -> dict[str, list[Fault]]:
    """Root -> the faults that it explains and that are not closed, the first to begin first.

    With those that a root below it explains: the gates of a gateway without power.
    """
    children: dict[str, list[Fault]] = {}
    tops = {root: root for root in roots}
    asked = set(tops)
    for _ in range(ROOTS_DEEP):
        query = (
            select(faults)
            .where(
                faults.c.suppressed_by.in_(asked),
                faults.c.state.in_(OPEN_STATES),
                scope.holds(faults.c.compound),
            )
            .order_by(faults.c.since_ms, faults.c.id)
            .limit(limit)
        )
        found = [fault_of(row) for row in connection.execute(query)]
        for fault in found:
            top = tops[fault.suppressed_by or ""]
            children.setdefault(top, []).append(fault)
            tops[fault.id] = top
        asked = {fault.id for fault in found if fault.code in SUPPRESSES}
        if not asked:
            break
    for below in children.values():
        below.sort(key=lambda fault: (fault.since_ms, fault.id))
    return children


def count_children(connection: Connection, scope: Scope, roots: Collection[str]) -> dict[str, int]:
    """Root -> how many faults it explains, or explained while they stood; without those of none."""
    query = (
        select(faults.c.suppressed_by, func.count())
        .where(faults.c.suppressed_by.in_(roots), scope.holds(faults.c.compound))
        .group_by(faults.c.suppressed_by)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def same_before(
    connection: Connection, scope: Scope, fault: Fault, since_ms: int, limit: int = 5
) -> list[Fault]:
    """Other faults of its subject and code that were opened since then, the newest first."""
    query = (
        select(faults)
        .where(
            faults.c.subject == fault.subject,
            faults.c.code == fault.code,
            faults.c.opened_at_ms >= since_ms,
            faults.c.id != fault.id,
            scope.holds(faults.c.compound),
        )
        .order_by(faults.c.opened_at_ms.desc(), faults.c.id.desc())
        .limit(limit)
    )
    return [fault_of(row) for row in connection.execute(query)]


def same_nearby(
    connection: Connection, scope: Scope, fault: Fault, since_ms: int, limit: int = 5
) -> list[Fault]:
    """Faults of its code at others of its compound that were opened since then, newest first."""
    query = (
        select(faults)
        .where(
            faults.c.compound == fault.compound,
            faults.c.subject != fault.subject,
            faults.c.code == fault.code,
            faults.c.opened_at_ms >= since_ms,
            scope.holds(faults.c.compound),
        )
        .order_by(faults.c.opened_at_ms.desc(), faults.c.id.desc())
        .limit(limit)
    )
    return [fault_of(row) for row in connection.execute(query)]


def last_words(connection: Connection, ids: Collection[str]) -> dict[str, FaultEvent]:
    """Fault -> the last event with a note, of those that have one: how it ended, in words."""
    column = fault_events.c
    newest = (
        select(func.max(column.id))
        .where(column.fault.in_(ids), column.note.is_not(None), column.note != "")
        .group_by(column.fault)
    )
    query = select(fault_events).where(column.id.in_(newest))
    return {row.fault: event_of(row) for row in connection.execute(query)}


def tally(connection: Connection, scope: Scope) -> Tally:
    """How the faults stand that are not closed."""
    column = faults.c
    groups = (
        column.severity,
        column.suspected,
        column.state,
        column.suppressed_by.is_not(None),
        column.shelved_until_ms.is_not(None),
        column.maintenance.is_not(None),
    )
    query = (
        select(*groups, func.count())
        .where(
            column.state.in_(OPEN_STATES),
            column.stream == LIVE,
            scope.holds(column.compound),
        )
        .group_by(*groups)
    )
    severities: dict[str, int] = {}
    unanswered = suspected = suppressed = shelved = maintained = 0
    for row in connection.execute(query):
        severity, is_guess, state, has_root, is_shelved, is_held, count = row
        if has_root:
            suppressed += count
            continue
        shelved += count if is_shelved else 0
        maintained += count if is_held else 0
        suspected += count if is_guess and not is_shelved else 0
        if not is_guess and not is_shelved:
            severities[severity] = severities.get(severity, 0) + count
            unanswered += count if state == State.OPEN else 0
    return Tally(severities, unanswered, suspected, suppressed, shelved, maintained)


@dataclass(frozen=True, slots=True)
class Pace:
    """How faults come and go. opened, closed: of a day; neither guesses nor what a root explains.

    to_acknowledge_s: the median of what people answered since a time; None: nothing.
    """

    opened: int
    closed: int
    to_acknowledge_s: float | None


def pace_of(
    connection: Connection, scope: Scope, wanted: Filter, *, day_ms: int, since_ms: int
) -> Pace:
    """Live ones that fit. day_ms: when the day began. since_ms: of those opened after it.

    What closed today was opened today or yesterday, or is among the few that lasted longer: so
    each part goes along an index, and none reads what closed before.
    """
    column = faults.c
    of = _matching(scope, replace(wanted, suspected=False, suppressed=False)).where(
        column.stream == LIVE
    )
    lately = day_ms - DAY_MS
    opened, closed = connection.execute(
        of.where(column.opened_at_ms >= lately).with_only_columns(
            func.count().filter(column.opened_at_ms >= day_ms),
            func.count().filter(column.closed_at_ms >= day_ms),
        )
    ).one()
    lasting = of.where(
        text(LASTED), column.closed_at_ms >= day_ms, column.opened_at_ms < lately
    ).with_only_columns(func.count())
    answered = of.where(
        column.opened_at_ms >= since_ms, column.acknowledged_at_ms >= column.opened_at_ms
    )
    took = column.acknowledged_at_ms - column.opened_at_ms
    count = connection.execute(answered.with_only_columns(func.count())).scalar_one()
    median_ms = None
    if count:
        middle = answered.with_only_columns(took).order_by(took)
        at = middle.offset((count - 1) // 2).limit(2 - count % 2)
        few = connection.scalars(at).all()
        median_ms = sum(few) / len(few)
    return Pace(
        opened,
        closed + connection.execute(lasting).scalar_one(),
        None if median_ms is None else median_ms / 1000,
    )


def find_fault(connection: Connection, scope: Scope, fault: str, *, lock: bool = False) -> Fault:
    """One fault; raises UnknownFault, also outside the scope.

    lock: it is to be moved, so that whoever else wants to move it waits (as all do on SQLite).
    """
    query = select(faults).where(faults.c.id == fault, scope.holds(faults.c.compound))
    if lock:
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownFault(fault)
    return fault_of(row)


def history(connection: Connection, fault: str) -> list[FaultEvent]:
    """All that happened to a fault, oldest first."""
    query = select(fault_events).where(fault_events.c.fault == fault).order_by(fault_events.c.id)
    return [event_of(row) for row in connection.execute(query)]


def newest_events(connection: Connection, fault: str, limit: int) -> list[FaultEvent]:
    """The last that happened to a fault, the newest first."""
    column = fault_events.c
    query = select(fault_events).where(column.fault == fault).order_by(column.id.desc())
    return [event_of(row) for row in connection.execute(query.limit(limit))]


def event_of(row: Row[Any]) -> FaultEvent:
    """A row of `fault_events`."""
    return FaultEvent(
        row.fault,
        row.at_ms,
        None if row.was is None else State(row.was),
        State(row.becomes),
        Why(row.reason),
        row.actor,
        row.note,
        row.evidence,
        row.notice_at_ms,
        None if row.held is None else Held(row.held),
    )


def open_by_severity(
    connection: Connection, scope: Scope, compound: str | None = None
) -> dict[str | None, dict[str, int]]:
    """Compound (None: the platform) -> severity -> live faults neither closed nor suppressed."""
    query = (
        select(faults.c.compound, faults.c.severity, func.count())
        .where(
            faults.c.state.in_(OPEN_STATES),
            faults.c.stream == LIVE,
            UNEXPLAINED,
            scope.holds(faults.c.compound),
        )
        .group_by(faults.c.compound, faults.c.severity)
    )
    if compound is not None:
        query = query.where(faults.c.compound == compound)
    counts: dict[str | None, dict[str, int]] = {}
    for where, severity, count in connection.execute(query):
        counts.setdefault(where, {})[severity] = count
    return counts


def fault_row(fault: Fault, stream: str) -> dict[str, Any]:
    """A new fault, all of it."""
    return {
        "id": fault.id,
        "stream": stream,
        "subject": fault.subject,
        "code": fault.code,
        "kind": fault.kind,
        "device": fault.device,
        "suspected": fault.suspected,
        "opened_at_ms": fault.opened_at_ms,
        "shelved_until_ms": fault.shelved_until_ms,
        "assignee": fault.assignee,
        **judged(fault),
    }


def judged(fault: Fault) -> dict[str, Any]:
    """The columns that the judge moves; what people wrote (assignee, shelving) stays."""
    return {
        "compound": fault.compound,
        "since_ms": fault.since_ms,
        "severity": fault.severity,
        "safety": fault.safety,
        "late": fault.late,
        "suppressed_by": fault.suppressed_by,
        "maintenance": fault.maintenance,
        "raises_ms": list(fault.raises_ms),
        "flaps": fault.flaps,
        "impact": None if fault.impact is None else dict(fault.impact),
        "rank": fault.rank,
        "state": fault.state,
        "acknowledged_at_ms": fault.acknowledged_at_ms,
        "acknowledged_by": fault.acknowledged_by,
        "cleared_at_ms": fault.cleared_at_ms,
        "closed_at_ms": fault.closed_at_ms,
        "resolution": fault.resolution,
        "occurrences": fault.occurrences,
        "evidence": dict(fault.evidence),
    }


def step_row(event: FaultEvent, routed_at_ms: int | None = None) -> dict[str, Any]:
    """A line in the history of a fault. routed_at_ms: set where nobody is to be told of it."""
    return {
        "fault": event.fault,
        "at_ms": event.at_ms,
        "was": event.was,
        "becomes": event.becomes,
        "reason": event.reason,
        "actor": event.actor,
        "note": event.note,
        "evidence": None if event.evidence is None else dict(event.evidence),
        "routed_at_ms": routed_at_ms,
        "notice_at_ms": event.notice_at_ms,
        "held": event.held,
    }


def move_fault(
    connection: Connection,
    scope: Scope,
    fault: str,
    move: Callable[[Fault], Move],
) -> Fault:
    """A person's action: `move` is one of `devices.faults`' transitions. Does not commit.

    Raises UnknownFault, and FaultMoved when the state does not allow it or has moved on.
    """
    was = find_fault(connection, scope, fault, lock=True)
    becomes, event = move(was)
    _save(connection, becomes, was=was.state)
    _record(connection, event)
    return becomes


def _save(connection: Connection, fault: Fault, *, was: State) -> None:
    """Write what people decide, if the row is still in `was`; the judge's columns stay."""
    moved = connection.execute(
        update(faults)
        .where(faults.c.id == fault.id, faults.c.state == was)
        .values(
            state=fault.state,
            acknowledged_at_ms=fault.acknowledged_at_ms,
            acknowledged_by=fault.acknowledged_by,
            closed_at_ms=fault.closed_at_ms,
            assignee=fault.assignee,
            resolution=fault.resolution,
            shelved_until_ms=fault.shelved_until_ms,
            suspected=fault.suspected,
            onsite_at_ms=fault.onsite_at_ms,
            repaired_at_ms=fault.repaired_at_ms,
            confirmed_at_ms=fault.confirmed_at_ms,
        )
    )
    if moved.rowcount != 1:
        raise FaultMoved(f"fault {fault.id} is no longer {was}")


def _record(connection: Connection, event: FaultEvent) -> None:
    connection.execute(insert(fault_events).values(step_row(event)))
    moved = {"reason": event.reason, "was": event.was, "becomes": event.becomes}
    add_revision(connection, "fault", event.fault, moved, event.at_ms)


def _matching(scope: Scope, wanted: Filter) -> Select[Any]:
    query = select(faults).where(scope.holds(faults.c.compound))
    for column, value in (
        (faults.c.compound, wanted.compound),
        (faults.c.device, wanted.device),
        (faults.c.state, wanted.state),
        (faults.c.severity, wanted.severity),
        (faults.c.kind, wanted.kind),
        (faults.c.code, wanted.code),
        (faults.c.suppressed_by, wanted.suppressed_by),
        (faults.c.assignee, wanted.assignee),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.ids is not None:
        query = query.where(faults.c.id.in_(wanted.ids))
    if wanted.firm is not None:
        query = query.where(
            faults.c.compound.in_(select(compounds.c.id).where(compounds.c.firm == wanted.firm))
        )
    if wanted.from_ms is not None:
        query = query.where(faults.c.opened_at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(faults.c.opened_at_ms < wanted.to_ms)
    if wanted.is_open:
        query = query.where(faults.c.state.in_(OPEN_STATES))
    if wanted.is_of_now:
        query = query.where(faults.c.stream == LIVE)
    if wanted.suspected is not None:
        query = query.where(faults.c.suspected.is_(wanted.suspected))
    if wanted.suppressed is not None:
        query = query.where(~UNEXPLAINED if wanted.suppressed else UNEXPLAINED)
    for column, is_set in (
        (faults.c.shelved_until_ms, wanted.shelved),
        (faults.c.maintenance, wanted.maintained),
    ):
        if is_set is not None:
            query = query.where(column.is_not(None) if is_set else column.is_(None))
    if wanted.of is not None:
        seen = (faults.c.acknowledged_by == wanted.of) & faults.c.assignee.is_(None)
        query = query.where((faults.c.assignee == wanted.of) | seen)
    if wanted.unassigned:
        query = query.where(faults.c.assignee.is_(None))
    if wanted.acute:
        query = query.where((faults.c.severity == Severity.P1) | faults.c.safety.is_(True))
    for word in wanted.sought:
        query = query.where(_fits(word, of_now=wanted.is_of_now))
    return query


def _fits(word: Sought, *, of_now: bool) -> ColumnElement[bool]:
    """of_now: of few, so their devices are looked up; of all there ever were all devices are."""
    named = select(devices.c.id).where(
        devices.c.name.icontains(word.text, autoescape=True)
        | devices.c.id.icontains(word.text, autoescape=True)
    )
    looked_up = named.where(devices.c.id == faults.c.device).exists()
    is_named: ColumnElement[bool] = looked_up if of_now else faults.c.device.in_(named)
    ways = [faults.c.id == word.text, is_named]
    if word.codes:
        ways.append(faults.c.code.in_(word.codes))
    if word.compounds:
        ways.append(faults.c.compound.in_(word.compounds))
    return or_(*ways)


def fault_of(row: Row[Any]) -> Fault:
    """A row of `faults` as the value that the transitions take."""
    return Fault(
        id=row.id,
        subject=row.subject,
        code=row.code,
        kind=row.kind,
        severity=Severity(row.severity),
        safety=row.safety,
        state=State(row.state),
        since_ms=row.since_ms,
        opened_at_ms=row.opened_at_ms,
        device=row.device,
        compound=row.compound,
        suspected=row.suspected,
        acknowledged_at_ms=row.acknowledged_at_ms,
        acknowledged_by=row.acknowledged_by,
        cleared_at_ms=row.cleared_at_ms,
        closed_at_ms=row.closed_at_ms,
        suppressed_by=row.suppressed_by,
        shelved_until_ms=row.shelved_until_ms,
        assignee=row.assignee,
        resolution=row.resolution,
        occurrences=row.occurrences,
        late=row.late,
        evidence=row.evidence,
        raises_ms=tuple(row.raises_ms or ()),
        flaps=row.flaps,
        repeat_of=row.repeat_of,
        maintenance=row.maintenance,
        impact=row.impact,
        rank=row.rank,
        onsite_at_ms=row.onsite_at_ms,
        repaired_at_ms=row.repaired_at_ms,
        confirmed_at_ms=row.confirmed_at_ms,
    )
