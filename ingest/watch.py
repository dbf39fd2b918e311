"""The thread that watches receive: ticks, steps of the clock, and whether anything comes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ingest.progress import Seen, Verdict, Watch, look

Clock = Callable[[], int]  # UTC epoch ms
LOOK_S = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Duties:
    """What the watcher calls, all on its own thread.

    tick: with the time, every so often. clock_stepped: by how many seconds, and the time after it.
    seen: for the watchdog. act: whenever it says RECONNECT, and once STUCK, with which it ends.
    """

    tick: Callable[[int], None]
    clock_stepped: Callable[[float, int], None]
    seen: Callable[[], Seen]
    act: Callable[[Verdict], None]


class Watcher:
    """Runs beside the other threads, and none of its own failures ends it."""

    def __init__(
        self,
        clock: Clock,
        duties: Duties,
        *,
        tick_s: float,
        stall_s: float,
        clock_step_s: float,
    ) -> None:
        self._clock = clock
        self._duties = duties
        self._tick_s = tick_s
        self._stall_s = stall_s
        self._clock_step_s = clock_step_s
        self._look_s = min(LOOK_S, stall_s / 4, tick_s / 2)
        now = time.monotonic()
        self._watch = Watch(now, now, now)
        self._next_tick_at = now + tick_s
        self._offset_s: float | None = None  # wall clock minus monotonic clock

    def run(self, ended: threading.Event) -> None:
        while True:
            try:
                if self._look() is Verdict.STUCK:
                    return
            except Exception:
                log.exception("receive_watch_error")
            if ended.wait(self._look_s):
                return

    def _look(self) -> Verdict:
        now = time.monotonic()
        at_ms = self._clock()
        if time.monotonic() - now < self._look_s:  # else we were held up between the two clocks
            before_s, self._offset_s = self._offset_s, at_ms / 1000 - now
            if before_s is not None and abs(self._offset_s - before_s) > self._clock_step_s:
                self._duties.clock_stepped(self._offset_s - before_s, at_ms)
        if now >= self._next_tick_at:
            self._next_tick_at = max(self._next_tick_at + self._tick_s, now)
            self._duties.tick(at_ms)
        self._watch, verdict = look(self._watch, self._duties.seen(), now, self._stall_s)
        if verdict is not Verdict.FINE:
            self._duties.act(verdict)
        return verdict
