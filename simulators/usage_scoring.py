"""Figures of usage against what was really used, and how sure they said to be.

What a figure means is written by hand from domain.md §6.1 and read out of nothing that counts: if a
rule there is wrong, the score says so. A day is whole for a figure when every message that it rests
on arrived. Then counts are asked to be exact; energy and time in use within 0.5 % over all whole
days. Of other days no more may be missing than the coverage says: of each hour's amount the share
of its reports that did not come, and for counts what chance adds to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

from devices.registry import Registry
from simulators.diary import Charge, Diary, Used
from simulators.profiles import DAY_MS, HOUR_MS, local_midnight_ms

ENERGY_SHARE = 0.005
CHANCE = 3.0  # standard deviations of a count
LEAST_WH = 10  # a charge of more counts as a session; boards count whole watt-hours


@dataclass(frozen=True, slots=True)
class Meant:
    """One figure: of which kind of device, as what it is told in all, and what it is of the diary.

    carriers: the kind whose messages tell of it. used: its amount of a device's hour; charge: of a
    charge, at its end. exact: a count. promised: something is asked of it. days_before: so many
    days before one must be whole, too: a charge that ends on it may have begun there.
    """

    name: str
    kind: str
    carriers: str
    told: tuple[str, ...]
    used: Callable[[Used], float] | None = None
    charge: Callable[[Charge], float] | None = None
    exact: bool = False
    promised: bool = True
    days_before: int = 0


def is_session(charge: Charge) -> bool:
    """domain.md §6.1: it did not stop for want of a load, and more than 0.01 kWh flowed."""
    return charge.reason != "no_load_at_start" and round(charge.wh) > LEAST_WH


FIGURES = (
    Meant("passages", "gate", "gate", ("granted",), lambda used: used.granted, exact=True),
    Meant("refused", "gate", "gate", ("denied",), lambda used: used.denied, exact=True),
    Meant(
        "sessions", "port", "shed", ("sessions", "inferred_sessions", "unreported_sessions"),
        charge=is_session, exact=True, days_before=1,
    ),
    Meant(
        "charged kWh", "port", "shed", ("energy_kwh",), lambda used: used.energy_wh / 1000,
        days_before=1,
    ),
    Meant("lighting kWh", "lamp", "lamp", ("energy_kwh",), lambda used: used.energy_wh / 1000),
    Meant(
        "sockets in use h", "port", "shed", ("in_use_s",), lambda used: used.in_use_s / 3600,
    ),
    Meant(
        "lamps burning h", "lamp", "lamp", ("burn_s",), lambda used: used.burn_s / 3600,
        promised=False,
    ),
)  # fmt: skip
IN_HOURS = frozenset({"in_use_s", "burn_s"})  # told in seconds, shown in hours


class Said(NamedTuple):
    """What the system says of one kind of device in one span of a compound."""

    amounts: Mapping[str, float]
    received: float
    expected: float

    @property
    def missing(self) -> float:
        """The share of what was expected that did not come."""
        return 1.0 - min(1.0, self.received / self.expected) if self.expected > 0 else 0.0


Key = tuple[str, str, int]
"""(compound, kind, when it began): UTC epoch ms of an hour or a local midnight."""


@dataclass(slots=True)
class Row:
    """One figure of one compound over all days.

    whole_true, whole_told: of whole days; off_days: whole days on which a count is not exact, with
    (true, told). allowed: how much may be missing on the other days. worst_day: of the whole ones,
    by the share that it is off.
    """

    compound: str
    figure: Meant
    true: float = 0.0
    told: float = 0.0
    whole_days: int = 0
    lossy_days: int = 0
    whole_true: float = 0.0
    whole_told: float = 0.0
    allowed: float = 0.0
    received: float = 0.0
    expected: float = 0.0
    off_days: dict[int, tuple[float, float]] = field(default_factory=dict)
    worst_day: float = 0.0

    @property
    def share_off(self) -> float:
        """Of all days."""
        return (self.told - self.true) / self.true if self.true else float(self.told != 0)

    @property
    def coverage(self) -> float | None:
        return self.received / self.expected if self.expected else None

    @property
    def whole_held(self) -> bool:
        """Whether the days on which everything arrived are as promised."""
        if self.figure.exact:
            return not self.off_days
        return abs(self.whole_told - self.whole_true) <= ENERGY_SHARE * self.whole_true

    @property
    def lossy_off(self) -> float:
        """How much is missing on the other days; below 0: too much was told."""
        return (self.true - self.whole_true) - (self.told - self.whole_told)

    @property
    def lossy_held(self) -> bool:
        """Whether no more is missing there than the coverage says."""
        off = self.lossy_off
        if self.figure.exact:
            chance = CHANCE * sqrt(self.allowed) + 1 if self.lossy_days else 0.0
            return -chance <= off <= self.allowed + chance
        slack = ENERGY_SHARE * (self.true - self.whole_true)
        # what a register grew by in a gap over midnight is spread by time, into either day
        return -(slack + self.allowed) <= off <= slack + self.allowed

    @property
    def held(self) -> bool:
        return not self.figure.promised or (self.whole_held and self.lossy_held)


def score(
    diary: Diary,
    registry: Registry,
    days: Iterable[int],
    by_day: Mapping[Key, Said],
    by_hour: Mapping[Key, Said],
) -> list[Row]:
    """A row for each compound and figure. days: the local midnights at which graded days begin."""
    days = sorted(days)
    true_hours = true_by_hour(diary, registry)
    lossy = {(name, kind, local_midnight_ms(at_ms)) for name, kind, at_ms in diary.lost}
    kinds: dict[str, set[str]] = {}
    for device in registry.devices.values():
        kinds.setdefault(device.compound, set()).add(device.kind)
    rows: list[Row] = []
    for compound in registry.compounds:
        for figure in FIGURES:
            if figure.kind in kinds.get(compound, ()):
                row = Row(compound, figure)
                for day_ms in days:
                    _add_day(row, day_ms, true_hours, lossy, by_day, by_hour)
                rows.append(row)
    return rows


def _add_day(
    row: Row,
    day_ms: int,
    true_hours: Mapping[tuple[str, str, int], float],
    lossy: set[Key],
    by_day: Mapping[Key, Said],
    by_hour: Mapping[Key, Said],
) -> None:
    figure, compound = row.figure, row.compound
    said = by_day[compound, figure.kind, day_ms]
    told = sum(
        said.amounts.get(name, 0.0) / (3600 if name in IN_HOURS else 1) for name in figure.told
    )
    true = allowed = 0.0
    for hour_ms in range(day_ms, day_ms + DAY_MS, HOUR_MS):
        amount = true_hours.get((compound, figure.name, hour_ms), 0.0)
        true += amount
        allowed += amount * by_hour[compound, figure.kind, hour_ms].missing
    row.true += true
    row.told += told
    row.received += said.received
    row.expected += said.expected
    before = range(day_ms - figure.days_before * DAY_MS, day_ms + 1, DAY_MS)
    if any((compound, figure.carriers, at_ms) in lossy for at_ms in before):
        row.lossy_days += 1
        row.allowed += allowed
        return
    row.whole_days += 1
    row.whole_true += true
    row.whole_told += told
    if true:
        row.worst_day = max(row.worst_day, abs(told - true) / true)
    if figure.exact and round(told) != round(true):
        row.off_days[day_ms] = (true, told)


def true_by_hour(diary: Diary, registry: Registry) -> dict[tuple[str, str, int], float]:
    """(compound, figure, hour) -> how much there really was."""
    found: dict[tuple[str, str, int], float] = {}
    for (name, hour_ms), used in diary.hours.items():
        device = registry.devices[name]
        for figure in FIGURES:
            if figure.used is not None and figure.kind == device.kind:
                key = device.compound, figure.name, hour_ms
                found[key] = found.get(key, 0.0) + figure.used(used)
    for charge in diary.charges:
        compound = registry.devices[charge.port].compound
        for figure in FIGURES:
            if figure.charge is not None:
                key = compound, figure.name, charge.ended_ms - charge.ended_ms % HOUR_MS
                found[key] = found.get(key, 0.0) + figure.charge(charge)
    return found
