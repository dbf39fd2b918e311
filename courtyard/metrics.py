"""What ingest tells Prometheus. Base units; no compounds and no devices in labels."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from courtyard.clock import Clock
from courtyard.errors import CommandError
from courtyard.journals import FollowedJournal
from devices.journal import Head, Record
from devices.judgement import Cursor, Effects
from devices.messages import Outcome
from devices.store.judgements import Judgements
from devices.telemetry import Point, TelemetryWriter

log = structlog.get_logger()

Samples = Callable[[], Iterable[Metric]]


@dataclass(frozen=True, eq=False)
class Gathered(Collector):
    """Asks each part for its figures whenever somebody looks; one that fails costs only its own."""

    sources: Mapping[str, Samples]

    def collect(self) -> Iterator[Metric]:
        for name, samples in self.sources.items():
            try:
                yield from list(samples())
            except Exception as error:  # noqa: BLE001 - a store that is away must not hide the rest
                log.warning("metrics_missing", of=name, error=str(error))


def serve(host: str, port: int, registry: CollectorRegistry) -> Callable[[], None]:
    """Serves /metrics on a thread; gives what ends it. Raises CommandError where it cannot."""
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise CommandError(
            f"COURTYARD_METRICS_PORT: cannot listen on {host}:{port} ({error.strerror}); set"
            " another one"
        ) from None

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)

    return end


def write_seconds(registry: CollectorRegistry) -> Histogram:
    """`courtyard_store_write_seconds{store}`."""
    return Histogram(
        "courtyard_store_write_seconds",
        "One write to a store, refused ones included.",
        ["store"],
        buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
        registry=registry,
    )


class TimedTelemetry:
    """A telemetry store whose writes are timed: `courtyard_store_write_seconds{store}`."""

    def __init__(self, writer: TelemetryWriter, store: str, write_seconds: Histogram) -> None:
        self._writer = writer
        self._seconds = write_seconds.labels(store)

    def write(self, points: Sequence[Point]) -> None:
        began_s = time.perf_counter()
        try:
            self._writer.write(points)
        finally:
            self._seconds.observe(time.perf_counter() - began_s)


def counter(name: str, text: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    """A counter family: its value by the values of its labels."""
    family = CounterMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def gauge(name: str, text: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    """A gauge family: its value by the values of its labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


class MeteredJudgements(Judgements):
    """The judge's rows of the live stream, counted and timed as they are committed."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        registry: CollectorRegistry,
        write_seconds: Histogram,
    ) -> None:
        super().__init__(engine)
        self._clock_ms = clock
        self._waiting: deque[tuple[int, int]] = deque()  # record, its oldest receive time
        self.outcomes = {str(outcome): 0 for outcome in Outcome}
        self._ingest_s = Histogram(
            "courtyard_ingest_seconds",
            "From receiving to the committed judgement; the oldest message of each journal record.",
            buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 15, 60, 300),
            registry=registry,
        )
        self._write_s = write_seconds.labels("operational")

    def reads(self, record: Record) -> None:
        """The judge was handed this record."""
        if record.messages:
            self._waiting.append((record.id, record.messages[0].received_ms))

    def commit(self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int) -> Cursor:
        began_s = time.perf_counter()
        cursor = super().commit(effects, journal_id, was, now_ms)
        self._write_s.observe(time.perf_counter() - began_s)
        now_ms = self._clock_ms()
        while self._waiting and self._waiting[0][0] <= cursor.position:
            _, received_ms = self._waiting.popleft()
            self._ingest_s.observe(max(0, now_ms - received_ms) / 1000)
        for (_, _, outcome, _), count in effects.accounts.items():
            # The others are marks on these. What a replay takes back was counted, and stays so.
            if outcome in self.outcomes and count > 0:
                self.outcomes[outcome] += count
        return cursor


class MeteredJournal:
    """The journal as the judge reads it, telling `MeteredJudgements` what it read."""

    def __init__(self, journal: FollowedJournal, meter: MeteredJudgements) -> None:
        self._journal = journal
        self._meter = meter

    def head(self) -> Head:
        return self._journal.head()

    def read(self, after: int, limit: int) -> list[Record]:
        records = self._journal.read(after, limit)
        for record in records:
            self._meter.reads(record)
        return records
