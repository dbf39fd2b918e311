"""Importing and exporting the registry: firms, compounds, devices."""

from pathlib import Path

from sqlalchemy import Engine

from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.imports import Line, Outcome, plan
from devices.inventory import rfc3339
from devices.registry import Registry
from devices.store import registry_edits, registry_files, registry_imports
from devices.store.database import reading, writing
from devices.store.registry import Change, load, save
from devices.store.registry_imports import Refusal
from devices.store.senders import read_inbox
from simulators import erqi

ERQI = "erqi"
LISTED = 20


def import_registry(
    settings: Settings,
    source: str,
    vendors: float,
    compounds: int | None,
    by: str = "command",
) -> str:
    """Saves what `source` says, all of it or nothing; says what that changed.

    Raises BadRegistry with every problem, UsageError for options that do not fit the source.
    """
    _check_source(source, vendors, compounds)
    engine = open_operational(settings)
    try:
        if source == ERQI or Path(source).suffix.lower() == ".json":
            with reading(engine) as connection:
                known = load(connection)
            wanted = (
                bundled(vendors, compounds)
                if source == ERQI
                else registry_files.read(Path(source), known)
            )
            with writing(engine) as connection:
                return told(save(connection, wanted, now_ms()))
        return _import_rows(engine, Path(source), by)
    finally:
        engine.dispose()


def preview_import(settings: Settings, source: str) -> tuple[str, bool]:
    """What a CSV or XLSX file would do, line by line, and whether all of it is right.

    Nothing is written. Raises BadRegistry for a file that cannot be read at all.
    """
    _check_source(source, 0, None)
    path = Path(source)
    if source == ERQI or path.suffix.lower() == ".json":
        raise UsageError("--preview: of a .csv or .xlsx file; others say nothing line by line")
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            planned = plan(registry_files.tables_of(path), load(connection))
    finally:
        engine.dispose()
    lines = [_line_text(line) for line in planned.lines if line.outcome is not Outcome.UNCHANGED]
    counts = ", ".join(f"{planned.count(one)} {one}" for one in Outcome)
    return "\n".join([*lines, f"{counts}; nothing was written"]), not planned.count(Outcome.WRONG)


def list_imports(settings: Settings) -> str:
    """The newest imports of files, one a line: id, state, what they did, file."""
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            found = registry_imports.list_imports(connection, limit=LISTED)
    finally:
        engine.dispose()
    return "\n".join(
        f"{one.id}  {one.state:9}  {rfc3339(one.made_at_ms)}  +{one.added} ~{one.changed}"
        f" ={one.unchanged} !{one.wrong}  {one.source}"
        for one in found
    )


def undo_import(settings: Settings, import_id: str, by: str) -> str:
    """Puts back what an import did; says what that changed. Raises CommandError."""
    engine = open_operational(settings)
    try:
        with writing(engine) as connection:
            try:
                came = registry_imports.undo(connection, import_id, by, now_ms())
            except registry_imports.UnknownImport as error:
                raise CommandError(
                    f"there is no import {import_id}: courtyard registry imports"
                ) from error
    finally:
        engine.dispose()
    if came.refusal is Refusal.CHANGED_SINCE:
        raise CommandError(
            f"nothing was undone, for somebody changed since: {', '.join(came.names[:LISTED])}"
        )
    if came.refusal is not None:
        raise CommandError(f"{import_id} was not imported, so there is nothing to undo")
    return "undone before" if came.change is None else f"undone: {told(came.change)}"


def write_template(file: Path, table: str, language: str) -> str:
    """Writes an empty file to fill in; says where. Raises UsageError for another kind of file."""
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".xlsx"):
        raise UsageError(f"{file.name}: does not end in .csv, .xlsx")
    if file.exists():
        raise CommandError(f"{file} is there already: choose another name")
    file.write_bytes(registry_files.template(suffix, table, language))
    return f"{file}: fill it in, then courtyard registry import {file} --preview"


def list_unknown(settings: Settings) -> str:
    """Who sends and is in no registry, one a line, the last heard first."""
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            inbox = read_inbox(connection, now_ms())
    finally:
        engine.dispose()
    return "\n".join(
        f"{rfc3339(one.last_ms)}  {one.count:6}  {one.sender.protocol:8}  {one.sender.name}"
        f"  {one.topic}"
        for one in inbox.unknown
        if not one.is_ignored and (one.registered is None or one.registered.is_retired)
    )


def serve_device(settings: Settings, device: str, *, retire: bool) -> str:
    """Takes a device out of service, or brings it back. Raises CommandError, BadRegistry."""
    engine = open_operational(settings)
    try:
        with writing(engine) as connection:
            act = registry_edits.retire_device if retire else registry_edits.restore_device
            try:
                return told(act(connection, device, now_ms()))
            except registry_edits.NotThere as error:
                raise CommandError(f"there is no device {device}") from error
    finally:
        engine.dispose()


def _check_source(source: str, vendors: float, compounds: int | None) -> None:
    if source != ERQI:
        if vendors or compounds is not None:
            raise UsageError("--vendors, --compounds: only for erqi; a file says what it says")
        if not Path(source).is_file():
            raise CommandError(f"{source}: no such file, and the only bundled registry is {ERQI}")


def _import_rows(engine: Engine, path: Path, by: str) -> str:
    """An import that can be undone: kept as those of the console are."""
    tables = registry_files.tables_of(path)
    with writing(engine) as connection:
        # every problem is told as ever: with the name of the file
        registry_files.read_tables(path.name, tables, load(connection))
        at_ms = now_ms()
        made = registry_imports.preview(connection, tables, path.name, by, at_ms)
        came = registry_imports.apply(connection, made.id, made.digest, by, at_ms)
        if came.change is None:  # nothing is to be done
            registry_imports.discard(connection, made.id)
            return f"nothing changed: all {made.unchanged} lines are as they were"
    return f"{told(came.change)}\nto undo: courtyard registry undo {made.id}"


def _line_text(line: Line) -> str:
    at = f"{line.table}, line {line.line}: {line.id or '-'}: {line.outcome}"
    if line.outcome is Outcome.WRONG:
        flaws = [f"{flaw.column + ' ' if flaw.column else ''}{flaw.what}" for flaw in line.flaws]
        return f"{at}: {'; '.join(flaws)}"
    changes = [f"{one.field} {one.before!r} → {one.after!r}" for one in line.changes]
    changes += [f"{line.ports} ports"] if line.ports else []
    return f"{at}: {', '.join(changes)}" if changes else at


def bundled(vendors: float, compounds: int | None) -> Registry:
    """The bundled district, or its first compounds. Raises UsageError for a share out of range."""
    whole = erqi.registry(vendors)
    return whole if compounds is None else erqi.first(whole, compounds)


def told(change: Change) -> str:
    """What an import did, in one line."""
    if change.revision is None:
        return f"nothing changed: all {change.unchanged} devices are as they were"
    return (
        f"{change.added} devices added, {change.changed} changed, {change.unchanged} as they were;"
        f" {change.compounds} compounds and {change.firms} firms added or changed"
    )


def export_registry(settings: Settings, file: Path) -> str:
    """Writes the registry to `file`; says how much that was."""
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            registry = load(connection)
    finally:
        engine.dispose()
    registry_files.write(file, registry)
    return f"{len(registry.devices)} devices of {len(registry.compounds)} compounds in {file}"
