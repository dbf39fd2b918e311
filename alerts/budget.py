"""How many messages a target may still be sent, below what its other side takes."""

from collections import deque
from collections.abc import Iterable

from alerts.channel import Limits

MINUTE_MS = 60_000
OURS = 0.9  # of the limit: their clock is not ours, and a robot that blocks us blocks for minutes
ORDINARY = 0.75  # of that; the rest is kept for the safety tier


class Budget:
    """Counts what is sent in any minute. sent_ms: when messages were sent lately."""

    def __init__(self, limits: Limits, sent_ms: Iterable[int] = ()) -> None:
        self._limits = limits
        self._sent_ms: deque[int] = deque(sorted(sent_ms))

    def spend(self, now_ms: int) -> None:
        """One more is sent now."""
        self._sent_ms.append(now_ms)

    def free(self, now_ms: int, *, safety: bool) -> int | None:
        """How many may be sent within this minute; None: as many as there are."""
        most = self._most(safety=safety)
        if most is None:
            return None
        while self._sent_ms and self._sent_ms[0] <= now_ms - MINUTE_MS:
            self._sent_ms.popleft()
        return max(0, most - len(self._sent_ms))

    def from_ms(self, now_ms: int, *, safety: bool) -> int:
        """When the next one may be sent: now, or later."""
        at_ms = now_ms
        if self._limits.per_second and self._sent_ms:
            at_ms = max(at_ms, self._sent_ms[-1] + 1000 // self._limits.per_second)
        most = self._most(safety=safety)
        if most is not None and self.free(now_ms, safety=safety) == 0:
            at_ms = max(at_ms, self._sent_ms[-most] + MINUTE_MS + 1)
        return at_ms

    def _most(self, *, safety: bool) -> int | None:
        if self._limits.per_minute is None:
            return None
        ours = max(1, int(self._limits.per_minute * OURS))
        return ours if safety else max(1, int(ours * ORDINARY))
