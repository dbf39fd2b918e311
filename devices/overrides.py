"""What is changed of the catalogue's figures, and for which devices.

A change is one figure of one rule, or of one of its signs, in one scope. Of several that hold for a
device the most precise counts: that of a device before that of a model (vendor and model before
model alone, a vendor last), before that of a compound, before that of a kind, before one without a
scope. Nothing here knows where they were written down: `devices.rule_files` does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from devices.messages import Value
from devices.registry import Device
from devices.rules import (
    Beyond,
    Changed,
    Counted,
    Detector,
    Equals,
    Fell,
    Happened,
    Returned,
    Rule,
    Severity,
    Share,
    Sign,
    Silent,
    Stopped,
    Unanswered,
    Unprompted,
    Where,
)

# Figures of a sign under the names of the declarations. All but the last two are its detector's,
# which has some of them.
SIGN_FIGURES = (
    "raises",
    "clears",
    "times",
    "within_s",
    "reports",
    "learned",
    "least",
    "share",
    "answer_s",
    "last_s",
    "dark_s",
    "every_s",
    "evidence_s",
    "notice_delay_s",
    "delay_s",
    "severity",
)
# Figures of the rule itself; the last three are those of `Rule.repeated`, which few rules have.
RULE_FIGURES = ("clear_delay_s", "repeated_times", "repeated_within_s", "repeated_severity")
_REPEATED = "repeated_"
_SCOPES = ("kind", "compound", "vendor", "model", "device")  # the last counts most


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom: whatever is not None must hold. All None: everybody."""

    device: str | None = None
    model: str | None = None
    vendor: str | None = None
    compound: str | None = None
    kind: str | None = None

    @property
    def precedence(self) -> int:
        """The scope with the higher one counts; equal only for scopes of the same names."""
        return sum(1 << n for n, name in enumerate(_SCOPES) if getattr(self, name) is not None)

    def holds(self, device: Device) -> bool:
        return (
            self.kind in (None, device.kind)
            and self.compound in (None, device.compound)
            and self.vendor in (None, device.vendor)
            and self.model in (None, device.model)
            and self.device in (None, device.id)
        )

    def holds_at(self, compound: str) -> bool:
        """Whether it holds for a compound as a whole, whose rules know no devices."""
        return self.compound in (None, compound) and self == Scope(compound=self.compound)

    def holds_all(self, kind: str) -> bool:
        """Whether it holds for every device of a kind."""
        return self.kind in (None, kind) and self == Scope(kind=self.kind)

    def wider(self) -> Iterator["Scope"]:
        """All scopes that hold wherever this one does, itself among them."""
        named = [name for name in _SCOPES if getattr(self, name) is not None]
        for count in range(len(named) + 1):
            for some in combinations(named, count):
                yield Scope(**{name: getattr(self, name) for name in some})

    def excludes(self, other: "Scope") -> bool:
        """Whether no device can be in both."""
        return any(
            None not in (mine := getattr(self, name), its := getattr(other, name)) and mine != its
            for name in _SCOPES
        )

    def __str__(self) -> str:
        named = [f"{name} {getattr(self, name)}" for name in reversed(_SCOPES)]
        return ", ".join(text for text in named if not text.endswith(" None")) or "everywhere"


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class Change:
    """One figure. sign: the name of the sign whose it is; None: the rule's own.

    line: where it was written down.
    """

    scope: Scope
    code: str
    sign: str | None
    figure: str
    value: Value
    line: int = 0


