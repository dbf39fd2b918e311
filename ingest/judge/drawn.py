"""What a charging session draws, as its reports add up while it runs."""

from collections.abc import Iterator, Mapping

import msgspec

from devices.messages import Value
from devices.reconciliation import Measured
from devices.registers import Gauge, step
from devices.usage import HOUR_MS, hour_of

IDLE_LEAST_MS = 300_000  # some boards wait so long for a plug that was pulled out to be put back
IDLE_UNUSED_MS = 2 * HOUR_MS  # where it was never seen to charge: its status may say nothing


class Drawn(msgspec.Struct, array_like=True):
    """What the session that began then has drawn. Reports are taken in the order of their times.

    Between two samples of power is their mean, at both ends of the session the nearest. What was
    reported at the very moment of its start or its end counts for neither: then it does not matter
    which came first.

    covered_s: the time of which the power is known. last_w, last_ms: the newest sample in it.
    register_kwh, read_ms: the newest reading of the board's register; counted_kwh: what it grew by.
    counted: the session is a use of the socket already. held_ms, held_w, held_kwh, held_s: the
    newest report, which is in none of them yet. charged_ms: when it was last seen to charge;
    idle_ms: when the socket first said that it is idle. restarted: its board did, since then.
    whole: all its reports came in order. hours: Wh by hour.
    """

    began_ms: int
    wh: float = 0.0
    covered_s: float = 0.0
    last_w: float | None = None
    last_ms: int = 0
    register_kwh: float | None = None
    counted: bool = False
    counted_kwh: float = 0.0
    read_ms: int = 0
    held_ms: int = 0
    held_w: float | None = None
    held_kwh: float | None = None
    charged_ms: int = 0
    idle_ms: int = 0
    restarted: bool = False
    whole: bool = False
    hours: dict[int, float] = {}
    held_s: float = 0.0

    def take(self, at_ms: int, values: Mapping[str, Value], interval_s: int, gauge: Gauge) -> None:
        """A report of the socket."""
        if at_ms <= self.began_ms:
            return
        held_ms = self.held_ms
        if at_ms > held_ms:
            if held_ms:
                self._fold(3 * interval_s * 1000, gauge)
            self.held_ms = at_ms
        elif at_ms < held_ms:
            self.whole = False
            return
        is_charging = False
        if "power_w" in values:
            self.held_w = float(values["power_w"])
            is_charging = self.held_w > 0
        if "session_energy_kwh" in values:
            self.held_kwh = float(values["session_energy_kwh"])
            is_charging = is_charging or self.held_kwh > (self.register_kwh or 0.0)
        if "session_s" in values:
            self.held_s = float(values["session_s"])
        if "port_status" in values:
            status = values["port_status"]
            is_charging = status == "in_use"
            if status == "idle" and not self.idle_ms:
                self.idle_ms = at_ms
        if is_charging:
            self.charged_ms = at_ms
            if self.idle_ms or self.restarted:
                self.idle_ms, self.restarted = 0, False

    def has_stopped(self, at_ms: int, interval_s: int) -> bool:
        """Whether the socket has been idle for so long that the end must have been lost."""
        least_ms = max(3 * interval_s * 1000, IDLE_LEAST_MS if self.charged_ms else IDLE_UNUSED_MS)
        return self.idle_ms > 0 and at_ms - self.idle_ms >= least_ms

    def measured(self, ended_ms: int, interval_s: int, gauge: Gauge) -> Measured | None:
        """What there is when it ends then; None if reports came in another order."""
        if ended_ms <= self.began_ms:
            return Measured()
        longest_ms = 3 * interval_s * 1000
        if self.held_ms < ended_ms:
            self._fold(longest_ms, gauge)
        self.held_w = self.held_kwh = None
        if not self.whole or max(self.last_ms, self.read_ms) >= ended_ms:
            return None
        lasted_s = (ended_ms - self.began_ms) / 1000
        tail_ms = ended_ms - self.last_ms
        if self.last_w is not None and tail_ms <= longest_ms:
            self._add(self.last_w, self.last_ms, ended_ms)
        is_read = self.register_kwh is not None
        return Measured(
            self.counted_kwh if is_read else None,
            min(1.0, (self.read_ms - self.began_ms) / 1000 / lasted_s) if is_read else 0.0,
            self.wh / 1000 if self.last_w is not None else None,
            min(1.0, self.covered_s / lasted_s),
        )

    def shares(self) -> Iterator[tuple[int, float]]:
        """(hour, share) of what its power adds up to; shares add up to 1."""
        if self.wh > 0:
            for hour_ms, wh in self.hours.items():
                yield hour_ms, wh / self.wh

    def _fold(self, longest_ms: int, gauge: Gauge) -> None:
        at_ms, held_w, held_kwh = self.held_ms, self.held_w, self.held_kwh
        if held_w is not None:
            last_ms = self.last_ms or self.began_ms
            if at_ms - last_ms <= longest_ms:
                before_w = held_w if self.last_w is None else self.last_w
                self._add((before_w + held_w) / 2, last_ms, at_ms)
            self.last_w, self.last_ms, self.held_w = held_w, at_ms, None
        if held_kwh is not None:
            before_kwh = self.register_kwh or 0.0
            grown_kwh = held_kwh - before_kwh
            if not 0 <= grown_kwh <= gauge.slack_kwh:  # else a step would say the same
                since_ms = self.read_ms or self.began_ms
                counts_ms = int(self.held_s * 1000)
                grown_kwh = step(before_kwh, held_kwh, at_ms - since_ms, gauge, counts_ms).grown_kwh
            self.counted_kwh += grown_kwh
            self.register_kwh, self.read_ms, self.held_kwh = held_kwh, at_ms, None
        self.held_s = 0.0

    def _add(self, mean_w: float, from_ms: int, to_ms: int) -> None:
        self.covered_s += (to_ms - from_ms) / 1000
        hour_ms = from_ms - from_ms % HOUR_MS
        if to_ms <= hour_ms + HOUR_MS:  # as usual
            wh = mean_w * (to_ms - from_ms) / HOUR_MS
            self.wh += wh
            self.hours[hour_ms] = self.hours.get(hour_ms, 0.0) + wh
            return
        while from_ms < to_ms:
            hour_ms = hour_of(from_ms)
            until_ms = min(to_ms, hour_ms + HOUR_MS)
            wh = mean_w * (until_ms - from_ms) / HOUR_MS
            self.wh += wh
            self.hours[hour_ms] = self.hours.get(hour_ms, 0.0) + wh
            from_ms = until_ms
