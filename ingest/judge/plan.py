"""The fault rules of a kind, compiled for the way values come in.

A normal value must cost a few comparisons, so each quantity knows the range in which, or the words
of which, none of its signs raises anything. Only outside it, or while the device has a sign (which
a value may end), does the slow path in `signs` look at each rule.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from devices.catalogue import COMPOUND, rules_for
from devices.kinds import KINDS, Kind
from devices.kinds.kind import Derived, Implied
from devices.liveness import WEAK_CSQ
from devices.messages import Value
from devices.overrides import NONE, Overrides, Scope, changed
from devices.quantities import Quantity, Role, Type
from devices.registry import Device
from devices.rules import (
    Becomes,
    Beyond,
    Changed,
    Counted,
    Equals,
    Fell,
    Follows,
    Happened,
    Missing,
    NeverSeen,
    Quiet,
    Refused,
    Returned,
    Rule,
    Share,
    Sign,
    Silent,
    Sparse,
    Stopped,
    Together,
    Unanswered,
    Unprompted,
    Unusual,
    band,
    ends,
)
from devices.usage import STEADILY, TELL_CHANGES

Test = Callable[[Value], bool]

# What usage is counted by of a kind of which most reports add up to none, see `UseMeter`.
OPENINGS: Mapping[str, tuple[tuple[str, Value], ...]] = {
    "gate": (("door_state", "open"), ("arm_state", "open"), ("door_alarm", "open_too_long")),
}
METERS: Mapping[str, tuple[str, ...]] = {"shed": ("meter_energy_kwh",)}  # of which it is, too

# What prompts a state may overtake it on its way to us: so long is waited before it is a fault.
SETTLE_S = 2.0

# A compound is judged like a device that reports nothing: its only faults are those of its devices.
_COMPOUND = Kind(COMPOUND, "小区", "Compound", 60, 90, MappingProxyType({}), MappingProxyType({}))


class Hint(Enum):
    """What a value tells besides its own faults: why a device may fall silent."""

    NO_POWER = "no_power"
    WEAK_SIGNAL = "weak_signal"


def _within(text: str) -> Test:
    low, high = band(text)
    # a value that is no number cannot be beyond a level
    return lambda value: not isinstance(value, str) and low <= value <= high


def _outside(low: float, high: float) -> tuple[float, float]:
    """The interval next to [low, high], in which nothing is raised; empty if there are two."""
    if low == -math.inf:
        return math.nextafter(high, math.inf), math.inf
    if high == math.inf:
        return -math.inf, math.nextafter(low, -math.inf)
    return math.inf, -math.inf


def _among(values: tuple[Value, ...]) -> Test:
    # `1 == True` in Python, and a flag must not match a count
    kinds = {(type(value), value) for value in values}
    return lambda value: (type(value), value) in kinds


@dataclass(frozen=True, slots=True, eq=False)
class PlannedSign:
    """One sign of a rule. index: its place in the rule. gauge: it wants a second sample.

    raises, clears: what a value of its quantity says; unset for events and silence.
    becomes: ends by another quantity, each with what that must have read since (see `Becomes`).
    quantity: its own, if it has one. others: whose values mean something to it besides.
    """

    rule: Rule
    index: int
    sign: Sign
    gauge: bool = False
    raises: Test | None = None
    clears: Test | None = None
    becomes: tuple[tuple[str, Test, tuple[Value, ...]], ...] = ()
    follows: tuple[Follows, ...] = ()
    quiet: Quiet | None = None
    quantity: str = ""
    others: frozenset[str] = frozenset()

    @property
    def delay_ms(self) -> float:
        settle_s = SETTLE_S if isinstance(self.sign.detector, Unprompted) else 0.0
        return (self.sign.delay_s + settle_s) * 1000

    @property
    def given(self) -> tuple[str, tuple[Value, ...]] | None:
        """What must hold for a gauge to be judged at all."""
        detector = self.sign.detector
        return detector.given if isinstance(detector, Beyond) else None

    @property
    def safety(self) -> bool:
        """Whether a fault that this sign shows is of the safety tier."""
        return self.rule.safety or self.sign.safety


@dataclass(slots=True)
class QuantityPlan:
    """What one quantity can show. Within [low, high], or if it is none of `bad`, nothing.

    given: nor while this does not hold, if all of its signs are under the same condition.
    hint: what a value that is not normal tells besides.
    patterns: signs that wait for its bad values without being shown by one.
    """

    low: float = -math.inf
    high: float = math.inf
    bad: frozenset[Value] | None = None
    signs: list[PlannedSign] = field(default_factory=list)
    given: tuple[str, tuple[Value, ...]] | None = None
    hint: Hint | None = None
    patterns: list[PlannedSign] = field(default_factory=list)

    def has_no_floor(self) -> bool:
        """Whether whatever is low enough shows nothing."""
        return self.bad is None and self.low == -math.inf

    def is_normal(self, value: Value) -> bool:
        if self.bad is not None:
            return value not in self.bad
        return not isinstance(value, str) and self.low <= value <= self.high


@dataclass(slots=True)
class KindPlan:
    """All that can be seen of one kind of device, by the way it comes in.

    child: quantities of children that show a fault of the parent, by the children's kind.
    patterns: by the type of event, signs for which one event is not enough. refusals: those that
    count refused values. changed: by quantity, those that count its changes. fell: by a register.
    derived: the quantities made of others that its rules need; behind: those others. implied: by
    the type of event, the states that it tells of. conditional: quantities that show something
    only while another one reads so. is_plain: values that show nothing by themselves need no other
    look, and are no usage, unless one of `telling` was told: a meter, or by what others say
    nothing. is_socket: they need none but for what a socket is used for. beats: what heartbeats
    say, of which a report that tells of a change says nothing; empty where nobody asks.
    """

    kind: Kind
    quantities: dict[str, QuantityPlan] = field(default_factory=dict)
    events: dict[str, list[PlannedSign]] = field(default_factory=dict)
    stops: list[PlannedSign] = field(default_factory=list)
    silent: PlannedSign | None = None
    never: PlannedSign | None = None
    together: PlannedSign | None = None
    refused: PlannedSign | None = None
    missing: PlannedSign | None = None
    unusual: dict[str, PlannedSign] = field(default_factory=dict)  # by code
    child: dict[str, dict[str, QuantityPlan]] = field(default_factory=dict)
    patterns: dict[str, list[PlannedSign]] = field(default_factory=dict)
    refusals: list[PlannedSign] = field(default_factory=list)
    changed: dict[str, list[PlannedSign]] = field(default_factory=dict)
    fell: PlannedSign | None = None
    sparse: PlannedSign | None = None
    derived: list[tuple[Derived, QuantityPlan]] = field(default_factory=list)
    behind: frozenset[str] = frozenset()
    implied: dict[str, list[Implied]] = field(default_factory=dict)
    conditional: dict[str, QuantityPlan] = field(default_factory=dict)
    is_plain: bool = False
    is_socket: bool = False
    telling: tuple[str, ...] = ()
    beats: frozenset[str] = frozenset()
    rules: dict[str, Rule] = field(default_factory=dict)
    signs: dict[tuple[str, int], PlannedSign] = field(default_factory=dict)
    # what `of` and `changed_by` have answered
    found: dict[str, QuantityPlan | None] = field(default_factory=dict)
    counted: dict[str, list[PlannedSign]] = field(default_factory=dict)

    def of(self, name: str) -> QuantityPlan | None:
        """The plan of a quantity, or of an instance of one (`reader_online_1`); None without rules.

        `name` has passed the decoder, so there are only as many as the kind declares.
        """
        try:
            return self.found[name]
        except KeyError:
            declared = self.kind.quantity(name)
            plan = None if declared is None else self.quantities.get(declared.name)
            self.found[name] = plan
            return plan

    def changed_by(self, name: str) -> list[PlannedSign]:
        """The signs that count changes of a quantity, or of an instance of it."""
        try:
            return self.counted[name]
        except KeyError:
            declared = self.kind.quantity(name)
            counted = [] if declared is None else self.changed.get(declared.name, [])
            self.counted[name] = counted
            return counted

    def is_calm(self, name: str) -> tuple[float, float] | frozenset[Value] | None:
        """Where a quantity shows nothing by itself: a range, some words; None for anywhere.

        What is made of it, how often it changes, whether it says anything now, and what it shows
        while something else holds is looked at all the same.
        """
        declared = self.kind.quantity(name)
        plan = self.of(name)
        if declared is None or plan is None or name in self.conditional:
            return None
        if plan.bad is None:
            return plan.low, plan.high
        words: Iterable[Value] = (False, True)
        if declared.type is not Type.BOOL:
            words = declared.values
        return frozenset(words) - plan.bad


def plan(kind: Kind, rules: Iterable[Rule]) -> KindPlan:
    """Compile the rules of one kind."""
    made = KindPlan(kind)
    for rule in rules:
        made.rules[rule.code] = rule
        for index, sign in enumerate(rule.signs):
            planned = _planned(rule, index, sign)
            made.signs[rule.code, index] = planned
            _file(made, planned)
    made.derived = [
        (derived, made.quantities[derived.quantity.name])
        for derived in kind.derived
        if derived.quantity.name in made.quantities
    ]
    made.behind = frozenset(name for derived, _ in made.derived for name in derived.of)
    made.conditional = {
        name: quantity
        for name, quantity in made.quantities.items()
        if quantity.given is not None and _is_single_gauge(kind.quantity(name), quantity)
    }
    for implied in kind.implied:
        made.implied.setdefault(implied.event, []).append(implied)
    made.is_plain = (
        kind.name not in STEADILY
        and not (made.conditional or made.derived or made.changed)
        and all(_shows(made, name, word) for name, word in OPENINGS.get(kind.name, ()))
    )
    made.telling = tuple(
        dict.fromkeys([*(muted.given[0] for muted in kind.muted), *METERS.get(kind.name, ())])
    )
    if kind.name in TELL_CHANGES:
        made.beats = frozenset(
            name for name, one in kind.quantities.items() if one.role is not Role.STATE
        )
    made.is_socket = kind.name == "port" and not (made.changed or kind.muted)
    if kind.quantity("mains_ok") is not None:
        mains = made.quantities.setdefault("mains_ok", QuantityPlan())
        mains.bad, mains.hint = (mains.bad or frozenset()) | {False}, Hint.NO_POWER
    if kind.quantity("csq") is not None:
        signal = made.quantities.setdefault("csq", QuantityPlan())
        signal.low, signal.hint = max(signal.low, WEAK_CSQ), Hint.WEAK_SIGNAL
    return made


def _shows(made: KindPlan, name: str, word: Value) -> bool:
    """Whether a device is looked at while it says this, and at the report that ends it."""
    return any(
        isinstance(planned.sign.detector, Equals)
        and planned.sign.detector.quantity == name
        and word in planned.sign.detector.raises
        for planned in made.signs.values()
    )


def plans(
    rules_for: Callable[[str], tuple[Rule, ...]] = rules_for,
    kinds: Mapping[str, Kind] = KINDS,
    overrides: Overrides = NONE,
) -> "Plans":
    """The plans of these rules, with what is changed of them."""
    return Plans(rules_for, kinds, overrides)


def _is_single_gauge(declared: Quantity | None, plan: QuantityPlan) -> bool:
    """Whether nothing but its levels makes a value abnormal, and it has no instances."""
    return declared is not None and not declared.many and plan.bad is None and plan.hint is None


class Plans(Mapping[str, KindPlan]):
    """The plan of every kind, and of a compound as a whole; and of those that differ from them.

    Devices for which the same was changed share one plan, and one for which nothing was has its
    kind's. strictest: plans that call nothing normal that is abnormal for any device.
    """

    def __init__(
        self,
        rules_for: Callable[[str], tuple[Rule, ...]],
        kinds: Mapping[str, Kind],
        overrides: Overrides = NONE,
    ) -> None:
        self.overrides = overrides
        self._rules_for = rules_for
        self._kinds = kinds
        self._of_kind = _plans(lambda kind: self._rules(kind, lambda s: s.holds_all(kind)), kinds)
        self._unchanged = _plans(rules_for, kinds) if overrides.changes else self._of_kind
        for kind, plan_ in self._of_kind.items():
            _keep_silence(plan_, self._unchanged[kind])
        self._scopes = {kind: self._narrower(kind) for kind in self._of_kind}
        # by the device or the compound that they name: of a thousand few concern one device
        self._near: dict[str, dict[str, list[Scope]]] = {kind: {} for kind in self._scopes}
        for kind, scopes in self._scopes.items():
            for scope in scopes:
                named = scope.device or scope.compound or ""
                self._near[kind].setdefault(named, []).append(scope)
        self._made: dict[tuple[str, tuple[Scope, ...]], KindPlan] = {}
        self.strictest: Mapping[str, KindPlan] = (
            _plans(self._variants, kinds) if overrides.changes else self._of_kind
        )

    def using(self, overrides: Overrides) -> "Plans":
        """The plans of the same rules with other changes."""
        return Plans(self._rules_for, self._kinds, overrides)

    def of(self, device: Device) -> KindPlan:
        """The plan of one device."""
        scopes = self._near[device.kind]
        if not scopes:
            return self._of_kind[device.kind]
        near = (*scopes.get(device.id, ()), *scopes.get(device.compound, ()), *scopes.get("", ()))
        return self._of(device.kind, tuple(scope for scope in near if scope.holds(device)))

    def of_compound(self, compound: str) -> KindPlan:
        """The plan of a compound as a whole."""
        scopes = self._scopes[COMPOUND]
        return self._of(COMPOUND, tuple(scope for scope in scopes if scope.holds_at(compound)))

    def __getitem__(self, kind: str) -> KindPlan:
        return self._of_kind[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_kind)

    def __len__(self) -> int:
        return len(self._of_kind)

    def _of(self, kind: str, scopes: tuple[Scope, ...]) -> KindPlan:
        if not scopes:
            return self._of_kind[kind]
        plan_ = self._made.get((kind, scopes))
        if plan_ is None:
            counting = frozenset(scopes)
            rules = self._rules(kind, lambda scope: scope in counting or scope.holds_all(kind))
            plan_ = plan(self._of_kind[kind].kind, rules)
            _keep_silence(plan_, self._unchanged[kind])
            self._made[kind, scopes] = plan_
        return plan_

    def _rules(self, kind: str, holds: Callable[[Scope], bool]) -> tuple[Rule, ...]:
        made = (self.overrides.applied(rule, holds) for rule in self._rules_for(kind))
        return tuple(rule for rule in made if rule is not None)

    def _narrower(self, kind: str) -> tuple[Scope, ...]:
        """The scopes that can make a difference between devices of one kind."""
        scopes = (
            change.scope
            for rule in self._rules_for(kind)
            for change in self.overrides.of(rule.code)
            if change.scope.kind in (None, kind) and not change.scope.holds_all(kind)
        )
        return tuple(dict.fromkeys(scopes))

    def _variants(self, kind: str) -> tuple[Rule, ...]:
        """The rules of a kind as they are, and with each level that any of its devices has."""
        found = list(self._rules(kind, lambda scope: scope.holds_all(kind)))
        narrower = frozenset(self._narrower(kind))
        for rule in self._rules_for(kind):
            for change in self.overrides.of(rule.code):
                if change.scope in narrower and change.figure in ("raises", "enabled"):
                    one = changed(rule, [change])
                    found += [] if one is None else [one]
        return tuple(found)


def _keep_silence(made: KindPlan, unchanged: KindPlan) -> None:
    """Who is there is a question of its own, also where it is no fault that somebody is not."""
    silent = unchanged.silent
    if made.silent is None and silent is not None:
        made.silent = made.signs[silent.rule.code, silent.index] = silent


def _plans(
    rules_for: Callable[[str], tuple[Rule, ...]], kinds: Mapping[str, Kind]
) -> dict[str, KindPlan]:
    made = {name: plan(kind, rules_for(name)) for name, kind in kinds.items()}
    made[COMPOUND] = plan(_COMPOUND, rules_for(COMPOUND))
    return made


def calm_range(
    plans: Plans, kind: str, quantity: str
) -> tuple[float, float] | frozenset[Value] | None:
    """Where a quantity raises nothing, at no device: a range, some words; None for anywhere."""
    return plans.strictest[kind].is_calm(quantity)


def _planned(rule: Rule, index: int, sign: Sign) -> PlannedSign:
    detector = sign.detector
    over = ends(detector)
    becomes = tuple(
        (
            condition.quantity,
            _within(condition.clears)
            if isinstance(condition.clears, str)
            else _among(condition.clears),
            condition.after,
        )
        for condition in over
        if isinstance(condition, Becomes)
    )
    follows = tuple(condition for condition in over if isinstance(condition, Follows))
    quiet = [condition for condition in over if isinstance(condition, Quiet)]
    raises: Test | None = None
    clears: Test | None = None
    if isinstance(detector, Beyond):
        raises, clears = _within(detector.raises), _within(detector.clears)
    elif isinstance(detector, Equals):
        raises, clears = _among(detector.raises), _among(detector.clears)
    quietest = min(quiet, key=lambda condition: condition.after_s, default=None)
    conditions = (
        getattr(detector, "given", None),
        getattr(detector, "unless", None),
        quietest.given if quietest is not None else None,
    )
    return PlannedSign(
        rule,
        index,
        sign,
        gauge=isinstance(detector, Beyond),
        raises=raises,
        clears=clears,
        becomes=becomes,
        follows=follows,
        quiet=quietest,
        quantity=getattr(detector, "quantity", ""),
        others=frozenset(name for name, _, _ in becomes)
        | {condition[0] for condition in conditions if condition is not None},
    )


def _file(made: KindPlan, planned: PlannedSign) -> None:
    detector = planned.sign.detector
    match detector:
        case Beyond():
            quantity = made.quantities.setdefault(detector.quantity, QuantityPlan())
            low, high = _outside(*band(detector.raises))
            quantity.low, quantity.high = max(quantity.low, low), min(quantity.high, high)
            quantity.signs.append(planned)
            conditions = {sign.given for sign in quantity.signs}
            quantity.given = conditions.pop() if len(conditions) == 1 else None
        case Equals():
            quantities = (
                made.quantities if detector.of is None else made.child.setdefault(detector.of, {})
            )
            quantity = quantities.setdefault(detector.quantity, QuantityPlan())
            quantity.bad = (quantity.bad or frozenset()) | frozenset(detector.raises)
            quantity.signs.append(planned)
        case Happened():
            made.events.setdefault(detector.event, []).append(planned)
        case Stopped():
            made.stops.append(planned)
        case Silent():
            made.silent = planned
        case NeverSeen():
            made.never = planned
        case Together():
            made.together = planned
        case Refused():
            made.refused = planned
        case Missing():
            made.missing = planned
        case Counted():
            _file_counted(made, planned, detector)
        case Share():
            _file_pattern(made, planned, detector.event)
        case Returned():
            _file_pattern(made, planned, detector.event)
        case Unanswered():
            _file_pattern(made, planned, detector.event)
            _wait_for(made, planned, detector.quantity, detector.values)
        case Unprompted():
            _file_pattern(made, planned, *(prompt.event for prompt in detector.prompts))
            _wait_for(made, planned, detector.quantity, detector.values)
        case Fell():
            made.fell = planned
            _file_pattern(made, planned, "session_end")
        case Sparse():
            made.sparse = planned
        case Unusual():
            made.unusual[planned.rule.code] = planned


def _file_counted(made: KindPlan, planned: PlannedSign, counted: Counted) -> None:
    match counted.of:
        case Happened():
            _file_pattern(made, planned, counted.of.event)
        case Stopped():
            _file_pattern(made, planned, "session_end")
        case Refused():
            made.refusals.append(planned)
        case Changed():
            made.changed.setdefault(counted.of.quantity, []).append(planned)
    _file_pattern(made, planned, *(reset.event for reset in counted.resets))


def _file_pattern(made: KindPlan, planned: PlannedSign, *types: str) -> None:
    for type_ in dict.fromkeys(types):
        filed = made.patterns.setdefault(type_, [])
        if planned not in filed:
            filed.append(planned)


def _wait_for(
    made: KindPlan, planned: PlannedSign, quantity: str, values: tuple[Value, ...]
) -> None:
    """These values are no longer normal, though they alone show nothing."""
    plan = made.quantities.setdefault(quantity, QuantityPlan())
    plan.bad = (plan.bad or frozenset()) | frozenset(values)
    plan.patterns.append(planned)
