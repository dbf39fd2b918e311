"""Rule files as a program writes them: one figure changed in one place, everything else as it was.

What people wrote beside the figures is kept where it is data (`note`); `#` comments are not.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from devices.messages import Value
from devices.overrides import Change, Overrides, Scope
from devices.rules import Rule

_SCOPES = ("device", "model", "vendor", "compound", "kind")

Figures = Mapping[tuple[str | None, str], Value | None]  # by (sign, figure); None: as without it


def edited(overrides: Overrides, rule: Rule, scope: Scope, figures: Figures) -> Overrides:
    """These figures of a rule in this scope, in the place of what was said there before.

    Where the file names the rule's kind beside the same scope, that is the place.
    """
    with_kind = replace(scope, kind=rule.kind)
    changes = list(overrides.changes)
    for (sign, figure), value in figures.items():
        same = [
            one
            for one in changes
            if (one.code, one.sign, one.figure) == (rule.code, sign, figure)
            and one.scope in (scope, with_kind)
        ]
        place = with_kind if any(one.scope == with_kind for one in same) else scope
        changes = [one for one in changes if one not in same]
        if value is not None:
            changes.append(Change(place, rule.code, sign, figure, value))
    if any(figure == "severity" and sign is not None for sign, figure in figures):
        for place in (scope, with_kind):
            changes = _with_own_severity(changes, rule, place)
    return Overrides(tuple(changes), overrides.number)


def _with_own_severity(changes: list[Change], rule: Rule, place: Scope) -> list[Change]:
    """The rule's own severity is that of its signs while all of them have the same."""

    def is_own(one: Change) -> bool:
        return (one.scope, one.code, one.sign, one.figure) == (place, rule.code, None, "severity")

    rest = [one for one in changes if not is_own(one)]
    said = [
        one.value
        for one in rest
        if one.scope == place and one.code == rule.code and one.figure == "severity"
    ]
    declared = {str(sign.severity) for sign in rule.signs}
    if len(said) == len(rule.signs) and len(set(said)) == len(declared) == 1:
        rest.append(Change(place, rule.code, None, "severity", said[0]))
    return rest


def notes_of(text: str) -> dict[Scope, str]:
    """What people noted beside each scope; of several notes of one all. Nothing for no TOML."""
    try:
        entries = tomllib.loads(text).get("override", [])
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return {}
    notes: dict[Scope, str] = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("note"), str):
            continue
        named = {name: entry[name] for name in _SCOPES if isinstance(entry.get(name), str)}
        scope = Scope(**named)
        notes[scope] = "; ".join(filter(None, (notes.get(scope), entry["note"])))
    return notes


def has_comments(text: str) -> bool:
    """Whether a file has `#` comments, as far as a line that begins with one tells."""
    return any(line.lstrip().startswith("#") for line in text.splitlines())


def written(changes: Iterable[Change], notes: Mapping[Scope, str]) -> str:
    """A rule file that changes just this."""
    by_scope: dict[Scope, dict[str, list[Change]]] = {}
    for change in changes:
        by_scope.setdefault(change.scope, {}).setdefault(change.code, []).append(change)
    lines: list[str] = []
    for scope in sorted(by_scope, key=lambda scope: (scope.precedence, str(scope))):
        lines.append("[[override]]")
        lines += [f"{name} = {_text(value)}" for name in _SCOPES if (value := getattr(scope, name))]
        if scope in notes:
            lines.append(f"note = {_text(notes[scope])}")
        for code, of_code in sorted(by_scope[scope].items()):
            lines += _rule(code, of_code)
        lines.append("")
    return "\n".join(lines)


def _rule(code: str, changes: Iterable[Change]) -> list[str]:
    own = {one.figure: one.value for one in changes if one.sign is None}
    of_signs: dict[str, dict[str, Value]] = {}
    for one in changes:
        if one.sign is not None and not (one.figure == "severity" and "severity" in own):
            of_signs.setdefault(one.sign, {})[one.figure] = one.value
    lines = []
    if own:
        lines.append(f"[override.{code}]")
        lines += [f"{name} = {_text(value)}" for name, value in sorted(own.items())]
    for sign, figures in sorted(of_signs.items()):
        lines.append(f"[override.{code}.sign.{_text(sign)}]")
        lines += [f"{name} = {_text(value)}" for name, value in sorted(figures.items())]
    return lines


def _text(value: Value) -> str:
    """A value as TOML; its basic strings are JSON's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
