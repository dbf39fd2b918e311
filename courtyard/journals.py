"""A journal that somebody else writes, for those who read it over a long time."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from devices.journal import Counted, Head, Raw, Record, Sent
from devices.store.journal import JournalReader, JournalReplaced

T = TypeVar("T")


class FollowedJournal:
    """Opened when it is first needed, and again when another file has come to its place.

    So a part may start before ingest has made the journal. Every method raises JournalError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reader: JournalReader | None = None

    def head(self) -> Head:
        return self._ask(JournalReader.head)

    def read(self, after: int, limit: int) -> list[Record]:
        return self._ask(lambda reader: reader.read(after, limit))

    def find(self, jseq: int) -> Raw | None:
        return self._ask(lambda reader: reader.find(jseq))

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        return self._ask(lambda reader: reader.count(position, hours, most))

    def sent_by(
        self,
        level: bytes,
        before: tuple[int, int] | None,
        until_ms: int,
        since_ms: int,
        most: int,
        within_s: float,
    ) -> Sent:
        return self._ask(
            lambda reader: reader.sent_by(level, before, until_ms, since_ms, most, within_s)
        )

    def size_bytes(self) -> int:
        return self._ask(JournalReader.size_bytes)

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _ask(self, question: Callable[[JournalReader], T]) -> T:
        with self._lock:
            if self._reader is None:
                self._reader = JournalReader(self._path)
            reader = self._reader
        try:
            return question(reader)
        except JournalReplaced:
            with self._lock:
                if self._reader is reader:
                    reader.close()
                    self._reader = None
            raise
