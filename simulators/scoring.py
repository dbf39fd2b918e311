"""Grades a fault list against what really happened. Pure: facts and faults in, a score out.

1. From the facts: what nobody could hear (a power cut, a lost modem, our own outage).
2. For each fact and each fault that it must lead to: from when its evidence was to be seen, for how
   long, and when the fault was due at the latest. What could not be seen long enough is not due.
3. The faults are matched: due and raised is *detected*, due and not raised *missed*; raised and
   explained by no fact is *false*, or, at a device of which something else was missed, the *wrong
   code*; raised before its delay is *early*; a child that is alerted although its root explains
   it is an *extra child*.

All times are UTC epoch ms.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from devices.registry import Device, Registry
from simulators.daylight import Nights
from simulators.expectations import MEANINGS, Delay, Expected, Meaning, Reach, When, Whose
from simulators.profiles import DAY_MS, HOUR_MS, ZONE_MS, local_day
from simulators.truth import Fact

PLATFORM = "platform"
# What a truth file says of its run: what was simulated, from when to when; what befell nobody; how
# many messages a live run had acknowledged, and how many last wills the broker sent.
SIMULATED, NOT_INJECTED, PUBLISHED = "simulated", "not_injected", "published"
OF_THE_RUN = (SIMULATED, NOT_INJECTED, PUBLISHED)
WEEK_MS = 7 * DAY_MS
TOLERANCE_MS = 10_000  # what every rule may need on top of its own delay (domain.md §3.1)
UNDUE_MS = 20_000  # who is due so shortly before the fact ends is not asked for
EARLY_MS = 1_500
AFTER_US_MS = 120_000  # the grace that devices have after an outage of ours, besides an interval
OURS_MS = 30 * 60_000  # a false fault so soon after an outage of ours is put down to it
JITTER_MS = 600_000  # of a lamp's own clock at dusk and dawn
# How long until a device that was not heard has told everything again.
TOLD_AGAIN_MS = {
    "gate": 660_000,
    "shed": 960_000,
    "port": 75_000,
    "lamp": 14_460_000,
    "camera": 3_960_000,
    "lift": 75_000,
    "gateway": 75_000,
}
BOOTED_MS = 60_000  # after its power is back a device tells everything at once
ROOT_OVER_MS = {"power_cut": 270_000, "gateway_lost": 90_000}  # after the fact itself
FIRST_MS = 60_000  # in which all have told everything after the start
LISTED = 200  # entries of each list in the JSON


class Episode(NamedTuple):
    """One time that a fault was open. over_ms: None while its condition stands."""

    opened_ms: int
    over_ms: int | None


@dataclass(frozen=True, slots=True)
class Raised:
    """One row of the fault list.

    child: suppressed by a root. muted: by maintenance. Neither is alerted.
    """

    id: str
    subject: str
    code: str
    episodes: tuple[Episode, ...]
    suspected: bool = False
    safety: bool = False
    late: bool = False
    child: bool = False
    muted: bool = False
    platform: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of a list: what, of whom, when; and the fact or the fault that it concerns."""

    code: str
    subject: str
    at_ms: int
    fact: str = ""
    fault: str = ""
    note: str = ""


@dataclass(slots=True)
class Tally:
    """Figures of one code. Delays in seconds, beyond the rule's own."""

    due: int = 0
    detected: int = 0
    false: int = 0
    wrong: int = 0
    early: int = 0
    extra_children: int = 0
    alertable: int = 0
    safety: bool = False
    delays_s: list[float] = field(default_factory=list)
    clears_s: list[float] = field(default_factory=list)

    @property
    def missed(self) -> int:
        return self.due - self.detected


