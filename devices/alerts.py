"""Who is told of what: targets, the routes that lead to them, and what became of each notice.

An alert is a fault event on its way to a person. Nothing here sends or stores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from devices.calendars import NO_HOLIDAYS, Calendar, Hours
from devices.days import DISTRICT_ZONE
from devices.faults import NOTICED, Fault, FaultEvent, Held, State, Why
from devices.rosters import OnDuty, Person, Roster, StandIn, alone, duty
from devices.rules import Severity
from devices.words import Language as Language

TARGETS_AT_MOST = 500
ROUTES_AT_MOST = 2_000
# Of a fault that people were told of, they are told these as well.
ENDS = frozenset({Why.OVER, Why.CLOSED, Why.RETIRED, Why.RECLASSIFIED})
OLD_MS = 30 * 60_000  # older ones go into one digest, but for the safety tier


class ChannelName(StrEnum):
    """By which way a target is reached; each is a file in `alerts.channels`."""

    DINGTALK = "dingtalk"
    WECOM = "wecom"
    FEISHU = "feishu"
    EMAIL = "email"
    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"
    APPRISE = "apprise"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"  # nobody was to be told; `reason` says why
    CANCELLED = "cancelled"  # it was to be told, and then no longer
    FAILED = "failed"  # given up; a person may try it again


@dataclass(frozen=True, slots=True)
class Target:
    """Where notices are sent. url, secret: never logged, never given out again.

    firm: whose it is; None: the district's operators'. url: of a robot or webhook, `mailto:` with
    addresses for e-mail. secrets: the newest first; all sign while one is being replaced.
    broken: what a person must mend before it is tried again.
    """

    id: str
    name: str
    channel: ChannelName
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    firm: str | None = None
    language: Language = Language.ZH
    created_by: str = ""
    created_at_ms: int = 0
    broken: str | None = None
    broken_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where a fault is: which firm manages its compound, and by which clock people live there."""

    firm: str | None = None
    zone: tzinfo = DISTRICT_ZONE


class Obstacle(StrEnum):
    """Why a route leads to nobody; the first of them that is in the way."""

    # of what the route names, the fault does not fit
    FIRM = "firm"
    COMPOUND = "compound"
    KIND = "kind"
    CODE = "code"
    SEVERITY = "severity"
    HOURS = "hours"
    # it fits, and still nobody is reached
    GONE = "gone"  # what it leads to was deleted
    OTHER_FIRM = "other_firm"  # a firm's people hear of its own compounds only
    UNREACHABLE = "unreachable"  # the person has no target
    OLDER = "older_than_target"  # it happened before the target was made


@dataclass(frozen=True, slots=True)
class Route:
    """Which faults a target, a person or a roster is told of: one of the three.

    What is None, or empty, is any. hours: when it leads, by the clock of the fault's compound.
    """

    id: str
    target: str | None = None
    firm: str | None = None
    compound: str | None = None
    kind: str | None = None
    code: str | None = None
    severities: tuple[Severity, ...] = ()
    created_by: str = ""
    created_at_ms: int = 0
    person: str | None = None
    roster: str | None = None
    hours: Hours | None = None

    def unmet(self, fault: Fault, site: Site, at_ms: int, calendar: Calendar) -> Obstacle | None:
        """What it names and the fault does not fit, at that time; None: it leads."""
        unfit = self._unfit(fault, site.firm)
        if unfit is None and self.hours is not None:
            return None if self.hours.hold(at_ms, site.zone, calendar) else Obstacle.HOURS
        return unfit

    def leads(self, fault: Fault, firm: str | None) -> bool:
        """Whether it leads for this fault at some time. firm: which manages its compound."""
        return self._unfit(fault, firm) is None

    def _unfit(self, fault: Fault, firm: str | None) -> Obstacle | None:
        if self.firm is not None and self.firm != firm:
            return Obstacle.FIRM
        if self.compound is not None and self.compound != fault.compound:
            return Obstacle.COMPOUND
        if self.kind is not None and self.kind != fault.kind:
            return Obstacle.KIND
        if self.code is not None and self.code != fault.code:
            return Obstacle.CODE
        if self.severities and fault.severity not in self.severities:
            return Obstacle.SEVERITY
        return None


@dataclass(frozen=True, slots=True)
class Directory:
    """All that stands, by id, and routes in the order in which they were made."""

    targets: Mapping[str, Target]
    routes: tuple[Route, ...]
    people: Mapping[str, Person] = field(default_factory=dict)
    rosters: Mapping[str, Roster] = field(default_factory=dict)
    stand_ins: tuple[StandIn, ...] = ()
    calendar: Calendar = NO_HOLIDAYS


@dataclass(frozen=True, slots=True)
class Weighed:
    """Where a route leads for a fault: the targets, and through whom; or what is in the way.

    missed: targets that it leads to and that are not told all the same.
    """

    reached: tuple[str, ...] = ()
    obstacle: Obstacle | None = None
    on_duty: OnDuty | None = None
    missed: Mapping[str, Obstacle] = field(default_factory=dict)

    @property
    def person(self) -> str | None:
        return None if self.on_duty is None else self.on_duty.person


_IN_THE_WAY = {obstacle: Weighed(obstacle=obstacle) for obstacle in Obstacle}


