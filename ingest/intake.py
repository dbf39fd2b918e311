"""Between socket and journal: a bounded queue, the group commit that empties it, what it counted.

A batch is what arrived while the one before was being committed, and its acknowledgements leave
only after its fsync. Nothing here knows MQTT or a clock.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from devices.journal import MESSAGES, PROBE, TICK, Raw
from devices.store.failpoints import failpoint
from devices.store.journal import Draft
from ingest.publish_packets import MAX_RUN_MESSAGES, Run

MAX_BATCH_MESSAGES = MAX_RUN_MESSAGES
MAX_BATCH_BYTES = 1024 * 1024
MAX_WAITING_MESSAGES = 4_000  # four windows of 1,000: a reconnect brings the last one again
MAX_WAITING_BYTES = 64 * 1024 * 1024

log = structlog.get_logger()


class JournalPort(Protocol):
    """Where batches go: all drafts in order, in one fsync, or an exception and none of them."""

    def commit(self, drafts: Sequence[Draft]) -> list[int]: ...


@dataclass(slots=True)
class Counters:
    """What receive did since it started; only ever rises. Written by its own threads only.

    messages: those in the journal; probes and what carried none are not among them.
    acks_dropped: of an older connection, so the broker sends these messages again.
    """

    messages: int = 0
    message_bytes: int = 0
    batches: int = 0
    commits_failed: int = 0
    acks: int = 0
    acks_dropped: int = 0
    oversize: int = 0
    probes_sent: int = 0
    probes_returned: int = 0
    probes_foreign: int = 0  # and what was sent to a device
    sent: int = 0  # to devices
    connections: int = 0
    connection_attempts_failed: int = 0
    stalls: int = 0
    clock_steps: int = 0
    errors: int = 0
    origin_failures: int = 0


Entry = Run | Draft  # a draft here is a control record


class Intake:
    """What has arrived and is not committed, in order. Whoever puts looks at `is_full` first.

    It is never full for its own sake: `put` always takes, so that what was already read from a
    socket is not dropped; the bound is overrun by one read at most.
    """

    def __init__(
        self,
        max_messages: int = MAX_WAITING_MESSAGES,
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._messages = 0
        self._bytes = 0
        self._closed = False
        self.busy_since: float | None = None  # monotonic; None: all that came is committed
        self._changed = threading.Condition()

    def put(self, run: Run) -> None:
        with self._changed:
            self._entries.append(run)
            self._messages += len(run.messages)
            self._bytes += run.size_bytes
            if self.busy_since is None:
                self.busy_since = time.monotonic()
            self._changed.notify()

    def put_control(self, record: Draft) -> None:
        """A control record, in its place. Of ticks that wait next to each other the newest stays:
        they are all that comes while the journal cannot be written."""
        with self._changed:
            last = self._entries[-1] if self._entries else None
            if record.kind == TICK and isinstance(last, Draft) and last.kind == TICK:
                self._entries.pop()
            self._entries.append(record)
            self._changed.notify()

    def take(self) -> list[Entry]:
        """Waits for something; the oldest that make up one batch. Empty: closed, and all taken."""
        with self._changed:
            while not self._entries:
                if self._closed:
                    return []
                self._changed.wait()
            batch: list[Entry] = []
            messages = size_bytes = 0
            while self._entries:
                entry = self._entries[0]
                if isinstance(entry, Run):
                    messages += len(entry.messages)
                    size_bytes += entry.size_bytes
                    if batch and (messages > MAX_BATCH_MESSAGES or size_bytes > MAX_BATCH_BYTES):
                        break
                    self._messages -= len(entry.messages)
                    self._bytes -= entry.size_bytes
                batch.append(self._entries.popleft())
            return batch

    def done(self) -> None:
        """The batch that was taken is committed."""
        with self._changed:
            self.busy_since = time.monotonic() if self._messages else None

    def close(self) -> None:
        """Nothing more will be put; `take` gives what is left, then an empty batch."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def is_full(self) -> bool:
        return self._messages >= self._max_messages or self._bytes >= self._max_bytes

    @property
    def waiting_messages(self) -> int:
        return self._messages