@dataclass(slots=True)
class Score:
    """How well the faults told what happened. devices_weeks: devices times weeks graded.

    roots: independent causes that were to be told, or were; alertable: faults that somebody was
    told of. not_asked: what could not be seen for long enough. per_cut: of each power cut that was
    to be told, how many faults somebody was told of because of it; one is right.
    """

    codes: dict[str, Tally]
    missed: list[Found]
    false: list[Found]
    wrong: list[Found]
    early: list[Found]
    extra_children: list[Found]
    false_of_ours: int
    alertable: int
    roots: int
    device_weeks: float
    facts: dict[str, int]
    suppressed: int
    not_asked: int
    per_cut: dict[str, int]

    @property
    def due(self) -> int:
        return sum(tally.due for tally in self.codes.values())

    @property
    def detected(self) -> int:
        return sum(tally.detected for tally in self.codes.values())

    def of_safety(self) -> tuple[int, int]:
        """(due, detected) of the safety tier."""
        safe = [tally for tally in self.codes.values() if tally.safety]
        return sum(t.due for t in safe), sum(t.detected for t in safe)

    def delays_s(self) -> list[float]:
        return sorted(s for tally in self.codes.values() for s in tally.delays_s)

    def clears_s(self) -> list[float]:
        return sorted(s for tally in self.codes.values() for s in tally.clears_s)

    @property
    def false_per_1000_device_weeks(self) -> float:
        """Without those of our own outages, which have a figure of their own."""
        others = len(self.false) + len(self.wrong) - self.false_of_ours
        return 1000 * others / self.device_weeks if self.device_weeks else 0.0


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value that `share` (0 to 1) of them do not exceed; None for none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


# -- what there was to be seen


class _Span(NamedTuple):
    start_ms: int
    end_ms: int


class _Hidden(NamedTuple):
    """A time in which a device could not be heard.

    again_ms: until it has told all again. root_ms: until the root of its silence is over, from
    when on the silence is its own.
    """

    start_ms: int
    end_ms: int
    again_ms: int
    fact: str
    own: bool
    keeps: bool
    root_ms: int = 0


class _Case(NamedTuple):
    """One fault that must be raised: of any of `subjects`, between first_ms and due_ms.

    exact: nothing hid its beginning, so that it must not be raised before its delay either.
    """

    fact: Fact
    expected: Expected
    subjects: tuple[str, ...]
    first_ms: int
    due_ms: int
    exact: bool


