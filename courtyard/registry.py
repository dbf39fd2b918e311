"""Importing and exporting the registry: firms, compounds, devices."""

from pathlib import Path

from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings
from courtyard.stores import open_operational
from devices.registry import Registry
from devices.store import registry_files
from devices.store.database import reading, writing
from devices.store.registry import Change, load, save
from simulators import erqi

ERQI = "erqi"


def import_registry(settings: Settings, source: str, vendors: float, compounds: int | None) -> str:
    """Saves what `source` says, all of it or nothing; says what that changed.

    Raises BadRegistry with every problem, UsageError for options that do not fit the source.
    """
    if source != ERQI:
        if vendors or compounds is not None:
            raise UsageError("--vendors, --compounds: only for erqi; a file says what it says")
        if not Path(source).is_file():
            raise CommandError(f"{source}: no such file, and the only bundled registry is {ERQI}")
    engine = open_operational(settings)
    try:
        with reading(engine) as connection:
            known = load(connection)
        wanted = (
            bundled(vendors, compounds)
            if source == ERQI
            else registry_files.read(Path(source), known)
        )
        with writing(engine) as connection:
            return told(save(connection, wanted, now_ms()))
    finally:
        engine.dispose()


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
