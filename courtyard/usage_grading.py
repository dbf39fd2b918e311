"""Graded usage: a scripted month through the product's own parts, against what really happened.

    1. the simulators write an hour of simulated time into a journal, and into a diary what they did
    2. the judge judges it, forward writes it into a telemetry store, what came late is worked out
       again, and days that are over or have changed are summed up
    3. at the end the figures of each day are read as the API reads them, and held against the diary

The clock is that of the simulation, so that days become final as they would. Each run has a data
directory of its own and takes nothing from the settings.
"""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from sqlalchemy import Engine, event

from courtyard.errors import DONE, FAILED, CommandError, UsageError
from courtyard.grading import COMMIT_AFTER_S, COMMIT_MESSAGES, SimulatedNow, percent_told, staged
from courtyard.simulation import JournalSink, Staged
from devices.catalogue import rules_for
from devices.days import days_from, midnight_of, next_midnight, zone_of
from devices.judgement import LIVE
from devices.kinds import KINDS
from devices.store import registry as registry_rows
from devices.store.compounds import read_directory
from devices.store.cursors import ForwardCursor
from devices.store.database import open_database, reading, upgrade, writing
from devices.store.journal import JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.scope import DISTRICT
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.usage_again import UsageAgain
from devices.store.usage_days import UsageDays, in_portions, sums_of_compound
from devices.sun import lighting_hours
from ingest.consume import Consumer
from ingest.forward import Forwarder
from ingest.judge.plan import plans
from ingest.ports import Bell
from ingest.recount import Recounter
from simulators import scoring
from simulators.diary import Diary
from simulators.history import Reception, write_history
from simulators.native import rfc3339
from simulators.truth import Fact, written_to
from simulators.usage_scoring import Key, Row, Said, score

HOUR_MS = 3_600_000
USUAL = "usage-month"
# A day is graded when it began so long after the start that every charge had begun, too, and ended
# so long before the end that all that was kept has come.
AFTER_START_MS = 12 * HOUR_MS
BEFORE_END_MS = 6 * HOUR_MS
MOST_LISTED = 20


@dataclass(slots=True)
class UsageGraded:
    """A run and its figures. days: local midnights of those that are graded.

    late_hours: device-hours that were worked out again; lost: messages that never arrived.
    """

    name: str
    seed: int
    compounds: int
    days: Sequence[int]
    rows: Sequence[Row]
    facts: Sequence[Fact]
    diary: Diary
    messages: int
    lost: int
    late_hours: int
    not_injected: int
    took_s: dict[str, float] = field(default_factory=dict)

    @property
    def missed(self) -> list[Row]:
        return [row for row in self.rows if not row.held]


def run_usage_graded(
    name: str,
    seed: int | None,
    keep: Path | None,
    *,
    in_json: bool,
    tell: Callable[[str], None],
) -> int:
    """Plays and grades a scenario, prints its figures; FAILED where one is missed."""
    played = staged(name, seed)
    if keep is not None:
        try:
            keep.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise CommandError(f"--keep: {keep} cannot be made: {error.strerror}") from None
    tell(f"{played.name}, seed {played.seed}: simulated, judged, stored and summed up …")
    graded = grade_usage(played, directory=keep, progress=percent_told(played, tell))
    typer.echo(json.dumps(as_json(graded)) if in_json else "\n".join(as_text(graded)))
    return FAILED if graded.missed or graded.not_injected else DONE


