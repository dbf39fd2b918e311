"""The demo's past: a simulated week, judged chunk by chunk by the same judge as the present.

A chunk is one hour of simulated time in a journal file of its own. Its file gets its name when it
is whole, and is removed when everything in it is judged, forwarded and reported:

    1. write chunk N to a nameless file; rename it
    2. judge it (its cursor commits with the effects), forward the readings of the last day
    3. report that N is done; remove the file

Killed anywhere, the next start finds the file or does not, and goes on: nothing is judged twice.
The plan is a row of `progress`; without one there is no history to fill in.
"""

import os
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection, Engine

from courtyard.clock import now_ms
from courtyard.collector import let_rest
from courtyard.errors import DONE
from courtyard.settings import Settings, secret_key
from courtyard.signals import stop_on_signals, stop_with_parent
from courtyard.simulation import District, JournalSink
from courtyard.stores import open_operational, open_telemetry
from devices.catalogue import rules_for
from devices.credentials import Seal
from devices.journal import Head, Record
from devices.kinds import KINDS
from devices.store import progress
from devices.store.cursors import ForwardCursor
from devices.store.database import reading, writing
from devices.store.journal import JournalReader, JournalWriter
from devices.store.judgements import Judgements
from devices.store.telemetry import TelemetryStore
from ingest.consume import Consumer
from ingest.forward import Forwarder
from ingest.judge.plan import plans
from simulators.fleet import Fleet
from simulators.history import PROBE_MS, write_history

