"""Daily summaries: for whom one is due, what is in it, and what became of it.

What a target is told of a day is one row, by target and local day, with the figures in it: it is
told once, and comes again as it was.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta, tzinfo
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    text,
    true,
    update,
)

from devices.alerts import ChannelName, DeliveryState
from devices.calendars import Calendar
from devices.catalogue import RULES
from devices.days import DAY_MS, local_date, zone_of
from devices.faults import State
from devices.hours import next_time_ms, time_of
from devices.maintenance import Window
from devices.registry import Name
from devices.rules import Severity
from devices.sla import Terms, Work, ledger, workdays
from devices.store import sla
from devices.store.database import conflict_insert
from devices.store.faults import OPEN_STATES
from devices.store.holidays import calendar
from devices.store.kpis import windows
from devices.store.schema import (
    LASTED,
    LIVE,
    compounds,
    devices,
    faults,
    firms,
    summaries,
    target_hours,
    targets,
)
from devices.store.scope import Scope
from devices.store.sla import Agreed, Case, Cases
from devices.summaries import (
    COMPOUNDS_SHOWN,
    LAMPS_SHOWN,
    WORST_SHOWN,
    Counts,
    Lamps,
    OfCompound,
    Standing,
    Summary,
    Worst,
    ordered,
)

STANDING_AT_MOST = 5_000  # the worst of them; beyond that what is overdue is not counted
ANSWER_CHARACTERS = 500
KEPT_MS = 35 * DAY_MS


@dataclass(frozen=True, slots=True)
class DueSummary:
    """A target whose summary is due. due_ms: since when; day: the local day; until_ms: its end."""

    target: str
    firm: str | None
    timezone: str
    at: time
    due_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """A summary on its way, or as it ended."""

    target: str
    target_name: str
    firm: str | None
    channel: ChannelName
    summary: Summary
    state: DeliveryState
    attempts: int
    created_at_ms: int
    attempted_at_ms: int | None
    done_at_ms: int | None
    answer: str | None

    @property
    def key(self) -> str:
        """Under which it is sent, however often it is tried."""
        return f"{self.summary.day}:summary:{self.target}"


# Making


def due(connection: Connection, now_ms: int, limit: int) -> list[DueSummary]:
    """Targets whose time has come, the longest due first."""
    column = target_hours.c
    query = (
        select(target_hours, targets.c.firm)
        .join(targets, targets.c.id == column.target)
        .where(column.summary_due_ms <= now_ms, targets.c.deleted_at_ms.is_(None))
        .order_by(column.summary_due_ms, column.target)
        .limit(limit)
    )
    return [
        DueSummary(
            row.target,
            row.firm,
            row.timezone,
            time.fromisoformat(row.summary_at),
            row.summary_due_ms,
        )
        for row in connection.execute(query)
    ]


def make(connection: Connection, one: DueSummary, summary: Summary | None, now_ms: int) -> bool:
    """It is to be told, and the next one is due a day later; False: somebody else was faster, or
    has other hours now. summary: None where the day is over on which it was due. Does not commit.
    """
    zone = zone_of(one.timezone)
    moved = connection.execute(
        update(target_hours)
        .where(target_hours.c.target == one.target, target_hours.c.summary_due_ms == one.due_ms)
        .values(summary_due_ms=next_time_ms(one.at, now_ms, zone))
    )
    if moved.rowcount != 1:
        return False
    if summary is not None:
        tomorrow = local_date(now_ms, zone) + timedelta(days=1)
        row = {
            "target": one.target,
            "day": summary.day,
            "body": msgspec.to_builtins(summary),
            "state": DeliveryState.PENDING.value,
            "attempts": 0,
            "created_at_ms": now_ms,
            "until_ms": time_of(tomorrow.isoformat(), time(0), zone),
            "next_at_ms": now_ms,
        }
        made = conflict_insert(connection, summaries).values(row)
        connection.execute(made.on_conflict_do_nothing())
    return True


class _Place(NamedTuple):
    """A compound. firm: which manages it."""

    name: Name
    zone: tzinfo
    firm: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What a summary is made of, as it was read: making it takes longer than reading it."""

    day: str
    from_ms: int
    to_ms: int
    timezone: str
    firm: str | None
    firm_name: Name | None
    places: Mapping[str | None, _Place]
    standing: Sequence[Standing]
    cases: Cases
    agreed: Mapping[str, Sequence[Agreed]]
    calendar: Calendar
    windows: Sequence[Window]
    counts: Sequence[Mapping[str | None, Counts]]


