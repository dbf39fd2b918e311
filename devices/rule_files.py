"""Rule files: what a person changes of the catalogue's figures, as TOML text.

    [[override]]                          # as many as needed, each with a scope of its own
    compound = "lvyun-xiaoqu"             # none, one or several of: device, model, vendor,
    kind = "shed"                         # compound, kind; all that are given must hold
    note = "steel boxes in full sun"      # for people

    [override.SHED_OVERTEMP]
    raises = ">=75"
    clears = "<65"
    clear_delay_s = 600

    [override.PORT_OVERTEMP.sign."port_temp_c >=70"]      # a rule with several signs: which of them
    raises = ">=65"

    [override.GATE_HELD_OPEN]
    enabled = false                       # never for the safety tier

A file is taken whole or not at all, and every problem in it is told with its line. An empty file
changes nothing: importing one takes all changes back.

Rules of the safety tier can be made stricter and never laxer: what the catalogue says is the bound.
"""

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

from devices.catalogue import ANY, COMPOUND, PLATFORM, RULES
from devices.kinds import KINDS
from devices.overrides import (
    RULE_FIGURES,
    SIGN_FIGURES,
    Change,
    Overrides,
    Scope,
    figure,
    named_signs,
    rule_figure,
)
from devices.registry import Device, Registry
from devices.roots import LEAST_WITHOUT_GATEWAY
from devices.rules import Rule, Severity, Share, Sign, Silent, Together, Unusual, band
from devices.toml_lines import Path, line_of_error, lines_of

MOST_CHARACTERS = 256 * 1024
MOST_OVERRIDES = 1_000
MOST_DELAY_S = 30 * 86_400
MOST_COUNT = 10_000
MOST_TIMES = 100  # the judge remembers each of them, and no more than so many running
LEAST_SHARE_TOGETHER = 0.5  # with fewer than half most of a place is well
EVIDENCE_S = (10, 1800)  # the judge remembers evidence for an hour
MOST_NOTICE_DELAY_S = 86_400
SHOWN = 50  # problems in the text of an error; the error itself has all of them

_SCOPES = ("device", "model", "vendor", "compound", "kind")
_SEVERITIES = ", ".join(f'"{severity}"' for severity in Severity)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what would be right."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