class _World:
    """The district as the facts left it: who belongs to whom, and who could be heard when."""

    def __init__(self, registry: Registry, facts: Sequence[Fact], start_ms: int) -> None:
        self._registry = registry
        self._start_ms = start_ms
        self._nights = Nights()
        self._by_compound: dict[str, list[str]] = defaultdict(list)
        self._by_circuit: dict[str, list[str]] = defaultdict(list)
        for device in registry.devices.values():
            self._by_compound[device.compound].append(device.id)
            if device.circuit is not None:
                self._by_circuit[device.circuit].append(device.id)
        self._hidden: dict[str, list[_Hidden]] = defaultdict(list)
        self._deaf: list[_Hidden] = []
        for fact in facts:
            self._hide(fact, MEANINGS.get(fact.kind))

    def _hide(self, fact: Fact, meaning: Meaning | None) -> None:
        if meaning is None or meaning.hides is None:
            return
        power = fact.kind in ("power_cut", "shed_power_lost", "street_power_lost")
        if meaning.own:
            self._deaf.append(_Hidden(fact.start_ms, fact.end_ms, 0, fact.id, True, meaning.keeps))
            return
        for name in self.reached(fact, meaning.hides):
            device = self._registry.devices.get(name)
            if device is None:
                continue
            again_ms = BOOTED_MS if power else TOLD_AGAIN_MS[device.kind]
            root_ms = ROOT_OVER_MS.get(fact.kind, 0)
            hidden = _Hidden(
                fact.start_ms, fact.end_ms, again_ms, fact.id, False, meaning.keeps, root_ms
            )
            self._hidden[name].append(hidden)

    def reached(self, fact: Fact, reach: Reach) -> list[str]:
        """Subjects that the fact touches; everything of the district for Reach.DISTRICT."""
        device = self._registry.devices.get(fact.scope)
        match reach:
            case Reach.SHED:
                shed = device.parent if device is not None and device.kind == "port" else fact.scope
                children = self._registry.children(shed or "")
                return [shed or fact.scope, *(child.id for child in children)]
            case Reach.BEHIND:
                return [fact.scope, *(c.id for c in self._registry.children(fact.scope))]
            case Reach.CIRCUIT:
                circuit = device.circuit if device is not None else fact.scope
                return list(self._by_circuit.get(circuit or "", ())) or [fact.scope]
            case Reach.COMPOUND:
                where = device.compound if device is not None else fact.scope
                return [where, *self._by_compound.get(where, ())]
            case Reach.DISTRICT:
                return [PLATFORM, *self._registry.compounds, *self._registry.devices]
            case _:
                return [fact.scope]

    def subjects(self, fact: Fact, whose: Whose) -> list[tuple[str, ...]]:
        """Of whom a fault is expected; of a tuple, any one."""
        device = self._registry.devices.get(fact.scope)
        match whose:
            case Whose.SHED:
                return [((device.parent or fact.scope) if device is not None else fact.scope,)]
            case Whose.SHEDS:
                devices = (self._registry.devices[d] for d in self._by_compound[fact.scope])
                return [(each.id,) for each in devices if each.kind == "shed"]
            case Whose.CIRCUIT:
                return [tuple(self.reached(fact, Reach.CIRCUIT))]
            case Whose.PLATFORM:
                return [(PLATFORM,)]
            case _:
                return [(fact.scope,)]

    def device(self, name: str) -> Device | None:
        return self._registry.devices.get(name)

    def cases(
        self, fact: Fact, expected: Expected
    ) -> Iterator[tuple[tuple[str, ...], _Case | None]]:
        """Every fault expected of the fact; None in place of one that could not be seen."""
        for subjects in self.subjects(fact, expected.whose):
            device = self.device(subjects[0])
            if device is None and expected.whose is Whose.SELF:
                device = self._stand_in(fact.scope)
            if device is not None and not _is_concerned(expected, device):
                continue
            yield subjects, self._case(fact, expected, subjects, device)

    def _stand_in(self, compound: str) -> Device | None:
        """Of a compound's own fault: its gateway, which has the evidence."""
        for name in self._by_compound.get(compound, ()):
            device = self._registry.devices[name]
            if device.kind == "gateway":
                return device
        return None

    def _case(
        self, fact: Fact, expected: Expected, subjects: tuple[str, ...], device: Device | None
    ) -> _Case | None:
        delay_ms = _ms(expected.delay_s, device)
        interval_ms = 1000 * device.interval_s if device is not None else 0
        told_ms = round(expected.told_s * 1000 + expected.reports * interval_ms)
        if expected.from_end or fact.start_ms == fact.end_ms or expected.event:
            at_ms = fact.end_ms if expected.from_end else fact.start_ms
            long_enough = (
                expected.from_end
                or fact.start_ms == fact.end_ms
                or fact.end_ms - at_ms >= delay_ms + told_ms + UNDUE_MS
            )
            veil = self._veil(subjects[0], at_ms, fact)
            if not long_enough and not expected.safety:
                return None
            if veil is None:
                first_ms = at_ms + delay_ms - _ms(expected.early_s, device)
                return _Case(fact, expected, subjects, first_ms, at_ms + told_ms + delay_ms, True)
            if not veil.keeps or not (expected.safety or veil.own):
                return None  # nobody heard it, and an old one is no fault any more
            due_ms = veil.end_ms + BOOTED_MS + told_ms + delay_ms
            return _Case(fact, expected, subjects, at_ms, due_ms, False)
        need_ms = delay_ms + told_ms + UNDUE_MS
        for span, exact in self._visible(fact, expected, subjects[0], device):
            if span.end_ms - span.start_ms >= need_ms:
                first_ms = span.start_ms + delay_ms - _ms(expected.early_s, device)
                due_ms = span.start_ms + delay_ms + told_ms
                return _Case(fact, expected, subjects, first_ms, due_ms, exact)
        veil = self._veil(subjects[0], fact.start_ms, fact) if expected.safety else None
        if veil is None or not veil.keeps:
            return None
        due_ms = veil.end_ms + BOOTED_MS + told_ms + delay_ms
        return _Case(fact, expected, subjects, fact.start_ms, due_ms, False)

    def _veil(self, subject: str, at_ms: int, fact: Fact) -> _Hidden | None:
        """What kept `subject` from being heard at that moment, other than the fact itself."""
        veils: list[_Hidden] = [*self._hidden.get(subject, ()), *self._deaf]
        for hidden in veils:
            if hidden.fact != fact.id and hidden.start_ms <= at_ms < hidden.end_ms + 1_000:
                return hidden
        return None

    def hidden_until(self, subject: str, fact: Fact) -> int:
        """Until when what the fact did may still come to light, for what hid it."""
        until_ms = fact.end_ms
        for hidden in (*self._hidden.get(subject, ()), *self._deaf):
            if hidden.fact != fact.id and (
                hidden.start_ms <= until_ms and hidden.end_ms + hidden.again_ms >= fact.start_ms
            ):
                until_ms = max(until_ms, hidden.end_ms + hidden.again_ms + BOOTED_MS)
        return until_ms

    def _visible(
        self,
        fact: Fact,
        expected: Expected,
        subject: str,
        device: Device | None,
    ) -> Iterator[tuple[_Span, bool]]:
        """The times in which the fact could be seen; whether one begins with the fact itself."""
        start_ms, silent = fact.start_ms, expected.silent
        first = start_ms <= self._start_ms + FIRST_MS
        spans = [_Span(start_ms + (FIRST_MS if first else 0), fact.end_ms)]
        for hidden in sorted((*self._hidden.get(subject, ()), *self._deaf)):
            if hidden.fact == fact.id:
                continue
            again_ms = hidden.root_ms if silent else hidden.again_ms
            if hidden.own:
                interval_ms = 1000 * device.interval_s if device is not None else 0
                again_ms = AFTER_US_MS + interval_ms if silent else 10_000
                if not hidden.keeps and device is not None and not silent:
                    again_ms = TOLD_AGAIN_MS[device.kind]
            spans = [
                part
                for span in spans
                for part in _without(span, hidden.start_ms, hidden.end_ms + again_ms)
            ]
        when = expected.when
        if when is When.POWERED and (
            device is None or device.kind != "lamp" or device.attributes.get("supply") != "switched"
        ):
            when = When.ALWAYS
        for span in spans:
            for part in self._within(span, when):
                yield part, part.start_ms == start_ms and not first

    def _within(self, span: _Span, when: When) -> Iterator[_Span]:
        if when is When.ALWAYS:
            yield span
            return
        for day in range(local_day(span.start_ms) - 1, local_day(span.end_ms) + 1):
            midnight_ms = day * DAY_MS - ZONE_MS
            if when is When.AWAKE:
                open_ms, shut_ms = midnight_ms + 6 * HOUR_MS, midnight_ms + 22 * HOUR_MS
            else:
                open_ms = self._nights.times_ms(day)[1] + JITTER_MS
                shut_ms = self._nights.times_ms(day + 1)[0] - JITTER_MS
                if when is When.DUSK and span.start_ms > open_ms - JITTER_MS:
                    continue  # it was lit before
            part = _Span(max(span.start_ms, open_ms), min(span.end_ms, shut_ms))
            if part.end_ms > part.start_ms:
                yield part