def gather(connection: Connection, one: DueSummary, now_ms: int) -> Ground | None:
    """What there is to tell this target of the day that has come; None: not today any more."""
    zone = zone_of(one.timezone)
    day = local_date(now_ms, zone)
    if time_of(day.isoformat(), one.at, zone) > now_ms:
        return None
    yesterday = (day - timedelta(days=1)).isoformat()
    before = select(summaries.c.created_at_ms).where(
        summaries.c.target == one.target, summaries.c.day == yesterday
    )
    from_ms = connection.scalar(before) or time_of(yesterday, one.at, zone)
    return of_a_day(connection, one.firm, day.isoformat(), (from_ms, now_ms), one.timezone)


def of_a_day(
    connection: Connection, firm: str | None, day: str, span: tuple[int, int], timezone: str
) -> Ground:
    """A firm's day, or the district's, as things are at the end of this time."""
    from_ms, now_ms = span
    scope = Scope(firm)
    cases = sla.standing(connection, scope, sla.EVERYTHING, STANDING_AT_MOST)
    begun_ms = min((one.opened_at_ms for one in cases.cases), default=now_ms)
    return Ground(
        day=day,
        from_ms=from_ms,
        to_ms=now_ms,
        timezone=timezone,
        firm=firm,
        firm_name=_firm_name(connection, firm),
        places=_places(connection, scope),
        standing=_standing(connection, scope),
        cases=cases,
        agreed=sla.agreed(connection),
        calendar=calendar(connection),
        windows=windows(connection, scope, sla.EVERYTHING, begun_ms, now_ms + 1),
        counts=(
            _standing_counts(connection, scope),
            _new(connection, scope, from_ms, now_ms),
            _cleared(connection, scope, from_ms, now_ms),
        ),
    )


def summed(ground: Ground) -> Summary:
    """The summary of what was read."""
    counts: dict[str | None, Counts] = {}
    for some in ground.counts:
        for compound, more in some.items():
            counts[compound] = counts.get(compound, Counts()) + more
    overdue = Counter(one.compound for one in _overdue(ground))
    for compound, n in overdue.items():
        counts[compound] = counts.get(compound, Counts()) + Counts(overdue=n)
    names = {compound: place.name for compound, place in ground.places.items()}
    certain = [one for one in ground.standing if not one.suspected]
    return Summary(
        day=ground.day,
        from_ms=ground.from_ms,
        to_ms=ground.to_ms,
        timezone=ground.timezone,
        firm=ground.firm,
        firm_name=ground.firm_name,
        counts=sum(counts.values(), Counts()),
        compounds=tuple(
            OfCompound(compound, names.get(compound, _OURS), counts[compound])
            for compound in ordered(counts)[:COMPOUNDS_SHOWN]
        ),
        worst=tuple(_worst(names, one) for one in certain[:WORST_SHOWN]),
        lamps=_lamps(names, certain),
    )


# So written, no index is taken for it: nearly all faults are such.
_UNEXPLAINED = func.coalesce(faults.c.suppressed_by, "") == ""
_OURS = Name("本系统", "Our system")  # what has no compound


def _standing(connection: Connection, scope: Scope) -> list[Standing]:
    """Faults that are not closed and that no root explains, the worst first."""
    column = faults.c
    query = (
        select(
            column.id,
            column.code,
            column.kind,
            column.compound,
            column.severity,
            column.safety,
            column.suspected,
            column.since_ms,
            column.acknowledged_at_ms,
            devices.c.name,
            devices.c.building,
            devices.c.unit,
        )
        .join(devices, devices.c.id == column.device, isouter=True)
        .where(
            column.state.in_(OPEN_STATES),
            column.stream == LIVE,
            _UNEXPLAINED,
            scope.holds(column.compound),
        )
        .order_by(column.safety.desc(), column.rank.desc(), column.since_ms, column.id)
        .limit(STANDING_AT_MOST)
    )
    return [
        Standing(
            fault=row.id,
            code=row.code,
            kind=row.kind,
            compound=row.compound,
            severity=Severity(row.severity),
            safety=row.safety,
            suspected=row.suspected,
            since_ms=row.since_ms,
            is_acknowledged=row.acknowledged_at_ms is not None,
            device=row.name or "",
            building=row.building or "",
            unit=row.unit or "",
        )
        for row in connection.execute(query)
    ]


