"""Graded runs: simulated time into a journal, the judge over it, and its faults against the truth.

Each run has a data directory of its own and takes nothing from the settings. The journal is written
and judged in turns of one simulated hour and trimmed behind the judge, so that a week of the whole
district needs no more disk than an hour of it.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from courtyard.collector import let_rest
from courtyard.score import score_database
from courtyard.simulation import JournalSink
from devices.catalogue import rules_for
from devices.judgement import LIVE
from devices.kinds import KINDS
from devices.registry import Registry
from devices.store import registry as registry_rows
from devices.store.database import open_database, upgrade, writing
from devices.store.journal import JournalReader, JournalWriter
from devices.store.judgements import Judgements
from ingest.consume import Consumer
from ingest.judge.plan import plans
from simulators.fleet import Fleet
from simulators.history import write_history
from simulators.scoring import Score
from simulators.truth import Fact

HOUR_MS = 3_600_000
COMMIT_MESSAGES = 20_000
COMMIT_AFTER_S = 30.0

MakeFleet = Callable[[Callable[[Fact], None]], Fleet]


@dataclass(slots=True)
class _SimulatedNow:
    """The clock of a run: the judge lives in the time of its messages."""

    at_ms: int

    def __call__(self) -> int:
        return self.at_ms


@dataclass(frozen=True, slots=True)
class Graded:
    """A run and its score. seconds: how long writing and judging took; of the wall clock."""

    scored: Score
    facts: list[Fact]
    messages: int
    writing_s: float
    judging_s: float


def grade(
    registry: Registry,
    make_fleet: MakeFleet,
    start_ms: int,
    end_ms: int,
    *,
    directory: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Graded:
    """Simulates [start_ms, end_ms), judges it as it would be live, and grades the faults.

    make_fleet: builds the fleet, with the truth that it is to tell. directory: kept if given.
    """
    let_rest()
    facts: list[Fact] = []
    with tempfile.TemporaryDirectory(prefix="courtyard-grading-") as thrown_away:
        where = directory or Path(thrown_away)
        now = _SimulatedNow(start_ms)
        engine = open_database(f"sqlite:///{where / 'courtyard.db'}")
        try:
            upgrade(engine)
            with writing(engine) as connection:
                registry_rows.save(connection, registry, start_ms)
            fleet = make_fleet(facts.append)
            judgements = Judgements(engine, LIVE)
            consumer = Consumer(
                judgements,
                plans(rules_for, KINDS),
                now,
                stream=LIVE,
                commit_after_s=COMMIT_AFTER_S,
                commit_messages=COMMIT_MESSAGES,
                at_once=False,
            )
            messages, writing_s, judging_s = _run(
                fleet, consumer, where / "journal.db", now, start_ms, end_ms, progress
            )
            scored = score_database(engine, facts, (start_ms, end_ms))
        finally:
            engine.dispose()
    return Graded(scored, facts, messages, writing_s, judging_s)


def _run(
    fleet: Fleet,
    consumer: Consumer,
    journal: Path,
    now: _SimulatedNow,
    start_ms: int,
    end_ms: int,
    progress: Callable[[int], None],
) -> tuple[int, float, float]:
    """(messages, seconds of writing, seconds of judging), wall clock."""
    messages, writing_s, judging_s = 0, 0.0, 0.0
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
            )
            now.at_ms = until_ms
            wrote_s = time.monotonic()
            consumer.drain(reader)
            judging_s += time.monotonic() - wrote_s
            writing_s += wrote_s - began_s
            _trim(writer, until_ms, consumer.progress.position)
            messages += written.messages
            at_ms, probe = until_ms, written.next_probe
            progress(at_ms)
    return messages, writing_s, judging_s


def _trim(writer: JournalWriter, before_ms: int, passed_id: int) -> None:
    while writer.trim(before_ms, passed_id):
        pass