def grade_usage(
    played: Staged,
    *,
    directory: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> UsageGraded:
    """Plays a scenario through journal, judge, forward, telemetry store and sums; grades it.

    directory: an empty one, which is kept, with `truth.jsonl`; else all is thrown away. Raises
    UsageError when no whole day would be graded.
    """
    scenario = played.scenario
    assert scenario.start_ms is not None and scenario.duration_ms is not None  # noqa: PT018
    start_ms, end_ms = scenario.start_ms, scenario.start_ms + scenario.duration_ms
    registry = played.registry()
    zone = zone_of(next(iter(registry.compounds.values())).timezone)
    days = [
        day_ms
        for day_ms in days_from(midnight_of(start_ms, zone), end_ms, zone)
        if day_ms >= start_ms + AFTER_START_MS
        and next_midnight(day_ms, zone) <= end_ms - BEFORE_END_MS
    ]
    if not days:
        raise UsageError(f"--usage: {scenario.name} has no whole day, 12 h after its start on")
    with tempfile.TemporaryDirectory(prefix="courtyard-usage-") as thrown_away:
        where = directory or Path(thrown_away)
        facts: list[Fact] = []
        diary = Diary(start_ms)
        engine = open_database(f"sqlite:///{where / 'courtyard.db'}")
        event.listen(engine, "connect", _without_waiting)
        telemetry = EmbeddedTelemetry(where / "telemetry.db")
        try:
            upgrade(engine)
            with writing(engine) as connection:
                registry_rows.save(connection, registry, start_ms)
            run = _Run(engine, telemetry, played, facts, diary, where / "journal.db")
            run.until(end_ms, progress)
            run.fleet.write_off()
            by_day, by_hour = said_of(engine, days, end_ms)
        finally:
            telemetry.close()
            engine.dispose()
        rows = score(diary, registry, days, by_day, by_hour)
        if directory is not None:
            with (directory / "truth.jsonl").open("wb") as file:
                write = written_to(file)
                for fact in (*facts, *diary.facts()):
                    write(fact)
    return UsageGraded(
        played.name,
        played.seed,
        len(registry.compounds),
        days,
        rows,
        facts,
        diary,
        run.messages,
        sum(diary.lost.values()),
        run.late_hours,
        len(run.fleet.not_injected),
        run.took_s,
    )


def _without_waiting(connection: Any, _record: object) -> None:
    """No fsync: a run that is killed begins anew, and a month has a hundred thousand commits."""
    connection.execute("PRAGMA synchronous = OFF")


class _CaughtUp(Bell):
    """Ends whoever waits for something new to read."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = threading.Event()

    def wait(self, heard: int, timeout_s: float) -> int:  # noqa: ARG002 - nothing will come
        self.stop.set()
        return heard


class _Run:
    """The parts, in the order in which they depend on each other, an hour at a time."""

    def __init__(
        self,
        engine: Engine,
        telemetry: EmbeddedTelemetry,
        played: Staged,
        facts: list[Fact],
        diary: Diary,
        journal: Path,
    ) -> None:
        scenario = played.scenario
        assert scenario.start_ms is not None
        self.start_ms = scenario.start_ms
        self.fleet = played.fleet(self.start_ms, facts.append, diary)
        self.messages = 0
        self.late_hours = 0
        self.took_s = {"writing": 0.0, "judging": 0.0, "forwarding": 0.0, "again": 0.0, "sums": 0.0}
        self._now = now = SimulatedNow(self.start_ms)
        self._journal = journal
        self._reception = Reception(self.fleet, self.start_ms, played.troubles(self.start_ms))
        judgements = Judgements(engine, LIVE)
        self._consumer = Consumer(
            judgements,
            plans(rules_for, KINDS),
            now,
            stream=LIVE,
            commit_after_s=COMMIT_AFTER_S,
            commit_messages=COMMIT_MESSAGES,
            at_once=False,
        )
        self._forwarder = Forwarder(
            telemetry,
            ForwardCursor(engine),
            judgements.registry,
            now,
            gather_s=0.0,
            monotonic=lambda: now.at_ms / 1000,
        )
        self._recounter = Recounter(
            UsageAgain(engine), telemetry, plans(rules_for, KINDS), lighting_hours, now
        )
        self._days = UsageDays(engine)
        self._went_on_s = time.monotonic()

    def until(self, end_ms: int, progress: Callable[[int], None]) -> None:
        with (
            JournalWriter(self._journal, self._now) as writer,
            JournalReader(self._journal) as reader,
        ):
            at_ms, probe = self.start_ms, 1
            while at_ms < end_ms:
                until_ms = min(at_ms + HOUR_MS - at_ms % HOUR_MS, end_ms)
                self._went_on_s = time.monotonic()
                written = write_history(
                    self.fleet,
                    at_ms,
                    until_ms,
                    JournalSink(writer),
                    first_probe=probe,
                    opens=at_ms == self.start_ms,
                    closes=until_ms == end_ms,
                    reception=self._reception,
                )
                self.messages += written.messages
                self._now.at_ms = until_ms
                self._took("writing")
                self._consumer.drain(reader)
                self._took("judging")
                caught_up = _CaughtUp()
                self._forwarder.run(reader, caught_up, caught_up.stop)
                self._took("forwarding")
                while hours := self._recounter.step(threading.Event()):
                    self.late_hours += hours
                self._took("again")
                self._sum_up(until_ms)
                self._took("sums")
                passed = min(self._consumer.progress.position, self._forwarder.progress.position)
                while writer.trim(until_ms, passed):
                    pass
                at_ms, probe = until_ms, written.next_probe
                progress(at_ms)

    def _sum_up(self, now_ms: int) -> None:
        """What is due, and once a day what is missing."""
        due: dict[str, list[int]] = {}
        for compound, day_ms in self._days.due(now_ms):
            due.setdefault(compound, []).append(day_ms)
        works = list(in_portions(due))
        if now_ms // HOUR_MS % 24 == 17:  # 01:00 in Zhengzhou
            works += self._days.missing(now_ms)
        for work in works:
            self._days.build(work, now_ms)
            self._days.build_peaks(work.compound)

    def _took(self, what: str) -> None:
        now_s = time.monotonic()
        self.took_s[what] += now_s - self._went_on_s
        self._went_on_s = now_s


def said_of(
    engine: Engine, days: Sequence[int], now_ms: int
) -> tuple[dict[Key, Said], dict[Key, Said]]:
    """What the API says of each compound and kind, by day and by hour of these days."""
    by_day: dict[Key, Said] = {}
    by_hour: dict[Key, Said] = {}
    with reading(engine) as connection:
        entries = list(read_directory(connection, now_ms).visible(DISTRICT))
    for entry in entries:
        end_ms = next_midnight(days[-1], zone_of(entry.timezone))
        hours = list(range(days[0], end_ms, HOUR_MS))
        for starts, into in ((list(days), by_day), (hours, by_hour)):
            sums = sums_of_compound(engine, DISTRICT, entry, starts, end_ms)
            for at_ms, one in zip(starts, sums, strict=True):
                for kind in entry.devices:
                    part = one.part(kind)
                    amounts = {
                        name: float(amount)
                        for name, amount in part.figures.items()
                        if isinstance(amount, int | float)
                    }
                    into[entry.id, kind, at_ms] = Said(amounts, part.received, part.expected)
    return by_day, by_hour


# -- what is printed


def as_text(graded: UsageGraded) -> Iterator[str]:
    took = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in graded.took_s.items())
    injected = sum(fact.kind not in scoring.OF_THE_RUN for fact in graded.facts)
    yield (
        f"{graded.name}, seed {graded.seed}: {graded.compounds} compounds, {len(graded.days)} days,"
        f" {graded.messages:,} messages, {injected} facts; {graded.lost:,} messages never arrived,"
        f" {graded.late_hours:,} device-hours were worked out again; {took}"
    )
    yield (
        f"{'compound':22} {'figure':17} {'true':>11} {'told':>11} {'off %':>8} {'coverage':>9}"
        f" {'whole days':>10} {'off %':>8} {'lossy':>5} {'missing':>8} {'allowed':>8}"
    )
    for row in graded.rows:
        yield _line(row)
    yield ""
    for name, rows in _by_figure(graded.rows).items():
        total = _total(rows)
        held = all(row.held for row in rows)
        word = "shown " if not rows[0].figure.promised else "held  " if held else "MISSED"
        asked = (
            "exact on whole days, within the coverage on others"
            if rows[0].figure.exact
            else "within 0.5 % of each compound, and within the coverage where messages were lost"
        )
        worst = max(rows, key=lambda row: abs(_whole_off(row)))
        yield (
            f"{word}  {name}: {total.told:,.2f} of {total.true:,.2f},"
            f" {100 * total.share_off:+.3f} %;"
            f" of whole days {100 * _whole_off(total):+.3f} %, at worst"
            f" {100 * _whole_off(worst):+.3f} % ({worst.compound})"
            + (f" (asked: {asked})" if rows[0].figure.promised else "")
        )
    listed = [(row, day, *off) for row in graded.rows for day, off in row.off_days.items()]
    for row, day_ms, true, told in listed[:MOST_LISTED]:
        yield (
            f"not exact: {row.figure.name} of {row.compound} on the day of {rfc3339(day_ms)}:"
            f" {told:g} instead of {true:g}"
        )
    if len(listed) > MOST_LISTED:
        yield f"not exact: {len(listed) - MOST_LISTED} more; --json has them"
    if graded.not_injected:
        yield f"MISSED  {graded.not_injected} injections befell nobody"


def _line(row: Row) -> str:
    coverage = "–" if row.coverage is None else f"{row.coverage:.4f}"
    return (
        f"{row.compound:22} {row.figure.name:17} {row.true:11,.2f} {row.told:11,.2f}"
        f" {100 * row.share_off:+8.3f} {coverage:>9} {row.whole_days:10}"
        f" {100 * _whole_off(row):+8.3f} {row.lossy_days:5} {row.lossy_off:8.2f}"
        f" {row.allowed:8.2f}" + ("" if row.held else "  MISSED")
    )


def _whole_off(row: Row) -> float:
    return (row.whole_told - row.whole_true) / row.whole_true if row.whole_true else 0.0


def _by_figure(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.figure.name, []).append(row)
    return found


def _total(rows: Sequence[Row]) -> Row:
    total = Row("", rows[0].figure)
    for row in rows:
        total.true += row.true
        total.told += row.told
        total.whole_true += row.whole_true
        total.whole_told += row.whole_told
    return total


def as_json(graded: UsageGraded) -> dict[str, object]:
    return {
        "scenario": graded.name,
        "seed": graded.seed,
        "compounds": graded.compounds,
        "days": [rfc3339(day_ms) for day_ms in graded.days],
        "messages": graded.messages,
        "never_arrived": graded.lost,
        "worked_out_again": graded.late_hours,
        "not_injected": graded.not_injected,
        "took_s": {what: round(seconds, 1) for what, seconds in graded.took_s.items()},
        "held": not graded.missed and not graded.not_injected,
        "figures": [
            {
                "compound": row.compound,
                "figure": row.figure.name,
                "true": row.true,
                "told": row.told,
                "share_off": row.share_off,
                "coverage": row.coverage,
                "whole_days": row.whole_days,
                "whole_share_off": _whole_off(row),
                "worst_whole_day": row.worst_day,
                "lossy_days": row.lossy_days,
                "missing": row.lossy_off,
                "allowed": row.allowed,
                "promised": row.figure.promised,
                "held": row.held,
                "off_days": [
                    {"day": rfc3339(day_ms), "true": true, "told": told}
                    for day_ms, (true, told) in row.off_days.items()
                ],
            }
            for row in graded.rows
        ],
    }
