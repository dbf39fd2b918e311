"""Turns at something slow: a few at once, a few who wait for a moment, and nobody more."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors import Away

AGAIN_S = 2.0  # when who was sent away may come back


class Turns:
    """Holds the threads that may be busy with one thing: whatever hangs, the others stay free.

    at_once: how many have their turn. waiting: how many may wait for theirs, for wait_s; a page
    asks for several at the same moment. what: what they wait for, as the answer names it.
    """

    def __init__(self, what: str, at_once: int, waiting: int, wait_s: float) -> None:
        self._what = what
        self._wait_s = wait_s
        self._turns = threading.BoundedSemaphore(at_once)
        self._places = threading.BoundedSemaphore(at_once + waiting)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises Away when there are too many already, at once or after wait_s."""
        if not self._places.acquire(blocking=False):
            raise self._busy()
        try:
            if not self._turns.acquire(timeout=self._wait_s):
                raise self._busy()
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()

    def _busy(self) -> Away:
        return Away(f"Too many are asking {self._what} at this moment; try again.", AGAIN_S)
