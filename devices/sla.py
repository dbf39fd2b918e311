"""The service ledger of a fault: what was done when, until when it was to be done, what is overdue.

    detected → notified → acknowledged → on site → repaired → verified by telemetry

Pure functions over what is recorded anyway: a fault's events, when a notice of it first arrived,
and maintenance. Nothing of it is stored.

A *round* begins when the fault is raised, and ends when its device says that it is over; a raise
after that is a new round. A person's close of a fault whose device is still bad ends nothing: the
judge opens it again, and its clock has run on. The clock stands during maintenance, and while a
root cause explains the fault; it begins anew, with the limits of its class then, when the fault
gets worse, and when a person confirms what was suspected. Limits of working time pass from 08:00 to
18:00 on working days.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from devices.calendars import Calendar, Day
from devices.catalogue import RULES
from devices.faults import FALSE_ALARM, NOTICED, PLATFORM, SYSTEM, Held, State, Why
from devices.roots import SHED_OFFLINE, SUPPRESSES
from devices.rules import Party, Severity
from devices.spans import Span, clip, length_ms, union

WORK_FROM_H, WORK_TO_H = 8, 18
MINUTE_MS = 60_000
DAYS_AT_MOST = 90  # of a limit
_DAYS_LOOKED_AT = 800  # the longest limit, its pauses, and every feast between
# To be acknowledged, and mended by nobody here: a root that lies with grid or network, and what
# only informs (domain.md §3.1).
UNMENDED = frozenset(
    code for code in SUPPRESSES if RULES[code].party in (Party.GRID, Party.NETWORK)
) - {SHED_OFFLINE} | {"GATE_FIRE_OPEN"}
# Ends after which nobody is asked what they did.
_VOID = frozenset({Why.RETIRED, Why.HISTORY_ENDS})


class BadLimits(ValueError):
    """Limits that cannot be; says which, and what they may be."""


class Unit(StrEnum):
    MINUTES = "minutes"
    WORK_MINUTES = "work_minutes"  # only those of working time count
    WORKING_DAYS = "working_days"  # until the work of that day ends; the day it began is none


@dataclass(frozen=True, slots=True)
class Limit:
    amount: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """Limits of a severity. onsite: somebody is there; mend: it is over; None: no limit."""

    acknowledge: Limit
    onsite: Limit | None = None
    mend: Limit | None = None


Limits = Mapping[Severity, ServiceClass]

# domain.md §6.4
DEFAULTS: Limits = MappingProxyType(
    {
        Severity.P1: ServiceClass(Limit(5, Unit.MINUTES), onsite=Limit(30, Unit.MINUTES)),
        Severity.P2: ServiceClass(Limit(15, Unit.MINUTES), mend=Limit(4 * 60, Unit.MINUTES)),
        Severity.P3: ServiceClass(
            Limit(2 * 60, Unit.WORK_MINUTES), mend=Limit(24 * 60, Unit.MINUTES)
        ),
        Severity.P4: ServiceClass(Limit(1, Unit.WORKING_DAYS), mend=Limit(3, Unit.WORKING_DAYS)),
    }
)
_NAMES = ("acknowledge", "onsite", "mend")


def parse_limits(body: object) -> Limits:
    """Limits as they are written, {"P2": {"acknowledge": {"amount": 15, "unit": "minutes"}, …}, …};
    a class that is left out has its default. Raises BadLimits."""
    if not isinstance(body, Mapping) or not set(body) <= set(Severity):
        raise BadLimits(f"limits are given by class: {', '.join(Severity)}")
    limits = dict(DEFAULTS)
    for severity, given in body.items():
        if not isinstance(given, Mapping) or not set(given) <= set(_NAMES):
            raise BadLimits(f"{severity}: its limits are {', '.join(_NAMES)}")
        found = {
            name: _parse_limit(f"{severity}.{name}", one)
            for name, one in given.items()
            if one is not None
        }
        acknowledge = found.get("acknowledge")
        if acknowledge is None:
            raise BadLimits(f"{severity}: within what it is to be acknowledged is missing")
        limits[Severity(severity)] = ServiceClass(
            acknowledge, found.get("onsite"), found.get("mend")
        )
    return MappingProxyType(limits)


def print_limits(limits: Limits) -> dict[str, dict[str, object]]:
    """As `parse_limits` reads them, all classes."""
    return {
        severity.value: {
            name: None if limit is None else {"amount": limit.amount, "unit": limit.unit.value}
            for name, limit in (
                ("acknowledge", limits[severity].acknowledge),
                ("onsite", limits[severity].onsite),
                ("mend", limits[severity].mend),
            )
        }
        for severity in Severity
    }


def _parse_limit(name: str, given: object) -> Limit:
    amount = given.get("amount") if isinstance(given, Mapping) else None
    unit = given.get("unit") if isinstance(given, Mapping) else None
    if unit not in set(Unit) or isinstance(amount, bool) or not isinstance(amount, int):
        raise BadLimits(f"{name}: is an amount, a whole number, and a unit: {', '.join(Unit)}")
    most = DAYS_AT_MOST if unit == Unit.WORKING_DAYS else DAYS_AT_MOST * 24 * 60
    if not 0 < amount <= most:
        raise BadLimits(f"{name}: {unit} are from 1 to {most}")
    return Limit(amount, Unit(unit))


# Time


def is_weekday(day: date) -> bool:
    return day.weekday() < 5


def workdays(calendar: Calendar) -> Callable[[date], bool]:
    return lambda day: calendar.kind_of(day) is Day.WORKDAY


@dataclass(frozen=True, slots=True)
class Work:
    """When people work. is_workday: of `workdays`, to know of holidays, and of days that are worked
    for them."""

    zone: tzinfo
    is_workday: Callable[[date], bool] = is_weekday

    def spans(self, from_ms: int) -> Iterator[Span]:
        """The hours of work from then on, as many days as any limit may last."""
        day = datetime.fromtimestamp(from_ms / 1000, self.zone).date()
        for _ in range(_DAYS_LOOKED_AT):
            if self.is_workday(day):
                begins_ms, ends_ms = (
                    self.at_hour_ms(day, hour) for hour in (WORK_FROM_H, WORK_TO_H)
                )
                if ends_ms > from_ms:
                    yield max(begins_ms, from_ms), ends_ms
            day += timedelta(days=1)

    def day_ends_ms(self, from_ms: int, days: int) -> int:
        """When the work of the first, second … working day after that day ends."""
        day = datetime.fromtimestamp(from_ms / 1000, self.zone).date()
        return _working_day_ends_ms(self, day, days)

    def at_hour_ms(self, day: date, hour: int) -> int:
        at = datetime(day.year, day.month, day.day, hour, tzinfo=self.zone)
        return int(at.timestamp()) * 1000


@lru_cache(maxsize=1024)  # of a year of a district some thousand faults begin on the same day
def _working_day_ends_ms(work: Work, day: date, days: int) -> int:
    for _ in range(_DAYS_LOOKED_AT):
        day += timedelta(days=1)
        days -= work.is_workday(day)
        if not days:
            break
    return work.at_hour_ms(day, WORK_TO_H)


def due_ms(limit: Limit, from_ms: int, work: Work, pauses: Sequence[Span] = ()) -> int:
    """Until when it must be done. pauses: a line; the clock stands in them.

    With pauses, working days pass as so much working time as they hold.
    """
    if limit.unit is Unit.MINUTES and not pauses:
        return from_ms + limit.amount * MINUTE_MS
    if limit.unit is Unit.MINUTES:
        return _passes_ms(limit.amount * MINUTE_MS, [(from_ms, _FOREVER)], pauses)
    if limit.unit is Unit.WORK_MINUTES:
        return _passes_ms(limit.amount * MINUTE_MS, work.spans(from_ms), pauses)
    ends_ms = work.day_ends_ms(from_ms, limit.amount)
    if not pauses or pauses[0][0] >= ends_ms:
        return ends_ms
    held_ms = 0
    for begins_ms, until_ms in work.spans(from_ms):
        held_ms += max(0, min(until_ms, ends_ms) - begins_ms)
        if until_ms >= ends_ms:
            break
    return _passes_ms(held_ms, work.spans(from_ms), pauses)


_FOREVER = 2**53


def _passes_ms(lasts_ms: int, running: Iterable[Span], pauses: Sequence[Span]) -> int:
    """When so much of `running` has passed outside of `pauses`; 0 of it passes at once."""
    end_ms = _FOREVER
    for begins_ms, ends_ms in running:
        at_ms = begins_ms
        for paused_ms, again_ms in pauses:
            if again_ms <= at_ms:
                continue
            if paused_ms >= ends_ms:
                break
            free_ms = max(0, paused_ms - at_ms)
            if lasts_ms <= free_ms:
                return at_ms + lasts_ms
            lasts_ms -= free_ms
            at_ms = min(again_ms, ends_ms)
        if lasts_ms <= ends_ms - at_ms:
            return at_ms + lasts_ms
        lasts_ms -= ends_ms - at_ms
        end_ms = ends_ms
    return end_ms


# The ledger


class StepName(StrEnum):
    DETECTED = "detected"
    NOTIFIED = "notified"
    ACKNOWLEDGED = "acknowledged"
    ONSITE = "onsite"
    REPAIRED = "repaired"  # a person says so
    VERIFIED = "verified"  # the device says so


class Verdict(StrEnum):
    MET = "met"
    LATE = "late"  # done, or over by itself, after its limit
    OVERDUE = "overdue"  # not done, and its limit has passed
    RUNNING = "running"
    NOT_NEEDED = "not_needed"  # the fault was over, or none, before it had to be done


class Clock(StrEnum):
    RUNS = "runs"
    PAUSED = "paused"
    OVER = "over"  # nothing is to be done any more
    NONE = "none"  # suspected, or explained by a root: nobody is asked to do anything


class PauseWhy(StrEnum):
    MAINTENANCE = "maintenance"
    UPSTREAM = "upstream"  # a root cause explained it


@dataclass(frozen=True, slots=True)
class Step:
    """at_ms: when it was done. by: whoever did, where it was a person. due_ms: None: no limit, or
    none yet. verdict: None where nothing limits it."""

    name: StepName
    at_ms: int | None = None
    by: str | None = None
    due_ms: int | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """until_ms: None: it lasts."""

    from_ms: int
    until_ms: int | None
    why: PauseWhy


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of the round in which the fault is, or was last.

    steps: one of each name, in their order. by_hand: a person closed it, and no device has said
    that it is over. reopened: how often a person had closed it, and the device was still bad.
    rounds: how often it was raised. *_s: by the clock, so without pauses; None: not done.
    """

    severity: Severity
    steps: tuple[Step, ...]
    pauses: tuple[Pause, ...]
    clock: Clock
    rounds: int = 1
    reopened: int = 0
    by_hand: bool = False
    notified_s: float | None = None
    acknowledged_s: float | None = None
    onsite_s: float | None = None
    mended_s: float | None = None

    def step(self, name: StepName) -> Step:
        return self.steps[_PLACES[name]]

    @property
    def mend(self) -> Step:
        """The step that ends it: somebody on site where its class asks for that, else its end."""
        onsite = self.step(StepName.ONSITE)
        return onsite if onsite.verdict is not None else self.step(StepName.VERIFIED)

    @property
    def next(self) -> Step | None:
        """The open step that is due first; None: nothing is."""
        open_ = [one for one in self.steps if one.verdict in (Verdict.RUNNING, Verdict.OVERDUE)]
        return min(open_, key=lambda one: one.due_ms or 0, default=None)

    @property
    def is_overdue(self) -> bool:
        return any(one.verdict is Verdict.OVERDUE for one in self.steps)


