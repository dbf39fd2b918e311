"""How gates, sockets and lamps of a compound were used, and how much of it we know.

Figures are kept by whole hours, so a range is widened to them, and the answer says to which. What
was expected and never came lowers the coverage; nothing is expected after now.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from api import compounds, shapes
from api.errors import BadParameter
from api.identity import Reader
from api.instants import DAY_MS, midnight_of, parse_range, print_instant, zone_of
from api.parts import PartsOf
from devices.store.compounds import Entry
from devices.store.database import reading
from devices.store.usage import DeviceHour, Reporter, device_hours, reporters
from devices.sun import lighting_hours
from devices.usage import (
    FINAL_AFTER_MS,
    HOUR_MS,
    Figures,
    charging,
    gates,
    hour_of,
    lighting,
    merge,
)

router = APIRouter(prefix="/v1", tags=["usage"], responses=shapes.PROBLEMS)

Bucket = Literal["hour", "day", "month"]

MOST_DAYS = 366
MOST_BUCKETS = 24 * 62
READ_DAYS = 2  # of one compound in one transaction: some 5,000 rows at most, below 30 ms
QUARTERS = 4  # an hour's share of lighting is looked up in so many places

KINDS = ("gate", "port", "lamp")

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="RFC 3339 or a date; without zone the compound's time. "
        "The local day so far unless given.",
    ),
]
To = Annotated[str | None, Query(alias="to", description="Now unless given.")]


@router.get("/compounds/{compound}/usage")
def get_usage(
    parts: PartsOf,
    who: Reader,
    compound: str,
    start: From = None,
    end: To = None,
    bucket: Annotated[Bucket, Query(description="In the compound's local time.")] = "hour",
) -> shapes.Usage:
    """Usage over the whole hours of [from, to), in all and by bucket."""
    now_ms = parts.now_ms()
    with reading(parts.deps.engine) as connection:
        entry = compounds.find(parts.registry.get(connection), who, compound)
        devices = reporters(connection, who.scope, compound)
    zone = zone_of(entry.timezone)
    asked = parse_range(start, end, zone, now_ms)
    to_ms = min(now_ms, asked.to_ms if asked.to_ms is not None else now_ms)
    from_ms = asked.from_ms if asked.from_ms is not None else midnight_of(to_ms - 1, zone)
    from_ms = hour_of(from_ms)
    to_ms = min(now_ms, hour_of(to_ms - 1) + HOUR_MS)
    if to_ms - from_ms > MOST_DAYS * DAY_MS:
        raise BadParameter("from", f"a range is at most {MOST_DAYS} days")
    if bucket == "hour" and to_ms - from_ms > MOST_BUCKETS * HOUR_MS:
        raise BadParameter("bucket", f"at most {MOST_BUCKETS} hours: ask for days")

    def rows() -> Iterator[DeviceHour]:
        for begin in range(from_ms, to_ms, READ_DAYS * DAY_MS):
            end_ms = min(begin + READ_DAYS * DAY_MS, to_ms)
            with reading(parts.deps.engine) as connection:
                page = device_hours(connection, who.scope, compound, begin, end_ms)
            yield from page

    summed = summarise(entry, devices, rows(), from_ms, to_ms, bucket)
    return shapes.Usage.model_validate(
        {
            "compound": compound,
            "from": print_instant(from_ms),
            "to": print_instant(to_ms),
            "bucket": bucket,
            "timezone": entry.timezone,
            "status": "final" if is_final(to_ms, zone, now_ms) else "provisional",
            **summed.all.shape(summed.kinds),
            "buckets": [
                {"start": print_instant(at_ms), **part.shape(summed.kinds)}
                for at_ms, part in summed.buckets
            ],
        }
    )


@dataclass(slots=True)
class Sum:
    """Figures by kind, and what they rest on. port_s: socket-seconds of which we have data."""

    figures: dict[str, Figures] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    received: float = 0.0
    expected: float = 0.0
    port_s: float = 0.0

    def add(self, other: "Sum") -> None:
        for kind, figures in other.figures.items():
            merge(self.figures[kind], figures)
        self.received += other.received
        self.expected += other.expected
        self.port_s += other.port_s

    def shape(self, kinds: Iterable[str]) -> dict[str, object]:
        """The members of the answer; None for kinds that the compound does not have."""
        return {
            "coverage": self.received / self.expected if self.expected > 0 else None,
            "gates": gates(self.figures["gate"]) if "gate" in kinds else None,
            "charging": charging(self.figures["port"], ports=1, seconds=self.port_s)
            if "port" in kinds
            else None,
            "lighting": lighting(self.figures["lamp"]) if "lamp" in kinds else None,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    all: Sum
    buckets: Sequence[tuple[int, Sum]]
    kinds: frozenset[str]


def summarise(
    entry: Entry,
    devices: Sequence[Reporter],
    rows: Iterable[DeviceHour],
    from_ms: int,
    to_ms: int,
    bucket: Bucket,
) -> Summary:
    """The sums of whole hours from `from_ms` up to `to_ms`, which may be now, within an hour.

    What was expected says the registry, so that device-hours without a row count too. Reports
    beyond it do not make up for others that are missing.
    """
    zone = zone_of(entry.timezone)
    starts = list(bucket_starts(from_ms, to_ms, zone, bucket))
    sums = [Sum() for _ in starts]
    promise = Promise(entry, devices, to_ms)
    index = -1
    place: dict[int, int] = {}  # hour -> its bucket
    for hour_ms in range(from_ms, to_ms, HOUR_MS):
        while index + 1 < len(starts) and starts[index + 1] <= hour_ms:
            index += 1
        place[hour_ms] = index
        sums[index].expected += promise.of_all(hour_ms)
    for row in rows:
        into = sums[place[row.hour_ms]]
        into.received += min(row.received, promise.of(row.device_no, row.hour_ms))
        if row.kind in into.figures:
            merge(into.figures[row.kind], row.figures)
        if row.kind == "port":
            into.port_s += min(HOUR_MS, to_ms - row.hour_ms) / 1000
    everything = Sum()
    for part in sums:
        everything.add(part)
    kinds = frozenset(kind for kind in KINDS if entry.devices.get(kind))
    return Summary(everything, list(zip(starts, sums, strict=True)), kinds)


class Promise:
    """How many reports the registry lets expect: of a device, and of all, in an hour up to now."""

    def __init__(self, entry: Entry, devices: Sequence[Reporter], now_ms: int) -> None:
        self._entry = entry
        self._now_ms = now_ms
        self._devices = {device.no: device for device in devices}
        self._steady = 0.0  # reports in an hour of devices that are always there and always on
        self._switched = 0.0  # of lamps that have power only while they are to be lit
        self._passing: list[Reporter] = []  # devices that come or go
        for device in devices:
            if device.commissioned_at_ms is not None or device.decommissioned_at_ms is not None:
                self._passing.append(device)
            elif _is_switched(device):
                self._switched += 3600 / device.interval_s
            else:
                self._steady += 3600 / device.interval_s

    def of_all(self, hour_ms: int) -> float:
        elapsed = self._elapsed(hour_ms)
        sure = self._steady * elapsed
        if self._switched:
            sure += self._switched * self._lit(hour_ms)
        return sure + sum(self._one(device, hour_ms) for device in self._passing)

    def of(self, device_no: int, hour_ms: int) -> float:
        device = self._devices.get(device_no)
        return 0.0 if device is None else self._one(device, hour_ms)

    def _one(self, device: Reporter, hour_ms: int) -> float:
        end_ms = hour_ms + HOUR_MS
        since, until = device.commissioned_at_ms, device.decommissioned_at_ms
        if (since is not None and since >= end_ms) or (until is not None and until <= hour_ms):
            return 0.0
        share = self._lit(hour_ms) if _is_switched(device) else self._elapsed(hour_ms)
        return share * 3600 / device.interval_s

    def _elapsed(self, hour_ms: int) -> float:
        return min(1.0, max(0.0, (self._now_ms - hour_ms) / HOUR_MS))

    def _lit(self, hour_ms: int) -> float:
        """The share of the hour, as far as it is over, in which lamps are to be lit."""
        step = HOUR_MS // QUARTERS
        places = range(hour_ms + step // 2, min(hour_ms + HOUR_MS, self._now_ms), step)
        lit = sum(
            lighting_hours(self._entry.latitude, self._entry.longitude, at_ms) for at_ms in places
        )
        return lit / QUARTERS


def bucket_starts(from_ms: int, to_ms: int, zone: tzinfo, bucket: Bucket) -> Iterator[int]:
    """Where buckets begin: at `from_ms`, then at every local hour, midnight or first of a month."""
    start = from_ms
    while start < to_ms:
        yield start
        start = _next(start, zone, bucket)


def is_final(to_ms: int, zone: tzinfo, now_ms: int) -> bool:
    """Whether the local day that ends the range ended more than 48 h ago."""
    day_ends_ms = _next(to_ms - 1, zone, "day")
    return now_ms >= day_ends_ms + FINAL_AFTER_MS


def _next(at_ms: int, zone: tzinfo, bucket: Bucket) -> int:
    if bucket == "hour":
        return hour_of(at_ms) + HOUR_MS
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    if bucket == "day":
        day = local.date() + timedelta(days=1)
    else:
        day = (local.date().replace(day=1) + timedelta(days=32)).replace(day=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def _is_switched(device: Reporter) -> bool:
    return device.kind == "lamp" and device.attributes.get("supply") == "switched"
