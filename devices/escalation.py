"""Who else is told of a fault that nobody answers, and when.

What is waited for is a person: a *call* begins with the notice of a fault and ends when somebody
acknowledges it. Its clock runs from the moment at which the first of those who were to be told has
got the notice, or from the notice itself while nobody has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from enum import StrEnum
from types import MappingProxyType

from devices.alerts import Directory, Route, Site
from devices.calendars import Calendar
from devices.faults import Fault, FaultEvent, State, Why
from devices.rosters import Roster, alone, called
from devices.rules import Severity
from devices.sla import Limit, Unit, Work, due_ms, workdays

STEPS_AT_MOST = 8
AFTER_S = (60, 14 * 86_400)  # of a step: at least and at most
EVERY_S = (60, 86_400)  # of reminders
REMINDERS_AT_MOST = 200
_MINUTE_S = 60
_HOUR_S = 3600


class To(StrEnum):
    """Who is told at a step.

    Of a firm, or of the district, all to whom routes lead, where with each step the fault is taken
    for one class worse: so an unanswered P2 is told by phone too, where P1 is, and a route to a
    roster leads to its next level. Of a roster that a step names, the first level at which somebody
    has not been told yet.
    """

    FIRM = "firm"
    DISTRICT = "district"
    TARGET = "target"
    PERSON = "person"
    ROSTER = "roster"


GROUPS = frozenset({To.FIRM, To.DISTRICT})


@dataclass(frozen=True, slots=True)
class Step:
    """One level. after_s: since the first was told; only working time, if is_working. id: of the
    target, person or roster."""

    after_s: int
    to: To
    id: str = ""
    is_working: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to faults of a class that nobody answers. firm: whose; None: the district's.

    remind_every_s: a standing safety fault is told again that often, at most `reminders` times;
    None: it is not. changed_by: None of one that nobody has changed.
    """

    severity: Severity
    steps: tuple[Step, ...]
    remind_every_s: int | None = 15 * _MINUTE_S
    reminders: int = 24
    firm: str | None = None
    changed_by: str | None = None
    changed_at_ms: int | None = None


# domain.md §6.4, by when somebody must have answered; the second level as long after the first.
DEFAULTS: Mapping[Severity, Policy] = MappingProxyType(
    {
        severity: Policy(
            severity,
            (
                Step(after_s, To.FIRM, is_working=is_working),
                Step(2 * after_s, To.DISTRICT, is_working=is_working),
            ),
        )
        for severity, after_s, is_working in (
            (Severity.P1, 5 * _MINUTE_S, False),
            (Severity.P2, 15 * _MINUTE_S, False),
            (Severity.P3, 2 * _HOUR_S, True),
            (Severity.P4, 10 * _HOUR_S, True),  # a working day
        )
    }
)


def policy_for(
    severity: Severity, firm: str | None, changed: Mapping[tuple[str | None, Severity], Policy]
) -> Policy:
    """The firm's own, else the district's, else the default one.

    changed: those that people have made, by firm and class.
    """
    own = changed.get((firm, severity))
    return own or changed.get((None, severity)) or DEFAULTS[severity]


@dataclass(frozen=True, slots=True)
class Call:
    """A fault that waits for somebody's answer; times are UTC epoch ms.

    event: the notice that began it. called_ms: when it was decided who is told. from_ms: since when
    its clock runs; None: not settled yet. level: so many steps were taken. reminders: so often it
    was told again; reminded_ms: the last time.
    """

    fault: str
    event: int
    called_ms: int
    from_ms: int | None = None
    level: int = 0
    reminders: int = 0
    reminded_ms: int | None = None


def may_begin(fault: Fault) -> bool:
    """Whether a call begins although no route leads anywhere: nobody wants to be told of it, unless
    it is of the safety tier, or of P1 or P2."""
    return fault.safety or fault.severity in (Severity.P1, Severity.P2)


def goes_on(event: FaultEvent) -> bool:
    """Whether a call that has begun goes on with this notice: a safety fault that was over, and
    that nobody had answered, is back. Otherwise it begins anew."""
    return event.reason is Why.REOPENED and event.was is State.CLEARED


def is_answered(fault: Fault) -> bool:
    """Whether nobody need be told any more. One that is cleared and was not acknowledged still
    waits for a person, so its call goes on."""
    return fault.state in (State.ACKNOWLEDGED, State.CLOSED)


def is_held(fault: Fault) -> bool:
    """Whether people have said, or a root cause says, that it is not to be told now."""
    return (
        (fault.suppressed_by is not None and not fault.safety)
        or fault.shelved_until_ms is not None
        or fault.maintenance is not None
    )