class BadRules(ValueError):
    """The file is refused as a whole; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem], name: str = "") -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        before = f"{name}, " if name else ""
        lines = [f"{before}{problem}" for problem in self.problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"… and {len(problems) - SHOWN} more")
        super().__init__("\n".join(lines))


def read(
    text: str, registry: Registry | None, *, rules: Mapping[str, Rule] = RULES, number: int = 0
) -> Overrides:
    """The changes that `text` asks for; raises BadRules.

    registry: whose devices, compounds and models it may name; None: it is not asked.
    """
    overrides, problems = read_what_fits(text, registry, rules=rules, number=number)
    if problems:
        raise BadRules(problems)
    return overrides


def read_what_fits(
    text: str,
    registry: Registry | None = None,
    *,
    rules: Mapping[str, Rule] = RULES,
    number: int = 0,
) -> tuple[Overrides, list[Problem]]:
    """What of `text` can be used, and what cannot.

    For a file that was taken once: a newer catalogue may not know a code of it any more, and that
    is no reason to forget the rest.
    """
    try:
        lines, data = _parsed(text)
    except BadRules as error:
        return Overrides((), number), list(error.problems)
    reader = _Reader(lines, registry, rules)
    changes = reader.changes(data)
    return Overrides(tuple(changes), number), reader.problems


def _parsed(text: str) -> tuple[dict[Path, int], Mapping[str, object]]:
    if len(text) > MOST_CHARACTERS:
        raise BadRules([Problem(1, f"more than {MOST_CHARACTERS} characters; split or shorten it")])
    try:
        data = tomllib.loads(text)
        return lines_of(text), data
    except tomllib.TOMLDecodeError as error:
        what = str(error).partition(" (at ")[0]
        raise BadRules(
            [Problem(line_of_error(error, text), f"not TOML: {what}; see https://toml.io")]
        ) from error
    except RecursionError:
        raise BadRules([Problem(1, "brackets within brackets, too deep to read")]) from None
    except ValueError as error:  # a number with more digits than Python converts
        raise BadRules([Problem(1, f"not TOML: {error}")]) from error


class _Reader:
    """Walks the data of one file and notes everything that is wrong."""

    def __init__(
        self, lines: Mapping[Path, int], registry: Registry | None, rules: Mapping[str, Rule]
    ) -> None:
        self.problems: list[Problem] = []
        self._lines = lines
        self._registry = registry
        self._rules = rules

    def changes(self, data: Mapping[str, object]) -> list[Change]:
        """All changes that are in order."""
        for key in data:
            if key != "override":
                self._wrong((key,), f"{key!r} is unknown; expected [[override]]")
        entries = data.get("override", [])
        if not isinstance(entries, list) or any(not isinstance(one, dict) for one in entries):
            self._wrong(("override",), "expected a table of its own for each: [[override]]")
            return []
        if len(entries) > MOST_OVERRIDES:
            self._wrong(
                ("override", MOST_OVERRIDES), f"expected at most {MOST_OVERRIDES} overrides"
            )
            return []
        found: list[Change] = []
        for n, entry in enumerate(entries):
            found += self._entry(("override", n), entry)
        return self._consistent(self._without_doubles(found))

    # One [[override]]

    def _entry(self, at: Path, entry: Mapping[str, object]) -> Iterator[Change]:
        scope, is_whole = self._scope(at, entry)
        codes = [key for key in entry if key not in (*_SCOPES, "note")]
        if not codes:
            self._wrong(at, "changes nothing; expected a table like [override.SHED_OVERTEMP]")
        for code in codes:
            here = (*at, code)
            rule = self._rules.get(code)
            table = entry[code]
            if rule is None:
                self._wrong(here, self._unknown_code(code))
            elif not isinstance(table, dict):
                self._wrong(here, f"expected a table: [override.{code}]")
            elif self._concerns(here, scope, rule):
                changes = list(self._rule(here, scope, rule, table))
                if is_whole:
                    yield from changes

    def _scope(self, at: Path, entry: Mapping[str, object]) -> tuple[Scope, bool]:
        named: dict[str, str] = {}
        is_whole = True
        note = entry.get("note", "")
        if not isinstance(note, str):
            self._wrong((*at, "note"), f'{_shown(note)} is no text; expected note = "…"')
        for name in _SCOPES:
            value = entry.get(name)
            if value is None:
                continue
            if isinstance(value, str) and value:
                named[name] = value
            else:
                self._wrong((*at, name), f'{_shown(value)} is no name; expected {name} = "…"')
                is_whole = False
        scope = Scope(**named)
        return scope, is_whole and self._is_there(at, scope)

    def _is_there(self, at: Path, scope: Scope) -> bool:
        """Whether the scope can hold for any device; notes what is unknown or contradicts."""
        before = len(self.problems)
        if scope.kind is not None and scope.kind not in KINDS:
            what = f"there is no kind {scope.kind!r}; expected one of {', '.join(KINDS)}"
            self._wrong((*at, "kind"), what)
        registry = self._registry
        if registry is None:
            return len(self.problems) == before
        if scope.compound is not None and scope.compound not in registry.compounds:
            what = f"the registry has no compound {scope.compound!r}"
            what += _near(scope.compound, registry.compounds)
            self._wrong((*at, "compound"), what)
        if scope.device is not None:
            device = registry.devices.get(scope.device)
            if device is None:
                what = f"the registry has no device {scope.device!r}"
                what += _near(scope.device, registry.devices)
                self._wrong((*at, "device"), what)
            else:
                self._fits(at, scope, device)
        elif len(self.problems) == before and not any(map(scope.holds, registry.devices.values())):
            name = next((name for name in ("model", "vendor") if getattr(scope, name)), None)
            if name is not None:
                what = f"the registry has no device of {scope}; expected {name}s as they are there"
                self._wrong((*at, name), what)
        return len(self.problems) == before

    def _fits(self, at: Path, scope: Scope, device: Device) -> None:
        for name in ("kind", "compound", "vendor", "model"):
            wanted, has = getattr(scope, name), getattr(device, name)
            if wanted not in (None, has):
                what = f"{device.id} has the {name} {has!r}; expected that one, or no {name}"
                self._wrong((*at, name), what)

    def _concerns(self, at: Path, scope: Scope, rule: Rule) -> bool:
        """Whether a rule can be meant in this scope."""
        if rule.kind == PLATFORM:
            self._wrong(at, f"{rule.code} is an alarm of courtyard itself and has no figures here")
            return False
        if rule.kind == COMPOUND:
            if scope != Scope(compound=scope.compound):
                what = f"{rule.code} is a fault of a whole compound; expected no other scope"
                self._wrong(at, what)
                return False
            return True
        kinds = [scope.kind] if scope.kind in KINDS else []
        device = self._registry.devices.get(scope.device or "") if self._registry else None
        if device is not None:
            kinds.append(device.kind)
        wrong = [kind for kind in kinds if rule.kind not in (ANY, kind)]
        if wrong:
            what = f"{rule.code} is a fault of a {rule.kind}, not of a {wrong[0]}"
            self._wrong(at, f"{what}; expected a scope with {rule.kind}s in it")
            return False
        return True

    def _unknown_code(self, code: str) -> str:
        if code.islower():
            known = ", ".join((*_SCOPES, "note"))
            return f"{code!r} is unknown; expected {known}, or the code of a fault"
        return f"there is no fault {code!r}{_near(code, self._rules)}"

    # One rule

    def _rule(
        self, at: Path, scope: Scope, rule: Rule, table: Mapping[str, object]
    ) -> Iterator[Change]:
        if not table:
            self._wrong(at, f"changes nothing; expected {_listed(_figures(rule))}")
        for name, value in table.items():
            here = (*at, name)
            if name == "sign":
                yield from self._signs(here, scope, rule, value)
            elif name == "enabled" or (
                name in RULE_FIGURES and rule_figure(rule, name) is not None
            ):
                why = self._flaw(rule, None, name, value)
                if why is not None:
                    self._wrong(here, why)
                else:
                    yield self._change(here, scope, rule, None, name, value)
            elif name in SIGN_FIGURES:
                yield from self._of_signs(here, scope, rule, name, value)
            else:
                what = f"{name!r} is unknown; expected {_listed(_figures(rule))}"
                self._wrong(here, what)

    def _of_signs(
        self, at: Path, scope: Scope, rule: Rule, name: str, value: object
    ) -> Iterator[Change]:
        """A figure of the signs, written at the rule: where it is clear which are meant."""
        signs = {key: sign for key, sign in named_signs(rule).items() if _has(sign, name)}
        if not signs:
            if name == "severity" and not rule.signs:
                why = self._flaw(rule, None, name, value)
                if why is None:
                    yield self._change(at, scope, rule, None, name, value)
                else:
                    self._wrong(at, why)
                return
            self._wrong(at, _without(rule, name))
            return
        if len({figure(sign, name) for sign in signs.values()}) > 1:
            names = " or ".join(f'[override.{rule.code}.sign."{key}"]' for key in signs)
            self._wrong(at, f"the signs of {rule.code} differ in {name}; expected it in {names}")
            return
        changes = []
        for key, sign in signs.items():
            why = self._flaw(rule, sign, name, value)
            if why is not None:
                self._wrong(at, why)
                return
            changes.append(self._change(at, scope, rule, key, name, value))
        if name == "severity":
            changes.append(self._change(at, scope, rule, None, name, value))
        yield from changes

    def _signs(self, at: Path, scope: Scope, rule: Rule, tables: object) -> Iterator[Change]:
        signs = named_signs(rule)
        expected = " or ".join(f'[override.{rule.code}.sign."{name}"]' for name in signs)
        if not isinstance(tables, dict) or not signs:
            self._wrong(at, f"expected {expected or f'no signs: {rule.code} has none to change'}")
            return
        for key, table in tables.items():
            here = (*at, key)
            sign = signs.get(key)
            if sign is None or not isinstance(table, dict):
                self._wrong(here, f"{rule.code} has no sign {key!r}; expected {expected}")
                continue
            known = [name for name in SIGN_FIGURES if _has(sign, name)]
            if not table:
                self._wrong(here, f"changes nothing; expected {_listed(known)}")
            for name, value in table.items():
                if name not in known:
                    what = f"the sign {key!r} has no {name!r}; expected {_listed(known)}"
                    self._wrong((*here, name), what)
                    continue
                why = self._flaw(rule, sign, name, value)
                if why is not None:
                    self._wrong((*here, name), why)
                    continue
                yield self._change((*here, name), scope, rule, key, name, value)

    # One figure

    def _flaw(self, rule: Rule, sign: Sign | None, name: str, value: object) -> str | None:
        """What is wrong with a figure; None if it can be taken."""
        match name:
            case "enabled":
                why = None if isinstance(value, bool) else _expected(value, "true or false")
            case "severity" | "repeated_severity":
                is_one = isinstance(value, str) and value in list(Severity)
                why = None if is_one else _expected(value, f"one of {_SEVERITIES}")
            case "delay_s" | "clear_delay_s":
                why = _flaw_of_number(value, 0, MOST_DELAY_S, "seconds")
            case "raises" | "clears":
                why = _flaw_of_level(rule, sign, name, value)
            case "notice_delay_s":
                why = _flaw_of_number(value, 0, MOST_NOTICE_DELAY_S, "seconds")
            case "evidence_s":
                why = _flaw_of_number(value, *EVIDENCE_S, "seconds")
            case "share":
                is_together = sign is not None and isinstance(sign.detector, Together)
                low = LEAST_SHARE_TOGETHER if is_together else 0
                why = _flaw_of_number(value, low, 1, "a share")
            case "least" if sign is not None and isinstance(sign.detector, Unusual):
                why = _flaw_of_number(value, 0.1, MOST_COUNT, "a number")
            case "least":
                is_together = sign is not None and isinstance(sign.detector, Together)
                why = _flaw_of_count(value, LEAST_WITHOUT_GATEWAY if is_together else 1, MOST_COUNT)
            case "times" | "reports" | "learned":
                why = _flaw_of_count(value, 1, MOST_TIMES)
            case "repeated_times":
                why = _flaw_of_count(value, 2, MOST_TIMES)
            case _:
                why = _flaw_of_number(value, 1, MOST_DELAY_S, "seconds")
        if why is not None:
            return f"{name}: {why}"
        return _too_lax(rule, sign, name, value)

    def _change(
        self, at: Path, scope: Scope, rule: Rule, sign: str | None, name: str, value: object
    ) -> Change:
        if isinstance(value, int) and not isinstance(value, bool) and name.endswith("_s"):
            value = float(value)
        assert isinstance(value, bool | int | float | str)
        return Change(scope, rule.code, sign, name, value, self._line(at))

    # All of them together

    def _without_doubles(self, changes: list[Change]) -> list[Change]:
        """Of two changes of the same figure in scopes that weigh the same, only the first."""
        first: dict[tuple[Scope, str, str | None, str], Change] = {}
        for change in changes:
            key = (change.scope, change.code, change.sign, change.figure)
            known = first.setdefault(key, change)
            if known is not change:
                where = f"for {change.scope}" if change.scope != Scope() else "everywhere"
                what = f"{change.figure} of {change.code} {where} is set in line {known.line}"
                self.problems.append(Problem(change.line, f"{what} already; expected it once"))
        return list(first.values())

    def _consistent(self, changes: list[Change]) -> list[Change]:
        """Those whose levels to raise and to clear are apart, whichever of them come together."""
        bad: set[Change] = set()
        levels: dict[tuple[str, str], dict[str, list[Change]]] = {}
        for change in changes:
            if change.sign is not None and change.figure in ("raises", "clears"):
                of_sign = levels.setdefault(
                    (change.code, change.sign), {"raises": [], "clears": []}
                )
                of_sign[change.figure].append(change)
        for (code, name), of_sign in levels.items():
            rule = self._rules[code]
            sign = named_signs(rule)[name]
            raising = _levels(rule, sign, "raises", of_sign["raises"], of_sign["clears"])
            clearing = _levels(rule, sign, "clears", of_sign["clears"], of_sign["raises"])
            form = _form(raising[-1].text)
            for one, other in product(raising, clearing):
                if _are_apart(form, one, other) or not _come_together(one, other):
                    continue
                changed = [level.change for level in (one, other) if level.change is not None]
                later = max(changed, key=lambda change: change.line, default=None)
                if later is not None and later not in bad:
                    bad.add(later)
                    what = f"{code}: {other.text!r} does not lie on the other side of {one.text!r}"
                    what += f"; expected {_apart_form(form, one.text)}"
                    self.problems.append(Problem(later.line, what))
        return [change for change in changes if change not in bad]

    def _wrong(self, at: Path, what: str) -> None:
        self.problems.append(Problem(self._line(at), what))

    def _line(self, at: Path) -> int:
        while at and at not in self._lines:
            at = at[:-1]
        return self._lines.get(at, 1)


def _has(sign: Sign, name: str) -> bool:
    return figure(sign, name) is not None


def _figures(rule: Rule) -> list[str]:
    """What may be changed of a rule, in words of the file."""
    own = [name for name in RULE_FIGURES if rule_figure(rule, name) is not None]
    of_signs = [name for name in SIGN_FIGURES if any(_has(sign, name) for sign in rule.signs)]
    if not rule.signs:
        of_signs = ["severity"]
    return ["enabled", *own, *of_signs, *(["sign"] if len(rule.signs) > 1 else [])]


def _without(rule: Rule, name: str) -> str:
    if name == "delay_s" and any(isinstance(sign.detector, Silent) for sign in rule.signs):
        return (
            f"{rule.code} is raised at the silence limit of the device; "
            "expected interval_s of its registry entry to be changed instead"
        )
    return f"{rule.code} has no {name}; expected {_listed(_figures(rule))}"


def _flaw_of_number(value: object, low: float, high: float, unit: str) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and low <= value <= high:  # type: ignore[operator]
        return None
    return _expected(value, f"{unit} from {low:g} to {high:g}".strip())


def _flaw_of_count(value: object, low: int, high: int) -> str | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and low <= value <= high:  # type: ignore[operator]
        return None
    return _expected(value, f"a whole number from {low} to {high}")


def _flaw_of_level(rule: Rule, sign: Sign | None, name: str, value: object) -> str | None:
    default = str(figure(sign, name)) if sign is not None else ""
    form = _form(default)
    if not isinstance(value, str):
        return _expected(value, f"text like {default!r}")
    try:
        low, high = band(value)
    except ValueError:
        return _expected(value, f"text like {default!r}")
    if low > high:
        return _expected(value, "the lower level first")
    if name == "raises" and _form(value) != form:
        return _expected(value, f"a comparison that points where {default!r} does")
    of, least, most, unit = _range(rule, sign)
    if any(not least <= level <= most for level in (low, high) if math.isfinite(level)):
        return f"{value!r} is outside {of}; expected {least:g} to {most:g}{unit}"
    return None


def _range(rule: Rule, sign: Sign | None) -> tuple[str, float, float, str]:
    """What a sign's levels are of: name, lowest and highest value, unit with a blank before it."""
    detector = sign.detector if sign is not None else None
    if isinstance(detector, Share):
        return "a share", 0.0, 1.0, ""
    kind = KINDS.get(rule.kind)
    name = getattr(detector, "quantity", "")
    quantity = kind.judged(name) if kind is not None else None
    if quantity is None:
        return name, -math.inf, math.inf, ""
    return (
        name,
        -math.inf if quantity.low is None else quantity.low,
        math.inf if quantity.high is None else quantity.high,
        f" {quantity.unit}" if quantity.unit else "",
    )


