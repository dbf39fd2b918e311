"""The command line. Each command says what it does and gives an example; the work is elsewhere.

Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to standard output, everything else to
standard error. What a command needs is imported by the command: `token create` loads no web server.
"""

import getpass
import json
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from courtyard import logs
from courtyard.errors import FAILED, CommandError, UsageError
from courtyard.settings import Settings, load_settings, parse_duration

app = typer.Typer(
    name="courtyard",
    help="Courtyard (楼院): watches the gates, charging sheds and lamps of residential compounds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
registry_app = typer.Typer(
    help="Firms, compounds and devices.", no_args_is_help=True, rich_markup_mode=None
)
token_app = typer.Typer(help="Who may use the API.", no_args_is_help=True, rich_markup_mode=None)
user_app = typer.Typer(
    help="Who logs in with a password.", no_args_is_help=True, rich_markup_mode=None
)
audit_app = typer.Typer(help="Who changed what.", no_args_is_help=True, rich_markup_mode=None)
db_app = typer.Typer(help="The operational database.", no_args_is_help=True, rich_markup_mode=None)
rules_app = typer.Typer(
    help="What raises faults: figures, changed by files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
usage_app = typer.Typer(
    help="Figures of usage that are final, and their corrections.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
alerts_app = typer.Typer(
    invoke_without_command=True,
    epilog="Example: COURTYARD_PUBLIC_URL=https://courtyard.example.org courtyard alerts",
    rich_markup_mode=None,
)
app.add_typer(registry_app, name="registry")
app.add_typer(alerts_app, name="alerts")
app.add_typer(usage_app, name="usage")
app.add_typer(rules_app, name="rules")
app.add_typer(token_app, name="token")
app.add_typer(user_app, name="user")
app.add_typer(audit_app, name="audit")
app.add_typer(db_app, name="db")


class RegistryTable(StrEnum):
    DEVICES = "devices"
    COMPOUNDS = "compounds"


class ReportFormat(StrEnum):
    PDF = "pdf"
    XLSX = "xlsx"


class ReportLanguage(StrEnum):
    ZH = "zh"
    EN = "en"


class Part(StrEnum):
    """What ingest consists of."""

    RECEIVE = "receive"
    JUDGE = "judge"
    FORWARD = "forward"


class Role(StrEnum):
    OPERATOR = "operator"
    FIRM = "firm"
    VIEWER = "viewer"


class Severity(StrEnum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


class Rates(StrEnum):
    NONE = "none"
    REAL = "real"
    DEMO = "demo"


def _parts(text: str) -> str:
    known = [part.value for part in Part]
    for name in text.split(","):
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}")
    return text


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time like 2026-11-23T00:00:00Z") from None
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone: end it with Z or +08:00")
    return at


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day like 2026-11-10") from None


def _user() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"user {os.getuid()} (command line)"


def _epoch_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _reason(text: str | None) -> str | None:
    from devices.messages import Reason

    known = [reason.value for reason in Reason]
    if text is not None and text not in known:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}")
    return text


WithParent = Annotated[
    bool, typer.Option("--with-parent", hidden=True, help="End when standard input ends.")
]


@app.command(
    epilog="Example: courtyard demo --compounds 20 --port 8001. Ctrl-C ends everything it started."
)
def demo(
    port: Annotated[
        int | None, typer.Option(help="Of the console; COURTYARD_API_PORT, else 8000.")
    ] = None,
    compounds: Annotated[
        int | None, typer.Option(min=1, help="Only so many compounds of the district.")
    ] = None,
) -> None:
    """The whole system in one command: broker, ingest, API and console, a simulated district.

    A week of history is filled in behind it. Everything is kept in COURTYARD_DATA_DIR, and a second
    start goes on where the first one ended.
    """
    settings = _start("demo", **({} if port is None else {"api_port": port}))
    from courtyard.demo import run_demo

    _end(run_demo(settings, compounds))


@app.command(epilog="Example: courtyard ingest --only receive,judge")
def ingest(
    only: Annotated[
        str,
        typer.Option(callback=_parts, help="These parts alone: receive, judge, forward."),
    ] = "receive,judge,forward",
    with_parent: WithParent = False,
) -> None:
    """Take messages from the broker into the journal; judge them; forward readings.

    Without COURTYARD_BROKER_URL a broker is started and ended with it.
    """
    settings = _start("ingest")
    from courtyard.ingester import run_ingest

    _end(run_ingest(settings, frozenset(only.split(",")), with_parent=with_parent))


@app.command(epilog="Example: COURTYARD_API_PORT=8080 courtyard api")
def api(
    demo: Annotated[
        bool,
        typer.Option("--demo", hidden=True, help="Visitors from this machine may look around."),
    ] = False,
    with_parent: WithParent = False,
) -> None:
    """Serve the HTTP API and the console."""
    settings = _start("api")
    from courtyard.web import run_api

    _end(run_api(settings, demo=demo, with_parent=with_parent))


@alerts_app.callback()
def alerts(context: typer.Context, with_parent: WithParent = False) -> None:
    """Tell people of faults: by the routes of each property firm, to robots, e-mail and webhooks.

    Several may run; each target is served by one of them at a time.
    """
    if context.invoked_subcommand is not None:
        return
    settings = _start("alerts")
    from courtyard.alerter import run_alerts

    _end(run_alerts(settings, with_parent=with_parent))


@alerts_app.command(
    "dry-run",
    epilog="Examples: courtyard alerts dry-run --code SHED_SMOKE --compound lvyun-xiaoqu --at"
    " 2026-11-28T23:10:00+08:00;  courtyard alerts dry-run --fault 3f9a1c --language zh",
)
def alerts_dry_run(
    fault: Annotated[str | None, typer.Option(help="The id of a fault that there is.")] = None,
    code: Annotated[
        str | None, typer.Option(help="Else describe one: a code of the fault catalogue …")
    ] = None,
    compound: Annotated[str | None, typer.Option(help="… in this compound …")] = None,
    device: Annotated[str | None, typer.Option(help="… or of this device …")] = None,
    kind: Annotated[str | None, typer.Option(help="… of this kind, if any device may …")] = None,
    severity: Annotated[
        Severity | None, typer.Option(help="… as bad as that; else as the catalogue says.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Then, with its zone; else now.")] = None,
    language: Annotated[ReportLanguage, typer.Option(help="Of the answer.")] = ReportLanguage.EN,
    in_json: Annotated[
        bool, typer.Option("--json", help="As JSON, like /v1/routes/dry-run.")
    ] = False,
) -> None:
    """Tell who would be told of a fault, by which channel, and why; and who not, and why not.

    It decides as `courtyard alerts` does. Nothing is sent or written.
    """
    if (fault is None) == (code is None):
        raise UsageError("alerts dry-run: either --fault or --code")
    if fault is not None and (compound, device, kind, severity) != (None,) * 4:
        raise UsageError("--compound, --device, --kind, --severity: go with --code, not --fault")
    moment = _instant(at)
    settings = _start("alerts")
    from courtyard.clock import now_ms
    from courtyard.routing import as_text, try_routes
    from devices import rules
    from devices.store.routing import Description

    wanted: Description | str | None = fault
    if code is not None:
        worst = None if severity is None else rules.Severity(severity.value)
        wanted = Description(code, compound, device, kind, worst)
    assert wanted is not None
    found = try_routes(settings, wanted, now_ms() if moment is None else _epoch_ms(moment))
    if in_json:
        from api.routing import shape

        typer.echo(shape(found, fault).model_dump_json())
        return
    for line in as_text(found, language.value):
        typer.echo(line)


@app.command(
    epilog="Examples: courtyard simulate --compounds 20 --duration 10m;  courtyard simulate "
    "--scenario terrible-day --journal day.db --truth day.jsonl"
)
def simulate(
    scenario: Annotated[
        str, typer.Option(help="erqi, the default district; or a scenario's name or .toml file.")
    ] = "erqi",
    compounds: Annotated[
        int | None, typer.Option(min=1, help="erqi: only so many compounds of it.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Changes what happens, never the registry.")
    ] = None,
    vendors: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="erqi: share of devices that speak a vendor's format."),
    ] = None,
    rates: Annotated[
        Rates | None,
        typer.Option(help="erqi: how often things break; demo shows every kind within hours."),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="How long, like 10m; live: until Ctrl-C.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="With --journal: when simulated time begins.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Write into this new journal, in simulated time.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Write what really happened, a JSON line a fact.")
    ] = None,
    with_parent: WithParent = False,
) -> None:
    """A simulated fleet: live against the broker, or into a journal file with simulated time.

    A scenario file says what befalls whom and when, how people and devices behave, and from when to
    when; the options for erqi do not go with it.
    """
    settings = _start("simulate")
    lasts, begins = _duration(duration), _instant(start)
    from courtyard.registry import ERQI
    from courtyard.simulation import District, Played, Staged, find_scenario, write_journal

    played: Played
    if scenario == ERQI:
        named = (rates or Rates.REAL).value
        played = District(compounds, 1 if seed is None else seed, vendors or 0.0, named)
    else:
        if (compounds, vendors, rates) != (None, None, None):
            raise UsageError("--compounds, --vendors, --rates: a scenario file says that itself")
        staged = find_scenario(scenario)
        played = Staged(staged, staged.seed if seed is None else seed)
        lasts = lasts or staged.duration
        begins = begins or (staged.start if journal is not None else None)
    if journal is None:
        if begins is not None:
            raise UsageError("--start: only with --journal; a live fleet begins now")
        from courtyard.live import run_live

        _end(run_live(settings, played, lasts, truth, with_parent=with_parent))
    if begins is None or lasts is None:
        raise UsageError("--journal: needs --start and --duration")
    _end(write_journal(played, journal, begins, lasts, truth))


