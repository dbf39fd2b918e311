"""The only place that reads the wall clock; every part that needs the time is handed `now_ms`."""

import time
from collections.abc import Callable

Clock = Callable[[], int]  # UTC epoch milliseconds


def now_ms() -> int:
    """Now, UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000
