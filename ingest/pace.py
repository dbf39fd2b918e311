"""Keeps the pace of the last day: looks once a second, and asks nobody who may be away for it.

What is known of the followers is what they last committed: while the database is away they stand
still, and what waits for them grows older, which is just what is to be seen afterwards.
"""

import time
from collections.abc import Callable, Iterable

from devices.pace import Pace, newest, stretch_of
from devices.store.journal import JournalError
from ingest.monitor import Place, waits_ms
from ingest.ports import JournalSource

KEEP_EVERY_S = 60.0
LOOK_WITHIN_S = 30.0  # a longer pause was a stop of ours, and what came in it says nothing of pace


class PaceLog:
    """Stretches of the last day, of which the last one still grows."""

    def __init__(
        self, source: JournalSource, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._monotonic = monotonic
        self._stretches: dict[int, Pace] = {}
        self._was: tuple[float, str, int] | None = None  # when, which journal, how many messages
        self._kept_s: float | None = None
        self.is_loaded = False

    def load(self, known: Iterable[Pace]) -> None:
        """Those that an ingest before this one kept; what was seen here counts on top of them."""
        for one in known:
            mine = self._stretches.get(one.at_ms)
            self._stretches[one.at_ms] = (
                one
                if mine is None
                else one.seen(
                    mine.watched_ms, mine.received, mine.judge_lag_ms, mine.forward_lag_ms
                )
            )
        self.is_loaded = True

    def look(self, now_ms: int, judge: Place | None, forward: Place | None) -> None:
        """One look. judge, forward: how far they have come; None: not known."""
        now_s = self._monotonic()
        try:
            head = self._source.head()
            lags = [
                None if place is None else waits_ms(self._source, place, now_ms)
                for place in (judge, forward)
            ]
        except JournalError:
            self._was = None  # whoever writes or reads the journal says so
            return
        watched_ms = received = 0
        if self._was is not None:
            was_s, journal_id, jseq = self._was
            if journal_id == head.journal_id and now_s - was_s <= LOOK_WITHIN_S:
                watched_ms, received = round((now_s - was_s) * 1000), head.jseq - jseq
        self._was = (now_s, head.journal_id, head.jseq)
        at_ms = stretch_of(now_ms)
        if at_ms not in self._stretches:  # a new one has begun: room for it
            self._stretches = {one.at_ms: one for one in newest(self._stretches.values(), now_ms)}
        before = self._stretches.get(at_ms, Pace(at_ms))
        self._stretches[at_ms] = before.seen(watched_ms, received, lags[0], lags[1])

    def to_keep(self, now_ms: int) -> list[Pace]:
        """The last day, if it is time to write it down; else nothing."""
        now_s = self._monotonic()
        if self._kept_s is None:
            self._kept_s = now_s
        if not self.is_loaded or now_s - self._kept_s < KEEP_EVERY_S:
            return []
        return newest(self._stretches.values(), now_ms)

    def was_kept(self) -> None:
        """It is written down; the next time is in a minute."""
        self._kept_s = self._monotonic()
