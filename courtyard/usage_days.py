"""Sums up usage by day and month in the background: a few days at a time, with pauses between.

Days whose hours changed come first, every few seconds. What is missing (yesterday, after midnight;
everything, when a database of an earlier version is opened) is looked for at the start and once an
hour. Peaks of days are made behind them, some seconds later, and again when a session of a day that
is over was written.
"""

import threading
import time
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy import Engine

from devices.store.database import DatabaseAway
from devices.store.usage_days import UsageDays, Work, in_portions

EVERY_S = 10.0
LOOK_AFTER_S = 120.0  # a process that starts has other things to do
LOOK_EVERY_S = 3600.0
# A day that is still being written to (a history is filled in, a backlog judged) waits until that
# pauses, or so long.
LONGEST_WAIT_S = 40.0
# It gets a quarter of a core at most: the judge works in the same process.
REST = 3.0
LONGEST_REST_S = 2.0

Day = tuple[str, int]

log = structlog.get_logger()


class UsageDaysWorker:
    """The thread's work. every_s: how long it waits when there is nothing to do."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], int],
        every_s: float = EVERY_S,
        look_after_s: float = LOOK_AFTER_S,
    ) -> None:
        self._days = UsageDays(engine)
        self._clock = clock
        self._every_s = every_s
        self._look_at_s = time.monotonic() + look_after_s
        self._waiting: dict[Day, tuple[int, float]] = {}  # -> marks, since when it waits
        self.built = 0  # days

    def run(self, stop: threading.Event) -> None:
        away = False
        while not stop.wait(self._every_s):
            try:
                self.peaks(stop)
                self._work(self.due(), stop)
                if time.monotonic() >= self._look_at_s:
                    self.look(stop)
                    self._look_at_s = time.monotonic() + LOOK_EVERY_S
            except DatabaseAway as error:
                if not away:
                    log.warning("usage_days_wait", reason=str(error))
                away = True
                continue
            away = False

    def look(self, stop: threading.Event) -> None:
        """Sum up whatever has no sum; what becomes due meanwhile is not kept waiting."""
        before, due_at_s = self.built, time.monotonic() + self._every_s
        for work in self._days.missing(self._clock()):
            self._work([work], stop)
            if time.monotonic() >= due_at_s:
                self._work(self.due(), stop)
                due_at_s = time.monotonic() + self._every_s
            if stop.is_set():
                return
        for compound in self._days.compounds():
            begun_s = time.monotonic()
            self._days.build_months(compound, self._clock())
            self._days.build_spans(compound, self._clock())
            if self._rest(begun_s, stop):
                return
        if self.built > before:
            log.info("usage_days_made", days=self.built - before)

    def peaks(self, stop: threading.Event) -> None:
        """Make what peaks are missing: before sums are made, so that new days wait for a turn."""
        for compound in self._days.without_peaks():
            begun_s = time.monotonic()
            self._days.build_peaks(compound)
            if self._rest(begun_s, stop):
                return

    def due(self) -> Iterable[Work]:
        """Days whose hours changed and that nobody is writing to, as far as one can see."""
        now_s = time.monotonic()
        due = self._days.due(self._clock())
        was, self._waiting = self._waiting, {}
        ready: dict[str, list[int]] = {}
        for day, marks in due.items():
            before, since_s = was.get(day, (0, now_s))
            if marks == before or now_s - since_s >= LONGEST_WAIT_S:
                ready.setdefault(day[0], []).append(day[1])
            else:
                self._waiting[day] = (marks, since_s)
        return in_portions(ready)

    def _work(self, works: Iterable[Work], stop: threading.Event) -> None:
        for work in works:
            begun_s = time.monotonic()
            self._days.build(work, self._clock())
            self._days.build_months(work.compound, self._clock())
            self.built += len(work.days)
            if self._rest(begun_s, stop):
                return

    @staticmethod
    def _rest(begun_s: float, stop: threading.Event) -> bool:
        return stop.wait(min(LONGEST_REST_S, REST * (time.monotonic() - begun_s)))
