"""The dry run: who would be told of a fault at a time, by what, and why; and who would not.

It decides by `decide` and `weigh` of `devices.alerts`, as `courtyard alerts` does, and says in
words what they found. Nothing is sent or written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from devices import faults
from devices.alerts import (
    NO_NEWS,
    NO_ROUTE,
    OLDER,
    OVER_BEFORE,
    UNREACHABLE,
    Decision,
    Directory,
    Obstacle,
    Route,
    Site,
    Target,
    Weighed,
    decide,
    weigh,
)
from devices.calendars import hours_text, moment_text
from devices.catalogue import ANY, PLATFORM, RULES
from devices.days import zone_of
from devices.faults import Fault, FaultEvent, Held, Why, why_held
from devices.hours import TargetHours, may_wait
from devices.judgement import LIVE
from devices.registry import Name
from devices.rosters import Person, Roster, duty_text
from devices.rules import Severity
from devices.words import Language

NO_HOURS: Mapping[str, TargetHours] = MappingProxyType({})
NO_NAMES: Mapping[str, Name] = MappingProxyType({})


class BadDescription(ValueError):
    """There can be no such fault. parameter: which part of the description is wrong."""

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(text)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Told:
    """A target that would get a message, and why. routes: that lead there, the one that says why
    first; none where it gets the message because it was told of the fault. waits_until_ms: the end
    of its quiet hours, if the message waits for that; None: it is sent at once."""

    target: Target
    person: Person | None
    routes: tuple[Route, ...]
    why: Name
    waits_until_ms: int | None = None

    @property
    def language(self) -> Language:
        """Of the message, if nobody else is told of anything by it."""
        return self.target.language if self.person is None else self.person.language


@dataclass(frozen=True, slots=True)
class NotTold:
    """A route, or one of the targets that it leads to, that nobody is told by; and why not.

    target: None where it is that of nobody, or was deleted.
    """

    route: Route
    target: Target | None
    person: Person | None
    roster: Roster | None
    obstacle: str
    why: Name


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a dry run found. reason, why: of nobody's being told at all."""

    fault: Fault
    event: FaultEvent
    site: Site
    at_ms: int
    moment: Name
    told: tuple[Told, ...]
    not_told: tuple[NotTold, ...]
    reason: str | None
    why: Name | None

    @property
    def name(self) -> Name:
        """Of the fault."""
        rule = RULES[self.fault.code]
        return Name(rule.zh, rule.en)


def described(
    code: str,
    *,
    compound: str | None,
    device: str | None = None,
    kind: str | None = None,
    severity: Severity | None = None,
    at_ms: int,
) -> faults.Move:
    """A fault as it would be raised then. kind: of the device. Raises BadDescription."""
    rule = RULES.get(code)
    if rule is None:
        raise BadDescription("code", f"{code[:60]!r} is not in the fault catalogue")
    if rule.kind == PLATFORM and compound is not None:
        raise BadDescription("compound", f"{code} is a fault of our own, of no compound")
    if rule.kind != PLATFORM and compound is None:
        raise BadDescription("compound", f"{code} is a fault of a compound: name it, or a device")
    if rule.kind == ANY and kind is None:
        raise BadDescription("kind", f"{code} may be of any device: name the device, or its kind")
    if rule.kind != ANY and kind not in (None, rule.kind):
        raise BadDescription("kind", f"{code} is a fault of a {rule.kind}, not of a {kind}")
    return faults.begin(
        rule,
        stream=LIVE,
        subject=device or compound or "platform",
        device=device,
        compound=compound,
        severity=severity or rule.severity,
        safety=rule.safety,
        since_ms=at_ms,
        now_ms=at_ms,
        evidence={},
        kind=kind,
    )


def again(fault: Fault, why: Why, window: str | None, at_ms: int) -> faults.Move:
    """A fault that is there, as if this happened to it then. window: of maintenance, that holds its
    notices then."""
    shelved = fault.shelved_until_ms
    if shelved is not None and shelved <= at_ms:
        shelved = None
    then = replace(fault, maintenance=window, shelved_until_ms=shelved)
    held = why_held(then) if why in faults.NOTICED else None
    return then, FaultEvent(fault.id, at_ms, fault.state, fault.state, why, held=held)


