"""Figures of usage that do not add up over hours: they are worked out for a whole stretch of time.

How many different people passed in a week is not the sum of its days, and the most sockets in use
at once is that of a moment. Of several compounds together: people live in one, so their counts add
up; the most sockets at once are those of the compound that had most.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devices.sun import sun_around

DAY_MS = 86_400_000


@dataclass(slots=True)
class Apart:
    """Of one stretch. households: as it may be shown; None: fewer, or not known.

    peak_ports: None: not known. dark_s: time in lighting hours in which lamps were out, of
    `dark_faults` faults; None: not known. unknown: figures of the API that were not counted yet
    when it began.
    """

    households: int | None = None
    peak_ports: int | None = None
    dark_s: float = 0.0
    dark_faults: int | None = None
    unknown: frozenset[str] = frozenset()

    def join(self, other: "Apart") -> None:
        """Take in another compound's of the same stretch."""
        if other.households is not None:
            self.households = (self.households or 0) + other.households
        if other.peak_ports is not None:
            self.peak_ports = max(self.peak_ports or 0, other.peak_ports)
        self.dark_s += other.dark_s
        if other.dark_faults is not None:
            self.dark_faults = (self.dark_faults or 0) + other.dark_faults
        self.unknown |= other.unknown

    @property
    def mean_dark_h(self) -> float | None:
        return self.dark_s / 3600 / self.dark_faults if self.dark_faults else None


def peak_of(parts: Iterable[Apart]) -> Apart:
    """What follows from the parts of a time: the most sockets at once, and nothing else."""
    known = [part.peak_ports for part in parts if part.peak_ports is not None]
    return Apart(peak_ports=max(known, default=None))


def peaks(spans: Iterable[tuple[int, int]], borders: Sequence[int]) -> list[int]:
    """How many spans there were at once at most, between each border and the next.

    spans: [from, to), in any order; one that is empty is none. borders: in order.
    """
    first, last = borders[0], borders[-1]
    steps = [(border, 1, 0) for border in borders[1:-1]]  # after what ends there
    for from_ms, to_ms in spans:
        begin, end = max(from_ms, first), min(to_ms, last)
        if begin < end:
            steps += [(begin, 2, 1), (end, 0, -1)]
    found = [0] * (len(borders) - 1)
    at = level = 0
    for _, _, step in sorted(steps):
        if step == 0:
            at += 1
        level += step
        found[at] = max(found[at], level)
    return found


def dark_s(latitude: float, longitude: float, from_ms: int, to_ms: int) -> float:
    """How much of [from_ms, to_ms) lay in lighting hours: outside civil dawn to civil dusk."""
    light_ms = 0
    seen: set[int | None] = set()
    at_ms = from_ms - DAY_MS
    while at_ms < to_ms + DAY_MS:
        today = sun_around(latitude, longitude, at_ms)
        dawn_ms, dusk_ms = today.dawn_ms, today.dusk_ms
        if dawn_ms is None or dusk_ms is None:
            begin_ms, end_ms = at_ms, at_ms if today.is_always_dark else at_ms + DAY_MS
        else:
            begin_ms, end_ms = dawn_ms, dusk_ms
        if begin_ms not in seen:
            seen.add(begin_ms)
            light_ms += max(0, min(end_ms, to_ms) - max(begin_ms, from_ms))
        at_ms += DAY_MS
    return max(0, to_ms - from_ms - light_ms) / 1000
