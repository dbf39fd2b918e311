"""When a target is left alone, and when it is told how the day was. Local times of its own zone."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from devices.days import zone_of
from devices.faults import Fault
from devices.rules import Severity

TIMEZONE = "Asia/Shanghai"
# What waits is given up after a day: so much of it must be left for trying.
QUIET_AT_MOST_H = 16
MAY_WAIT = frozenset({Severity.P3, Severity.P4})


@dataclass(frozen=True, slots=True)
class TargetHours:
    """quiet_from, quiet_to: between them it is left alone, also over midnight; both or neither.

    summary_at: when it is told of the day; None: it is not. Raises ValueError.
    """

    timezone: str = TIMEZONE
    quiet_from: time | None = None
    quiet_to: time | None = None
    summary_at: time | None = None

    def __post_init__(self) -> None:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("quiet_from and quiet_to come together, or neither")
        if self.quiet_from is None or self.quiet_to is None:
            return
        length_min = (_minutes(self.quiet_to) - _minutes(self.quiet_from)) % (24 * 60)
        if not 0 < length_min <= QUIET_AT_MOST_H * 60:
            raise ValueError(f"quiet hours last {QUIET_AT_MOST_H} h at most, and begin and end")

    @property
    def zone(self) -> tzinfo:
        return zone_of(self.timezone)

    def quiet_until_ms(self, now_ms: int) -> int | None:
        """When the quiet hours end in which this moment lies; None: in none."""
        if self.quiet_from is None or self.quiet_to is None:
            return None
        local = datetime.fromtimestamp(now_ms / 1000, self.zone).time()
        if self.quiet_from < self.quiet_to:
            is_quiet = self.quiet_from <= local < self.quiet_to
        else:
            is_quiet = local >= self.quiet_from or local < self.quiet_to
        return next_time_ms(self.quiet_to, now_ms, self.zone) if is_quiet else None


def may_wait(fault: Fault) -> bool:
    """Whether people need not be woken for it."""
    return fault.severity in MAY_WAIT and not fault.safety


def next_time_ms(at: time, after_ms: int, zone: tzinfo) -> int:
    """When it is so late for the first time after `after_ms`."""
    day = datetime.fromtimestamp(after_ms / 1000, zone).date()
    while True:
        found_ms = time_of(day.isoformat(), at, zone)
        if found_ms > after_ms:
            return found_ms
        day += timedelta(days=1)


def time_of(day: str, at: time, zone: tzinfo) -> int:
    """When it is so late on that local day."""
    return int(datetime.combine(datetime.fromisoformat(day), at, zone).timestamp()) * 1000


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute
