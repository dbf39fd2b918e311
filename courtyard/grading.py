"""Graded runs: simulated time into a journal, the judge over it, and its faults against the truth.

Each run has a data directory of its own and takes nothing from the settings. The journal is written
and judged in turns of one simulated hour and trimmed behind the judge, so that a week of the whole
district needs no more disk than an hour of it.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from courtyard.errors import DONE, FAILED, UsageError
from courtyard.score import score_database
from courtyard.simulation import JournalSink, Staged, find_scenario
from devices.catalogue import rules_for
from devices.judgement import LIVE
from devices.kinds import KINDS
from devices.rules import Rule
from devices.store import registry as registry_rows
from devices.store.database import open_database, upgrade, writing
from devices.store.journal import JournalReader, JournalWriter
from devices.store.judgements import Judgements
from ingest.consume import Consumer
from ingest.judge.plan import plans
from simulators.fleet import Fleet
from simulators.history import Reception, write_history
from simulators.native import rfc3339
from simulators.scoring import Score, as_json, percentile, table
from simulators.truth import Fact

HOUR_MS = 3_600_000
COMMIT_MESSAGES = 20_000
COMMIT_AFTER_S = 30.0

# What `make score` grades, the cheapest first.
GRADED = ("power-cuts", "every-fault", "terrible-day", "calm-week")
LEAST_FOUND = 0.99
MOST_FALSE_PER_1000 = 1.0
MOST_DELAY_S = 10.0
MOST_PER_ROOT = 1.2
MOST_LISTED = 20  # of each kind of mistake, in the text


@dataclass(slots=True)
class SimulatedNow:
    """The clock of a run: the judge lives in the time of its messages."""

    at_ms: int

    def __call__(self) -> int:
        return self.at_ms


@dataclass(frozen=True, slots=True)
class Graded:
    """A run and its score. writing_s, judging_s: of the wall clock.

    broker: over which it was played live, in real time, "" for a journal; then judging_s is how
    long after its end all was judged. lost: messages that the broker had, and the journal has not.
    unaccounted: messages of the journal of which nobody knows what became.
    """

    name: str
    seed: int
    scored: Score
    facts: list[Fact]
    not_injected: int
    messages: int
    writing_s: float
    judging_s: float
    broker: str = ""
    lost: int = 0
    unaccounted: int = 0


def run_graded(
    names: Sequence[str], seed: int | None, *, in_json: bool, tell: Callable[[str], None]
) -> int:
    """Plays and grades scenarios, prints their scores; FAILED where a figure is missed."""
    wanted = GRADED if list(names) == ["all"] else names
    plays = [staged(name, seed) for name in wanted]

    def runs() -> Iterator[Graded]:
        for play in plays:
            tell(f"{play.name}, seed {play.seed}: simulated and judged …")
            yield grade(play, progress=percent_told(play, tell))

    return tell_graded(runs(), in_json=in_json)


def tell_graded(runs: Iterable[Graded], *, in_json: bool) -> int:
    """Prints each score as soon as it is there; FAILED where a figure is missed."""
    missed = False
    told: dict[str, object] = {}
    for graded in runs:
        figures = figures_of(graded)
        missed |= any(not figure.held for figure in figures)
        if in_json:
            told[graded.name] = _run_json(graded, figures)
        else:
            typer.echo(_as_text(graded, figures))
    if in_json:
        typer.echo(json.dumps(told))
    return FAILED if missed else DONE


def staged(name: str, seed: int | None) -> Staged:
    """A scenario that can be graded. Raises UsageError, CommandError."""
    scenario = find_scenario(name)
    if scenario.start_ms is None or scenario.duration_ms is None:
        raise UsageError(f"--scenario: {name} has no start or no duration, so it cannot be graded")
    return Staged(scenario, scenario.seed if seed is None else seed)


def grade(
    played: Staged,
    *,
    directory: Path | None = None,
    rules: Callable[[str], tuple[Rule, ...]] = rules_for,
    progress: Callable[[int], None] = lambda _: None,
) -> Graded:
    """Plays a scenario, has it judged as it would be live, and grades the faults.

    directory: an empty one, which is kept; else all is thrown away. rules: of a kind of device.
    """
    scenario = played.scenario
    assert scenario.start_ms is not None and scenario.duration_ms is not None  # noqa: PT018
    start_ms, end_ms = scenario.start_ms, scenario.start_ms + scenario.duration_ms
    facts: list[Fact] = []
    with tempfile.TemporaryDirectory(prefix="courtyard-grading-") as thrown_away:
        where = directory or Path(thrown_away)
        now = SimulatedNow(start_ms)
        engine = open_database(f"sqlite:///{where / 'courtyard.db'}")
        try:
            upgrade(engine)
            with writing(engine) as connection:
                registry_rows.save(connection, played.registry(), start_ms)
            fleet = played.fleet(start_ms, facts.append)
            reception = Reception(fleet, start_ms, played.troubles(start_ms))
            consumer = Consumer(
                Judgements(engine, LIVE),
                plans(rules, KINDS),
                now,
                stream=LIVE,
                commit_after_s=COMMIT_AFTER_S,
                commit_messages=COMMIT_MESSAGES,
                at_once=False,
            )
            messages, writing_s, judging_s = _run(
                fleet, reception, consumer, where / "journal.db", now, end_ms, progress
            )
            scored = score_database(engine, facts, (start_ms, end_ms))
        finally:
            engine.dispose()
    return Graded(
        played.name,
        played.seed,
        scored,
        facts,
        len(fleet.not_injected),
        messages,
        writing_s,
        judging_s,
    )


def _run(
    fleet: Fleet,
    reception: Reception,
    consumer: Consumer,
    journal: Path,
    now: SimulatedNow,
    end_ms: int,
    progress: Callable[[int], None],
) -> tuple[int, float, float]:
    """(messages, seconds of writing, seconds of judging), wall clock."""
    messages, writing_s, judging_s = 0, 0.0, 0.0
    start_ms = fleet.start_ms
    with JournalWriter(journal, now) as writer, JournalReader(journal) as reader:
        at_ms, probe = start_ms, 1
        while at_ms < end_ms:
            until_ms = min(at_ms + HOUR_MS - at_ms % HOUR_MS, end_ms)
            began_s = time.monotonic()
            written = write_history(
                fleet,
                at_ms,
                until_ms,
                JournalSink(writer),
                first_probe=probe,
                opens=at_ms == start_ms,
                closes=until_ms == end_ms,
                reception=reception,
            )
            now.at_ms = until_ms
            wrote_s = time.monotonic()
            consumer.drain(reader)
            judging_s += time.monotonic() - wrote_s
            writing_s += wrote_s - began_s
            while writer.trim(until_ms, consumer.progress.position):
                pass
            messages += written.messages
            at_ms, probe = until_ms, written.next_probe
            progress(at_ms)
    return messages, writing_s, judging_s


# -- the figures that a graded run must reach (issue 5)


@dataclass(frozen=True, slots=True)
class Figure:
    """One promise: what was measured, what is asked, and whether it holds."""

    name: str
    measured: float | None
    asked: str
    held: bool


def figures_of(graded: Graded) -> list[Figure]:
    """Every figure that this run can show."""
    scored = graded.scored
    due_safety, found_safety = scored.of_safety()
    share = scored.detected / scored.due if scored.due else None
    safety = found_safety / due_safety if due_safety else None
    p95_s = percentile(scored.delays_s(), 0.95)
    per_root = scored.alertable / scored.roots if scored.roots else None
    figures = [
        Figure(
            "false faults from our own outages", scored.false_of_ours, "0", not scored.false_of_ours
        ),
        Figure(
            "false faults per 1,000 device-weeks",
            round(scored.false_per_1000_device_weeks, 2),
            f"at most {MOST_FALSE_PER_1000:g}, or a single one",
            scored.false_per_1000_device_weeks <= MOST_FALSE_PER_1000
            or len(scored.false) + len(scored.wrong) - scored.false_of_ours <= 1,
        ),
        Figure(
            "faults found with the right code",
            None if share is None else round(share, 4),
            f"at least {LEAST_FOUND:g}",
            share is None or share >= LEAST_FOUND,
        ),
        Figure(
            "of the safety tier",
            None if safety is None else round(safety, 4),
            "1",
            safety is None or safety == 1.0,
        ),
        Figure(
            "delay beyond the rule's own, p95 in s",
            p95_s,
            f"at most {MOST_DELAY_S:g}",
            p95_s is None or p95_s <= MOST_DELAY_S,
        ),
        Figure(
            "faults raised before their delay",
            len(scored.early),
            "0",
            not scored.early,
        ),
        Figure(
            "children alerted besides their root",
            len(scored.extra_children),
            "0",
            not scored.extra_children,
        ),
        Figure(
            "alertable faults per independent cause",
            None if per_root is None else round(per_root, 3),
            f"at most {MOST_PER_ROOT:g}",
            per_root is None or per_root <= MOST_PER_ROOT,
        ),
        Figure("injections that befell nobody", graded.not_injected, "0", not graded.not_injected),
    ]
    if scored.per_cut:
        worst = max(scored.per_cut.values(), key=lambda count: abs(count - 1))
        held = all(count == 1 for count in scored.per_cut.values())
        figures.append(Figure("alertable faults of a power cut, the worst", worst, "1", held))
    if graded.broker:
        lost, left = graded.lost, graded.unaccounted
        figures.append(Figure("messages lost behind the broker", lost, "0", not lost))
        figures.append(Figure("messages that nobody accounts for", left, "0", not left))
    return figures


def _as_text(graded: Graded, figures: Sequence[Figure]) -> str:
    scored = graded.scored
    took = f"written in {graded.writing_s:.0f} s, judged in {graded.judging_s:.0f} s"
    if graded.broker:
        took = (
            f"live over {graded.broker} for {graded.writing_s:.0f} s, all judged"
            f" {graded.judging_s:.0f} s after"
        )
    lines = [
        f"{graded.name}, seed {graded.seed}: {len(graded.facts)} facts in {graded.messages:,}"
        f" messages, {scored.device_weeks:.1f} device-weeks; {took}",
        table(scored),
        "",
        *(
            f"{'held  ' if figure.held else 'MISSED'}  {figure.name}: {figure.measured}"
            f" (asked: {figure.asked})"
            for figure in figures
        ),
        "",
        *_listed(scored),
    ]
    return "\n".join(lines)


def _listed(scored: Score) -> Iterator[str]:
    """What went wrong, each with its device and time."""
    for name, found in (
        ("missed", scored.missed),
        ("false", scored.false),
        ("wrong", scored.wrong),
        ("early", scored.early),
        ("extra child", scored.extra_children),
    ):
        for one in found[:MOST_LISTED]:
            note = f" ({one.note})" if one.note else ""
            yield f"{name}: {one.code} of {one.subject}, {rfc3339(one.at_ms)}{note}"
        if len(found) > MOST_LISTED:
            yield f"{name}: {len(found) - MOST_LISTED} more; --json has them"


def _run_json(graded: Graded, figures: Sequence[Figure]) -> dict[str, object]:
    live: dict[str, object] = {}
    if graded.broker:
        names = ("broker", "lost", "unaccounted")
        live = {name: getattr(graded, name) for name in names}
    return {
        "seed": graded.seed,
        **live,
        "facts": len(graded.facts),
        "messages": graded.messages,
        "writing_s": round(graded.writing_s, 1),
        "judging_s": round(graded.judging_s, 1),
        "figures": [asdict(figure) for figure in figures],
        "score": as_json(graded.scored),
    }


def percent_told(played: Staged, tell: Callable[[str], None]) -> Callable[[int], None]:
    """Says every tenth of the way how far it is."""
    scenario = played.scenario
    start_ms, duration_ms = scenario.start_ms or 0, scenario.duration_ms or 1
    told = 0

    def progress(at_ms: int) -> None:
        nonlocal told
        tenths = 10 * (at_ms - start_ms) // duration_ms
        if tenths > told:
            told = tenths
            tell(f"{played.name}: {10 * tenths} %")

    return progress