def _is_concerned(expected: Expected, device: Device) -> bool:
    most_s = expected.most_interval_s
    return (most_s is None or device.interval_s <= most_s) and all(
        device.attributes.get(name) == value for name, value in expected.only.items()
    )


def _ms(delay: Delay, device: Device | None) -> int:
    if callable(delay):
        return round(1000 * delay(device)) if device is not None else 0
    return round(1000 * delay)


def _without(span: _Span, from_ms: int, to_ms: int) -> Iterator[_Span]:
    if to_ms <= span.start_ms or from_ms >= span.end_ms:
        yield span
        return
    if from_ms > span.start_ms:
        yield _Span(span.start_ms, from_ms)
    if to_ms < span.end_ms:
        yield _Span(to_ms, span.end_ms)


# -- and what was said


class _Row(NamedTuple):
    """One episode of one fault, with its marks: what explains it is noted as it is found."""

    fault: Raised
    episode: Episode


def score(
    facts: Iterable[Fact],
    faults: Iterable[Raised],
    registry: Registry,
    start_ms: int,
    end_ms: int,
) -> Score:
    """Grade what was raised from `start_ms` until `end_ms` by what happened in that time.

    Raises KeyError for a kind of fact that the table of expectations does not have.
    """
    told = [fact for fact in facts if fact.kind not in OF_THE_RUN and fact.start_ms < end_ms]
    return _Grader(told, list(faults), registry, start_ms, end_ms).grade()


