"""`courtyard rules`: rule files in and out, and what a rule is where."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.catalogue import ANY, COMPOUND, RULES
from devices.overrides import (
    RULE_FIGURES,
    SIGN_FIGURES,
    Change,
    Overrides,
    RuleSet,
    Scope,
    changed,
    counting_changes,
    differences,
    figure,
    named_signs,
    rule_figure,
)
from devices.registry import Device, Registry
from devices.rule_files import BadRules, read, read_what_fits
from devices.rules import Rule
from devices.store import rule_sets
from devices.store.database import reading, writing
from devices.store.registry import load

ACTOR = "courtyard rules import"
MOST_BYTES = 1 << 20


def text_of(file: Path) -> str:
    """A rule file as text. Raises CommandError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CommandError(f"{file}: is larger than {MOST_BYTES // 1024} KiB")
        return content.decode()
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{file}, line {line}: no UTF-8; save the file as UTF-8") from error


def read_rules(text: str, name: str, registry: Registry) -> Overrides:
    """What a file changes. Raises CommandError with everything that is wrong, by file and line."""
    try:
        return read(text, registry)
    except BadRules as error:
        raise CommandError(str(BadRules(error.problems, name))) from error


def check_rules(settings: Settings, file: Path) -> str:
    """Says what is in the file, if it can be taken; nothing is changed. Raises CommandError."""
    text = text_of(file)
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            overrides = read_rules(text, str(file), load(connection))
    finally:
        engine.dispose()
    codes = {change.code for change in overrides.changes}
    return f"{file} is in order: {_count(len(overrides.changes), 'figure')} of {len(codes)} rules"


def import_rules(settings: Settings, file: Path) -> Iterator[str]:
    """Takes the file in the place of the one before, all of it or nothing; says what that changes.

    A running judge takes it up within 5 s. Raises CommandError.
    """
    text = text_of(file)
    engine = open_operational(settings)
    try:
        with writing(engine) as connection:
            after = read_rules(text, str(file), load(connection))
            known = rule_sets.newest(connection)
            before, _ = read_what_fits(known.body)
            saved = rule_sets.save(connection, text, ACTOR, now_ms())
    finally:
        engine.dispose()
    if saved.number == known.number:
        yield "nothing changed: this file is in force already"
        return
    told = list(differences(before, after))
    yield from told
    yield f"rule set {saved.number} is in force: {_count(len(told), 'figure')} changed by it"


def export_rules(settings: Settings, file: Path | None) -> str:
    """The rule file in force, as it was imported; into `file`, if one is named."""
    known = _newest(settings)
    if file is None:
        return known.body
    file.write_text(known.body)
    return f"rule set {known.number} in {file}\n" if known.number else f"{file}: no rules changed\n"


def show_rule(settings: Settings, code: str, device: str | None) -> Iterator[str]:
    """The figures of a rule, for a device or in general, and where each comes from."""
    rule = RULES.get(code)
    if rule is None:
        raise UsageError(f"there is no fault {code!r}; `docs/fault-catalogue.md` has all of them")
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            yield from _shown(connection, rule, device)
    finally:
        engine.dispose()


def _shown(connection: Connection, rule: Rule, device: str | None) -> Iterator[str]:
    known = rule_sets.newest(connection)
    overrides, problems = read_what_fits(known.body, number=known.number)
    found = None
    if device is not None:
        found = load(connection).devices.get(device)
        if found is None:
            raise UsageError(f"--device: the registry has no device {device!r}")
        if rule.kind not in (ANY, found.kind):
            raise UsageError(f"--device: {rule.code} is a fault of a {rule.kind}, not of {device}")
    counting = counting_changes(rule, overrides, lambda scope: _holds(scope, rule, found))
    now = changed(rule, counting.values())
    yield f"{rule.code} {rule.zh} {rule.en} ({rule.kind}{f', {device}' if device else ''})"
    if now is None:
        yield f"  {'is switched off':<23} {_origin(counting, None, 'enabled')}"
        return
    for what in RULE_FIGURES:
        if rule_figure(rule, what) is not None:
            yield f"  {what:<17} {_word(rule_figure(now, what)):<8} {_origin(counting, None, what)}"
    for (name, sign), before in zip(
        zip(named_signs(rule), now.signs, strict=True), rule.signs, strict=True
    ):
        yield f"  {name}"
        for what in SIGN_FIGURES:
            if figure(before, what) is not None:
                shown = _word(figure(sign, what))
                yield f"    {what:<15} {shown:<8} {_origin(counting, name, what)}"
    for problem in problems:
        yield f"  rule set {known.number}, {problem} (no longer fits, so it is left out)"


def _word(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _holds(scope: Scope, rule: Rule, device: Device | None) -> bool:
    if device is not None:
        return scope.holds(device)
    return scope == Scope() if rule.kind in (ANY, COMPOUND) else scope.holds_all(rule.kind)


def _origin(counting: dict[tuple[str | None, str], Change], sign: str | None, what: str) -> str:
    change = counting.get((sign, what))
    return "catalogue" if change is None else f"line {change.line}: {change.scope}"


def _newest(settings: Settings) -> RuleSet:
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            return rule_sets.newest(connection)
    finally:
        engine.dispose()


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
