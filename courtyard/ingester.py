"""`courtyard ingest`: receive, judge and forward in one process, or some of them.

Receive needs the broker and the journal alone and starts first: no database that is away may keep
messages out. Judge and forward start when the database is there. What ends, ends in the order in
which messages flow, within 10 s: receive commits and acknowledges, the followers commit or leave it
to the next start, then the stores are closed.
"""

import hmac
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from courtyard import readings
from courtyard.broker import BrokerUnavailable, EmbeddedBroker
from courtyard.broker_address import broker_address
from courtyard.clock import now_ms
from courtyard.collector import let_rest
from courtyard.errors import DONE, FAILED, CommandError
from courtyard.journals import FollowedJournal
from courtyard.metrics import (
    Gathered,
    MeteredJournal,
    MeteredJudgements,
    TimedTelemetry,
    counter,
    gauge,
    serve,
    write_seconds,
)
from courtyard.origin import Origins
from courtyard.retention import may_go
from courtyard.settings import INGEST_METRICS_PORT, Settings, secret_key
from courtyard.signals import stop_on_signals, stop_with_parent
from courtyard.stores import Stopped, make_data_dir, open_operational, open_telemetry, until_there
from courtyard.upkeep import Upkeep
from courtyard.usage_days import UsageDaysWorker
from devices.catalogue import rules_for
from devices.credentials import Seal
from devices.kinds import KINDS
from devices.registry import Registry
from devices.store import cursors
from devices.store.backup import last_finished
from devices.store.cursors import EmbeddedForwardCursor, ForwardCursor
from devices.store.database import (
    DatabaseAway,
    DatabaseUnusable,
    answering,
    look_for_damage,
    reading,
)
from devices.store.journal import JournalDamaged, JournalError, JournalWriter
from devices.store.judgements import CursorMoved
from devices.store.note import Note
from devices.store.readings import KeptReadings
from devices.store.registry import load, newest_revision
from devices.store.schema import LIVE
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.store.usage_again import UsageAgain
from devices.sun import lighting_hours
from ingest import receipts
from ingest.adapters import ADAPTERS
from ingest.blame import Blame
from ingest.broker_url import BrokerAddress
from ingest.consume import Consumer
from ingest.decoding import SharedDecodes
from ingest.forward import Forwarder
from ingest.judge.plan import plans
from ingest.ports import Bell
from ingest.receipts import Receipt
from ingest.receive import Receiver
from ingest.recount import Recounter

RECEIVE, JUDGE, FORWARD = "receive", "judge", "forward"
RECEIVE_STOP_S = 5.0
FOLLOWERS_STOP_S = 4.0
REGISTRY_EVERY_S = 2.0
TRIM_EVERY_S = 60.0
TRIM_PRESSED_EVERY_S = 2.0  # while the disk runs full
LOOK_S = 2.0  # for bad pages of the database, at the start; who reads them later says so then
LISTEN_EVERY_S = 0.1  # to a journal that another process writes

log = structlog.get_logger()


def run_ingest(settings: Settings, parts: frozenset[str], *, with_parent: bool) -> int:
    """Runs until SIGTERM or SIGINT; gives the exit code: 1 when a part cannot go on."""
    let_rest()
    stop = threading.Event()
    stop_on_signals(stop)
    if with_parent:
        stop_with_parent(stop)
    ingester = Ingester(settings, parts, stop)
    try:
        return ingester.run()
    except Stopped:
        return DONE


@dataclass(slots=True)
class _Workers:
    """Threads that run until `stop`; one that fails ends the process, in `failed`."""

    stop: threading.Event
    failed: Callable[[], None]
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, name: str, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                work()
            except (CursorMoved, DatabaseUnusable, JournalDamaged) as error:
                log.error("part_stops", name=name, reason=str(error))  # noqa: TRY400 - it says all
                self.failed()
            except Exception as error:
                log.exception("part_died", name=name, error=str(error))
                self.failed()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        for thread in self.threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
            if thread.is_alive():
                log.warning("part_did_not_end", name=thread.name)


