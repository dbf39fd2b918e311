"""A simulated fleet, and how well the system told what befell it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from courtyard.commands import terminal
from courtyard.errors import UsageError

app = typer.Typer()


class Rates(StrEnum):
    NONE = "none"
    REAL = "real"
    DEMO = "demo"


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
    with_parent: terminal.WithParent = False,
) -> None:
    """A simulated fleet: live against the broker, or into a journal file with simulated time.

    A scenario file says what befalls whom and when, how people and devices behave, and from when to
    when; the options for erqi do not go with it.
    """
    settings = terminal.start("simulate")
    lasts, begins = terminal.duration(duration), terminal.instant(start)
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

        terminal.end(run_live(settings, played, lasts, truth, with_parent=with_parent))
    if begins is None or lasts is None:
        raise UsageError("--journal: needs --start and --duration")
    terminal.end(write_journal(played, journal, begins, lasts, truth))


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
    settings = terminal.start("score")
    if truth is not None:
        from courtyard.score import run_score

        terminal.end(run_score(settings, truth, as_json=as_json))
    if live is not None:
        from courtyard.live_grading import run_live_graded

        terminal.end(run_live_graded(live, seed, keep, in_json=as_json, tell=terminal.tell))
    if usage is not None:
        from courtyard.usage_grading import run_usage_graded

        terminal.end(run_usage_graded(usage, seed, keep, in_json=as_json, tell=terminal.tell))
    from courtyard.grading import run_graded

    terminal.end(run_graded(scenario or [], seed, in_json=as_json, tell=terminal.tell))
