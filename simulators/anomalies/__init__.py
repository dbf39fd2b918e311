"""What can befall the district, how often and for how long. Facts about the world, no fault codes.

`ANOMALIES` is the list. Each row has two rates: what a year brings (domain.md §7.4; where no figure
was found, an assumption) and what a demonstration brings: (times a year and subject, minutes, times
an hour in a demo, minutes in a demo). What is ON_REQUEST only a scenario brings. One thing befalls
a device at a time. Who is befallen when is drawn in `simulators.fate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from simulators.anomalies import charging, devices, district, gates, lamps, security
from simulators.anomalies.anomaly import Anomaly

YEAR_H = 8_766.0

# How many devices of a kind the whole district has: rates for it are scaled by this.
DISTRICT = {
    "gate": 349,
    "shed": 134,
    "port": 1_600,
    "lamp": 3_634,
    "camera": 820,
    "lift": 6,
    "gateway": 225,
    "compound": 225,
    "link": 359,
    "circuit": 196,  # of street lamps
    "node": 5_168,  # everything that sends messages of its own
}

ANOMALIES: tuple[Anomaly, ...] = (
    *gates.ANOMALIES,
    *charging.ANOMALIES,
    *lamps.ANOMALIES,
    *security.ANOMALIES,
    *district.ANOMALIES,
    *devices.ANOMALIES,
)
BY_KIND: Mapping[str, Anomaly] = MappingProxyType({row.kind: row for row in ANOMALIES})


@dataclass(frozen=True, slots=True)
class Rates:
    """How often things befall the whole district, and for how long.

    per_h: times an hour in the whole district, by kind of anomaly; minutes: how long on average.
    least_share: a part of the district gets at least this share of it, so that a small
    demonstration shows something too.
    """

    per_h: Mapping[str, float]
    minutes: Mapping[str, float]
    least_share: float = 0.0

    def times(self, factor: float) -> Rates:
        """The same, so many times as often."""
        return replace(self, per_h={kind: rate * factor for kind, rate in self.per_h.items()})

    def only(self, *kinds: str) -> Rates:
        """Only these kinds. Raises KeyError for one that there is not."""
        return replace(self, per_h={kind: self.per_h[kind] for kind in kinds})


NONE = Rates({}, {})
REAL = Rates(
    {row.kind: row.year * DISTRICT[row.of] / YEAR_H for row in ANOMALIES},
    {row.kind: row.minutes for row in ANOMALIES},
)
DEMO = Rates(
    {row.kind: row.demo_h for row in ANOMALIES},
    {row.kind: row.demo_minutes for row in ANOMALIES},
    least_share=0.2,
)

__all__ = ["ANOMALIES", "BY_KIND", "DEMO", "DISTRICT", "NONE", "REAL", "Anomaly", "Rates"]