@dataclass(frozen=True, slots=True)
class Clock:
    """By which steps are due: of the fault's compound, and which days are worked."""

    zone: tzinfo
    calendar: Calendar


def step_due_ms(policy: Policy, level: int, from_ms: int, clock: Clock) -> int | None:
    """When the step behind `level` is due; None: there is no other."""
    if level >= len(policy.steps):
        return None
    step = policy.steps[level]
    if step.is_working:
        limit = Limit(-(-step.after_s // 60), Unit.WORK_MINUTES)
        return due_ms(limit, from_ms, Work(clock.zone, workdays(clock.calendar)))
    return from_ms + step.after_s * 1000


def reminder_due_ms(policy: Policy, fault: Fault, call: Call, from_ms: int) -> int | None:
    """When it is to be told again while it stands; None: never. What was missed while nobody sent
    is not made up for."""
    if not fault.safety or fault.state is not State.OPEN:
        return None
    if policy.remind_every_s is None or call.reminders >= policy.reminders:
        return None
    return max(from_ms, call.reminded_ms or 0) + policy.remind_every_s * 1000


def next_look_ms(policy: Policy, fault: Fault, call: Call, clock: Clock) -> int | None:
    """When there is something to do; None: never again."""
    from_ms = call.called_ms if call.from_ms is None else call.from_ms
    due = (
        step_due_ms(policy, call.level, from_ms, clock),
        reminder_due_ms(policy, fault, call, from_ms),
    )
    return min((at_ms for at_ms in due if at_ms is not None), default=None)


def reached(
    step: Step,
    level: int,
    fault: Fault,
    site: Site,
    directory: Directory,
    told: Mapping[str, str | None],
    at_ms: int,
) -> dict[str, str | None]:
    """The targets of a step, each with the person who is reached by it.

    level: of the step, from 1. told: the targets that have been told of the fault. A firm's people
    hear of its own compounds only, whatever a step says.
    """
    found: _Reached = iter(())
    match step.to:
        case To.FIRM | To.DISTRICT:
            as_bad = replace(fault, severity=worse(fault.severity, level))
            whose = site.firm if step.to is To.FIRM else None
            if step.to is To.DISTRICT or whose is not None:
                found = _of_routes(as_bad, level, site, whose, directory, at_ms)
        case To.TARGET:
            found = iter([(step.id, None)])
        case To.PERSON:
            found = _of_person(alone(step.id, directory.stand_ins, at_ms).person, site, directory)
        case To.ROSTER:
            roster = directory.rosters.get(step.id)
            if roster is not None:
                found = _of_roster(roster, site, directory, told, at_ms)
    reached: dict[str, str | None] = {}
    for name, person in found:
        target = directory.targets.get(name)
        if target is not None and target.firm in (None, site.firm):
            reached[name] = reached.get(name) or person
    return reached


def worse(severity: Severity, by: int) -> Severity:
    """The class so many above it; P1 at most."""
    classes = tuple(Severity)
    return classes[max(0, classes.index(severity) - by)]


_Reached = Iterator[tuple[str, str | None]]  # target, and the person who is reached by it


def _of_routes(
    fault: Fault, level: int, site: Site, whose: str | None, directory: Directory, at_ms: int
) -> _Reached:
    for route in directory.routes:
        if route.unmet(fault, site, at_ms, directory.calendar) is not None:
            continue
        if _owner(route, directory) != (whose, True):
            continue
        if route.target is not None:
            yield route.target, None
        elif route.person is not None:
            duty = alone(route.person, directory.stand_ins, at_ms)
            yield from _of_person(duty.person, site, directory)
        elif route.roster is not None:
            roster = directory.rosters[route.roster]
            duties = called(roster, level + 1, at_ms) or called(roster, 1, at_ms)
            for one in duties:
                yield from _of_person(one.person, site, directory)


def _owner(route: Route, directory: Directory) -> tuple[str | None, bool]:
    """Whose it is to whom a route leads, and whether they are still there."""
    found = (
        directory.targets.get(route.target or ""),
        directory.people.get(route.person or ""),
        directory.rosters.get(route.roster or ""),
    )
    owner = next((one for one in found if one is not None), None)
    return (None, False) if owner is None else (owner.firm, True)


def _of_person(name: str, site: Site, directory: Directory) -> _Reached:
    person = directory.people.get(name)
    if person is not None and person.firm in (None, site.firm):
        yield from ((target, person.id) for target in person.targets)


def _of_roster(
    roster: Roster, site: Site, directory: Directory, told: Mapping[str, str | None], at_ms: int
) -> _Reached:
    level = 1
    while duties := called(roster, level, at_ms):
        found = [pair for one in duties for pair in _of_person(one.person, site, directory)]
        if any(target not in told for target, _ in found):
            yield from found
            return
        level += 1
