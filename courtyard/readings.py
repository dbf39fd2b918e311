"""Forgets readings that are older than they are to be kept; usage, faults and sessions stay.

    1. put down from when on readings are kept, so that nothing older is worked out again
    2. embedded: delete what is older, a piece at a time, resting three times as long in between
    2. InfluxDB: it forgets by its bucket's rule, which is read here, and set where it is asked for

Killed anywhere, the next round goes on. What is put down never goes back: readings do not return.
"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Protocol

import structlog
from prometheus_client.core import Metric

from courtyard.metrics import counter, gauge
from courtyard.settings import Settings, format_duration
from devices.store.database import DatabaseAway
from devices.store.readings import KeptReadings
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import TelemetryError, TelemetryRefused
from devices.usage import HOUR_MS, hour_of

FIRST_AFTER_S = 60.0  # a process that starts has other things to do
EVERY_S = 600.0
AGAIN_AFTER_S = 30.0  # a store that is away
REST = 3.0
LONGEST_REST_S = 2.0

log = structlog.get_logger()


class RuledTelemetry(Protocol):
    """InfluxDB: it has a rule of its own. Raises TelemetryError."""

    def retention_s(self) -> int | None: ...

    def set_retention(self, seconds: int) -> None: ...


class EmbeddedRetention:
    """The embedded store forgets by us."""

    def __init__(
        self,
        telemetry: EmbeddedTelemetry,
        kept: KeptReadings,
        retention: timedelta,
        clock: Callable[[], int],
    ) -> None:
        self._telemetry = telemetry
        self._kept = kept
        self._retention_ms = round(retention / timedelta(milliseconds=1))
        self._clock = clock
        self._since_ms = 0
        self.deleted = 0

    def round(self, stop: threading.Event) -> None:
        """Raises DatabaseAway, TelemetryError."""
        now_ms = self._clock()
        newest_ms = self._telemetry.newest_ms()
        if newest_ms is None:
            return
        # A store to which nothing comes keeps what it has, whatever a clock says that jumped.
        cut_ms = hour_of(min(now_ms, newest_ms + HOUR_MS) - self._retention_ms)
        if cut_ms <= (self._telemetry.oldest_ms() or 0) and not self._since_ms:
            return  # there never was anything older
        self._since_ms = self._kept.forget_before(cut_ms, now_ms)
        deleted, begun_s = self.deleted, time.monotonic()
        while not stop.is_set():
            piece_s = time.monotonic()
            forgotten = self._telemetry.forget(cut_ms)
            if forgotten is None:
                break
            self.deleted += forgotten.points
            _rest(piece_s, stop)
        while not stop.is_set():
            piece_s = time.monotonic()
            if not self._telemetry.give_back():
                break
            _rest(piece_s, stop)
        if self.deleted > deleted:
            log.info(
                "readings_forgotten",
                readings=self.deleted - deleted,
                before_ms=cut_ms,
                seconds=round(time.monotonic() - begun_s, 1),
            )

    def metrics(self) -> Iterable[Metric]:
        yield counter(
            "courtyard_readings_deleted",
            "Readings that were older than they are to be kept.",
            {(): self.deleted},
        )
        oldest_ms = self._telemetry.oldest_ms()
        if oldest_ms is not None:
            yield gauge(
                "courtyard_readings_oldest_timestamp_seconds",
                "The time of the oldest reading that is kept.",
                {(): oldest_ms / 1000},
            )


class InfluxRetention:
    """InfluxDB forgets by the rule of its bucket. sets: give it our setting first."""

    def __init__(
        self,
        telemetry: RuledTelemetry,
        kept: KeptReadings,
        retention: timedelta,
        clock: Callable[[], int],
        *,
        sets: bool,
    ) -> None:
        self._telemetry = telemetry
        self._kept = kept
        self._wanted_s = round(retention.total_seconds())
        self._clock = clock
        self._sets = sets
        self._since_ms = 0
        self._told: tuple[int | None] | None = None

    def round(self, stop: threading.Event) -> None:  # noqa: ARG002 - it is one request
        """Raises DatabaseAway, TelemetryError."""
        rule_s = self._telemetry.retention_s()
        if self._sets and rule_s != self._wanted_s:
            rule_s = self._set(rule_s)
        if self._told != (rule_s,):
            self._told = (rule_s,)
            level = log.info if rule_s == self._wanted_s else log.warning
            level("bucket_retention", rule=said(rule_s), setting=said(self._wanted_s))
        if rule_s is not None:
            now_ms = self._clock()
            self._since_ms = self._kept.forget_before(hour_of(now_ms - rule_s * 1000), now_ms)

    def _set(self, rule_s: int | None) -> int | None:
        """The rule that holds afterwards: a token that may not set it is told of once."""
        try:
            self._telemetry.set_retention(self._wanted_s)
        except TelemetryRefused as error:
            self._sets = False
            log.warning(
                "bucket_retention_not_set",
                reason=str(error),
                then="the bucket's own rule holds: let the token write to the bucket, or set it",
            )
            return rule_s
        log.info("bucket_retention_set", was=said(rule_s), now=said(self._wanted_s))
        return self._wanted_s

    def metrics(self) -> Iterable[Metric]:
        if self._since_ms:
            yield gauge(
                "courtyard_readings_oldest_timestamp_seconds",
                "The time from which on readings are kept.",
                {(): self._since_ms / 1000},
            )


class Retention(Protocol):
    """One of both."""

    def round(self, stop: threading.Event) -> None: ...

    def metrics(self) -> Iterable[Metric]: ...


def retention(
    settings: Settings, telemetry: object, kept: KeptReadings, clock: Callable[[], int]
) -> Retention:
    """What forgets the readings of this store."""
    if isinstance(telemetry, EmbeddedTelemetry):
        return EmbeddedRetention(telemetry, kept, settings.readings_kept, clock)
    from devices.store.telemetry.influxdb import InfluxTelemetry  # loads a large client

    assert isinstance(telemetry, InfluxTelemetry)
    sets = settings.influxdb_set_retention
    return InfluxRetention(telemetry, kept, settings.readings_kept, clock, sets=sets)


def run(
    work: Retention,
    stop: threading.Event,
    first_after_s: float = FIRST_AFTER_S,
    every_s: float = EVERY_S,
) -> None:
    """Rounds until `stop`; a store or a database that is away is tried again."""
    away = False
    wait_s = first_after_s
    while not stop.wait(wait_s):
        try:
            work.round(stop)
        except (DatabaseAway, TelemetryError) as error:
            if not away:
                log.warning("readings_not_forgotten", reason=str(error), then="tries again")
            away, wait_s = True, AGAIN_AFTER_S
        else:
            away, wait_s = False, every_s


def said(seconds: int | None) -> str:
    return "for ever" if seconds is None else format_duration(timedelta(seconds=seconds))


def _rest(since_s: float, stop: threading.Event) -> None:
    stop.wait(min(LONGEST_REST_S, REST * (time.monotonic() - since_s)))
