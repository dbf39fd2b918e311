"""When to stop: the signals that end a process, and the end of the process that started it."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

SAME_REQUEST_S = 0.5

_ENDING = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals(stop: threading.Event, again: Callable[[], None] | None = None) -> None:
    """SIGINT and SIGTERM set `stop`; each further one calls `again`, by default the end at once.

    What comes within SAME_REQUEST_S of the first is the same request: `timeout`, for one, signals
    the process and then its whole group.

    The signal's number travels through a pipe to a thread: a Python signal handler that touched the
    event itself could find the main thread inside it, holding its lock.
    """
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    for number in _ENDING:
        signal.signal(number, _noted)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)

    def watch() -> None:
        asked_at_s: float | None = None
        while numbers := os.read(read_fd, 16):
            for number in numbers:
                if number not in _ENDING:
                    continue
                now_s = time.monotonic()
                stop.set()
                if asked_at_s is None:
                    asked_at_s = now_s
                elif now_s - asked_at_s < SAME_REQUEST_S:
                    continue
                elif again is not None:
                    again()
                else:
                    os._exit(128 + number)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def _noted(_number: int, _frame: object) -> None:
    """Only there so that the signal does not end the process; the pipe has its number."""


def stop_with_parent(stop: threading.Event) -> None:
    """Sets `stop` when standard input ends: a supervisor holds the other end of it."""

    def watch() -> None:
        with suppress(OSError):
            # not through sys.stdin: its lock would be held by this thread when Python ends
            while os.read(0, 1024):
                pass
        stop.set()

    threading.Thread(target=watch, name="parent", daemon=True).start()
