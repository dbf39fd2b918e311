"""Watches from outside what cannot tell of itself: stores that are away, a judge that is behind.

Two threads. *look* asks each check once a second and never waits for a database; *rows* writes the
faults, and by that proves that the database answers.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from devices.faults import PLATFORM
from devices.pace import received_ms
from devices.platform import JUDGE_BEHIND, STORE_AWAY, Trouble
from devices.store.database import DatabaseAway
from devices.store.journal import JournalError
from ingest.alarms import Alarms, PlatformRows
from ingest.ports import Clock, JournalSource

LOOK_EVERY_S = 1.0
AWAY_AFTER_S = 10.0  # a write that had to be tried again once is no outage
STANDS_AFTER_S = 60.0  # a follower moves with every tick, and a write ends after ten seconds
BEHIND_ABOVE_MS = 60_000
BEHIND_NO_LONGER_MS = 30_000
LOOKS_BEHIND = 2  # one alone may be the moment of a step of the clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. look: with the time, what is wrong with it; None: nothing."""

    code: str
    look: Callable[[int], Trouble | None]
    subject: str = PLATFORM


@dataclass(frozen=True, slots=True)
class Place:
    """How far the judge has come, as committed."""

    journal_id: str
    position: int


class Absence:
    """A store that does not answer. why: what it said last, "" while it answers."""

    def __init__(
        self,
        store: str,
        why: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
        after_s: float = AWAY_AFTER_S,
    ) -> None:
        self.subject = f"{PLATFORM}:{store}"
        self._store = store
        self._why = why
        self._monotonic = monotonic
        self._after_s = after_s
        self._since: tuple[float, int] | None = None

    def look(self, now_ms: int) -> Trouble | None:
        why = self._why()
        if not why:
            self._since = None
            return None
        now_s = self._monotonic()
        self._since = self._since or (now_s, now_ms)
        if now_s - self._since[0] < self._after_s:
            return None
        evidence = {"store": self._store, "error": why[:300]}
        return Trouble(STORE_AWAY, self._since[1], evidence, subject=self.subject)


class Standstill:
    """Says so when a follower has not moved for long although there is something to read."""

    def __init__(
        self,
        position: Callable[[], int],
        source: JournalSource,
        monotonic: Callable[[], float] = time.monotonic,
        after_s: float = STANDS_AFTER_S,
    ) -> None:
        self._position = position
        self._source = source
        self._monotonic = monotonic
        self._after_s = after_s
        self._was = -1
        self._since_s = 0.0

    def __call__(self) -> str:
        """What is wrong, "" for nothing."""
        position, now_s = self._position(), self._monotonic()
        try:
            has_all = position >= self._source.head().id
        except JournalError:
            has_all = True  # whoever writes or reads the journal says so
        if position != self._was or has_all:
            self._was, self._since_s = position, now_s
        stands_s = now_s - self._since_s
        return "" if stands_s < self._after_s else f"nothing was finished for {stands_s:.0f} s"


class JudgeLag:
    """How old the oldest message is that the judge has not taken yet.

    position: None while it is not known. Whether the judge hangs, is dead or only slow: it shows.
    """

    def __init__(self, source: JournalSource, position: Callable[[], Place | None]) -> None:
        self._source = source
        self._position = position
        self._looks = 0
        self._is_behind = False
        self._since_ms = 0
        self.lag_ms = 0

    def look(self, now_ms: int) -> Trouble | None:
        try:
            lag_ms = self._lag_ms(now_ms)
        except JournalError:
            return self._trouble()  # as it was: whoever writes or reads the journal says so
        if lag_ms is None:
            return self._trouble()
        self.lag_ms = lag_ms
        self._looks = self._looks + 1 if lag_ms > BEHIND_ABOVE_MS else 0
        if self._is_behind:
            self._is_behind = lag_ms >= BEHIND_NO_LONGER_MS
        elif self._looks >= LOOKS_BEHIND:
            self._is_behind, self._since_ms = True, now_ms - lag_ms
        return self._trouble()

    def _trouble(self) -> Trouble | None:
        if not self._is_behind:
            return None
        return Trouble(JUDGE_BEHIND, self._since_ms, {"lag_s": self.lag_ms // 1000})

    def _lag_ms(self, now_ms: int) -> int | None:
        place = self._position()
        return None if place is None else waits_ms(self._source, place, now_ms)


def waits_ms(source: JournalSource, place: Place, now_ms: int) -> int:
    """How old the oldest record is that stands behind `place`; 0 without one."""
    head = source.head()
    position = place.position if place.journal_id == head.journal_id else 0
    if position >= head.id:
        return 0
    waiting = source.read(position, 1)
    return max(0, now_ms - received_ms(waiting[0], now_ms)) if waiting else 0


@dataclass
class Monitor:
    """checks: looked at in turn; one that fails costs only itself."""

    alarms: Alarms
    clock: Clock
    checks: list[Check] = field(default_factory=list)
    monotonic: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._answered_s = self._looked_s = self.monotonic()
        self._error = ""
        self.add_database()

    def add(self, checks: Sequence[Check]) -> None:
        """From the next look on these too."""
        self.checks = [*self.checks, *checks]

    def add_database(self) -> None:
        """Whether `run_rows` gets its answers; also while it has not even begun."""
        away = Absence("database", self._database_error, self.monotonic, after_s=0)
        self.add([Check(STORE_AWAY, away.look, away.subject)])

    def _database_error(self) -> str:
        silent_s = self.monotonic() - self._answered_s
        if silent_s < AWAY_AFTER_S:
            return ""
        return self._error or "it does not answer"

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`."""
        while True:
            self.look()
            if stop.wait(LOOK_EVERY_S):
                return

    def look(self) -> None:
        """Every check once."""
        now_s = self.monotonic()
        if now_s - self._looked_s > AWAY_AFTER_S / 2:
            self._answered_s = now_s  # we were frozen ourselves, and could not have been answered
        self._looked_s = now_s
        for check in self.checks:
            try:
                self.alarms.tell(check.code, check.look(self.clock()), check.subject)
            except Exception:
                log.exception("platform_check_failed", code=check.code)

    def run_rows(
        self, rows: PlatformRows, look_around: Callable[[], None], stop: threading.Event
    ) -> None:
        """Write faults until `stop`. look_around: asks the database something, each time."""
        while True:
            self.settle(rows, look_around)
            if stop.wait(LOOK_EVERY_S):
                return

    def settle(self, rows: PlatformRows, look_around: Callable[[], None]) -> None:
        """Write what is to be written, once."""
        try:
            look_around()
            self.alarms.settle(rows)
        except DatabaseAway as error:
            self._error = str(error)
        except Exception:
            log.exception("platform_faults_not_written")
        else:
            self._error = ""
            self._answered_s = self.monotonic()