_PLACES = {name: place for place, name in enumerate(StepName)}


class Subject(Protocol):
    """What the ledger must know of a fault; `devices.faults.Fault` is one."""

    @property
    def code(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def state(self) -> State: ...
    @property
    def suspected(self) -> bool: ...
    @property
    def suppressed_by(self) -> str | None: ...
    @property
    def opened_at_ms(self) -> int: ...
    @property
    def resolution(self) -> str | None: ...


class Happened(Protocol):
    """What the ledger must know of an event; `devices.faults.FaultEvent` is one."""

    @property
    def at_ms(self) -> int: ...
    @property
    def reason(self) -> Why: ...
    @property
    def actor(self) -> str: ...
    @property
    def held(self) -> Held | None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the faults of a firm: its limits, each from when somebody set them, oldest
    first; before the first, and without any, the defaults."""

    work: Work
    changes: Sequence[tuple[int, Limits]] = ()

    def limits(self, at_ms: int) -> Limits:
        """Those of a fault that was raised then."""
        for since_ms, limits in reversed(self.changes):
            if since_ms <= at_ms:
                return limits
        return DEFAULTS


Mark = tuple[int, str | None]  # when, by whom


@dataclass(slots=True)
class _Round:
    """One round, while its events are gone through."""

    begun_ms: int
    asked_ms: int  # since when somebody is to acknowledge it
    acknowledged: Mark | None = None
    onsite: Mark | None = None
    repaired: Mark | None = None
    closed: Mark | None = None  # by a person
    over_ms: int | None = None
    void_ms: int | None = None
    reopened: int = 0

    @property
    def ended_ms(self) -> int | None:
        """Since when nobody need do anything about its condition."""
        closed_ms = None if self.closed is None else self.closed[0]
        ends = [at_ms for at_ms in (self.over_ms, self.void_ms, closed_ms) if at_ms is not None]
        return min(ends) if ends else None

    def ask(self, at_ms: int) -> None:
        """It is open, and somebody is to answer from now on."""
        self.asked_ms, self.acknowledged = at_ms, None


@dataclass(slots=True)
class _Story:
    """All rounds of a fault, and when a root explained it."""

    round: _Round
    rounds: int = 1
    explained: list[Span] = field(default_factory=list)
    explained_ms: int | None = None  # since when one does


def ledger(
    fault: Subject,
    events: Sequence[Happened],
    terms: Terms,
    now_ms: int,
    *,
    arrived_ms: Sequence[int] = (),
    maintenance: Sequence[Span] = (),
) -> Ledger:
    """What was done about a fault, and what is due.

    events: all of it, oldest first. arrived_ms: when notices of it arrived, in any order.
    maintenance: when windows covered it.
    """
    story = _told(fault, events)
    here = story.round
    lasts = [] if story.explained_ms is None else [(story.explained_ms, _FOREVER)]
    explained = [*story.explained, *lasts]
    pauses = _pauses(here, explained, maintenance, now_ms)
    stands: Sequence[Span] = ()
    if pauses:
        stands = union((one.from_ms, one.until_ms or now_ms) for one in pauses)
    has_clock = not fault.suspected and fault.suppressed_by is None
    arrived = min((at_ms for at_ms in arrived_ms if at_ms >= here.begun_ms), default=None)
    service = terms.limits(here.begun_ms)[fault.severity]
    ended_ms = here.ended_ms

    def judged(name: StepName, mark: Mark | None, limit: Limit | None, from_ms: int) -> Step:
        at_ms, by = mark or (None, None)
        if limit is None or not has_clock:
            return Step(name, at_ms, by)
        until_ms = due_ms(limit, from_ms, terms.work, stands)
        waits = name is StepName.ACKNOWLEDGED and fault.state is State.CLEARED
        done_ms = at_ms if at_ms is not None or waits else ended_ms
        if is_false and at_ms is None:
            verdict = Verdict.NOT_NEEDED
        elif done_ms is None:
            verdict = Verdict.OVERDUE if now_ms > until_ms else Verdict.RUNNING
        elif done_ms > until_ms:
            verdict = Verdict.LATE
        else:
            verdict = Verdict.NOT_NEEDED if at_ms is None else Verdict.MET
        return Step(name, at_ms, by, until_ms, verdict)

    onsite_limit, mend_limit = service.onsite, service.mend
    if fault.code in UNMENDED:
        onsite_limit = mend_limit = None
    is_false = fault.state is State.CLOSED and fault.resolution == FALSE_ALARM
    mended: Mark | None = None
    if here.over_ms is not None:
        mended = here.over_ms, None
    elif here.closed is not None and not is_false:
        mended = here.closed
    steps = (
        Step(StepName.DETECTED, here.begun_ms),
        Step(StepName.NOTIFIED, arrived),
        judged(StepName.ACKNOWLEDGED, here.acknowledged, service.acknowledge, here.asked_ms),
        judged(StepName.ONSITE, here.onsite, onsite_limit, here.begun_ms),
        Step(StepName.REPAIRED, *(here.repaired or (None, None))),
        judged(StepName.VERIFIED, mended, mend_limit, here.begun_ms),
    )

    def served_s(from_ms: int, mark: Mark | None) -> float | None:
        if mark is None or not has_clock:
            return None
        stood_ms = length_ms(clip(stands, from_ms, mark[0])) if stands else 0
        return max(0, mark[0] - from_ms - stood_ms) / 1000

    return Ledger(
        fault.severity,
        steps,
        pauses,
        _clock(fault, pauses, has_clock),
        story.rounds,
        here.reopened,
        here.over_ms is None and here.closed is not None,
        served_s(here.begun_ms, None if arrived is None else (arrived, None)),
        served_s(here.asked_ms, here.acknowledged),
        served_s(here.begun_ms, here.onsite),
        served_s(here.begun_ms, mended),
    )


def is_counted(fault: Subject) -> bool:
    """Whether a fault is in the figures: it is certain, its own, and somebody's but ours."""
    return not fault.suspected and fault.suppressed_by is None and fault.kind != PLATFORM


def _told(fault: Subject, events: Sequence[Happened]) -> _Story:
    """The fault's events as rounds. One without events, of which there should be none, was raised
    when it was opened."""
    story = _Story(_Round(fault.opened_at_ms, fault.opened_at_ms))
    for event in events:
        _turn(story, event)
    return story


def _turn(story: _Story, event: Happened) -> None:
    at_ms, here = event.at_ms, story.round
    mark = at_ms, None if event.actor == SYSTEM else event.actor
    if event.reason in NOTICED and event.held is not Held.SUPPRESSED:
        if story.explained_ms is not None:
            story.explained.append((story.explained_ms, at_ms))
        story.explained_ms = None
    match event.reason:
        case Why.RAISED:
            story.round = _Round(at_ms, at_ms)
            if event.held is Held.SUPPRESSED:
                story.explained_ms = at_ms
        case Why.REOPENED if here.over_ms is None and here.closed is not None:
            # It had been closed by hand, and the device was still bad: its clock has run on.
            here.closed = here.onsite = here.repaired = None
            here.reopened += 1
            here.ask(at_ms)
        case Why.REOPENED:
            story.round, story.rounds = _Round(at_ms, at_ms), story.rounds + 1
        case Why.WORSENED:
            here.begun_ms = at_ms
            here.ask(at_ms)
        case Why.CONFIRMED:
            here.begun_ms = here.asked_ms = at_ms
        case Why.ACKNOWLEDGED:
            here.acknowledged = here.acknowledged or mark
        case Why.ONSITE:
            here.onsite = mark
            here.acknowledged = here.acknowledged or mark
        case Why.REPAIRED:
            here.repaired = mark
            here.acknowledged = here.acknowledged or mark
        case Why.CLOSED:
            here.closed = mark
            here.acknowledged = here.acknowledged or mark
        case Why.OVER:
            here.over_ms = at_ms
        case Why.SUPPRESSED | Why.RECLASSIFIED:
            story.explained_ms = at_ms
        case reason if reason in _VOID:
            here.void_ms = at_ms


def _pauses(
    here: _Round, explained: Sequence[Span], maintenance: Sequence[Span], now_ms: int
) -> tuple[Pause, ...]:
    """When the clock of this round stood, up to its end or now."""
    if not explained and not maintenance:
        return ()
    ended_ms = here.ended_ms
    to_ms = now_ms + 1 if ended_ms is None else min(ended_ms, now_ms)  # what begins now, lasts now
    found = [
        Pause(start, None if end == to_ms and ended_ms is None else end, why)
        for why, spans in (
            (PauseWhy.UPSTREAM, explained),
            (PauseWhy.MAINTENANCE, maintenance),
        )
        for start, end in clip(spans, here.begun_ms, to_ms)
    ]
    return tuple(sorted(found, key=lambda one: one.from_ms))


def _clock(fault: Subject, pauses: Sequence[Pause], has_clock: bool) -> Clock:
    if not has_clock:
        return Clock.NONE
    if fault.state is State.CLOSED:
        return Clock.OVER
    return Clock.PAUSED if any(one.until_ms is None for one in pauses) else Clock.RUNS


# Figures


@dataclass(slots=True)
class Kept:
    """How often a limit was kept; running, not_needed: neither kept nor missed."""

    met: int = 0
    late: int = 0
    overdue: int = 0
    running: int = 0
    not_needed: int = 0

    def count(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            setattr(self, verdict.value, getattr(self, verdict.value) + 1)

    def add(self, other: "Kept") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def decided(self) -> int:
        """Those of which it is known."""
        return self.met + self.late + self.overdue

    @property
    def share(self) -> float | None:
        return self.met / self.decided if self.decided else None


@dataclass(slots=True)
class Tally:
    """Faults of one class. told: of them a notice arrived. verified: their device says that they
    are over; by_hand: a person closed them, and no device has said so. mended_s: until somebody was
    on site, in classes where that is what is due."""

    faults: int = 0
    told: int = 0
    acknowledge: Kept = field(default_factory=Kept)
    mend: Kept = field(default_factory=Kept)
    verified: int = 0
    by_hand: int = 0
    reopened: int = 0
    notified_s: list[float] = field(default_factory=list)
    acknowledged_s: list[float] = field(default_factory=list)
    mended_s: list[float] = field(default_factory=list)

    def count(self, found: Ledger) -> None:
        """One fault more; only one that is counted."""
        self.faults += 1
        self.told += found.notified_s is not None
        self.acknowledge.count(found.step(StepName.ACKNOWLEDGED).verdict)
        self.mend.count(found.mend.verdict)
        self.verified += found.step(StepName.VERIFIED).at_ms is not None and not found.by_hand
        self.by_hand += found.by_hand
        self.reopened += found.reopened
        mended_s = found.onsite_s if found.mend.name is StepName.ONSITE else found.mended_s
        for values, taken_s in (
            (self.notified_s, found.notified_s),
            (self.acknowledged_s, found.acknowledged_s),
            (self.mended_s, mended_s),
        ):
            if taken_s is not None:
                values.append(taken_s)

    def add(self, other: "Tally") -> None:
        self.acknowledge.add(other.acknowledge)
        self.mend.add(other.mend)
        for name in ("faults", "told", "verified", "by_hand", "reopened"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("notified_s", "acknowledged_s", "mended_s"):
            getattr(self, name).extend(getattr(other, name))