class Ingester:
    """One ingest process."""

    def __init__(self, settings: Settings, parts: frozenset[str], stop: threading.Event) -> None:
        self._settings = settings
        self._parts = parts
        self._stop = stop
        self._code = DONE
        self._bell = Bell()
        self._origins = Origins(Registry())
        self._journal = FollowedJournal(settings.journal_path)
        self._upkeep = Upkeep(settings, self._journal)
        self._metrics = CollectorRegistry(auto_describe=False)
        self._write_seconds = write_seconds(self._metrics)
        self._sources: dict[str, Callable[[], Iterable[Metric]]] = {}
        self._writer: JournalWriter | None = None
        self._receiver: Receiver | None = None
        self._consumer: Consumer | None = None
        self._forwarder: Forwarder | None = None
        self._receipts_unsent = False

    def run(self) -> int:
        settings, stop = self._settings, self._stop
        make_data_dir(settings)
        with ExitStack() as stack:
            if RECEIVE in self._parts:  # first: a second ingest is told of the first, not of a port
                self._writer = stack.enter_context(JournalWriter(settings.journal_path, now_ms))
            port = settings.metrics_port_or(INGEST_METRICS_PORT)
            end_metrics = serve(settings.metrics_host, port, self._metrics)
            stack.callback(end_metrics)
            self._metrics.register(Gathered(self._sources))
            self._sources["journal"] = self._journal_metrics
            self._sources["upkeep"] = self._upkeep.metrics
            stack.callback(self._journal.close)
            engine = self._first_look()
            if RECEIVE in self._parts:
                stack.callback(self._stop_receiver)
                self._start_receiver(stack)
            followers_stop = threading.Event()
            workers = _Workers(followers_stop, self._fail)
            workers.start("look", lambda: self._upkeep.monitor.run(followers_stop))
            if engine is None:
                engine = until_there(lambda: open_operational(settings), stop, "database_away")
            stack.callback(engine.dispose)
            look_for_damage(engine, LOOK_S)
            self._start_followers(engine, workers, stack)
            log.info("ingest_runs", parts=sorted(self._parts))
            stop.wait()
            log.info("ingest_ends")
            self._stop_receiver()
            followers_stop.set()
            self._bell.ring()
            workers.join(FOLLOWERS_STOP_S)
        return self._code

    def _fail(self) -> None:
        self._code = FAILED
        self._stop.set()

    def _first_look(self) -> Engine | None:
        """The database if it answers at once, and with it the registry for the first message."""
        try:
            engine = open_operational(self._settings)
            with reading(engine) as connection:
                self._origins.use(load(connection))
        except (OperationalError, InterfaceError):
            return None
        return engine

    # -- receive

    def _start_receiver(self, stack: ExitStack) -> None:
        settings, writer = self._settings, self._writer
        assert writer is not None
        # Nobody who does not have the key can guess the client id, and so take our session over.
        instance = hmac.digest(secret_key(settings), b"ingest", "sha256").hex()[:16]
        self._receiver = receiver = Receiver(
            self._broker(stack),
            self._upkeep.guarded(writer),
            now_ms,
            self._origins,
            [name for adapter in ADAPTERS.values() for name in adapter.filters],
            instance,
            committed=self._bell.ring,
            on_stuck=self._fail,
            mqtt=settings.broker_mqtt,
        )
        receiver.start()
        self._sources["receive"] = self._receive_metrics

    def _broker(self, stack: ExitStack) -> BrokerAddress:
        if self._settings.broker_url.get_secret_value():
            return broker_address(self._settings)
        broker = EmbeddedBroker(self._settings.data_dir)
        try:
            running = broker.start()
        except BrokerUnavailable as error:
            raise CommandError(str(error)) from None
        stack.callback(broker.stop)
        log.info("broker_listens", broker=running.name, at=f"{running.host}:{running.port}")
        return BrokerAddress(running.host, running.port)

    def _stop_receiver(self) -> None:
        if self._receiver is not None:
            self._receiver.stop(RECEIVE_STOP_S)

    # -- judge and forward

    def _start_followers(self, engine: Engine, workers: _Workers, stack: ExitStack) -> None:
        stop = workers.stop
        decodes = SharedDecodes() if {JUDGE, FORWARD} <= self._parts else None
        judging = self._blame(JUDGE, stack) if JUDGE in self._parts else None
        if FORWARD in self._parts:
            telemetry = open_telemetry(self._settings)
            stack.callback(telemetry.close)
            store = "influxdb" if self._settings.influxdb_url else "embedded"
            self._forwarder = forwarder = Forwarder(
                TimedTelemetry(telemetry, store, self._write_seconds),
                (
                    EmbeddedForwardCursor(engine, telemetry)
                    if isinstance(telemetry, EmbeddedTelemetry)
                    else ForwardCursor(engine)
                ),
                lambda: _load_registry(engine),
                now_ms,
                decodes=decodes,
                blame=self._blame(FORWARD, stack, first=judging),
                seal=Seal(secret_key(self._settings)),
            )
            self._upkeep.watch_forward(forwarder, telemetry, engine)
            workers.start(FORWARD, lambda: forwarder.run(self._journal, self._bell, stop))
            kept = KeptReadings(engine)
            recounter = Recounter(
                UsageAgain(engine),
                telemetry,
                plans(rules_for, KINDS),
                lighting_hours,
                now_ms,
                kept.from_ms,
            )
            workers.start("recount", lambda: recounter.run(stop))
            retention = readings.retention(self._settings, telemetry, kept, now_ms)
            self._sources["readings"] = retention.metrics
            first_s = 0.0 if self._settings.influxdb_url else readings.FIRST_AFTER_S
            workers.start("readings", lambda: readings.run(retention, stop, first_s))
        if JUDGE in self._parts:
            judgements = MeteredJudgements(engine, now_ms, self._metrics, self._write_seconds)
            self._consumer = consumer = Consumer(
                judgements,
                plans(rules_for, KINDS),
                now_ms,
                stream=LIVE,
                decodes=decodes,
                blame=judging,
                find=self._journal.find,
                receipts=self._send_receipts,
                seal=Seal(secret_key(self._settings)),
            )
            self._sources["judge"] = lambda: _judge_metrics(judgements)
            source = MeteredJournal(self._journal, judgements)
            workers.start(JUDGE, lambda: consumer.run(source, self._bell, stop))
            usage_days = UsageDaysWorker(engine, now_ms)
            workers.start("usage_days", lambda: usage_days.run(stop))
        if self._writer is not None:
            writer = self._writer
            workers.start("registry", lambda: self._follow_registry(engine, stop))
            workers.start("trim", lambda: self._trim(engine, writer, stop))
            self._upkeep.audit_accounts(engine)
        else:
            workers.start("listen", lambda: self._listen(stop))
        workers.start("rows", lambda: self._upkeep.run_rows(engine, stop))
        workers.start("audit", lambda: self._upkeep.run_audit(self._newest_judged_ms, stop))

    def _newest_judged_ms(self) -> int:
        return 0 if self._consumer is None else self._consumer.progress.newest_received_ms

    def _blame(self, part: str, stack: ExitStack, first: Blame | None = None) -> Blame:
        """What this part had in hand when the process died, if it did."""
        note = Note(self._settings.data_dir / f"{part}.note")
        stack.callback(note.close)
        return Blame(note, first)

    def _send_receipts(self, stored: Sequence[Receipt]) -> None:
        if self._receiver is not None:
            self._receiver.send([receipts.message(one) for one in stored])
        elif not self._receipts_unsent:
            self._receipts_unsent = True
            log.warning(
                "receipts_not_sent",
                devices=len(stored),
                then="run receive and judge in one process: a judge alone has no connection",
            )

    def _follow_registry(self, engine: Engine, stop: threading.Event) -> None:
        away = False
        while not stop.wait(REGISTRY_EVERY_S):
            try:
                with answering(), reading(engine) as connection:
                    if newest_revision(connection) == self._origins.revision:
                        continue
                    self._origins.use(load(connection))
            except DatabaseAway:
                if not away:
                    log.warning("registry_not_looked_at", then="the last one known is used")
                away = True
                continue
            away = False

    def _trim(self, engine: Engine, writer: JournalWriter, stop: threading.Event) -> None:
        retention_s = self._settings.journal_retention.total_seconds()
        retention_ms = int(retention_s * 1000)
        every_s = min(TRIM_EVERY_S, retention_s)
        due_s = time.monotonic() + every_s
        while not stop.wait(min(TRIM_PRESSED_EVERY_S, every_s)):
            pressed = self._upkeep.presses
            if not pressed and time.monotonic() < due_s:
                continue
            due_s = time.monotonic() + every_s
            try:
                trim(engine, writer, 0 if pressed else retention_ms, now_ms(), stop)
                while pressed and not stop.is_set() and writer.give_back():
                    pass
            except (DatabaseAway, JournalError) as error:
                log.warning("journal_not_trimmed", reason=str(error))

    def _listen(self, stop: threading.Event) -> None:
        """Rings when the journal grew, where another process writes it."""
        seen = -1
        while not stop.wait(LISTEN_EVERY_S):
            try:
                head = self._journal.head().id
            except JournalError:
                continue  # whoever reads it says so
            if head != seen:
                seen = head
                self._bell.ring()

    # -- metrics

    def _receive_metrics(self) -> Iterable[Metric]:
        assert self._receiver is not None
        status = self._receiver.status()
        counters = status.counters
        yield counter(
            "courtyard_messages_received", "Messages in the journal.", {(): counters.messages}
        )
        yield counter(
            "courtyard_acks_dropped",
            "Acknowledgements of an older connection; the broker sends the messages again.",
            {(): counters.acks_dropped},
        )
        yield gauge(
            "courtyard_broker_connected", "1 while subscribed.", {(): float(status.subscribed)}
        )

    def _journal_metrics(self) -> Iterable[Metric]:
        yield gauge("courtyard_journal_bytes", "On the disk.", {(): self._journal.size_bytes()})
        head = self._journal.head()
        now = now_ms()
        lags: dict[tuple[str, ...], float] = {}
        for name, follower in ((JUDGE, self._consumer), (FORWARD, self._forwarder)):
            if follower is None:
                continue
            progress = follower.progress
            is_behind = progress.position < head.id and progress.newest_received_ms
            lags[name,] = (now - progress.newest_received_ms) / 1000 if is_behind else 0.0
        yield gauge(
            "courtyard_journal_lag_seconds", "How far a follower is behind.", lags, "consumer"
        )