def _form(level: str) -> str:
    """Where a level points: up, down, or both ways."""
    low, high = band(level)
    if high == math.inf:
        return "up"
    return "down" if low == -math.inf else "band"


def _too_lax(rule: Rule, sign: Sign | None, name: str, value: object) -> str | None:
    """Why a rule of the safety tier cannot be changed so; None where it can.

    The catalogue is the bound: levels may be reached sooner, delays shorter, the end later.
    """
    is_safe = rule.safety or (
        sign.safety if sign is not None else any(one.safety for one in rule.signs)
    )
    if not is_safe:
        return None
    what = f"{rule.code} is of the safety tier"
    if name == "enabled":
        return None if value is True else f"enabled: {what} and cannot be switched off"
    default = rule_figure(rule, name) if sign is None else figure(sign, name)
    if name in ("raises", "clears"):
        (low, high), (was_low, was_high) = band(str(value)), band(str(default))
        if name == "raises":
            is_lax = low > was_low or high < was_high
        else:
            is_lax = low < was_low or high > was_high
        side = "that or sooner" if name == "raises" else "that or later"
    elif name in ("severity", "repeated_severity"):
        is_lax, side = str(value) > str(default), "that or worse"
    elif name in ("clear_delay_s", "within_s", "repeated_within_s", "reports", "share"):
        is_lax, side = float(value) < float(default), "that or more"  # type: ignore[arg-type]
    else:
        is_lax, side = float(value) > float(default), "that or less"  # type: ignore[arg-type]
    if not is_lax:
        return None
    return f"{name}: {what} and stays at {default!s}; expected {side}"