def _standing_counts(connection: Connection, scope: Scope) -> dict[str | None, Counts]:
    is_guess = func.sum(case((faults.c.suspected, 1), else_=0))
    query = (
        select(faults.c.compound, func.count(), is_guess)
        .where(
            faults.c.state.in_(OPEN_STATES),
            faults.c.stream == LIVE,
            _UNEXPLAINED,
            scope.holds(faults.c.compound),
        )
        .group_by(faults.c.compound)
    )
    return {
        compound: Counts(open=int(n) - int(guesses), suspected=int(guesses))
        for compound, n, guesses in connection.execute(query)
    }


def _new(
    connection: Connection, scope: Scope, from_ms: int, to_ms: int
) -> dict[str | None, Counts]:
    query = _told_of(scope).where(faults.c.opened_at_ms >= from_ms, faults.c.opened_at_ms < to_ms)
    found = Counter(connection.scalars(query))
    return {compound: Counts(new=n) for compound, n in found.items()}


def _cleared(
    connection: Connection, scope: Scope, from_ms: int, to_ms: int
) -> dict[str | None, Counts]:
    """What came to its end in this time: it is not closed yet, was opened at most a day before, or
    is among the few that lasted for longer; each has an index."""
    ended = func.coalesce(faults.c.cleared_at_ms, faults.c.closed_at_ms)
    is_closed = faults.c.closed_at_ms.is_not(None)  # by its state it would be all there ever were
    lately_ms = from_ms - DAY_MS
    found: Counter[str | None] = Counter()
    for which in (
        faults.c.state == State.CLEARED.value,
        and_(is_closed, faults.c.opened_at_ms >= lately_ms, faults.c.opened_at_ms < to_ms),
        and_(text(LASTED), faults.c.closed_at_ms >= from_ms, faults.c.opened_at_ms + 0 < lately_ms),
    ):
        query = _told_of(scope).where(which, ended >= from_ms, ended < to_ms)
        found.update(connection.scalars(query))
    return {compound: Counts(cleared=n) for compound, n in found.items()}


def _told_of(scope: Scope) -> Any:
    """The compounds of faults, one for each; without guesses, and what a root explains. By time: a
    firm has far more faults than there were in a day."""
    return select(faults.c.compound).where(
        faults.c.stream == LIVE,
        _UNEXPLAINED,
        faults.c.suspected.is_(False),
        scope.holds(func.coalesce(faults.c.compound, "")),
    )


def _places(connection: Connection, scope: Scope) -> dict[str | None, _Place]:
    column = compounds.c
    query = select(column.id, column.name_zh, column.name_en, column.timezone, column.firm).where(
        scope.holds(column.id)
    )
    return {
        row.id: _Place(Name(row.name_zh, row.name_en), zone_of(row.timezone), row.firm)
        for row in connection.execute(query)
    }


def _overdue(ground: Ground) -> Iterator[Case]:
    """Those of which a limit has passed, by the ledger, without what was due."""
    is_workday = workdays(ground.calendar)
    by_compound: dict[str | None, list[Window]] = {}
    for window in ground.windows:
        by_compound.setdefault(window.compound, []).append(window)
    known: dict[str | None, Terms] = {}
    for subject in ground.cases.cases:
        place = ground.places.get(subject.compound)
        if place is None:
            continue
        if subject.compound not in known:
            limits = [(one.since_ms, one.limits) for one in ground.agreed.get(place.firm, ())]
            known[subject.compound] = Terms(Work(place.zone, is_workday), limits)
        found = ledger(
            subject,
            ground.cases.events.get(subject.id, ()),
            known[subject.compound],
            ground.to_ms,
            maintenance=[
                (window.starts_at_ms, window.over_at_ms)
                for name in (subject.compound, None)
                for window in by_compound.get(name, ())
                if window.covers(subject, window.starts_at_ms)
            ],
        )
        if found.is_overdue:
            yield subject


def _firm_name(connection: Connection, firm: str | None) -> Name | None:
    row = connection.execute(select(firms).where(firms.c.id == firm)).one_or_none()
    return None if row is None else Name(row.name_zh, row.name_en)


def _worst(names: Mapping[str | None, Name], one: Standing) -> Worst:
    rule = RULES[one.code]
    return Worst(
        fault=one.fault,
        name=Name(rule.zh, rule.en),
        severity=one.severity,
        safety=one.safety,
        since_ms=one.since_ms,
        compound=None if one.compound is None else names.get(one.compound),
        device=one.device,
        where=" ".join(part for part in (one.building, one.unit) if part),
        acknowledged=one.is_acknowledged,
    )


