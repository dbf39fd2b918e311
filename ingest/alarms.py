"""What is wrong with ourselves: said loudly at once, and written down as soon as that is possible.

The database may be what is away, so the log and the metrics are told first. The rows follow: what
came and went meanwhile is still raised and ended in them.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from devices.faults import PLATFORM, Fault
from devices.platform import Trouble
from ingest.ports import Clock

STEPS_KEPT = 4  # of one trouble that comes and goes while nobody can write it down
AGAIN_S = 30.0  # what lasts is looked at again: a person may have closed it too early

Key = tuple[str, str]  # subject, code

log = structlog.get_logger()


class PlatformRows(Protocol):
    """Where faults of the platform are kept. Raises DatabaseAway."""

    def settle(
        self, subject: str, code: str, trouble: Trouble | None, now_ms: int
    ) -> Fault | None: ...


class Alarms:
    """The board: `tell` never waits and may be called from any thread; `settle` writes."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._standing: dict[Key, Trouble | None] = {}
        self._steps: dict[Key, list[Trouble | None]] = {}
        self._settled_s: dict[Key, float] = {}

    def tell(self, code: str, trouble: Trouble | None, subject: str = PLATFORM) -> None:
        """How it stands with this: what is wrong, or nothing."""
        key = (subject, code)
        with self._lock:
            # What the process before this one left open is ended by the first word on it.
            is_first = key not in self._standing
            was = self._standing.get(key)
            self._standing[key] = trouble
            if not is_first and _is_same(was, trouble):
                return
            steps = self._steps.setdefault(key, [])
            steps.append(trouble)
            if len(steps) > STEPS_KEPT:
                del steps[1:3]
        if trouble is not None:
            log.error("platform_alarm", code=code, subject=subject, **_fields(trouble.evidence))
        elif was is not None:
            log.warning("platform_alarm_over", code=code, subject=subject)

    def standing(self) -> dict[Key, Trouble]:
        """Everything that is wrong now, by subject and code."""
        with self._lock:
            return {key: trouble for key, trouble in self._standing.items() if trouble is not None}

    def by_code(self) -> dict[str, int]:
        """How many of each code that was ever looked at are wrong now."""
        with self._lock:
            counts: dict[str, int] = {}
            for (_, code), trouble in self._standing.items():
                counts[code] = counts.get(code, 0) + (trouble is not None)
            return counts

    def settle(self, rows: PlatformRows) -> None:
        """Write down what is not yet; raises DatabaseAway, and goes on from there next time."""
        for key in list(self._steps):
            while self._steps[key]:
                step = self._steps[key][0]
                self._write(rows, key, step)
                with self._lock:
                    # while it was written, what follows may have been taken together
                    if self._steps[key] and self._steps[key][0] is step:
                        self._steps[key].pop(0)
        now_s = self._monotonic()
        for key, trouble in self.standing().items():
            if now_s - self._settled_s.get(key, now_s) >= AGAIN_S:
                self._write(rows, key, trouble)

    def _write(self, rows: PlatformRows, key: Key, trouble: Trouble | None) -> None:
        subject, code = key
        rows.settle(subject, code, trouble, self._clock())
        self._settled_s[key] = self._monotonic()


def _is_same(was: Trouble | None, now: Trouble | None) -> bool:
    """Whether nothing has come of it that is worth a line: figures change with every look."""
    if was is None or now is None:
        return was is now
    return was.severity == now.severity


def _fields(evidence: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in evidence.items() if name not in ("event", "code")}
