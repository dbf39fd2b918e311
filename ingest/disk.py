"""Room on the journal's disk: when to warn, when to withhold acknowledgements, when to go on.

A disk that runs full loses nothing as long as nothing is acknowledged that cannot be written: the
broker keeps it. So receive stops committing while there is still room for the rest of us, and
begins again by itself.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from devices.platform import DISK, Trouble
from devices.rules import Severity
from devices.store.journal import Draft, JournalError, JournalFull
from ingest.intake import JournalPort

WARN_ABOVE_PCT = 75.0
WITHHOLD_ABOVE_PCT = 85.0
RESUME_BELOW_PCT = 80.0
AMPLE_BELOW_PCT = 73.0  # somewhat below the warning, so that a trim does not end and begin it
LARGE_BYTES = 64 * 1024**3  # days of the largest district; a larger disk counts as one of this size
LOOK_EVERY_S = 0.2


class Room(StrEnum):
    AMPLE = "ample"
    LOW = "low"  # the journal keeps only what somebody has yet to read
    NONE = "none"  # and nothing more is committed


def room(was: Room, used_pct: float) -> Room:
    """How much room there is on a disk of which so much is used; `was` is what it was before."""
    if used_pct > WITHHOLD_ABOVE_PCT or (was is Room.NONE and used_pct >= RESUME_BELOW_PCT):
        return Room.NONE
    if used_pct > WARN_ABOVE_PCT or (was is not Room.AMPLE and used_pct >= AMPLE_BELOW_PCT):
        return Room.LOW
    return Room.AMPLE


def used_pct(path: Path) -> float:
    """How much of the file system that holds `path` is used; raises OSError.

    As df says it: what is reserved for root is neither used nor free. But what matters is what is
    left, and 15 % of a terabyte is plenty: of a large disk only the last LARGE_BYTES count.
    """
    disk = os.statvfs(path)
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    left = disk.f_bavail * disk.f_frsize
    return used_share_pct(used, left)


def used_share_pct(used_bytes: int, left_bytes: int) -> float:
    """What `used_pct` makes of a disk of which so much is used and so much is left."""
    whole_bytes = min(used_bytes + left_bytes, LARGE_BYTES)
    return max(0.0, 100 * (1 - left_bytes / whole_bytes)) if whole_bytes else 0.0


class DiskGuard:
    """Looks at the disk, from any thread, and remembers what the last commit said.

    error: why the journal could not be written, "" since it could.
    """

    def __init__(
        self,
        used: Callable[[], float],
        *,
        look_every_s: float = LOOK_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._used = used
        self._look_every_s = look_every_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_s = -look_every_s
        self.room = Room.AMPLE
        self.used_pct = 0.0
        self.error = ""

    def look(self) -> Room:
        """How much room there is; a disk that does not say is as it was."""
        with self._lock:
            now_s = self._monotonic()
            if now_s - self._looked_s >= self._look_every_s:
                self._looked_s = now_s
                try:
                    self.used_pct = self._used()
                except OSError as error:
                    self.error = f"the disk of the journal cannot be looked at: {error}"
                else:
                    self.room = room(self.room, self.used_pct)
            return self.room

    def trouble(self, now_ms: int) -> Trouble | None:
        """What is wrong with the disk. P1 as long as nothing can be acknowledged."""
        where, error = self.look(), self.error
        if where is Room.AMPLE and not error:
            return None
        evidence: dict[str, object] = {
            "used_pct": round(self.used_pct, 1),
            "acks_withheld": where is Room.NONE or bool(error),
        }
        if error:
            evidence["error"] = error[:300]
        severity = Severity.P1 if evidence["acks_withheld"] else Severity.P2
        return Trouble(DISK, now_ms, evidence, severity)


class GuardedJournal:
    """A journal that takes nothing while its disk has no room. Raises what the journal raises."""

    def __init__(self, journal: JournalPort, guard: DiskGuard) -> None:
        self._journal = journal
        self._guard = guard

    def commit(self, drafts: Sequence[Draft]) -> list[int]:
        guard = self._guard
        if guard.look() is Room.NONE:
            raise JournalFull(
                f"the disk of the journal is {guard.used_pct:.1f} % full: nothing is acknowledged"
                f" until it is below {RESUME_BELOW_PCT:g} %; free or add space"
            )
        try:
            ids = self._journal.commit(drafts)
        except JournalError as error:
            guard.error = str(error)
            raise
        guard.error = ""
        return ids
