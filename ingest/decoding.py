"""Decoded once, read twice: forward takes over what the judge has just read and decoded."""

import threading
import time
from collections.abc import Callable, Sequence

from devices.journal import Record
from devices.messages import Decoded, Reading

KEPT_MESSAGES = 40_000  # about 30 MB; a follower that lags behind this reads for itself
KEPT_RECORDS = 4_000  # records of ticks and probes have no messages, and take room all the same
PATIENCE_S = 2.0  # so long without anything decoded, and whoever waits for it goes on alone

Said = tuple[Record, Sequence[Decoded | Reading]]


class SharedDecodes:
    """The newest records with what they say, for one reader beside the one that decoded them.

    All of one journal, the one of the last `begin`: record ids begin at 1 in every journal.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._changed = threading.Condition()
        self._monotonic = monotonic
        self._journal_id = ""
        self._kept: dict[int, Said] = {}
        self._messages = 0
        self._newest = 0
        self._put_s = monotonic()

    def begin(self, journal_id: str) -> None:
        """Forget everything; what is put from here on is of this journal. "": of none, for now."""
        with self._changed:
            self._journal_id = journal_id
            self._kept.clear()
            self._messages = 0
            self._newest = 0
            self._changed.notify_all()

    def put(self, record: Record, decoded: Sequence[Decoded | Reading]) -> None:
        with self._changed:
            self._forget(record.id)
            self._newest = record.id
            self._put_s = self._monotonic()
            self._kept[record.id] = (record, decoded)
            self._messages += record.count
            while self._messages > KEPT_MESSAGES or len(self._kept) > KEPT_RECORDS:
                self._forget(next(iter(self._kept)))
            self._changed.notify_all()

    def take(self, journal_id: str, record_id: int) -> Said | None:
        """This record, once; None if nobody has decoded it yet, or too long ago."""
        with self._changed:
            return self._forget(record_id) if journal_id == self._journal_id else None

    def will_come(self, journal_id: str, record_id: int) -> bool:
        """Whether the judge has yet to read this record, and is at work on this journal."""
        return (
            journal_id == self._journal_id
            and record_id > self._newest
            and self._monotonic() - self._put_s < PATIENCE_S
        )

    def wait(self, journal_id: str, record_id: int, timeout_s: float) -> None:
        """Wait until this record is here, or it will not come, or for so long."""
        with self._changed:
            self._changed.wait_for(
                lambda: record_id in self._kept or journal_id != self._journal_id, timeout_s
            )

    def _forget(self, record_id: int) -> Said | None:
        said = self._kept.pop(record_id, None)
        if said is not None:
            self._messages -= said[0].count
        return said