def rehearse(
    move: faults.Move,
    site: Site,
    directory: Directory,
    known: Mapping[str, str | None],
    at_ms: int,
    hours: Mapping[str, TargetHours] = NO_HOURS,
    firms: Mapping[str, Name] = NO_NAMES,
) -> Rehearsal:
    """Who would be told of this move. known: targets that were told of the fault. hours: of the
    targets that have any. firms: their names; one without is called by its id."""
    fault, event = move
    decision = decide(fault, event, site, directory, known, at_ms)
    weighed = [
        (route, weigh(route, fault, event, site, directory, at_ms)) for route in directory.routes
    ]
    speaker = _Speaker(fault, site, directory, at_ms, firms)
    return Rehearsal(
        fault,
        event,
        site,
        at_ms,
        speaker.moment(),
        tuple(
            replace(one, waits_until_ms=_waits_until_ms(fault, hours.get(one.target.id), at_ms))
            for one in _told(decision, event, weighed, directory, speaker)
        ),
        tuple(_not_told(decision, weighed, directory, speaker)),
        decision.reason,
        None if decision.reason is None else nobody_text(decision.reason),
    )


def _waits_until_ms(fault: Fault, hours: TargetHours | None, at_ms: int) -> int | None:
    return hours.quiet_until_ms(at_ms) if hours is not None and may_wait(fault) else None


def _told(
    decision: Decision,
    event: FaultEvent,
    weighed: list[tuple[Route, Weighed]],
    directory: Directory,
    speaker: "_Speaker",
) -> list[Told]:
    found = []
    for name in decision.targets:
        target, through = directory.targets[name], decision.people.get(name)
        person = directory.people.get(through or "")
        if event.reason not in faults.NOTICED:
            found.append(Told(target, person, (), _KNOWS))
            continue
        leading = [(route, one) for route, one in weighed if name in one.reached]
        # the one that says who is reached, as `decide` takes it, comes first
        leading.sort(key=lambda pair: pair[1].person != through)
        why = speaker.leads(*leading[0])
        found.append(Told(target, person, tuple(route for route, _ in leading), why))
    return found


def _not_told(
    decision: Decision,
    weighed: list[tuple[Route, Weighed]],
    directory: Directory,
    speaker: "_Speaker",
) -> list[NotTold]:
    found = []
    for route, one in weighed:
        person = directory.people.get(one.person or "")
        roster = directory.rosters.get(route.roster or "")
        stopped: list[tuple[str | None, str, Name]] = []
        if one.obstacle is not None and not one.missed:
            stopped.append((route.target, one.obstacle, speaker.stops(route, one)))
        stopped += [(name, obstacle, _MISSED[obstacle]) for name, obstacle in one.missed.items()]
        if decision.reason is not None:
            why = nobody_text(decision.reason)
            stopped += [(name, decision.reason, why) for name in one.reached]
        found += [
            NotTold(route, directory.targets.get(name or ""), person, roster, obstacle, text)
            for name, obstacle, text in stopped
        ]
    return found


