"""Threads for what may hang: a few at a time, and none of them holds up the end of the process.

`ThreadPoolExecutor` is joined when Python ends, so that one mail server that does not answer would
keep `courtyard alerts` alive for as long as it may take.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread


class Slots:
    """So many calls at the same time; others wait for their turn, in order."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._threads = 0
        self._calls: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()

    def submit(self, call: Callable[[], None]) -> Future[None]:
        """What becomes of it. Only one thread may call this."""
        future: Future[None] = Future()
        self._calls.put((future, call))
        if self._threads < self._count:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            Thread(target=self._work, name=name, daemon=True).start()
        return future

    def close(self) -> None:
        """Threads that are free end, and the others when they are done."""
        for _ in range(self._threads):
            self._calls.put(None)

    def _work(self) -> None:
        while (taken := self._calls.get()) is not None:
            future, call = taken
            if not future.set_running_or_notify_cancel():
                continue
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
            else:
                future.set_result(None)
