"""Waiting for what another process does: a bounded poll, for want of an event to await."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


def eventually(
    look: Callable[[], T | None], within_s: float = 10.0, what: str = "", every_s: float = POLL_S
) -> T:
    """The first value of `look` that is neither None nor False; AssertionError after `within_s`.

    every_s: longer where looking itself costs those who are waited for.
    An OSError of `look` counts as "not yet": a server that is still starting refuses connections.
    """
    deadline_s = time.monotonic() + within_s
    last: object = None
    while True:
        try:
            seen = look()
        except OSError as error:
            last = error
        else:
            if seen is not None and seen is not False:
                return seen
            last = seen
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s} s: {what or look}; last seen: {last!r}")
        time.sleep(every_s)
