"""How often a link may be used: more than people do, and far less than a program could.

Counted by this process alone, and anew when it starts.
"""

import threading
from collections import OrderedDict

MINUTE_S, DAY_S = 60, 86_400
# (within so many seconds, so often): a group of fifty opens a link at once, and some reload it.
LOOKS = ((MINUTE_S, 120),)
ANSWERS = ((MINUTE_S, 10), (DAY_S, 100))
COUNTED_AT_MOST = 10_000  # of what was counted longest ago, the count begins anew


class Pace:
    """Whose turn it is, by link."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[int, bool, int], tuple[int, int]] = OrderedDict()

    def take(self, link: int, is_look: bool, now_ms: int) -> int:
        """0 where it may be used now, and then that counts; else in how many seconds it may be."""
        taken = []
        with self._lock:
            for within_s, most in LOOKS if is_look else ANSWERS:
                key, (period, into_s) = (link, is_look, within_s), divmod(now_ms // 1000, within_s)
                counted_in, count = self._counts.get(key, (period, 0))
                count = count if counted_in == period else 0
                if count >= most:
                    return within_s - into_s
                taken.append((key, (period, count + 1)))
            for key, counted in taken:
                self._counts[key] = counted
                self._counts.move_to_end(key)
            while len(self._counts) > COUNTED_AT_MOST:
                self._counts.popitem(last=False)
        return 0
