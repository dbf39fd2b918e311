"""What keeps an installation well: migrations, doctor, backup, restore, replay."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from courtyard.commands import terminal

app = typer.Typer()
database = terminal.group("The operational database.")


class Only(StrEnum):
    TELEMETRY = "telemetry"


def _reason(text: str | None) -> str | None:
    from devices.messages import Reason

    known = [reason.value for reason in Reason]
    if text is not None and text not in known:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}")
    return text


@database.command("upgrade", epilog="Example: courtyard db upgrade")
def db_upgrade() -> None:
    """Bring the tables of the operational database up to date; does nothing if they are."""
    settings = terminal.start("db")
    from courtyard.stores import upgrade_operational

    typer.echo(upgrade_operational(settings), err=True)


@app.command(epilog="Example: courtyard doctor || echo 'something needs attention'")
def doctor() -> None:
    """Check everything that courtyard talks to here; exit code 1 if something does not work."""
    settings = terminal.start("doctor")
    from courtyard.doctor import examine

    terminal.end(examine(settings, typer.echo))


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
    settings = terminal.start("backup")
    from courtyard.backup import run_backup

    told = run_backup(settings, target, with_secrets=with_secrets, tell=terminal.tell)
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
    begins, ends, waits = (
        terminal.instant(start),
        terminal.instant(end),
        terminal.duration(patience),
    )
    settings = terminal.start("replay")
    from courtyard.audit import by_command
    from courtyard.replay import Range, run_replay

    assert begins is not None and ends is not None and waits is not None  # noqa: PT018
    what = Range(terminal.epoch_ms(begins), terminal.epoch_ms(ends), compound, reason)
    with by_command(terminal.user(), "replay", compound or "", start=start, end=end, reason=reason):
        typer.echo(run_replay(settings, what, waits.total_seconds(), terminal.tell))


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
    settings = terminal.start("restore")
    from courtyard.restore import run_restore

    for line in run_restore(
        settings, source, replace=replace, only_telemetry=only is not None, tell=terminal.tell
    ):
        typer.echo(line)
