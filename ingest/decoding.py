"""Decoded once, read twice: forward usually finds what the judge has just decoded."""

import threading
import time
from collections.abc import Sequence

from devices import journal
from devices.journal import Record
from devices.messages import Decoded, Reading

KEPT_MESSAGES = 20_000  # about 30 MB; a follower that lags behind this decodes for itself
PATIENCE_S = 2.0  # so long without anything decoded, and whoever waits for it goes on alone


class SharedDecodes:
    """The decoded messages of the newest records, for one reader beside the one that made them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, Sequence[Decoded | Reading]] = {}
        self._messages = 0
        self._newest = 0
        self._put_s = time.monotonic()

    def will_come(self, record: Record) -> bool:
        """Whether the judge has yet to decode this record, and is at work."""
        return record.id > self._newest and time.monotonic() - self._put_s < PATIENCE_S

    def put(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        with self._lock:
            self._newest = record.id
            self._put_s = time.monotonic()
            if record.kind != journal.MESSAGES:
                return
            self._kept[record.id] = decoded
            self._messages += len(decoded)
            while self._messages > KEPT_MESSAGES:
                oldest = next(iter(self._kept))
                self._messages -= len(self._kept.pop(oldest))

    def take(self, record: Record) -> Sequence[Decoded | Reading] | None:
        """What was decoded of this record, once; None if nobody did, or too long ago."""
        with self._lock:
            decoded = self._kept.pop(record.id, None)
            if decoded is not None:
                self._messages -= len(decoded)
            return decoded

    def clear(self) -> None:
        """Forget everything: the journal or the registry is another one."""
        with self._lock:
            self._kept.clear()
            self._messages = 0
            self._newest = 0
