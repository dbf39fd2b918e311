"""What runs: the demo, ingest, the API, alerts."""

from enum import StrEnum
from typing import Annotated

import typer

from courtyard.commands import terminal
from courtyard.errors import UsageError

app = typer.Typer()
alerts_app = typer.Typer(
    invoke_without_command=True,
    epilog="Example: COURTYARD_PUBLIC_URL=https://courtyard.example.org courtyard alerts",
    rich_markup_mode=None,
)


class Part(StrEnum):
    """What ingest consists of."""

    RECEIVE = "receive"
    JUDGE = "judge"
    FORWARD = "forward"


class Severity(StrEnum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


def _parts(text: str) -> str:
    known = [part.value for part in Part]
    for name in text.split(","):
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}")
    return text


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
    settings = terminal.start("demo", **({} if port is None else {"api_port": port}))
    from courtyard.demo import run_demo

    terminal.end(run_demo(settings, compounds))


@app.command(epilog="Example: courtyard ingest --only receive,judge")
def ingest(
    only: Annotated[
        str,
        typer.Option(callback=_parts, help="These parts alone: receive, judge, forward."),
    ] = "receive,judge,forward",
    with_parent: terminal.WithParent = False,
) -> None:
    """Take messages from the broker into the journal; judge them; forward readings.

    Without COURTYARD_BROKER_URL a broker is started and ended with it.
    """
    settings = terminal.start("ingest")
    from courtyard.ingester import run_ingest

    terminal.end(run_ingest(settings, frozenset(only.split(",")), with_parent=with_parent))


@app.command(epilog="Example: COURTYARD_API_PORT=8080 courtyard api")
def api(
    demo: Annotated[
        bool,
        typer.Option("--demo", hidden=True, help="Visitors from this machine may look around."),
    ] = False,
    with_parent: terminal.WithParent = False,
) -> None:
    """Serve the HTTP API and the console."""
    settings = terminal.start("api")
    from courtyard.web import run_api

    terminal.end(run_api(settings, demo=demo, with_parent=with_parent))


@alerts_app.callback()
def alerts(context: typer.Context, with_parent: terminal.WithParent = False) -> None:
    """Tell people of faults: by the routes of each property firm, to robots, e-mail and webhooks.

    Several may run; each target is served by one of them at a time.
    """
    if context.invoked_subcommand is not None:
        return
    settings = terminal.start("alerts")
    from courtyard.alerter import run_alerts

    terminal.end(run_alerts(settings, with_parent=with_parent))


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
    language: Annotated[
        terminal.Language, typer.Option(help="Of the answer.")
    ] = terminal.Language.EN,
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
    moment = terminal.instant(at)
    settings = terminal.start("alerts")
    from courtyard.clock import now_ms
    from courtyard.routing import as_text, try_routes
    from devices import rules
    from devices.store.routing import Description

    wanted: Description | str | None = fault
    if code is not None:
        worst = None if severity is None else rules.Severity(severity.value)
        wanted = Description(code, compound, device, kind, worst)
    assert wanted is not None
    found = try_routes(settings, wanted, now_ms() if moment is None else terminal.epoch_ms(moment))
    if in_json:
        from api.routing import shape

        typer.echo(shape(found, fault).model_dump_json())
        return
    for line in as_text(found, language.value):
        typer.echo(line)


@app.command(hidden=True)
def exports(with_parent: terminal.WithParent = False) -> None:
    """Make the exports that the API was asked for; part of `courtyard api`."""
    settings = terminal.start("exports")
    from courtyard.exports import run_exports

    terminal.end(run_exports(settings, with_parent=with_parent))


@app.command(hidden=True)
def backfill(with_parent: terminal.WithParent = False) -> None:
    """Fill in the planned history of the demo; part of `courtyard demo`."""
    settings = terminal.start("history")
    from courtyard.history import run_backfill

    terminal.end(run_backfill(settings, with_parent=with_parent))