class _Grader:
    def __init__(
        self,
        facts: list[Fact],
        faults: list[Raised],
        registry: Registry,
        start_ms: int,
        end_ms: int,
    ) -> None:
        self._facts = facts
        self._faults = faults
        self._registry = registry
        self._start_ms, self._end_ms = start_ms, end_ms
        self._world = _World(registry, facts, start_ms)
        self._rows: dict[tuple[str, str], list[_Row]] = defaultdict(list)
        self._by_subject: dict[str, list[_Row]] = defaultdict(list)
        for fault in faults:
            for episode in fault.episodes:
                row = _Row(fault, episode)
                self._rows[fault.subject, fault.code].append(row)
                self._by_subject[fault.subject].append(row)
        for rows in self._rows.values():
            rows.sort(key=lambda row: row.episode.opened_ms)
        self._codes: dict[str, Tally] = defaultdict(Tally)
        self._explained: dict[int, str] = {}  # id of a row's episode -> the fact
        self._as_child: dict[int, str] = {}
        self._roots: set[str] = set()
        self._asked: set[str] = set()  # facts that were long enough to be told
        self._missed: list[tuple[Found, _Case]] = []
        self._early: list[Found] = []
        self._not_asked = 0

    def grade(self) -> Score:
        for fact in self._facts:
            self._explain(fact, MEANINGS[fact.kind])
        for fact in self._facts:
            for must in MEANINGS[fact.kind].must:
                self._ask(fact, must if isinstance(must, tuple) else (must,))
        false, wrong = self._unexplained()
        extra = self._extra_children()
        alertable = self._alertable()
        kinds: dict[str, int] = defaultdict(int)
        for fact in self._facts:
            kinds[fact.kind] += 1
        weeks = (self._end_ms - self._start_ms) / WEEK_MS
        return Score(
            codes=dict(sorted(self._codes.items())),
            missed=[found for found, _ in self._missed],
            false=[found for found, _ in false],
            wrong=wrong,
            early=self._early,
            extra_children=extra,
            false_of_ours=sum(ours for _, ours in false),
            alertable=alertable,
            roots=len(self._roots),
            device_weeks=weeks * len(self._registry.devices),
            facts=dict(sorted(kinds.items())),
            suppressed=sum(fault.child for fault in self._faults),
            not_asked=self._not_asked,
            per_cut=self._per_cut(),
        )

    def _explain(self, fact: Fact, meaning: Meaning) -> None:
        """Note which episodes this fact accounts for."""
        own: dict[str, set[str]] = defaultdict(set)
        for must in meaning.must:
            for expected in must if isinstance(must, tuple) else (must,):
                for subjects in self._world.subjects(fact, expected.whose):
                    for subject in subjects:
                        own[subject].add(expected.code)
        if meaning.may:
            for subject in self._world.reached(fact, meaning.reach):
                own[subject].update(meaning.may)
        children = set(meaning.children)
        touched = set(own)
        if children:
            touched |= set(self._world.reached(fact, meaning.reach))
        for subject in touched:
            rows = self._by_subject.get(subject)
            if not rows:
                continue
            until_ms = self._world.hidden_until(subject, fact) + round(1000 * meaning.linger_s)
            for row in rows:
                opened_ms = row.episode.opened_ms
                if not fact.start_ms - TOLERANCE_MS <= opened_ms <= until_ms:
                    continue
                if row.fault.code in own[subject]:
                    self._explained[id(row)] = fact.id
                    if not (row.fault.child or row.fault.platform):
                        self._roots.add(fact.id)
                elif row.fault.code in children:
                    self._as_child.setdefault(id(row), fact.id)

    def _ask(self, fact: Fact, alternatives: tuple[Expected, ...]) -> None:
        """Was it raised in time? Each subject that it is expected of is asked for."""
        by_subject: dict[tuple[str, ...], list[_Case | None]] = defaultdict(list)
        for expected in alternatives:
            for subjects, case in self._world.cases(fact, expected):
                by_subject[subjects].append(case)
        for cases in by_subject.values():
            asked = [case for case in cases if case is not None]
            if len(asked) < len(cases) or any(case.due_ms > self._end_ms for case in asked):
                self._not_asked += 1
                continue
            found = [(case, row) for case in asked if (row := self._answer(case)) is not None]
            case = max(asked, key=lambda each: each.due_ms)
            tally = self._codes[(found[0][0] if found else asked[0]).expected.code]
            tally.due += 1
            tally.safety = tally.safety or case.expected.safety
            self._asked.add(fact.id)
            if not MEANINGS[fact.kind].own:
                self._roots.add(fact.id)
            if not found:
                first = asked[0]
                entry = Found(
                    first.expected.code,
                    first.subjects[0],
                    first.due_ms,
                    fact=fact.id,
                    note=fact.kind,
                )
                self._missed.append((entry, first))
                continue
            tally.detected += 1
            self._time(fact, found, case.due_ms, tally)

    def _answer(self, case: _Case) -> _Row | None:
        """The episode that answers the case: raised for it, or standing already."""
        fact = case.fact
        for subject in case.subjects:
            until_ms = self._world.hidden_until(subject, fact) + round(
                1000 * MEANINGS[fact.kind].linger_s
            )
            until_ms = max(until_ms, case.due_ms + TOLERANCE_MS)
            for row in self._rows.get((subject, case.expected.code), ()):
                if not self._is_told(row, case):
                    continue
                opened_ms, over_ms = row.episode
                stands = opened_ms < fact.start_ms and (
                    over_ms is None or over_ms >= min(fact.start_ms + 1, fact.end_ms + 1)
                )
                if stands or fact.start_ms - TOLERANCE_MS <= opened_ms <= until_ms:
                    return row
        return None

    def _is_told(self, row: _Row, case: _Case) -> bool:
        """Whether somebody hears of it. Safety always; and what outlasts its root is let go."""
        fault = row.fault
        if fault.safety or case.expected.safety:
            return not (fault.child or fault.muted)
        return not fault.child or case.exact

    def _time(self, fact: Fact, found: list[tuple[_Case, _Row]], due_ms: int, tally: Tally) -> None:
        case, row = min(found, key=lambda each: each[1].episode.opened_ms)
        opened_ms, over_ms = row.episode
        if opened_ms < fact.start_ms - TOLERANCE_MS:
            return  # it stood already, for another reason
        tally.delays_s.append(max(0.0, (opened_ms - due_ms) / 1000))
        if case.exact and opened_ms < case.first_ms - EARLY_MS and not self._others(row, fact):
            tally.early += 1
            self._early.append(
                Found(
                    row.fault.code,
                    row.fault.subject,
                    opened_ms,
                    fact=fact.id,
                    fault=row.fault.id,
                    note=f"{(case.first_ms - opened_ms) / 1000:.0f} s before its delay was over",
                )
            )
        expected = case.expected
        if expected.clear_s is None or over_ms is None or over_ms < fact.end_ms:
            return
        if self._world.hidden_until(row.fault.subject, fact) > fact.end_ms:
            return
        device = self._world.device(row.fault.subject)
        reports_s = expected.clear_reports * device.interval_s if device is not None else 0.0
        tally.clears_s.append(
            max(0.0, (over_ms - fact.end_ms) / 1000 - expected.clear_s - reports_s)
        )

    def _others(self, row: _Row, fact: Fact) -> bool:
        """Whether another fact accounts for the episode too."""
        for other in self._facts:
            if other.id == fact.id or MEANINGS[other.kind].reach is Reach.DISTRICT:
                continue
            if (
                not other.start_ms - TOLERANCE_MS
                <= row.episode.opened_ms
                <= (other.end_ms + 1000 * MEANINGS[other.kind].linger_s)
            ):
                continue
            codes = {
                expected.code
                for must in MEANINGS[other.kind].must
                for expected in (must if isinstance(must, tuple) else (must,))
            } | set(MEANINGS[other.kind].may)
            if row.fault.code in codes and row.fault.subject in self._world.reached(
                other, MEANINGS[other.kind].reach
            ):
                return True
        return False

    def _unexplained(self) -> tuple[list[tuple[Found, bool]], list[Found]]:
        """False faults, each with whether an outage of ours explains it; and wrong codes."""
        false: list[tuple[Found, bool]] = []
        wrong: list[Found] = []
        ours = [fact for fact in self._facts if MEANINGS[fact.kind].own]
        mistaken: set[int] = set()
        for rows in self._by_subject.values():
            for row in rows:
                opened_ms = row.episode.opened_ms
                if (
                    id(row) in self._explained
                    or id(row) in self._as_child
                    or row.fault.platform
                    or not self._start_ms <= opened_ms <= self._end_ms
                ):
                    continue
                tally = self._codes[row.fault.code]
                for n, (found, case) in enumerate(self._missed):
                    if n in mistaken or not self._is_near(row, case):
                        continue
                    mistaken.add(n)
                    tally.wrong += 1
                    wrong.append(
                        Found(
                            row.fault.code,
                            row.fault.subject,
                            opened_ms,
                            fact=found.fact,
                            fault=row.fault.id,
                            note=f"instead of {found.code}",
                        )
                    )
                    break
                else:
                    tally.false += 1
                    is_ours = any(
                        f.start_ms <= opened_ms <= f.end_ms + OURS_MS
                        and f.kind not in ("duplicates", "disorder")
                        for f in ours
                    )
                    note = "after an outage of ours" if is_ours else ""
                    entry = Found(
                        row.fault.code, row.fault.subject, opened_ms, fault=row.fault.id, note=note
                    )
                    false.append((entry, is_ours))
        return false, wrong

    def _is_near(self, row: _Row, case: _Case) -> bool:
        """Whether an unexplained fault may have been meant for this missed one."""
        opened_ms, fact = row.episode.opened_ms, case.fact
        if not fact.start_ms - TOLERANCE_MS <= opened_ms <= max(fact.end_ms, case.due_ms) + HOUR_MS:
            return False
        here, there = row.fault.subject, case.subjects[0]
        if here == there:
            return True
        device, other = self._world.device(here), self._world.device(there)
        if device is None or other is None:
            return False
        return device.parent == there or other.parent == here

    def _extra_children(self) -> list[Found]:
        """Children of a root that were told as faults of their own."""
        extra: list[Found] = []
        for rows in self._by_subject.values():
            for row in rows:
                if id(row) not in self._as_child or id(row) in self._explained:
                    continue
                if row.fault.child or row.fault.muted or self._as_child[id(row)] not in self._asked:
                    continue
                self._codes[row.fault.code].extra_children += 1
                extra.append(
                    Found(
                        row.fault.code,
                        row.fault.subject,
                        row.episode.opened_ms,
                        fact=self._as_child[id(row)],
                        fault=row.fault.id,
                    )
                )
        return extra

    def _per_cut(self) -> dict[str, int]:
        cuts = {
            fact.id: 0
            for fact in self._facts
            if fact.kind == "power_cut" and fact.id in self._asked
        }
        for rows in self._by_subject.values():
            told = {
                row.fault.id: cut
                for row in rows
                if not (row.fault.child or row.fault.muted)
                and (cut := self._explained.get(id(row)) or self._as_child.get(id(row))) in cuts
            }
            for cut in told.values():
                cuts[cut] += 1
        return cuts

    def _alertable(self) -> int:
        expected = {
            (subject, each.code)
            for fact in self._facts
            for must in MEANINGS[fact.kind].must
            for each in (must if isinstance(must, tuple) else (must,))
            for subjects in self._world.subjects(fact, each.whose)
            for subject in subjects
        }
        count = 0
        for fault in self._faults:
            if fault.platform or fault.child or fault.muted or not fault.episodes:
                continue
            if not any(self._start_ms <= e.opened_ms <= self._end_ms for e in fault.episodes):
                continue
            if fault.suspected and (fault.subject, fault.code) not in expected:
                continue
            self._codes[fault.code].alertable += 1
            count += 1
        return count


