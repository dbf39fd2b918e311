"""`courtyard registry`: firms, compounds and devices."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from courtyard.commands import terminal
from courtyard.errors import FAILED

app = terminal.group("Firms, compounds and devices.")


class RegistryTable(StrEnum):
    DEVICES = "devices"
    COMPOUNDS = "compounds"
    FIRMS = "firms"


@app.command(
    "import",
    epilog="Examples: courtyard registry import erqi;"
    "  courtyard registry import devices.csv --preview",
)
def registry_import(
    source: Annotated[str, typer.Argument(help="erqi, or a .json, .csv or .xlsx file.")],
    vendors: Annotated[
        float,
        typer.Option(min=0, max=1, help="erqi: share of devices that speak a vendor's format."),
    ] = 0.0,
    compounds: Annotated[
        int | None, typer.Option(min=1, help="erqi: only so many compounds.")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what each line would do, and write nothing.")
    ] = False,
) -> None:
    """Add and change firms, compounds and devices: all of the source, or nothing.

    What the source does not name stays as it is. Importing twice changes nothing.
    """
    settings = terminal.start("registry")
    from courtyard.audit import by_command
    from courtyard.registry import import_registry, preview_import

    if preview:
        text, is_right = preview_import(settings, source)
        typer.echo(text)
        raise typer.Exit(0 if is_right else FAILED)
    with by_command(terminal.user(), "registry import", Path(source).name):
        typer.echo(import_registry(settings, source, vendors, compounds, terminal.user()))


@app.command("export", epilog="Example: courtyard registry export registry.json")
def registry_export(
    file: Annotated[Path, typer.Argument(help="A new or old .json, .csv or .xlsx file.")],
) -> None:
    """Write the registry to a file: JSON holds all of it, CSV and XLSX the devices."""
    settings = terminal.start("registry")
    from courtyard.registry import export_registry

    typer.echo(export_registry(settings, file), err=True)


@app.command("imports", epilog="Example: courtyard registry imports")
def registry_list_imports() -> None:
    """The newest imports of files: id, state, when, lines new ~changed =unchanged !wrong, file."""
    settings = terminal.start("registry")
    from courtyard.registry import list_imports

    typer.echo(list_imports(settings))


@app.command("undo", epilog="Example: courtyard registry undo 5f0c…")
def registry_undo(
    import_id: Annotated[str, typer.Argument(metavar="IMPORT", help="Of `registry imports`.")],
) -> None:
    """Put back what an import changed; what it added goes out of service."""
    settings = terminal.start("registry")
    from courtyard.audit import by_command
    from courtyard.registry import undo_import

    with by_command(terminal.user(), "registry undo", import_id):
        typer.echo(undo_import(settings, import_id, terminal.user()))


@app.command("template", epilog="Example: courtyard registry template devices.xlsx")
def registry_template(
    file: Annotated[Path, typer.Argument(help="A new .csv or .xlsx file.")],
    table: Annotated[
        RegistryTable, typer.Option(help="What a CSV file is of; XLSX has both.")
    ] = RegistryTable.DEVICES,
    language: Annotated[
        terminal.Language, typer.Option(help="Of its headings.")
    ] = terminal.Language.ZH,
) -> None:
    """Write an empty file to fill in and import."""
    terminal.start("registry")
    from courtyard.registry import write_template

    typer.echo(write_template(file, table.value, language.value))


@app.command("unknown", epilog="Example: courtyard registry unknown")
def registry_unknown() -> None:
    """Who sends and is in no registry: last heard, messages kept, format, name, topic."""
    settings = terminal.start("registry")
    from courtyard.registry import list_unknown

    typer.echo(list_unknown(settings))


@app.command("retire", epilog="Example: courtyard registry retire xiangyunli-gate-3")
def registry_retire(device: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Take a device out of service: its faults are closed, its history stays."""
    _serve_device(device, retire=True)


@app.command("restore", epilog="Example: courtyard registry restore xiangyunli-gate-3")
def registry_restore(device: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Bring a device back into service."""
    _serve_device(device, retire=False)


def _serve_device(device: str, *, retire: bool) -> None:
    settings = terminal.start("registry")
    from courtyard.audit import by_command
    from courtyard.registry import serve_device

    with by_command(terminal.user(), f"registry {'retire' if retire else 'restore'}", device):
        typer.echo(serve_device(settings, device, retire=retire))
