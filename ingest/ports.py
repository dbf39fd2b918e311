"""What the followers of the journal need from outside, as they need it."""

import threading
from collections.abc import Callable
from typing import Protocol

from devices.faults import Fault
from devices.journal import Head, Record
from devices.judgement import Cursor, Effects, InQuarantine, Revision, Saved
from devices.maintenance import Window
from devices.overrides import RuleSet
from devices.registry import Registry
from devices.sessions import Session

Clock = Callable[[], int]  # UTC epoch ms


class JournalSource(Protocol):
    """A journal to follow."""

    def head(self) -> Head: ...

    def read(self, after: int, limit: int) -> list[Record]: ...


class JudgeStore(Protocol):
    """Where effects go, with the cursor. Raises DatabaseAway, CursorMoved, FaultMoved.

    `commit` also raises DatabaseRefused; `refusal` tells beforehand whether it would, and why.
    is_sound: whether the database takes anything at all.
    """

    def registry(self) -> Registry: ...

    def rules(self) -> RuleSet: ...

    def load(self) -> Saved: ...

    def revisions_after(self, revision: int) -> list[Revision]: ...

    def newest_revision(self) -> int: ...

    def fault(self, fault: str) -> Fault | None: ...

    def windows(self, now_ms: int) -> list[Window]: ...

    def knows(self, key: bytes) -> bool: ...

    def session(self, session: str) -> Session | None: ...

    def in_quarantine(self, refused: int) -> InQuarantine | None: ...

    def commit(
        self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int
    ) -> Cursor: ...

    def refusal(
        self, effects: Effects, journal_id: str, was: Cursor | None, now_ms: int
    ) -> str | None: ...

    def is_sound(self, now_ms: int) -> bool: ...

    def forget_keys(self, now_ms: int) -> int: ...


class Bell:
    """Rung when the journal grew; whoever follows it waits here instead of polling."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self._count = 0

    def ring(self) -> None:
        with self._rung:
            self._count += 1
            self._rung.notify_all()

    def wait(self, heard: int, timeout_s: float) -> int:
        """Wait until it was rung more than `heard` times, or for `timeout_s`; gives how often."""
        with self._rung:
            self._rung.wait_for(lambda: self._count > heard, timeout_s)
            return self._count