class GroupCommit:
    """Empties an intake into the journal, one batch after the other, on the thread that runs it.

    A commit that fails is tried again, with the same batch, until it succeeds or `abandon` is
    called: its acknowledgements are withheld meanwhile, and the broker's window fills.
    """

    def __init__(
        self,
        intake: Intake,
        journal: JournalPort,
        counters: Counters,
        *,
        committed: Callable[[], None],
        acknowledge: Callable[[int, list[bytes]], None],
        probe_committed: Callable[[Draft], None],
        retry_first_s: float = 0.1,
        retry_max_s: float = 5.0,
    ) -> None:
        self._intake = intake
        self._journal = journal
        self._counters = counters
        self._committed = committed
        self._acknowledge = acknowledge
        self._probe_committed = probe_committed
        self._retry_first_s = retry_first_s
        self._retry_max_s = retry_max_s
        self._abandoned = threading.Event()
        self.failing_since: float | None = None  # monotonic

    def run(self) -> None:
        """Returns when the intake is closed and empty, or after `abandon`."""
        while batch := self._intake.take():
            drafts = to_drafts(batch)
            failpoint("R3")
            if drafts and not self._commit(drafts):
                return
            failpoint("R6")
            self._finish(batch, drafts)

    def abandon(self) -> None:
        """Give up a commit that keeps failing; nothing of it was acknowledged."""
        self._abandoned.set()

    def _commit(self, drafts: list[Draft]) -> bool:
        pause_s = self._retry_first_s
        while True:
            try:
                self._journal.commit(drafts)
            except Exception as error:  # noqa: BLE001 - whatever it is, acks are withheld
                self._counters.commits_failed += 1
                if self.failing_since is None:
                    self.failing_since = time.monotonic()
                    log.error(  # noqa: TRY400 - the journal's text says it; once, not per try
                        "journal_commit_failed",
                        error=str(error),
                        kind=type(error).__name__,
                        consequence="acknowledgements are withheld until it succeeds",
                    )
                if self._abandoned.wait(pause_s):
                    return False
                pause_s = min(pause_s * 2, self._retry_max_s)
            else:
                if self.failing_since is not None:
                    away_s = round(time.monotonic() - self.failing_since, 1)
                    log.info("journal_commits_again", after_s=away_s)
                    self.failing_since = None
                return True

    def _finish(self, batch: list[Entry], drafts: list[Draft]) -> None:
        self._intake.done()
        counters = self._counters
        counters.batches += bool(drafts)
        for draft in drafts:
            counters.messages += len(draft.messages)
            if draft.kind == PROBE:
                self._probe_committed(draft)
        mids: list[bytes] = []
        epoch = 0
        for entry in batch:
            if isinstance(entry, Run):
                counters.message_bytes += entry.size_bytes
                if entry.epoch != epoch and mids:
                    self._acknowledge(epoch, mids)
                    mids = []
                epoch = entry.epoch
                mids += entry.mids
        self._acknowledge(epoch, mids)  # also without any: receive reads on when a batch is done
        try:
            if drafts:
                self._committed()
        except Exception:
            counters.errors += 1
            log.exception("journal_bell_failed")


def to_drafts(batch: Sequence[Entry]) -> list[Draft]:
    """The records of a batch: messages of one connection that follow each other make one."""
    drafts: list[Draft] = []
    messages: list[Raw] = []
    epoch = 0
    for entry in batch:
        if isinstance(entry, Run):
            if messages and entry.epoch != epoch:
                drafts.append(Draft(MESSAGES, epoch, messages))
                messages = []
            epoch = entry.epoch
            messages += entry.messages
        else:
            if messages:
                drafts.append(Draft(MESSAGES, epoch, messages))
                messages = []
            drafts.append(entry)
    if messages:
        drafts.append(Draft(MESSAGES, epoch, messages))
    return drafts
