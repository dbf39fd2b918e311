"""`courtyard rules`: what raises faults."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from courtyard.commands import terminal
from courtyard.errors import UsageError

app = terminal.group("What raises faults: figures, changed by files.")

RuleFile = Annotated[Path, typer.Argument(metavar="FILE", help="A rule file, in TOML.")]


@app.command("check", epilog="Example: courtyard rules check rules.toml")
def rules_check(file: RuleFile) -> None:
    """Say whether a rule file can be taken; everything that is wrong is told with its line."""
    settings = terminal.start("rules")
    from courtyard.rules import check_rules

    typer.echo(check_rules(settings, file))


@app.command("import", epilog="Example: courtyard rules import rules.toml")
def rules_import(file: RuleFile) -> None:
    """Put a rule file in the place of the one before: all of it, or nothing.

    Prints what that changes. A running judge takes it up within 5 s.
    """
    settings = terminal.start("rules")
    from courtyard.audit import by_command
    from courtyard.rules import import_rules

    with by_command(terminal.user(), "rules import", file.name):
        for line in import_rules(settings, file):
            typer.echo(line)


@app.command("export", epilog="Example: courtyard rules export > rules.toml")
def rules_export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Else it is printed.")
    ] = None,
) -> None:
    """Give the rule file in force as it was imported; nothing while there never was one."""
    settings = terminal.start("rules")
    from courtyard.rules import export_rules

    typer.echo(export_rules(settings, file), nl=False, err=file is not None)


@app.command("show", epilog="Example: courtyard rules show SHED_OVERTEMP --device s1-shed-1")
def rules_show(
    code: Annotated[str, typer.Argument(help="Of a fault of the catalogue.")],
    device: Annotated[
        str | None, typer.Option(help="As it is for this device; else as it is in general.")
    ] = None,
) -> None:
    """Print the figures of a rule, and where each of them comes from."""
    settings = terminal.start("rules")
    from courtyard.rules import show_rule

    for line in show_rule(settings, code, device):
        typer.echo(line)


@app.command(
    "dry-run",
    epilog="Examples: courtyard rules dry-run rules.toml --from 2026-11-23T00:00:00+08:00 --to"
    " 2026-11-24T00:00:00+08:00;  courtyard rules dry-run rules.toml --journal week.db",
)
def rules_dry_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A rule file; - is standard input.")],
    start: Annotated[
        str | None, typer.Option("--from", help="Raised at or after this time.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Received before this time.")] = None,
    compound: Annotated[str | None, typer.Option(help="Only of this compound.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Another journal, of `courtyard simulate` for example.")
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="The whole difference, as JSON.")] = False,
) -> None:
    """Tell which faults a rule file would have raised over messages of the past.

    The journal's range is judged by the rules of today and by those of the file, and what they
    raised is compared. Nothing is written anywhere.
    """
    begins, ends = terminal.instant(start), terminal.instant(end)
    if journal is None and (begins is None or ends is None):
        raise UsageError("--from and --to: are needed, unless --journal names another journal")
    settings = terminal.start("rules")
    from courtyard.dry_run import as_json, as_text, run_dry_run
    from courtyard.rules import text_of

    text = sys.stdin.read() if str(file) == "-" else text_of(file)
    begins_ms, ends_ms = (None if at is None else terminal.epoch_ms(at) for at in (begins, ends))
    found = run_dry_run(
        settings, text, str(file), journal, (begins_ms, ends_ms), compound, terminal.tell
    )
    typer.echo(json.dumps(as_json(found), ensure_ascii=False) if in_json else as_text(found))


@app.command("docs", epilog="Example: courtyard rules docs docs/fault-catalogue.md")
def rules_docs(file: Annotated[Path, typer.Argument(help="Where to.")]) -> None:
    """Write the fault catalogue as a page, from the declarations."""
    from devices.catalogue_page import page

    file.write_text(page(), encoding="utf-8")
