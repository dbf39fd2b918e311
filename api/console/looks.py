"""What was read or made a moment ago, for all who want the same at this moment.

Two hundred consoles ask for one thing at once when they begin anew: the first one makes it, the
others get a copy. What open consoles are sent (`api.console.live`) is made in turns; what its views
have in common is made once in a turn.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")

KEPT_S = 0.4  # how old a copy may be: news are to be seen within 2 s
KEPT_MOST = 64


class Looks(Generic[V]):
    """Copies by all that they depend on; the oldest makes place."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, most: int = KEPT_MOST
    ) -> None:
        self._monotonic = monotonic
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Hashable, V]] = OrderedDict()

    def last(self, key: Hashable) -> V | None:
        """However old it is."""
        kept = self._kept.get(key)
        return None if kept is None else kept[2]

    def get(self, key: Hashable, make: Callable[[], V], turn: Hashable = None) -> V:
        """Of this turn, or without one not older than KEPT_S. One is made at a time."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and (
                kept[1] == turn if turn is not None else self._monotonic() - kept[0] < KEPT_S
            ):
                return kept[2]
            begun_s = self._monotonic()
            made = make()
            self._kept[key] = (begun_s, turn, made)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return made
