"""Sums of usage, and how sure they are: what was expected and never came lowers the coverage.

What was expected says the registry, so that device-hours without a row count too. Reports beyond
it do not make up for others that are missing, nor do reports that tell of a change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from devices.apart import Apart
from devices.corrections import NOBODY
from devices.messages import Value
from devices.sun import lighting_hours
from devices.usage import HOUR_MS, Figures, charging, gates, heartbeats, lighting

KINDS = ("gate", "port", "lamp")  # those whose usage has figures
QUARTERS = 4  # an hour's share of lighting is looked up in so many places


class Place(Protocol):
    """Where the sun rises and sets."""

    @property
    def latitude(self) -> float: ...
    @property
    def longitude(self) -> float: ...


class Reports(Protocol):
    """A device of which reports are expected, as the registry has it."""

    @property
    def no(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def interval_s(self) -> int: ...
    @property
    def attributes(self) -> Mapping[str, Value]: ...
    @property
    def commissioned_at_ms(self) -> int | None: ...
    @property
    def decommissioned_at_ms(self) -> int | None: ...


class HourOfDevice(Protocol):
    """What a device did in one hour. received: reports that arrived."""

    @property
    def hour_ms(self) -> int: ...
    @property
    def device_no(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def received(self) -> int: ...
    @property
    def figures(self) -> Figures: ...


@dataclass(slots=True)
class Part:
    """Of one kind: figures, reports that came and should have, socket-seconds that we know of."""

    figures: Figures = field(default_factory=dict)
    received: float = 0.0
    expected: float = 0.0
    port_s: float = 0.0

    @property
    def coverage(self) -> float | None:
        """Reports received / expected; None where none were expected."""
        return self.received / self.expected if self.expected > 0 else None


_NO_PART = Part()


@dataclass(slots=True)
class Sum:
    """Of all kinds, by kind. apart: what does not add up, where it is known for this stretch."""

    parts: dict[str, Part] = field(default_factory=dict)
    apart: Apart = field(default_factory=Apart)

    def part(self, kind: str) -> Part:
        found = self.parts.get(kind)
        if found is None:
            found = self.parts[kind] = Part()
        return found

    def add(self, other: "Sum") -> None:
        for kind, part in other.parts.items():
            self.count(kind, part.received, part.expected, part.port_s, part.figures)

    def count(
        self, kind: str, received: float, expected: float, port_s: float, figures: Figures
    ) -> None:
        """Add what is known of one kind."""
        part = self.part(kind)
        part.received += received
        part.expected += expected
        part.port_s += port_s
        if figures:
            merge_quickly(part.figures, figures)

    def only(self, kind: str) -> "Sum":
        """What is of this kind."""
        return Sum({kind: self.parts[kind]} if kind in self.parts else {}, self.apart)

    @property
    def received(self) -> float:
        return sum(part.received for part in self.parts.values())

    @property
    def expected(self) -> float:
        return sum(part.expected for part in self.parts.values())

    @property
    def coverage(self) -> float | None:
        """As that of a part, of all together."""
        expected = self.expected
        return self.received / expected if expected > 0 else None

    def shape(self, kinds: Iterable[str], apart: Apart | None = None) -> dict[str, object]:
        """The members of the API's answer; None for kinds that are not there to be used.

        apart: in place of its own.
        """
        apart = self.apart if apart is None else apart
        gate, port, lamp = (self.parts.get(kind, _NO_PART) for kind in KINDS)
        shown: dict[str, dict[str, object] | None] = {
            "gates": None,
            "charging": None,
            "lighting": None,
        }
        if "gate" in kinds:
            shown["gates"] = gates(gate.figures) | {
                "active_households": apart.households,
                "coverage": gate.coverage,
            }
        if "port" in kinds:
            shown["charging"] = charging(port.figures, ports=1, seconds=port.port_s) | {
                "peak_ports": apart.peak_ports,
                "coverage": port.coverage,
            }
        if "lamp" in kinds:
            shown["lighting"] = lighting(lamp.figures) | {
                "mean_dark_h": apart.mean_dark_h,
                "dark_faults": apart.dark_faults,
                "coverage": lamp.coverage,
            }
        for name in apart.unknown:
            for part in shown.values():
                if part is not None and name in part:
                    part[name] = None
        return {"coverage": self.coverage, **shown}


def merge_quickly(into: Figures, other: Figures) -> None:
    """As `devices.usage.merge`, in a third of the time: a district-year merges 10,000 figures."""
    get = into.get
    for name, amount in other.items():
        there = get(name)
        if type(amount) is dict:
            if there is None:
                if amount:
                    into[name] = amount.copy()
            elif type(there) is dict:
                for of, part in amount.items():
                    there[of] = there.get(of, 0) + part
            else:
                raise TypeError(f"{name} is one number here and has no parts")
        elif there is None:
            into[name] = amount
        else:
            into[name] = there + amount  # type: ignore[operator]


def sum_hours(
    promise: "Promise", rows: Iterable[HourOfDevice], from_ms: int, to_ms: int, places: "Places"
) -> None:
    """Add the whole hours from `from_ms` up to `to_ms`, which may be now, to where they belong."""
    into: dict[int, Sum] = {}
    for hour_ms in range(from_ms, to_ms, HOUR_MS):
        place = into[hour_ms] = places.of(hour_ms)
        for kind, expected in promise.by_kind(hour_ms).items():
            place.part(kind).expected += expected
    for row in rows:
        part = into[row.hour_ms].part(row.kind)
        beats = heartbeats(row.received, row.figures)
        part.received += min(beats, promise.of(row.device_no, row.hour_ms))
        merge_quickly(part.figures, row.figures)
        if row.kind == "port" and row.device_no != NOBODY:
            part.port_s += min(HOUR_MS, to_ms - row.hour_ms) / 1000


@dataclass(slots=True)
class Places:
    """Buckets that begin at `starts`, in order, and their sums."""

    starts: Sequence[int]
    sums: list[Sum] = field(default_factory=list)
    _at: int = 0

    def __post_init__(self) -> None:
        self.sums = [Sum() for _ in self.starts]

    def of(self, at_ms: int) -> Sum:
        """The sum of the bucket that holds `at_ms`; quickest when asked in order."""
        if self.starts[self._at] > at_ms:
            self._at = 0
        while self._at + 1 < len(self.starts) and self.starts[self._at + 1] <= at_ms:
            self._at += 1
        return self.sums[self._at]


def sum_stretch(promise: "Promise", rows: Iterable[HourOfDevice], from_ms: int, to_ms: int) -> Sum:
    """The sum of one stretch of hours."""
    places = Places([from_ms])
    sum_hours(promise, rows, from_ms, to_ms, places)
    return places.sums[0]


class Promise:
    """How many reports the registry lets expect: of a device, and of all, in an hour up to now."""

    def __init__(self, place: Place, devices: Sequence[Reports], now_ms: int) -> None:
        self._place = place
        self._now_ms = now_ms
        self._devices = {device.no: device for device in devices}
        self._each: dict[int, float] = {}  # reports an hour of each that is always there
        self._lit_shares: dict[int, float] = {}
        self._steady: dict[str, float] = {}  # reports an hour, by kind, of what is always there
        self._switched = 0.0  # of lamps that have power only while they are to be lit
        self._passing: list[Reports] = []  # devices that come or go
        for device in devices:
            self._steady.setdefault(device.kind, 0.0)
            if device.commissioned_at_ms is not None or device.decommissioned_at_ms is not None:
                self._passing.append(device)
            elif _is_switched(device):
                self._switched += 3600 / device.interval_s
            else:
                self._each[device.no] = 3600 / device.interval_s
                self._steady[device.kind] += 3600 / device.interval_s

    def by_kind(self, hour_ms: int) -> dict[str, float]:
        elapsed = self._elapsed(hour_ms)
        expected = {kind: steady * elapsed for kind, steady in self._steady.items()}
        if self._switched:
            expected["lamp"] += self._switched * self._lit(hour_ms)
        for device in self._passing:
            expected[device.kind] += self._one(device, hour_ms)
        return expected

    def of_all(self, hour_ms: int) -> float:
        return sum(self.by_kind(hour_ms).values())

    def of(self, device_no: int, hour_ms: int) -> float:
        each = self._each.get(device_no)
        if each is not None:
            return each * self._elapsed(hour_ms)
        device = self._devices.get(device_no)
        return 0.0 if device is None else self._one(device, hour_ms)

    def _one(self, device: Reports, hour_ms: int) -> float:
        end_ms = hour_ms + HOUR_MS
        since, until = device.commissioned_at_ms, device.decommissioned_at_ms
        if (since is not None and since >= end_ms) or (until is not None and until <= hour_ms):
            return 0.0
        share = self._lit(hour_ms) if _is_switched(device) else self._elapsed(hour_ms)
        return share * 3600 / device.interval_s

    def _elapsed(self, hour_ms: int) -> float:
        elapsed_ms = self._now_ms - hour_ms
        return 1.0 if elapsed_ms >= HOUR_MS else max(0.0, elapsed_ms / HOUR_MS)

    def _lit(self, hour_ms: int) -> float:
        """The share of the hour, as far as it is over, in which lamps are to be lit."""
        share = self._lit_shares.get(hour_ms)
        if share is None:  # once an hour of a compound, and not for each of its lamps
            step = HOUR_MS // QUARTERS
            places = range(hour_ms + step // 2, min(hour_ms + HOUR_MS, self._now_ms), step)
            latitude, longitude = self._place.latitude, self._place.longitude
            lit = sum(lighting_hours(latitude, longitude, at_ms) for at_ms in places)
            share = self._lit_shares[hour_ms] = lit / QUARTERS
        return share


def _is_switched(device: Reports) -> bool:
    return device.kind == "lamp" and device.attributes.get("supply") == "switched"
