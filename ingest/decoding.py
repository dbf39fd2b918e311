"""Decoded once, read twice: forward takes over what the judge has just read and decoded."""

import threading
import time
from collections.abc import Sequence

from devices.journal import Record
from devices.messages import Decoded, Reading

KEPT_MESSAGES = 40_000  # about 30 MB; a follower that lags behind this reads for itself
PATIENCE_S = 2.0  # so long without anything decoded, and whoever waits for it goes on alone

Said = tuple[Record, Sequence[Decoded | Reading]]


class SharedDecodes:
    """The newest records with what they say, for one reader beside the one that decoded them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, Said] = {}
        self._messages = 0
        self._newest = 0
        self._put_s = time.monotonic()

    def put(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        with self._lock:
            self._newest = record.id
            self._put_s = time.monotonic()
            self._kept[record.id] = (record, decoded)
            self._messages += record.count
            while self._messages > KEPT_MESSAGES:
                oldest, _ = self._kept.pop(next(iter(self._kept)))
                self._messages -= oldest.count

    def take(self, record_id: int) -> Said | None:
        """This record, once; None if nobody has decoded it yet, or too long ago."""
        with self._lock:
            said = self._kept.pop(record_id, None)
            if said is not None:
                self._messages -= said[0].count
            return said

    def will_come(self, record_id: int) -> bool:
        """Whether the judge has yet to read this record, and is at work."""
        return record_id > self._newest and time.monotonic() - self._put_s < PATIENCE_S

    def clear(self) -> None:
        """Forget everything: the journal or the registry is another one."""
        with self._lock:
            self._kept.clear()
            self._messages = 0
            self._newest = 0