def as_json(scored: Score) -> dict[str, object]:
    """The score as plain data; lists are cut at LISTED entries, and say how many there are."""

    def listed(found: Sequence[Found]) -> dict[str, object]:
        rows = [
            {name: value for name, value in _fields(one).items() if value != ""}
            for one in found[:LISTED]
        ]
        return {"count": len(found), "first": rows}

    due_safety, detected_safety = scored.of_safety()
    return {
        "due": scored.due,
        "detected": scored.detected,
        "safety": {"due": due_safety, "detected": detected_safety},
        "alertable": scored.alertable,
        "roots": scored.roots,
        "suppressed": scored.suppressed,
        "not_asked": scored.not_asked,
        "alertable_per_power_cut": scored.per_cut,
        "device_weeks": round(scored.device_weeks, 3),
        "false_of_our_outages": scored.false_of_ours,
        "false_per_1000_device_weeks": round(scored.false_per_1000_device_weeks, 3),
        "delay_beyond_rule_s": _spread(scored.delays_s()),
        "clear_beyond_rule_s": _spread(scored.clears_s()),
        "codes": {code: _tally_json(tally) for code, tally in scored.codes.items()},
        "facts": scored.facts,
        "missed": listed(scored.missed),
        "false": listed(scored.false),
        "wrong": listed(scored.wrong),
        "early": listed(scored.early),
        "extra_children": listed(scored.extra_children),
    }