class _Speaker:
    """Says of a route, in both languages, why it leads to somebody or to nobody."""

    def __init__(
        self,
        fault: Fault,
        site: Site,
        directory: Directory,
        at_ms: int,
        firms: Mapping[str, Name],
    ) -> None:
        self._firms = firms
        self._fault = fault
        self._site = site
        self._directory = directory
        self._at_ms = at_ms
        self._names = {one.id: one.name for one in directory.people.values()}

    def moment(self) -> Name:
        zone, calendar = self._site.zone, self._directory.calendar
        return Name(
            moment_text("zh", self._at_ms, zone, calendar),
            moment_text("en", self._at_ms, zone, calendar),
        )

    def leads(self, route: Route, weighed: Weighed) -> Name:
        terms = self._terms(route)
        on_duty = weighed.on_duty
        if on_duty is None:
            return terms
        roster = None if route.roster is None else self._directory.rosters[route.roster]
        zone = self._site.zone if roster is None else zone_of(roster.timezone)
        if roster is None and on_duty.person == on_duty.planned:
            return terms  # the route itself names them
        zh, en = (duty_text(language, on_duty, self._names, zone) for language in ("zh", "en"))
        of_zh, of_en = ("", "") if roster is None else (f"{roster.name}：", f"{roster.name}: ")
        return Name(f"{terms.zh}；{of_zh}{zh}", f"{terms.en}; {of_en}{en}")

    def stops(self, route: Route, weighed: Weighed) -> Name:
        """Of a route as a whole."""
        fault, site = self._fault, self._site
        match weighed.obstacle:
            case Obstacle.FIRM:
                return _only("物业", "firm", self._firm(route.firm), self._firm(site.firm))
            case Obstacle.COMPOUND:
                return _only("小区", "compound", _said(route.compound), _said(fault.compound))
            case Obstacle.KIND:
                return _only("类型", "kind", _said(route.kind), _said(fault.kind))
            case Obstacle.CODE:
                return _only("代码", "code", _said(route.code), _said(fault.code))
            case Obstacle.SEVERITY:
                wanted = "/".join(one.value for one in route.severities)
                return _only("级别", "severity", _said(wanted), _said(fault.severity.value))
            case Obstacle.HOURS:
                assert route.hours is not None
                moment = self.moment()
                return Name(
                    f"只在 {hours_text('zh', route.hours)} 通知；当时为 {moment.zh}",
                    f"only {hours_text('en', route.hours)}; it is {moment.en}",
                )
            case Obstacle.OTHER_FIRM:
                return _OTHER_FIRM
            case Obstacle.UNREACHABLE:
                name = self._names.get(weighed.person or "", weighed.person)
                return Name(f"{name}没有通知目标", f"{name} has no target")
            case _:
                return _GONE

    def _terms(self, route: Route) -> Name:
        """What the route names, all of which fits."""
        zh, en = [], []
        for value, of_zh, of_en in (
            (self._firm(route.firm), "物业", "firm"),
            (_said(route.compound), "小区", "compound"),
            (_said(route.kind), "类型", "kind"),
            (_said(route.code), "代码", "code"),
            (_said("/".join(one.value for one in route.severities)), "级别", "severity"),
        ):
            if value is not None:
                zh.append(f"{of_zh} {value.zh}")
                en.append(f"{of_en} {value.en}")
        if route.hours is not None:
            zh.append(hours_text("zh", route.hours))
            en.append(hours_text("en", route.hours))
        return Name(
            f"符合规则条件：{'，'.join(zh)}" if zh else "规则不设条件",
            f"the route fits: {', '.join(en)}" if en else "the route takes every fault",
        )

    def _firm(self, firm: str | None) -> Name | None:
        return self._firms.get(firm or "") or _said(firm)


def _said(word: str | None) -> Name | None:
    """A word that is the same in both languages, if there is one."""
    return Name(word, word) if word else None


def _only(of_zh: str, of_en: str, wanted: Name | None, is_: Name | None) -> Name:
    wanted, is_ = wanted or _NONE, is_ or _NONE
    return Name(
        f"只限{of_zh} {wanted.zh}；此故障的{of_zh}为 {is_.zh}",
        f"only of {of_en} {wanted.en}; the fault's is {is_.en}",
    )


_NONE = Name("无", "none")
_GONE = Name("通知的对象已删除", "whom it leads to was deleted")
_OTHER_FIRM = Name("物业只收到本公司小区的故障", "a firm's people hear of its own compounds only")
_KNOWS = Name("已收到过该故障的通知", "was told of the fault")

_NOBODY = MappingProxyType(
    {
        NO_NEWS: Name("没有人收到过该故障的通知", "nobody was told of the fault"),
        OVER_BEFORE: Name("通知前已恢复", "it was over before anybody was to be told"),
        NO_ROUTE: Name("没有匹配的规则", "no route leads to anybody"),
        UNREACHABLE: Name(
            "规则只通向没有通知目标的人", "routes lead only to people who have no target"
        ),
        OLDER: Name("目标是在故障之后建立的", "the target was made after it happened"),
        Held.SUSPECTED.value: Name("疑似故障，不发通知", "only suspected: nobody is told"),
        Held.FLAPPING.value: Name("反复发生，不再通知", "it comes and goes: nobody is told again"),
        Held.MAINTENANCE.value: Name("维护期间，不发通知", "maintenance: nobody is told"),
        Held.SHELVED.value: Name("已搁置，不发通知", "shelved: nobody is told"),
        Held.SUPPRESSED.value: Name(
            "已归并到根因故障，不单独通知", "a root cause explains it: people are told of that"
        ),
    }
)


# Of one of the targets to which a route leads.
_MISSED = MappingProxyType(
    {
        Obstacle.GONE: _GONE,
        Obstacle.OTHER_FIRM: _OTHER_FIRM,
        Obstacle.OLDER: _NOBODY[OLDER],
    }
)


def nobody_text(reason: str) -> Name:
    """Why nobody is told, of a `Decision.reason`, in words."""
    return _NOBODY.get(reason) or Name(reason, reason)
