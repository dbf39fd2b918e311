"""`courtyard usage`: figures that are final, and their corrections; `courtyard report`."""

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from courtyard.commands import terminal
from courtyard.errors import UsageError

app = terminal.group("Figures of usage that are final, and their corrections.")
reports = typer.Typer()


class ReportFormat(StrEnum):
    PDF = "pdf"
    XLSX = "xlsx"


Actor = Annotated[
    str | None, typer.Option("--by", help="Who does it; the user of this machine unless given.")
]
Reason = Annotated[str, typer.Option(help="Why; stands beside the figures from now on.")]


@app.command(
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

    wanted = Wanted(
        compound, terminal.day(day), terminal.instant(hour), device, kind, parse_changes(change)
    )
    settings = terminal.start("usage")
    with by_command(by or terminal.user(), "usage correct", compound, reason=reason):
        for line in correct(settings, wanted, reason, by or terminal.user(), corrects):
            typer.echo(line)


@app.command(
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
    asked = terminal.day(day)
    assert asked is not None
    settings = terminal.start("usage")
    from courtyard.audit import by_command
    from courtyard.usage import recount

    known_by = by or terminal.user()
    with (
        nullcontext()  # without a reason it only looks
        if reason is None
        else by_command(known_by, "usage recount", compound, day=day, reason=reason)
    ):
        for line in recount(settings, compound, asked, reason, known_by):
            typer.echo(line)


@app.command("corrections", epilog="Example: courtyard usage corrections lvyun-xiaoqu")
def usage_corrections(
    compound: Annotated[
        str | None, typer.Argument(metavar="[COMPOUND]", help="Else of all of them.")
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="Each as a line of JSON.")] = False,
) -> None:
    """List what was corrected, by whom, when and why, the newest first."""
    settings = terminal.start("usage")
    from courtyard.usage import corrections

    for line in corrections(settings, compound, in_json=in_json):
        typer.echo(line)


@reports.command(
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
    language: Annotated[
        terminal.Language, typer.Option(help="Of the report.")
    ] = terminal.Language.ZH,
    force: Annotated[bool, typer.Option("--force", help="Put it in the place of a file.")] = False,
) -> None:
    """Write the monthly report of a compound or a firm, as PDF or spreadsheet.

    The file has its name only once it is complete.
    """
    if (compound is None) == (firm is None):
        raise UsageError("report: either --compound or --firm")
    settings = terminal.start("report")
    from courtyard.report import Wanted, run_report

    wanted = Wanted(compound, firm, month, language.value, format_.value)
    typer.echo(run_report(settings, wanted, out, force=force, tell=terminal.tell), err=True)