class _Level(NamedTuple):
    """A level to raise or to clear. change: None is the catalogue's.

    precedence: of its scope, -1 for the catalogue's. below: the highest precedence of a level of
    the other figure that holds wherever this one does; of those below that, it meets none.
    """

    text: str
    low: float
    high: float
    change: Change | None
    precedence: int
    below: int


def _levels(
    rule: Rule, sign: Sign, name: str, changes: Sequence[Change], others: Sequence[Change]
) -> list[_Level]:
    """All that one figure of a sign can be, the catalogue's last."""

    def narrowed(scope: Scope) -> Scope:  # a rule of sheds holds for sheds, whether it is said
        return replace(scope, kind=rule.kind) if rule.kind in KINDS else scope

    wide: dict[Scope, int] = {}
    for other in others:
        scope = narrowed(other.scope)
        wide[scope] = max(wide.get(scope, -1), other.scope.precedence)
    found = []
    for change in changes:
        below = max((wide.get(scope, -1) for scope in narrowed(change.scope).wider()), default=-1)
        text = str(change.value)
        found.append(_Level(text, *band(text), change, change.scope.precedence, below))
    text = str(figure(sign, name))
    return [*found, _Level(text, *band(text), None, -1, -1)]


def _are_apart(form: str, raises: _Level, clears: _Level) -> bool:
    """Whether no value says both; and of a level that points one way, it ends on its other side."""
    match form:
        case "up":
            return clears.high < raises.low
        case "down":
            return clears.low > raises.high
    return clears.high < raises.low or clears.low > raises.high


def _come_together(raises: _Level, clears: _Level) -> bool:
    """Whether there can be a device that has both."""
    if raises.below > clears.precedence or clears.below > raises.precedence:
        return False
    one, other = raises.change, clears.change
    return one is None or other is None or not one.scope.excludes(other.scope)


def _apart_form(form: str, raises: str) -> str:
    level = raises.lstrip("<>=")
    match form:
        case "up":
            return f"clears below it, like '<{level}' or less"
        case "down":
            return f"clears above it, like '>{level}' or more"
    return "clears outside of it"


def _expected(value: object, form: str) -> str:
    return f"{_shown(value)} cannot be used; expected {form}"


def _shown(value: object) -> str:
    return f"{value!r:.80}"


def _listed(names: Sequence[str]) -> str:
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known)[:20_000], 1)
    return f"; did you mean {near[0]!r}?" if near else ""
