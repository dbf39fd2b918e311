"""What was really used: by device and hour what flowed, burned and passed, and every charge.

Amounts of the world, written down where the simulators let them happen, and never read back from a
message: what a device told of it, what of that arrived and what somebody made of it is not known
here. Besides: the messages that never arrived, for whoever compares must know of which hours not
all was heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from simulators.profiles import HOUR_MS
from simulators.truth import Detail, Fact


class Used:
    """Of one device in one hour. burn_s: lamp-seconds lit. in_use_s: with a charge under way."""

    __slots__ = ("burn_s", "denied", "energy_wh", "granted", "in_use_s")

    def __init__(self) -> None:
        self.energy_wh = 0.0
        self.burn_s = 0.0
        self.in_use_s = 0.0
        self.granted = 0
        self.denied = 0


class Charge(NamedTuple):
    """A charge that ended. wh: what flowed into the battery. reason: what really ended it."""

    port: str
    order: str
    started_ms: int
    ended_ms: int
    wh: float
    reason: str


class Diary:
    """Of one run, from `from_ms` on (UTC epoch ms); a charge that ends later is told whole."""

    def __init__(self, from_ms: int) -> None:
        self.hours: dict[tuple[str, int], Used] = {}
        self.charges: list[Charge] = []
        self.lost: dict[tuple[str, str, int], int] = {}
        self._from_ms = from_ms

    def charged_for(self, port: str, from_ms: int, to_ms: int, wh: float) -> None:
        """A charge was under way in a span within one hour, and drew so much."""
        if to_ms <= self._from_ms:
            return
        used = self._used(port, from_ms)
        used.energy_wh += wh
        used.in_use_s += (to_ms - from_ms) / 1000

    def burned(self, lamp: str, from_ms: int, to_ms: int, watts: float, lit: int) -> None:
        """So many lamps of it were lit all the time, and drew that much together."""
        for start, end in pieces(from_ms, to_ms):
            if end <= self._from_ms:
                continue
            used = self._used(lamp, start)
            used.energy_wh += watts * (end - start) / HOUR_MS
            used.burn_s += lit * (end - start) / 1000

    def tried(self, gate: str, at_ms: int, *, granted: bool) -> None:
        """Somebody was let through a gate, or was not."""
        used = self._used(gate, at_ms)
        used.granted += granted
        used.denied += not granted

    def charged(self, charge: Charge) -> None:
        if charge.ended_ms >= self._from_ms:
            self.charges.append(charge)

    def never_arrived(self, compound: str, kind: str, at_ms: int) -> None:
        """A message of such a device, about that time, will not come any more."""
        if at_ms < self._from_ms:
            return  # nobody listened yet
        key = compound, kind, at_ms - at_ms % HOUR_MS
        self.lost[key] = self.lost.get(key, 0) + 1

    def facts(self) -> Iterator[Fact]:
        """All of it: by device and hour what was used, each charge, and what never arrived."""
        for number, ((device, hour_ms), used) in enumerate(sorted(self.hours.items()), 1):
            detail: Detail = {
                name: getattr(used, name) for name in Used.__slots__ if getattr(used, name)
            }
            yield Fact(f"used-{number}", "used", device, hour_ms, hour_ms + HOUR_MS, detail)
        for number, one in enumerate(self.charges, 1):
            about: Detail = {"order": one.order, "energy_wh": one.wh, "reason": one.reason}
            yield Fact(f"charge-{number}", "charge", one.port, one.started_ms, one.ended_ms, about)
        for number, ((compound, kind, hour_ms), count) in enumerate(sorted(self.lost.items()), 1):
            told: Detail = {"of": kind, "messages": count}
            yield Fact(
                f"lost-{number}", "never_arrived", compound, hour_ms, hour_ms + HOUR_MS, told
            )

    def _used(self, device: str, at_ms: int) -> Used:
        key = device, at_ms - at_ms % HOUR_MS
        used = self.hours.get(key)
        if used is None:
            used = self.hours[key] = Used()
        return used


def pieces(from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
    """[from_ms, to_ms) cut at the hours."""
    while from_ms < to_ms:
        end = min(to_ms, from_ms - from_ms % HOUR_MS + HOUR_MS)
        yield from_ms, end
        from_ms = end