@dataclass(frozen=True, slots=True)
class Overrides:
    """All that is changed. number: of the rule set, 0 for none."""

    changes: tuple[Change, ...] = ()
    number: int = 0
    _by_code: Mapping[str, tuple[Change, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_code: dict[str, list[Change]] = {}
        # the most precise last, so that it is the one that stays
        for change in sorted(self.changes, key=lambda change: change.scope.precedence):
            by_code.setdefault(change.code, []).append(change)
        object.__setattr__(
            self, "_by_code", {code: tuple(changes) for code, changes in by_code.items()}
        )

    def of(self, code: str) -> tuple[Change, ...]:
        """The changes of one rule, the most precise last."""
        return self._by_code.get(code, ())

    def applied(self, rule: Rule, holds: Callable[[Scope], bool]) -> Rule | None:
        """The rule as it is where these scopes hold; None: it is switched off there."""
        return changed(rule, [one for one in self.of(rule.code) if holds(one.scope)])


NONE = Overrides()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One rule file as it was imported. number: 0 while there never was one."""

    number: int = 0
    body: str = ""
    created_by: str = ""
    created_at_ms: int = 0


def changed(rule: Rule, changes: Iterable[Change]) -> Rule | None:
    """The rule with these changes, of which the last counts; None: it is switched off."""
    counting = {(change.sign, change.figure): change.value for change in changes}
    if not counting:
        return rule
    if counting.pop((None, "enabled"), True) is False:
        return None
    own = {figure: _typed(figure, value) for (sign, figure), value in counting.items() if not sign}
    often = {
        name.removeprefix(_REPEATED): own.pop(name) for name in list(own) if _is_repeated(name)
    }
    if often and rule.repeated is not None:
        own["repeated"] = replace(rule.repeated, **often)
    signs = tuple(
        _with(sign, {figure: value for (of, figure), value in counting.items() if of == name})
        for name, sign in named_signs(rule).items()
    )
    return replace(rule, signs=signs, **own)


def counting_changes(
    rule: Rule, overrides: Overrides, holds: Callable[[Scope], bool]
) -> dict[tuple[str | None, str], Change]:
    """Which change makes each figure of a rule what it is, by (sign, figure)."""
    return {
        (change.sign, change.figure): change
        for change in overrides.of(rule.code)
        if holds(change.scope)
    }


def differences(before: Overrides, after: Overrides) -> Iterator[str]:
    """What another file changes, figure by figure, in words."""
    was = {_key(change): change for change in before.changes}
    becomes = {_key(change): change for change in after.changes}
    for key in dict.fromkeys([*was, *becomes]):
        one, other = was.get(key), becomes.get(key)
        known = one or other
        if known is None or (one and other and one.value == other.value):
            continue
        name = f'{known.code} "{known.sign}"' if known.sign else known.code
        old = _shown(one.value) if one else "as without it"
        new = _shown(other.value) if other else "as without it"
        yield f"{known.scope}: {name} {known.figure}: {old} -> {new}"


def _shown(value: Value) -> str:
    return f"{value:g}" if type(value) is float else _word(value)


def _key(change: Change) -> tuple[Scope, str, str | None, str]:
    return change.scope, change.code, change.sign, change.figure


def named_signs(rule: Rule) -> dict[str, Sign]:
    """The signs of a rule by the names under which a person can change them, in their order."""
    return {sign_name(sign): sign for sign in rule.signs}


def sign_name(sign: Sign) -> str:
    """A sign by what it looks at, as the catalogue has it: `board_temp_c >=70`."""
    name = _detector_name(sign.detector)
    only = [f"{key}={_word(value)}" for key, value in sign.only.items()]
    return f"{name} ({', '.join(only)})" if only else name


def rule_figure(rule: Rule, name: str) -> Any:
    """One of RULE_FIGURES of a rule, or its severity; None where it has none of that name."""
    if _is_repeated(name):
        return getattr(rule.repeated, name.removeprefix(_REPEATED), None)
    return getattr(rule, name)


def _is_repeated(name: str) -> bool:
    return name.startswith(_REPEATED)


def figure(sign: Sign, name: str) -> Any:
    """One of SIGN_FIGURES of a sign; None where it has none of that name."""
    if name in ("delay_s", "severity"):
        # how long silence must last is a matter of the device's interval
        return (
            None if name == "delay_s" and isinstance(sign.detector, Silent) else getattr(sign, name)
        )
    value = getattr(sign.detector, name, None)
    if name == "notice_delay_s":
        return value  # 0 is one: people are told at once
    return None if isinstance(value, tuple) or value == 0 else value  # states are no levels


def _with(sign: Sign, values: Mapping[str, Value]) -> Sign:
    if not values:
        return sign
    own = {name: _typed(name, value) for name, value in values.items()}
    of_sign = {name: own.pop(name) for name in ("delay_s", "severity") if name in own}
    detector: Any = sign.detector
    return replace(sign, detector=replace(detector, **own) if own else detector, **of_sign)


def _typed(figure: str, value: Value) -> Any:
    return Severity(str(value)) if figure.endswith("severity") else value


def _detector_name(detector: Detector | Changed) -> str:
    match detector:
        case Beyond():
            return f"{detector.quantity} {detector.raises}"
        case Equals():
            of = f"{detector.of} " if detector.of is not None else ""
            return f"{of}{detector.quantity} {_words(detector.raises)}"
        case Happened():
            return " ".join([detector.event, *_fields(detector.where)])
        case Stopped():
            unread = f" without {detector.unread}" if detector.unread is not None else ""
            return f"session_end {_words(detector.reasons)}{unread}"
        case Counted():
            return f"{_detector_name(detector.of)} x{detector.times}"
        case Changed():
            return f"{detector.quantity} becomes {_words(detector.values)}"
        case Share():
            return " ".join([detector.event, *_fields(detector.where), "share"])
        case Unprompted():
            return f"{detector.quantity} {_words(detector.values)} unprompted"
        case Unanswered():
            return " ".join([detector.event, *_fields(detector.where), "unanswered"])
        case Returned():
            return " ".join([detector.event, *_fields(detector.where), "after silence"])
        case Fell():
            return f"{detector.of} {detector.quantity} fell"
        case _:
            quantity = getattr(detector, "quantity", None)
            name = type(detector).__name__.lower()
            return f"{quantity} {name}" if quantity else name


def _fields(where: Where) -> Sequence[str]:
    return [
        f"{name}={_words(value if isinstance(value, tuple) else (value,))}"
        for name, value in where.items()
    ]


def _words(values: Iterable[Value]) -> str:
    return "|".join(_word(value) for value in values)


def _word(value: Value | None) -> str:
    if value is None:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)