def _lamps(names: Mapping[str | None, Name], standing: Sequence[Standing]) -> tuple[Lamps, ...]:
    by_place: dict[tuple[str, str, str], Counter[str]] = {}
    for one in standing:
        if one.kind == "lamp" and one.compound is not None:
            place = (one.compound, one.building, one.unit)
            by_place.setdefault(place, Counter())[one.code] += 1
    found = [
        Lamps(
            names.get(compound, Name(compound, compound)),
            building,
            unit,
            codes.total(),
            tuple((Name(RULES[code].zh, RULES[code].en), n) for code, n in codes.most_common()),
        )
        for (compound, building, unit), codes in sorted(by_place.items())
    ]
    return tuple(sorted(found, key=lambda one: -one.count)[:LAMPS_SHOWN])


# Sending


def waiting(connection: Connection, now_ms: int) -> set[str]:
    """Targets for which a summary may be sent now."""
    return set(connection.scalars(select(summaries.c.target).where(_sendable(now_ms)).distinct()))


def next_for(connection: Connection, target: str, now_ms: int) -> Told | None:
    """The summary that is to be sent there now."""
    query = _shown(Scope()).where(summaries.c.target == target, _sendable(now_ms))
    row = connection.execute(query.order_by(summaries.c.day).limit(1)).one_or_none()
    return None if row is None else _told_of_row(row)


def _sendable(now_ms: int) -> ColumnElement[bool]:
    column = summaries.c
    return and_(
        text("summaries.state = 'pending'"),  # so written, the index of the few that wait serves
        column.next_at_ms <= now_ms,
        column.until_ms > now_ms,
    )


def tried(
    connection: Connection,
    told: Told,
    at_ms: int,
    answer: str,
    *,
    done_at_ms: int | None = None,
    next_at_ms: int | None = None,
) -> None:
    """It was sent: accepted, or it is tried again then."""
    column = summaries.c
    values: dict[str, Any] = {"attempts": column.attempts + 1, "attempted_at_ms": at_ms}
    values["answer"] = answer[:ANSWER_CHARACTERS]
    if done_at_ms is not None:
        values |= {"state": DeliveryState.DELIVERED.value, "done_at_ms": done_at_ms}
    if next_at_ms is not None:
        values["next_at_ms"] = next_at_ms
    connection.execute(
        update(summaries)
        .where(
            column.target == told.target,
            column.day == told.summary.day,
            column.state == DeliveryState.PENDING.value,
        )
        .values(**values)
    )


def give_up(connection: Connection, now_ms: int) -> int:
    """Those whose day is over, or whose target is gone, end as failed; how many. What is older than
    KEPT_MS is forgotten."""
    connection.execute(delete(summaries).where(summaries.c.created_at_ms < now_ms - KEPT_MS))
    column = summaries.c
    gone = select(targets.c.id).where(targets.c.deleted_at_ms.is_not(None))
    ended = connection.execute(
        update(summaries)
        .where(
            text("summaries.state = 'pending'"),
            or_(column.until_ms <= now_ms, column.target.in_(gone)),
        )
        .values(state=DeliveryState.FAILED.value, done_at_ms=now_ms)
    )
    return ended.rowcount


def sent_lately(connection: Connection, target: str, since_ms: int) -> list[int]:
    """When summaries were sent there since then."""
    query = select(summaries.c.attempted_at_ms).where(
        summaries.c.target == target, summaries.c.attempted_at_ms >= since_ms
    )
    return list(connection.scalars(query))


# What people see


def list_summaries(
    connection: Connection,
    scope: Scope,
    *,
    target: str | None = None,
    behind: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[Told]:
    """To targets in scope, the newest first. behind: (created_at_ms, target) of the last one."""
    column = summaries.c
    query = _shown(scope).order_by(column.created_at_ms.desc(), column.target.desc()).limit(limit)
    if target is not None:
        query = query.where(column.target == target)
    if behind is not None:
        at_ms, name = behind
        query = query.where(
            or_(
                column.created_at_ms < at_ms,
                (column.created_at_ms == at_ms) & (column.target < name),
            )
        )
    return [_told_of_row(row) for row in connection.execute(query)]


def _shown(scope: Scope) -> Any:
    own = true() if scope.firm is None else targets.c.firm == scope.firm
    return (
        select(summaries, targets.c.name.label("target_name"), targets.c.firm, targets.c.channel)
        .join(targets, targets.c.id == summaries.c.target)
        .where(own)
    )


def _told_of_row(row: Row[Any]) -> Told:
    return Told(
        target=row.target,
        target_name=row.target_name,
        firm=row.firm,
        channel=ChannelName(row.channel),
        summary=msgspec.convert(row.body, Summary),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at_ms=row.created_at_ms,
        attempted_at_ms=row.attempted_at_ms,
        done_at_ms=row.done_at_ms,
        answer=row.answer,
    )
