"""Rule files as a program writes them: one figure changed in one place, everything else as it was.

What people wrote around the figures stays: comments, their order, blank lines.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from devices.messages import Value
from devices.overrides import Change, Overrides, Scope
from devices.rule_files import read_what_fits
from devices.rules import Rule
from devices.toml_lines import Layout, Pair, Path, layout_of

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


def rewritten(text: str, after: Overrides) -> str:
    """The file `text` as one that says `after`: no other line of it differs.

    Where that cannot be done figure by figure (a table within a line, one figure that stands for
    several signs), the whole file is written anew, with its comments at its head.
    """
    plain = text.replace("\r\n", "\n")
    changed = _in_place(plain, after)
    if changed is None or not _says(changed, after):
        lines = [line.strip() for line in plain.splitlines() if line.lstrip().startswith("#")]
        changed = "\n".join([*lines, written(after.changes, notes_of(plain))])
    return changed.replace("\n", "\r\n") if "\r\n" in text else changed


_Key = tuple[Scope, str, str | None, str]


def _key(change: Change) -> _Key:
    return change.scope, change.code, change.sign, change.figure


def _says(text: str, wanted: Overrides) -> bool:
    found, problems = read_what_fits(text)
    said = {_key(one): one.value for one in found.changes}
    return not problems and said == {_key(one): one.value for one in wanted.changes}


@dataclass(slots=True)
class _Edit:
    """What to put in the place of a piece of a text."""

    begin: int
    end: int
    text: str


def _in_place(text: str, after: Overrides) -> str | None:
    """None where a line says more than one thing, of which not all change alike."""
    now, problems = read_what_fits(text)
    if problems:
        return None
    layout = layout_of(text) if text.strip() else Layout({}, {}, {})
    wanted = {_key(one): one.value for one in after.changes}
    said: dict[int, list[Change]] = {}
    for change in now.changes:
        said.setdefault(change.line, []).append(change)
    edits: list[_Edit] = []
    gone: set[Path] = set()
    for path, pair in layout.pairs.items():
        changes = said.pop(layout.lines[path], [])
        if not changes:
            continue
        values = {wanted.get(_key(one)) for one in changes}
        if len(values) > 1:
            return None
        value = values.pop()
        if value is None:
            gone.add(path)
        elif value != changes[0].value:
            edits.append(_Edit(pair.value, pair.end, _text(value)))
    if said:
        return None
    edits += _removed(text, layout, gone)
    missing = [one for one in after.changes if _key(one) not in {_key(had) for had in now.changes}]
    edits += _added(text, layout, gone, missing)
    for edit in sorted(edits, key=lambda edit: (edit.begin, edit.end), reverse=True):
        text = text[: edit.begin] + edit.text + text[edit.end :]
    return text


def _removed(text: str, layout: Layout, gone: set[Path]) -> list[_Edit]:
    """Lines that go, with the headers that nothing is below any more."""
    left = [path for path in layout.pairs if path not in gone]
    edits = [_whole_lines(text, layout.pairs[path]) for path in gone]
    for header, begin in layout.headers.items():
        was = [path for path in gone if path[: len(header)] == header]
        stays = [path for path in left if path[: len(header)] == header]
        if len(header) == 2:  # [[override]]: with its scope and note alone it changes nothing
            figures = [path for path in stays if len(path) > 3]
            if was and not figures:
                edits += [_whole_lines(text, layout.pairs[path]) for path in stays]
                edits.append(_whole_lines(text, Pair(begin, begin, begin)))
        elif was and not stays:
            edits.append(_whole_lines(text, Pair(begin, begin, begin)))
    return edits


def _added(text: str, layout: Layout, gone: set[Path], missing: Iterable[Change]) -> list[_Edit]:
    """New figures: below their table, else as a table of their entry, else as an entry."""
    entries = _entries(text)
    left = [path for path in layout.pairs if path not in gone]
    edits: list[_Edit] = []
    new: dict[Scope, list[Change]] = {}
    for scope, changes in _by_scope(missing).items():
        at = next(
            (
                n
                for n, found in reversed(list(enumerate(entries)))
                if found == scope
                and any(path[:2] == ("override", n) and len(path) > 3 for path in left)
            ),
            None,
        )
        if at is None:
            new[scope] = changes
            continue
        tables: dict[str, list[str]] = {}
        for code, of_code in _by_code(changes).items():
            for table, lines in _tables(code, of_code).items():
                path: Path = ("override", at, *table)
                below = [one for one in left if one[:-1] == path]
                if path in layout.headers and below:
                    end = _line_end(text, layout.pairs[below[-1]].end)
                    edits.append(_Edit(end, end, "".join(f"{line}\n" for line in lines)))
                else:
                    tables[_header(table)] = lines
        if tables:
            ends = [layout.pairs[one].end for one in left if one[:2] == ("override", at)]
            end = _line_end(text, max(ends))
            block = "".join(
                f"\n{header}\n" + "".join(f"{line}\n" for line in lines)
                for header, lines in tables.items()
            )
            edits.append(_Edit(end, end, block))
    if new:
        block = written([change for some in new.values() for change in some], {})
        apart = "\n" * (2 - min(2, len(text) - len(text.rstrip("\n")))) if text else ""
        edits.append(_Edit(len(text), len(text), apart + block))
    return edits


def _entries(text: str) -> list[Scope | None]:
    """The scopes of the entries of a file that was taken, in their order."""
    found = tomllib.loads(text).get("override", [])
    return [Scope(**{name: entry[name] for name in _SCOPES if name in entry}) for entry in found]


def _by_scope(changes: Iterable[Change]) -> dict[Scope, list[Change]]:
    found: dict[Scope, list[Change]] = {}
    for change in changes:
        found.setdefault(change.scope, []).append(change)
    return found


def _by_code(changes: Iterable[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.code, []).append(change)
    return found


def _whole_lines(text: str, pair: Pair) -> _Edit:
    """From the begin of its line to the begin of the one after it."""
    return _Edit(text.rfind("\n", 0, pair.begin) + 1, _line_end(text, pair.end), "")


def _line_end(text: str, at: int) -> int:
    """Behind the line that `at` is in."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


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
    lines: list[str] = []
    for table, figures in _tables(code, changes).items():
        lines += [_header(table), *figures]
    return lines


def _header(table: tuple[str, ...]) -> str:
    """`[override.SHED_SMOKE]`, or that of one of its signs."""
    code, *sign = table
    return f"[override.{code}.sign.{_text(sign[1])}]" if sign else f"[override.{code}]"


def _tables(code: str, changes: Iterable[Change]) -> dict[tuple[str, ...], list[str]]:
    """The lines of a rule by their table: (code,), or (code, "sign", name)."""
    own = {one.figure: one.value for one in changes if one.sign is None}
    of_signs: dict[str, dict[str, Value]] = {}
    for one in changes:
        if one.sign is not None and not (one.figure == "severity" and "severity" in own):
            of_signs.setdefault(one.sign, {})[one.figure] = one.value
    tables: dict[tuple[str, ...], list[str]] = {}
    if own:
        tables[(code,)] = [f"{name} = {_text(value)}" for name, value in sorted(own.items())]
    for sign, figures in sorted(of_signs.items()):
        tables[(code, "sign", sign)] = [
            f"{name} = {_text(value)}" for name, value in sorted(figures.items())
        ]
    return tables


def _text(value: Value) -> str:
    """A value as TOML; its basic strings are JSON's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