DAYS = 7
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Every commit writes each device that moved: rare ones cost a third less CPU in all. While one is
# under way, some 0.2 s, the present waits for its turn at the database.
COMMIT_MESSAGES = 20_000
COMMIT_AFTER_S = 30.0
NICEST = 19
TOLD_EVERY_PERCENT = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be filled in. next_ms: all before it is done."""

    stream: str
    start_ms: int
    end_ms: int
    next_ms: int
    seed: int
    vendors: float
    compounds: int | None
    finished: bool = False

    @property
    def district(self) -> District:
        return District(
            compounds=self.compounds, seed=self.seed, vendors=self.vendors, rates="history"
        )

    @property
    def hours(self) -> int:
        return (self.end_ms - self.start_ms) // HOUR_MS

    @property
    def hours_done(self) -> int:
        return (self.next_ms - self.start_ms) // HOUR_MS


def plan_history(connection: Connection, district: District, at_ms: int) -> None:
    """Put down that the week before the current hour is to be filled in."""
    end_ms = at_ms - at_ms % HOUR_MS
    start_ms = end_ms - DAYS * DAY_MS
    plan = Plan(
        stream=f"history-{end_ms // HOUR_MS}",
        start_ms=start_ms,
        end_ms=end_ms,
        next_ms=start_ms,
        seed=district.seed,
        vendors=district.vendors,
        compounds=district.compounds,
    )
    _report(connection, plan)


def read_plan(connection: Connection) -> Plan | None:
    """The plan as it stands; None where there is no history to fill in."""
    row = progress.read(connection, progress.HISTORY)
    return None if row is None else msgspec.convert(row.body, Plan)


def run_backfill(settings: Settings, *, with_parent: bool) -> int:
    """Fills in what is missing of the planned history; gives the exit code."""
    os.nice(NICEST)
    let_rest()
    stop = threading.Event()
    stop_on_signals(stop)
    if with_parent:
        stop_with_parent(stop)
    engine = open_operational(settings)
    telemetry = open_telemetry(settings)
    try:
        with reading(engine) as connection:
            plan = read_plan(connection)
        if plan is None or plan.finished:
            return DONE
        seal = Seal(secret_key(settings))
        Backfill(engine, telemetry, settings.data_dir / "history", plan, stop, seal).run()
    finally:
        telemetry.close()
        engine.dispose()
    return DONE


class Backfill:
    """One run of it, from where the plan stands until the end or `stop`."""

    def __init__(
        self,
        engine: Engine,
        telemetry: TelemetryStore,
        directory: Path,
        plan: Plan,
        stop: threading.Event,
        seal: Seal | None = None,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._plan = plan
        self._stop = stop
        self._fleet: Fleet | None = None
        self._judgements = Judgements(engine, plan.stream, plan.stream)
        self._consumer = Consumer(
            self._judgements,
            plans(rules_for, KINDS),
            now_ms,
            stream=plan.stream,
            commit_after_s=COMMIT_AFTER_S,
            commit_messages=COMMIT_MESSAGES,
            at_once=False,
            seal=seal,
        )
        self._forwarder = Forwarder(
            telemetry,
            ForwardCursor(engine, f"{plan.stream}-forward"),
            self._judgements.registry,
            now_ms,
            since_ms=plan.end_ms - DAY_MS,
            seal=seal,
        )

    def run(self) -> None:
        """Goes on until the plan is done; returns early when stopped."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear(keep=self._chunk_file())
        while self._plan.next_ms < self._plan.end_ms:
            file = self._chunk_file()
            if not ((file.exists() or self._write(file)) and self._judge(file)):
                return
            self._done()
            self._clear()
        log.info("history_is_complete", days=DAYS)

    def _write(self, file: Path) -> bool:
        """The next chunk into `file`; False when stopped, and then there is no file."""
        plan, end_ms = self._plan, self._chunk_end_ms()
        if self._fleet is None:
            self._fleet = plan.district.fleet(plan.next_ms)
        unnamed = file.with_suffix(".part")
        with JournalWriter(unnamed, now_ms) as writer:
            written = write_history(
                self._fleet,
                plan.next_ms,
                end_ms,
                JournalSink(writer),
                first_probe=1 + plan.hours_done * HOUR_MS // PROBE_MS,
                opens=plan.next_ms == plan.start_ms,
                closes=end_ms == plan.end_ms,
                stop=self._stop.is_set,
            )
        if written.to_ms < end_ms:
            return False
        unnamed.rename(file)
        return True

    def _judge(self, file: Path) -> bool:
        """All of the chunk judged, and its readings of the last day stored; False when stopped."""
        with JournalReader(file) as reader:
            source = _UntilStopped(reader, self._stop)
            self._consumer.drain(source)
            if self._chunk_end_ms() > self._plan.end_ms - DAY_MS:
                self._forwarder.drain(source, self._stop)
        return not self._stop.is_set()

    def _done(self) -> None:
        """The chunk is done; the last one ends the history."""
        plan = replace(self._plan, next_ms=self._chunk_end_ms())
        if plan.next_ms == plan.end_ms:
            self._consumer.finish(plan.end_ms)
            self._judgements.forget_stream()
            plan = replace(plan, finished=True)
        with writing(self._engine) as connection:
            _report(connection, plan)
        percent, before = (100 * at.hours_done // at.hours for at in (plan, self._plan))
        if percent // TOLD_EVERY_PERCENT > before // TOLD_EVERY_PERCENT:
            log.info("history_fills_in", percent=percent, hours=plan.hours_done, of=plan.hours)
        self._plan = plan

    def _clear(self, keep: Path | None = None) -> None:
        """Away with chunks that are done, and with what was half written."""
        for file in self._directory.iterdir():
            if file != keep:
                file.unlink()

    def _chunk_file(self) -> Path:
        return self._directory / f"{self._plan.next_ms}.db"

    def _chunk_end_ms(self) -> int:
        return min(self._plan.next_ms + HOUR_MS, self._plan.end_ms)


class _UntilStopped:
    """A journal that has no more once `stop` is set, so that whoever drains it ends."""

    def __init__(self, journal: JournalReader, stop: threading.Event) -> None:
        self._journal = journal
        self._stop = stop

    def head(self) -> Head:
        return self._journal.head()

    def read(self, after: int, limit: int) -> list[Record]:
        return [] if self._stop.is_set() else self._journal.read(after, limit)


def _report(connection: Connection, plan: Plan) -> None:
    progress.report(
        connection, progress.HISTORY, plan.hours_done, plan.hours, asdict(plan), now_ms()
    )