def _fields(found: Found) -> Mapping[str, object]:
    return {
        "code": found.code,
        "subject": found.subject,
        "at_ms": found.at_ms,
        "fact": found.fact,
        "fault": found.fault,
        "note": found.note,
    }


def _spread(ordered: Sequence[float]) -> dict[str, float | None]:
    return {
        "p50": percentile(ordered, 0.5),
        "p95": percentile(ordered, 0.95),
        "max": ordered[-1] if ordered else None,
    }


def _tally_json(tally: Tally) -> dict[str, object]:
    return {
        "due": tally.due,
        "detected": tally.detected,
        "missed": tally.missed,
        "false": tally.false,
        "wrong": tally.wrong,
        "early": tally.early,
        "extra_children": tally.extra_children,
        "alertable": tally.alertable,
        "delay_beyond_rule_s": _spread(sorted(tally.delays_s)),
        "clear_beyond_rule_s": _spread(sorted(tally.clears_s)),
    }


def table(scored: Score) -> str:
    """The score as a table by code, the whole in its last line."""
    head = ("code", "due", "found", "missed", "false", "wrong", "early", "extra", "alerted")
    spread = ("p50 s", "p95 s", "max s", "clear p95")
    lines = [f"{head[0]:<22}" + "".join(f"{name:>8}" for name in head[1:] + spread[:-1])]
    lines[0] += f"{spread[-1]:>11}"
    for code, tally in scored.codes.items():
        lines.append(_line(code, tally))
    whole = Tally(
        due=scored.due,
        detected=scored.detected,
        false=len(scored.false),
        wrong=len(scored.wrong),
        early=len(scored.early),
        extra_children=len(scored.extra_children),
        alertable=scored.alertable,
        delays_s=scored.delays_s(),
        clears_s=scored.clears_s(),
    )
    lines.append(_line("in all", whole))
    return "\n".join(lines)


def _line(name: str, tally: Tally) -> str:
    counts = (
        tally.due,
        tally.detected,
        tally.missed,
        tally.false,
        tally.wrong,
        tally.early,
        tally.extra_children,
        tally.alertable,
    )
    delays, clears = sorted(tally.delays_s), sorted(tally.clears_s)
    seconds = (
        percentile(delays, 0.5),
        percentile(delays, 0.95),
        delays[-1] if delays else None,
        percentile(clears, 0.95),
    )
    cells = "".join(f"{count or '·':>8}" for count in counts)
    told = ["" if s is None else f"{s:.1f}" for s in seconds]
    return f"{name:<22}{cells}" + "".join(f"{s:>8}" for s in told[:-1]) + f"{told[-1]:>11}"
