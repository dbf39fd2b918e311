"""Readings on their way into, and out of, a telemetry store. The stores are in `devices.store`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from devices.messages import Value

LOOK_BACK_MS = 7 * 24 * 3_600_000  # a reading that is older says nothing of how an hour began

# A flag of an event's point, true or not there: nothing tells this event from the same one sent
# again, so it shows what is so, and is never counted (`event_key` of the judge is None).
UNDATED = "undated"


class Point(NamedTuple):
    """Values of one device at one time; the same (measurement, device, at_ms) twice is one point.

    measurement: the kind, or `{kind}_event` for an event. at_ms: event time, UTC epoch ms.
    compound: "" in what is read, as not every store keeps it. fields of an event: `type`, what its
    kind declares, `event_id` if the device sent one, and perhaps UNDATED.
    """

    measurement: str
    compound: str
    device: str
    at_ms: int
    fields: dict[str, Value]


class Retry(Enum):
    """What a caller does about an error; it branches on this, never on a text."""

    LATER = "later"  # the same request again, with back-off
    AFTER_REPAIR = "after_repair"  # pause and alarm; never drop
    NEVER = "never"  # bisect to the bad points, put them aside, go on


class TelemetryError(Exception):
    """The telemetry store did not take or give what was asked."""

    retry = Retry.LATER


class TelemetryAway(TelemetryError):
    """Timeout, lost connection, 429, 5xx. retry_after_s: what the store asked for, if it did."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TelemetryRefused(TelemetryError):
    """401, 403, 404: token or bucket are wrong."""

    retry = Retry.AFTER_REPAIR


class BadPoint(TelemetryError):
    """400, 422: something in the batch cannot be stored. dropped: how many, if the store says."""

    retry = Retry.NEVER

    def __init__(self, message: str, dropped: int | None = None) -> None:
        super().__init__(message)
        self.dropped = dropped


class TooLarge(TelemetryError):
    """413: halve the batch."""

    retry = Retry.NEVER


@dataclass(frozen=True, slots=True)
class Sample:
    """A raw reading."""

    at_ms: int
    value: Value


@dataclass(frozen=True, slots=True)
class Bucket:
    """An aggregate over [at_ms, at_ms + every). min, mean, max are None for words and flags."""

    at_ms: int
    min: float | None
    mean: float | None
    max: float | None
    last: Value
    count: int


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """One quantity of one device over [from_ms, to_ms), oldest first, at most `limit` rows."""

    measurement: str
    device: str
    quantity: str
    from_ms: int
    to_ms: int
    limit: int


class TelemetryWriter(Protocol):
    """Where points go. Idempotent: the same points twice are stored once. Raises TelemetryError."""

    def write(self, points: Sequence[Point]) -> None: ...


class TelemetryReader(Protocol):
    """Where series come from. Raises TelemetryError."""

    def samples(self, query: SeriesQuery) -> list[Sample]: ...

    def buckets(self, query: SeriesQuery, every_s: int) -> list[Bucket]: ...

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        """Whole points with event time in [from_ms, to_ms), oldest first, at most `limit`.

        Each has all fields that were ever written for its time, the last value of each. Fewer than
        `limit`: there are no more; else the next page begins at the last `at_ms` + 1.
        """
        ...

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        """The newest sample of each quantity with event time in [at_ms - LOOK_BACK_MS, at_ms).

        A quantity without one is not in it.
        """
        ...