def _load_registry(engine: Engine) -> Registry:
    with answering(), reading(engine) as connection:
        return load(connection)


def trim(
    engine: Engine, writer: JournalWriter, retention_ms: int, at_ms: int, stop: threading.Event
) -> None:
    """Let the journal forget what nobody needs. Raises DatabaseAway, JournalError: it stays."""
    journal_id = writer.head().journal_id
    passed_id = _passed_by_all(engine, journal_id)
    if passed_id is None:
        return
    with answering(), reading(engine) as connection:
        covered = last_finished(connection)
    for before_ms, up_to in may_go(passed_id, journal_id, covered, retention_ms, at_ms):
        while writer.trim(before_ms, up_to) and not stop.is_set():
            pass


def _passed_by_all(engine: Engine, journal_id: str) -> int | None:
    """The newest record that judge and forward have passed; None if one never read this journal."""
    with answering(), reading(engine) as connection:
        positions = [cursors.load(connection, name) for name in (JUDGE, FORWARD)]
    if any(at is None or at.journal_id != journal_id for at in positions):
        return None
    return min(at.position for at in positions if at is not None)


def _judge_metrics(judgements: MeteredJudgements) -> Iterable[Metric]:
    outcomes: dict[tuple[str, ...], float] = {
        (outcome,): count for outcome, count in judgements.outcomes.items()
    }
    yield counter("courtyard_messages", "Messages by what became of them.", outcomes, "outcome")
