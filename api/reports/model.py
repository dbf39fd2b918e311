"""What a monthly report shows: plain values, before a word of either language is chosen."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Any, Literal, Self

from devices.registry import Name
from devices.rules import Severity

_MONTH = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
FIRST_YEAR, LAST_YEAR = 2000, 2199

PartName = Literal["gates", "charging", "lighting"]
PARTS: tuple[PartName, ...] = ("gates", "charging", "lighting")


class BadMonth(ValueError):
    """No month of which there can be a report; the text says why."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar; one that exists is valid. Its days are those of a time zone."""

    year: int
    number: int

    def __post_init__(self) -> None:
        if not (FIRST_YEAR <= self.year <= LAST_YEAR and 1 <= self.number <= 12):
            raise BadMonth(f"{self} is not in the calendar")

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _MONTH.fullmatch(text)
        if match is None:
            raise BadMonth(f"{text[:20]!r} is no month like 2026-11")
        return cls(int(match[1]), int(match[2]))

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def after(self) -> date:
        """The first day of the next month."""
        return date(self.year + self.number // 12, self.number % 12 + 1, 1)

    def range_ms(self, zone: tzinfo) -> tuple[int, int]:
        """[start, end) in UTC epoch ms, by the midnights of `zone`."""
        start, end = (
            int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000
            for day in (self.first, self.after)
        )
        return start, end

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


class Status(StrEnum):
    PROVISIONAL = "provisional"  # late data may still change it
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Part:
    """How one kind of device was used. figures: as `devices.usage` names them.

    coverage: the share of the expected reports that arrived, None where none were expected.
    is_known: anything arrived at all; else the figures' zeros are no zeros.
    """

    figures: Mapping[str, Any]
    coverage: float | None
    is_known: bool


@dataclass(frozen=True, slots=True)
class Period:
    """Usage of a day or of the month so far. parts: only kinds that there are."""

    first: date
    last: date
    status: Status
    coverage: float | None
    parts: Mapping[PartName, Part]

    @property
    def is_known(self) -> bool:
        return bool(self.coverage) or any(part.is_known for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that was worked out elsewhere (availability, response times). value None: unknown.

    value: in `unit`, as it is shown: 99.2 with the unit "%".
    """

    name: Name
    unit: str
    value: float | None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class FaultCount:
    """The faults of one code that were raised in the month. Durations in seconds, until they were
    over, or until the report was made for the `standing` ones."""

    code: str
    name: Name
    severity: Severity
    count: int
    standing: int
    total_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class LongFault:
    """One of the longest. place: the device's name. ended_at_ms: None while it stands."""

    id: str
    code: str
    name: Name
    severity: Severity
    compound: Name
    place: str
    since_ms: int
    ended_at_ms: int | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults that were raised in the month.

    counts and longest are without those that another fault explains (suppressed), that nobody
    confirmed (suspected), or that were none (refuted).
    """

    counts: Sequence[FaultCount] = ()
    longest: Sequence[LongFault] = ()
    suppressed: int = 0
    suspected: int = 0
    refuted: int = 0

    @property
    def total(self) -> int:
        return sum(line.count for line in self.counts)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A day whose usage was corrected after it was final. added: by kind, what to which figure.

    place: the device's name; "" for a kind as a whole, and for a recount.
    """

    compound: Name
    day: date
    revision: int
    is_recount: bool
    place: str
    added: Mapping[str, Mapping[str, float]]
    reason: str
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound in the report of its firm."""

    id: str
    name: Name
    households: int
    synthetic: bool
    month: Period
    days: Sequence[Period]
    faults: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report shows.

    month_over: the whole month is in it; else it ends where `made_at_ms` is. zone: in which its
    days begin and its times are shown. devices: kind -> how many; lamps: behind lighting circuits.
    synthetic: some of it is simulated. compounds: only in a firm's report. corrections: the newest
    ones of days of the month, of `corrections_total`. by_hour: (passages, refusals) at a
    compound's gates by hour of the day, 24 of them; none in a firm's report, and without a gate.
    """

    subject: Literal["compound", "firm"]
    id: str
    name: Name
    firm: Name
    month: Month
    month_over: bool
    made_at_ms: int
    zone: tzinfo
    households: int
    devices: Mapping[str, int]
    lamps: int
    synthetic: bool
    total: Period
    days: Sequence[Period]
    faults: Faults
    given: Mapping[str, Figure] = field(default_factory=dict)
    compounds: Sequence[Compound] = ()
    corrections: Sequence[Corrected] = ()
    corrections_total: int = 0
    by_hour: Sequence[tuple[int, int]] = ()