@app.command(
    epilog="Examples: courtyard score --truth day.jsonl;  courtyard score --scenario every-fault"
    " --scenario power-cuts --json > score.json;  courtyard score --live live-half-hour;"
    "  courtyard score --usage usage-month"
)
def score(
    truth: Annotated[
        Path | None, typer.Option(help="What really happened, as `simulate --truth` wrote it.")
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="Play this one, judge it and grade the faults; `all` for every one."),
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(metavar="SCENARIO", help="Play this one in real time, over a broker."),
    ] = None,
    usage: Annotated[
        str | None,
        typer.Option(metavar="SCENARIO", help="Play this one and grade the figures of usage."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Not with --truth: another than the scenario's own.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="With --live, --usage: a new directory for all that it leaves, truth.jsonl too."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Compare the faults that the system raised with what really happened.

    With --truth: the faults of the operational database. With --scenario: simulated time is written
    and judged in a directory that is thrown away. With --live: a broker, ingest and the simulators
    are run as in production, until the scenario ends; Ctrl-C ends them. With --usage: simulated
    time is judged, stored and summed up, and energy, sessions and passages of each day are compared
    with what really flowed, charged and passed. Exit code 1 where a figure is missed.
    """
    if sum((truth is not None, bool(scenario), live is not None, usage is not None)) != 1:
        raise UsageError("score: one of --truth, --scenario, --live and --usage")
    if truth is not None and seed is not None:
        raise UsageError("--seed: not with --truth, which says what was played")
    if keep is not None and live is None and usage is None:
        raise UsageError("--keep: only with --live or --usage")
    settings = _start("score")
    if truth is not None:
        from courtyard.score import run_score

        _end(run_score(settings, truth, as_json=as_json))
    if live is not None:
        from courtyard.live_grading import run_live_graded

        _end(run_live_graded(live, seed, keep, in_json=as_json, tell=_tell))
    if usage is not None:
        from courtyard.usage_grading import run_usage_graded

        _end(run_usage_graded(usage, seed, keep, in_json=as_json, tell=_tell))
    from courtyard.grading import run_graded

    _end(run_graded(scenario or [], seed, in_json=as_json, tell=_tell))


@app.command(
    epilog="Examples: courtyard report --firm yaxin --month 2026-11 --format pdf --out yaxin.pdf;"
    "  courtyard report --compound lvyun-xiaoqu --month 2026-11 --language en --format xlsx"
    " --out november.xlsx"
)
def report(
    month: Annotated[str, typer.Option(help="Like 2026-11; the one that runs is as it is so far.")],
    out: Annotated[Path, typer.Option(help="A new file.")],
    format_: Annotated[ReportFormat, typer.Option("--format", help="What the file is.")],
    compound: Annotated[str | None, typer.Option(help="Of this compound.")] = None,
    firm: Annotated[str | None, typer.Option(help="Of this property firm.")] = None,
    language: Annotated[ReportLanguage, typer.Option(help="Of the report.")] = ReportLanguage.ZH,
    force: Annotated[bool, typer.Option("--force", help="Put it in the place of a file.")] = False,
) -> None:
    """Write the monthly report of a compound or a firm, as PDF or spreadsheet.

    The file has its name only once it is complete.
    """
    if (compound is None) == (firm is None):
        raise UsageError("report: either --compound or --firm")
    settings = _start("report")
    from courtyard.report import Wanted, run_report

    wanted = Wanted(compound, firm, month, language.value, format_.value)
    typer.echo(run_report(settings, wanted, out, force=force, tell=_tell), err=True)


@app.command(hidden=True)
def exports(with_parent: WithParent = False) -> None:
    """Make the exports that the API was asked for; part of `courtyard api`."""
    settings = _start("exports")
    from courtyard.exports import run_exports

    _end(run_exports(settings, with_parent=with_parent))


@app.command(hidden=True)
def backfill(with_parent: WithParent = False) -> None:
    """Fill in the planned history of the demo; part of `courtyard demo`."""
    settings = _start("history")
    from courtyard.history import run_backfill

    _end(run_backfill(settings, with_parent=with_parent))


@registry_app.command(
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
    settings = _start("registry")
    from courtyard.audit import by_command
    from courtyard.registry import import_registry, preview_import

    if preview:
        text, is_right = preview_import(settings, source)
        typer.echo(text)
        raise typer.Exit(0 if is_right else FAILED)
    with by_command(_user(), "registry import", Path(source).name):
        typer.echo(import_registry(settings, source, vendors, compounds, _user()))


@registry_app.command("export", epilog="Example: courtyard registry export registry.json")
def registry_export(
    file: Annotated[Path, typer.Argument(help="A new or old .json, .csv or .xlsx file.")],
) -> None:
    """Write the registry to a file: JSON holds all of it, CSV and XLSX the devices."""
    settings = _start("registry")
    from courtyard.registry import export_registry

    typer.echo(export_registry(settings, file), err=True)


@registry_app.command("imports", epilog="Example: courtyard registry imports")
def registry_list_imports() -> None:
    """The newest imports of files: id, state, when, lines new ~changed =unchanged !wrong, file."""
    settings = _start("registry")
    from courtyard.registry import list_imports

    typer.echo(list_imports(settings))


@registry_app.command("undo", epilog="Example: courtyard registry undo 5f0c…")
def registry_undo(
    import_id: Annotated[str, typer.Argument(metavar="IMPORT", help="Of `registry imports`.")],
) -> None:
    """Put back what an import changed; what it added goes out of service."""
    settings = _start("registry")
    from courtyard.audit import by_command
    from courtyard.registry import undo_import

    with by_command(_user(), "registry undo", import_id):
        typer.echo(undo_import(settings, import_id, _user()))


@registry_app.command("template", epilog="Example: courtyard registry template devices.xlsx")
def registry_template(
    file: Annotated[Path, typer.Argument(help="A new .csv or .xlsx file.")],
    table: Annotated[
        RegistryTable, typer.Option(help="What a CSV file is of; XLSX has both.")
    ] = RegistryTable.DEVICES,
    language: Annotated[ReportLanguage, typer.Option(help="Of its headings.")] = ReportLanguage.ZH,
) -> None:
    """Write an empty file to fill in and import."""
    _start("registry")
    from courtyard.registry import write_template

    typer.echo(write_template(file, table.value, language.value))


@registry_app.command("unknown", epilog="Example: courtyard registry unknown")
def registry_unknown() -> None:
    """Who sends and is in no registry: last heard, messages kept, format, name, topic."""
    settings = _start("registry")
    from courtyard.registry import list_unknown

    typer.echo(list_unknown(settings))


@registry_app.command("retire", epilog="Example: courtyard registry retire xiangyunli-gate-3")
def registry_retire(device: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Take a device out of service: its faults are closed, its history stays."""
    _serve_device(device, retire=True)


@registry_app.command("restore", epilog="Example: courtyard registry restore xiangyunli-gate-3")
def registry_restore(device: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Bring a device back into service."""
    _serve_device(device, retire=False)


def _serve_device(device: str, *, retire: bool) -> None:
    settings = _start("registry")
    from courtyard.audit import by_command
    from courtyard.registry import serve_device

    with by_command(_user(), f"registry {'retire' if retire else 'restore'}", device):
        typer.echo(serve_device(settings, device, retire=retire))


RuleFile = Annotated[Path, typer.Argument(metavar="FILE", help="A rule file, in TOML.")]


@rules_app.command("check", epilog="Example: courtyard rules check rules.toml")
def rules_check(file: RuleFile) -> None:
    """Say whether a rule file can be taken; everything that is wrong is told with its line."""
    settings = _start("rules")
    from courtyard.rules import check_rules

    typer.echo(check_rules(settings, file))


@rules_app.command("import", epilog="Example: courtyard rules import rules.toml")
def rules_import(file: RuleFile) -> None:
    """Put a rule file in the place of the one before: all of it, or nothing.

    Prints what that changes. A running judge takes it up within 5 s.
    """
    settings = _start("rules")
    from courtyard.audit import by_command
    from courtyard.rules import import_rules

    with by_command(_user(), "rules import", file.name):
        for line in import_rules(settings, file):
            typer.echo(line)


@rules_app.command("export", epilog="Example: courtyard rules export > rules.toml")
def rules_export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Else it is printed.")
    ] = None,
) -> None:
    """Give the rule file in force as it was imported; nothing while there never was one."""
    settings = _start("rules")
    from courtyard.rules import export_rules

    typer.echo(export_rules(settings, file), nl=False, err=file is not None)


@rules_app.command("show", epilog="Example: courtyard rules show SHED_OVERTEMP --device s1-shed-1")
def rules_show(
    code: Annotated[str, typer.Argument(help="Of a fault of the catalogue.")],
    device: Annotated[
        str | None, typer.Option(help="As it is for this device; else as it is in general.")
    ] = None,
) -> None:
    """Print the figures of a rule, and where each of them comes from."""
    settings = _start("rules")
    from courtyard.rules import show_rule

    for line in show_rule(settings, code, device):
        typer.echo(line)


@rules_app.command(
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
    begins, ends = _instant(start), _instant(end)
    if journal is None and (begins is None or ends is None):
        raise UsageError("--from and --to: are needed, unless --journal names another journal")
    settings = _start("rules")
    from courtyard.dry_run import as_json, as_text, run_dry_run
    from courtyard.rules import text_of

    text = sys.stdin.read() if str(file) == "-" else text_of(file)
    begins_ms, ends_ms = (None if at is None else _epoch_ms(at) for at in (begins, ends))
    found = run_dry_run(settings, text, str(file), journal, (begins_ms, ends_ms), compound, _tell)
    typer.echo(json.dumps(as_json(found), ensure_ascii=False) if in_json else as_text(found))


@rules_app.command("docs", epilog="Example: courtyard rules docs docs/fault-catalogue.md")
def rules_docs(file: Annotated[Path, typer.Argument(help="Where to.")]) -> None:
    """Write the fault catalogue as a page, from the declarations."""
    from devices.catalogue_page import page

    file.write_text(page(), encoding="utf-8")


Actor = Annotated[
    str | None, typer.Option("--by", help="Who does it; the user of this machine unless given.")
]
Reason = Annotated[str, typer.Option(help="Why; stands beside the figures from now on.")]


@usage_app.command(
    "correct",
    epilog="Examples: courtyard usage correct lvyun-xiaoqu --day 2026-11-10 --device s1-shed-1-p02"
    " --change energy_kwh=-1.5 --reason 'meter replaced';  … --hour 2026-11-10T20:00:00+08:00"
    " --kind gate --change passages=12 --change by_method.face=12 --reason 'counted by hand'",
)
def usage_correct(
    compound: Annotated[str, typer.Argument(help="Of this compound.")],
    change: Annotated[
        list[str], typer.Option(metavar="FIGURE=AMOUNT", help="What is added; may be repeated.")
    ],
    reason: Reason,
    day: Annotated[str | None, typer.Option(help="Of this local day, like 2026-11-10.")] = None,
    hour: Annotated[
        str | None, typer.Option(help="Of the hour that holds this time, with its zone.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Of this device.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Of all gates, ports or lamps of the compound together.")
    ] = None,
    corrects: Annotated[
        str | None, typer.Option(help="The id of a correction that was wrong.")
    ] = None,
    by: Actor = None,
) -> None:
    """Correct figures of a day that is final; recorded for good, and in every figure from now on.

    An amount for a day is shared out over its hours as the figure was. To take a correction back,
    make another one.
    """
    from courtyard.audit import by_command
    from courtyard.usage import Wanted, correct, parse_changes

    wanted = Wanted(compound, _day(day), _instant(hour), device, kind, parse_changes(change))
    settings = _start("usage")
    with by_command(by or _user(), "usage correct", compound, reason=reason):
        for line in correct(settings, wanted, reason, by or _user(), corrects):
            typer.echo(line)


@usage_app.command(
    "recount",
    epilog="Examples: courtyard usage recount lvyun-xiaoqu --day 2026-11-10;  … --reason 'data of"
    " the gateway came late'",
)
def usage_recount(
    compound: Annotated[str, typer.Argument(help="Of this compound.")],
    day: Annotated[str, typer.Option(help="A local day that is final, like 2026-11-10.")],
    reason: Annotated[
        str | None, typer.Option(help="Record the difference, for this reason; else it is shown.")
    ] = None,
    by: Actor = None,
) -> None:
    """Work a day out again from the readings and sessions of it that came too late."""
    asked = _day(day)
    assert asked is not None
    settings = _start("usage")
    from courtyard.audit import by_command
    from courtyard.usage import recount

    known_by = by or _user()
    with (
        nullcontext()  # without a reason it only looks
        if reason is None
        else by_command(known_by, "usage recount", compound, day=day, reason=reason)
    ):
        for line in recount(settings, compound, asked, reason, known_by):
            typer.echo(line)


@usage_app.command("corrections", epilog="Example: courtyard usage corrections lvyun-xiaoqu")
def usage_corrections(
    compound: Annotated[
        str | None, typer.Argument(metavar="[COMPOUND]", help="Else of all of them.")
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="Each as a line of JSON.")] = False,
) -> None:
    """List what was corrected, by whom, when and why, the newest first."""
    settings = _start("usage")
    from courtyard.usage import corrections

    for line in corrections(settings, compound, in_json=in_json):
        typer.echo(line)


@token_app.command("create", epilog="Example: courtyard token create --role firm --firm yaxin")
def token_create(
    role: Annotated[Role, typer.Option(help="operator sees and does everything.")],
    firm: Annotated[str | None, typer.Option(help="Whose token; for the role firm.")] = None,
    name: Annotated[str, typer.Option(help="To tell it from others, and in the records.")] = "",
) -> None:
    """Print a new token, and nothing else, on standard output. It is shown only this once."""
    if (role is Role.FIRM) != (firm is not None):
        raise UsageError("--firm: goes with --role firm, and with no other")
    settings = _start("token")
    from courtyard.access import create_token
    from courtyard.audit import by_command

    by = _user()
    with by_command(by, "token create", name, role=role.value, firm=firm):
        typer.echo(create_token(settings, role.value, firm, name, by))


Password = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read it from standard input, not from the terminal."),
]


@user_app.command(
    "add",
    epilog="Examples: courtyard user add li-min --role operator --display 李敏;  … wang --role firm"
    " --firm yaxin --password-stdin < password.txt",
)
def user_add(
    name: Annotated[str, typer.Argument(help="2 to 63 of a-z, 0-9, dot, dash, underscore.")],
    role: Annotated[Role, typer.Option(help="operator sees and does everything.")],
    firm: Annotated[str | None, typer.Option(help="Whose; for the role firm.")] = None,
    display: Annotated[str, typer.Option(help="What they are called.")] = "",
    language: Annotated[
        ReportLanguage | None, typer.Option(help="Of their console; else their browser's.")
    ] = None,
    from_stdin: Password = False,
) -> None:
    """Make somebody who logs in with a password of at least 12 characters, which is asked for."""
    if (role is Role.FIRM) != (firm is not None):
        raise UsageError("--firm: goes with --role firm, and with no other")
    settings = _start("user")
    from api.passwords import Passwords
    from courtyard.users import Wanted, add_user

    spoken = None if language is None else language.value
    wanted = Wanted(name, display, role.value, firm, spoken)
    typer.echo(add_user(settings, wanted, _password(from_stdin), _user(), Passwords()))


@user_app.command("list", epilog="Example: courtyard user list")
def user_list() -> None:
    """Print all users, one a line: name, role, firm, state, what they are called."""
    settings = _start("user")
    from courtyard.users import list_users

    for line in list_users(settings):
        typer.echo(line)


UserName = Annotated[str, typer.Argument(help="Of a user.")]


@user_app.command("password", epilog="Example: courtyard user password li-min")
def user_password(name: UserName, from_stdin: Password = False) -> None:
    """Give somebody another password, and log them out everywhere."""
    settings = _start("user")
    from api.passwords import Passwords
    from courtyard.users import set_password

    typer.echo(set_password(settings, name, _password(from_stdin), _user(), Passwords()))


@user_app.command("disable", epilog="Example: courtyard user disable li-min")
def user_disable(name: UserName) -> None:
    """Log somebody out everywhere, and let them in no more; `user enable` undoes it."""
    settings = _start("user")
    from courtyard.users import disable_user

    typer.echo(disable_user(settings, name, _user()))


@user_app.command("enable", epilog="Example: courtyard user enable li-min")
def user_enable(name: UserName) -> None:
    """Let somebody in again, with the password they had."""
    settings = _start("user")
    from courtyard.users import enable_user

    typer.echo(enable_user(settings, name, _user()))


@audit_app.command(
    "verify", epilog="Example: courtyard audit verify || echo 'somebody changed the audit log'"
)
def audit_verify(
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:HASH", help="A row as an earlier run printed it: it must still be so."
        ),
    ] = None,
) -> None:
    """Hold every row of the audit log against its hash; exit code 1, and where, if it is broken.

    Prints number and hash of the last row: kept elsewhere, they show later that nobody has written
    the whole log anew.
    """
    settings = _start("audit")
    from courtyard.audit import verify_log

    code, text = verify_log(settings, expect)
    typer.echo(text)
    _end(code)


@db_app.command("upgrade", epilog="Example: courtyard db upgrade")
def db_upgrade() -> None:
    """Bring the tables of the operational database up to date; does nothing if they are."""
    settings = _start("db")
    from courtyard.stores import upgrade_operational

    typer.echo(upgrade_operational(settings), err=True)


@app.command(epilog="Example: courtyard doctor || echo 'something needs attention'")
def doctor() -> None:
    """Check everything that courtyard talks to here; exit code 1 if something does not work."""
    settings = _start("doctor")
    from courtyard.doctor import examine

    _end(examine(settings, typer.echo))


@app.command(
    epilog="Examples: courtyard backup backups/2026-11-23;  courtyard backup --with-secrets"
    " night.tar.gz"
)
def backup(
    target: Annotated[
        Path, typer.Argument(help="A new directory; or a new file, .tar, .tar.gz or .tgz.")
    ],
    with_secrets: Annotated[
        bool,
        typer.Option(
            "--with-secrets",
            help="The secret key too: hashed card numbers and ingest's place at the broker depend"
            " on it. Who has it and the database can find card numbers by trying.",
        ),
    ] = False,
) -> None:
    """Copy the database and the embedded telemetry store while everything runs.

    Never the journal: it may hold personal data, and it is kept until a backup covers it.
    """
    settings = _start("backup")
    from courtyard.backup import run_backup

    told = run_backup(settings, target, with_secrets=with_secrets, tell=_tell)
    typer.echo(told)


@app.command(
    epilog="Examples: courtyard replay --from 2026-11-23T00:00:00+08:00 --to"
    " 2026-11-24T00:00:00+08:00;  … --compound lvyun-xiaoqu --reason unknown_device"
)
def replay(
    start: Annotated[str, typer.Option("--from", help="Received at or after this time.")],
    end: Annotated[str, typer.Option("--to", help="Received before this time.")],
    compound: Annotated[str | None, typer.Option(help="Only of this compound.")] = None,
    reason: Annotated[
        str | None,
        typer.Option(callback=_reason, help="Only messages that are refused for this reason."),
    ] = None,
    patience: Annotated[
        str, typer.Option(help="Give up when the judge does nothing for so long.")
    ] = "60s",
) -> None:
    """Judge refused messages of a range again, and write its readings again from the journal.

    For after a fix of an adapter, or for devices that were not in the registry. It may be run
    twice; one that was ended goes on when it is run again. A running `courtyard ingest` does the
    judging.
    """
    begins, ends, waits = _instant(start), _instant(end), _duration(patience)
    settings = _start("replay")
    from courtyard.audit import by_command
    from courtyard.replay import Range, run_replay

    assert begins is not None and ends is not None and waits is not None  # noqa: PT018
    what = Range(_epoch_ms(begins), _epoch_ms(ends), compound, reason)
    with by_command(_user(), "replay", compound or "", start=start, end=end, reason=reason):
        typer.echo(run_replay(settings, what, waits.total_seconds(), _tell))


class Only(StrEnum):
    TELEMETRY = "telemetry"


@app.command(
    epilog="Examples: courtyard restore backups/2026-11-23;  courtyard restore --replace"
    " --only telemetry night.tar.gz"
)
def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `backup` made.")],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Move what is there aside, under a name with the time."),
    ] = False,
    only: Annotated[
        Only | None,
        typer.Option(help="telemetry: the readings alone; forward goes back to where they end."),
    ] = None,
) -> None:
    """Bring a backup back, into an empty data directory and database; nothing may run.

    The journal is not touched: if it survived, judging goes on in it where the backup ends. What
    cannot be brought back is said.
    """
    settings = _start("restore")
    from courtyard.restore import run_restore

    for line in run_restore(
        settings, source, replace=replace, only_telemetry=only is not None, tell=_tell
    ):
        typer.echo(line)


def _password(from_stdin: bool) -> str:
    """A password, of one line; never an argument, which other users of the machine could read."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("--password-stdin: is needed where there is no terminal to ask at")
    first = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != first:
        raise UsageError("the two passwords differ; nothing was done")
    return first


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _start(part: str, **changes: object) -> Settings:
    """The settings, and logs under the name of the part. Raises UsageError."""
    environ = dict(os.environ)
    for name, value in changes.items():
        environ[f"COURTYARD_{name.upper()}"] = str(value)
    settings = load_settings(environ)
    logs.set_up(settings, part)
    return settings


def _end(code: int) -> NoReturn:
    raise typer.Exit(code)


def main() -> None:
    """The entry point: what is wrong becomes one line and an exit code."""
    raise SystemExit(_run(app))


def _run(command: Callable[[], object]) -> int:
    try:
        command()
    except CommandError as error:
        _complain(str(error))
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from courtyard.failures import explain

        text = explain(error)
        if text is None:
            raise
        _complain(text)
        return FAILED
    return 0


def _complain(text: str) -> None:
    sys.stderr.write(f"courtyard: {text}\n")
