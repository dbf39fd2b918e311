"""How far the judge is behind while a run goes on."""

import threading
import time
from collections import deque

from chaos.rig import Rig


class LagWatch:
    """Looks twice a second how far journal and judge are, and remembers the worst.

    Behind is what lies between now and the moment at which the journal held the first message that
    is not judged yet. A judge that is dead is behind as well.
    """

    EVERY_S = 0.5

    def __init__(self, rig: Rig) -> None:
        self.most_s = 0.0
        self.most_messages = 0
        self._rig = rig
        self._seen: deque[tuple[float, int]] = deque()  # when, and what the journal held then
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    def __enter__(self) -> "LagWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Look no more; what was found stays."""
        self._stop.set()
        self._thread.join(40)

    def look(self, now_s: float, received: int, judged: int) -> None:
        """Take one look into account."""
        if not self._seen or received > self._seen[-1][1]:
            self._seen.append((now_s, received))
        while self._seen and self._seen[0][1] <= judged:
            self._seen.popleft()
        if self._seen:
            self.most_s = max(self.most_s, now_s - self._seen[0][0])
        self.most_messages = max(self.most_messages, received - judged)

    def _run(self) -> None:
        while not self._stop.wait(self.EVERY_S):
            judged = self._rig.positions()[0]  # first, so that it is not ahead
            self.look(time.monotonic(), self._rig.head()[1], judged)