@dataclass(frozen=True, slots=True)
class Decision:
    """To whom an event goes; without targets `reason` says why to nobody.

    people: who is reached by a target, where a route led to a person or a roster.
    """

    targets: tuple[str, ...]
    reason: str | None = None
    people: Mapping[str, str] = field(default_factory=dict)


# Why nobody is told, beside `Held`.
NO_NEWS = "no_news"  # nobody was told of the fault, or its event says nothing that people act on
OVER_BEFORE = "over_before_notice"  # it was over before anybody was to be told
NO_ROUTE = "no_route"
UNREACHABLE = Obstacle.UNREACHABLE.value  # routes lead to people alone who have no target
OLDER = Obstacle.OLDER.value
BACKFILLED = "history"
# Why somebody is told whom no route named.
HANDED_ON = "handed_on"  # of the safety tier, and undelivered for a minute where it was to go
# Why somebody is not told at once.
QUIET_HOURS = "quiet_hours"  # of the target: in the morning, with what else came in the night


def decide(
    fault: Fault,
    event: FaultEvent,
    site: Site,
    directory: Directory,
    told: Mapping[str, str | None],
    at_ms: int,
) -> Decision:
    """Who is told of an event that is due, at that time.

    fault: as it is now. told: the targets to which an event of this fault has gone, or is on its
    way, each with the person who is reached by it. Never raises: a decision not to tell has its
    reason.
    """
    is_news = event.reason in NOTICED
    if event.held is not None:
        return Decision((), event.held.value)
    if not is_news:
        known = [one for one in sorted(told) if one in directory.targets]
        if event.reason not in ENDS or not known:
            return Decision((), NO_NEWS)
        through = {one: person for one in known if (person := told[one]) is not None}
        return Decision(tuple(known), people=through)
    if fault.suppressed_by is not None and not fault.safety:
        return Decision((), Held.SUPPRESSED.value)
    if _is_over_before(fault, event) and not fault.safety:
        return Decision((), OVER_BEFORE)
    return _reached(fault, event, site, directory, at_ms)


def weigh(
    route: Route, fault: Fault, event: FaultEvent, site: Site, directory: Directory, at_ms: int
) -> Weighed:
    """Where this route leads for an event that is news."""
    unmet = route.unmet(fault, site, at_ms, directory.calendar)
    if unmet is not None:
        return _IN_THE_WAY[unmet]
    targets: tuple[str, ...]
    if route.target is not None:
        on_duty, targets = None, (route.target,)
    else:
        on_duty = _on_duty(route, directory, at_ms)
        person = None if on_duty is None else directory.people.get(on_duty.person)
        if person is None:
            return Weighed(obstacle=Obstacle.GONE, on_duty=on_duty)
        if person.firm not in (None, site.firm):
            return Weighed(obstacle=Obstacle.OTHER_FIRM, on_duty=on_duty)
        if not person.targets:
            return Weighed(obstacle=Obstacle.UNREACHABLE, on_duty=on_duty)
        targets = person.targets
    reached: list[str] = []
    missed: dict[str, Obstacle] = {}
    for name in targets:
        obstacle = _obstacle(directory.targets.get(name), event, site)
        if obstacle is None:
            reached.append(name)
        else:
            missed[name] = obstacle
    first = None if reached else next(iter(missed.values()))
    return Weighed(tuple(reached), first, on_duty, missed)


def _on_duty(route: Route, directory: Directory, at_ms: int) -> OnDuty | None:
    """Whom a route to a person or a roster leads to; None: it was deleted."""
    if route.person is not None:
        return alone(route.person, directory.stand_ins, at_ms)
    roster = None if route.roster is None else directory.rosters.get(route.roster)
    return None if roster is None else duty(roster, at_ms)


def _obstacle(target: Target | None, event: FaultEvent, site: Site) -> Obstacle | None:
    if target is None:
        return Obstacle.GONE
    if target.firm not in (None, site.firm):
        return Obstacle.OTHER_FIRM  # whatever a route says
    return Obstacle.OLDER if target.created_at_ms > event.at_ms else None


def _is_over_before(fault: Fault, event: FaultEvent) -> bool:
    """Whether it was over before people were to be told. What ended while nobody told anybody
    anything, because alerts was away, is still told: together with its end."""
    ended_ms = fault.closed_at_ms
    return (
        fault.state is State.CLOSED
        and event.notice_at_ms is not None
        and ended_ms is not None
        and ended_ms < event.notice_at_ms
    )


def _reached(
    fault: Fault, event: FaultEvent, site: Site, directory: Directory, at_ms: int
) -> Decision:
    """Targets to which routes lead, each once."""
    found: dict[str, str | None] = {}
    obstacles: set[Obstacle | None] = set()
    for route in directory.routes:
        weighed = weigh(route, fault, event, site, directory, at_ms)
        obstacles.add(weighed.obstacle)
        for name in weighed.reached:
            found[name] = found.get(name) or weighed.person
    if found:
        return Decision(
            tuple(found), people={one: person for one, person in found.items() if person}
        )
    for why in (Obstacle.UNREACHABLE, Obstacle.OLDER):
        if why in obstacles:
            return Decision((), why.value)
    return Decision((), NO_ROUTE)
