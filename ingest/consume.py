"""The driver of the judge: loads its state, feeds it the journal, commits effects and cursor.

1. load what was committed: registry, device states, standing faults, cursor
2. read records after the cursor, decode them, judge them
3. commit at once when a fault moved, else at most COMMIT_AFTER_S after the first message
4. at the borders, read what people decided meanwhile: registry, actions on faults
5. whenever the store was away, or somebody was faster, drop everything and begin at 1
"""

import gc
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from devices.faults import FaultMoved
from devices.journal import MESSAGES, Head, Record
from devices.judgement import Cursor
from devices.messages import Decoded, Reading
from devices.store.database import DatabaseAway
from devices.store.journal import JournalError
from devices.sun import lighting_hours
from ingest.decode import Decoder
from ingest.decoding import SharedDecodes
from ingest.judge.judge import Judge
from ingest.judge.plan import KindPlan, calm_range
from ingest.ports import Bell, Clock, JournalSource, JudgeStore

log = structlog.get_logger()

COMMIT_AFTER_S = 0.2
COMMIT_MESSAGES = 10_000  # a commit stays short, also when a backlog is read
READ_RECORDS = 16  # of at most 1,000 messages each
REVISIONS_EVERY_S = 1.0
FORGET_EVERY_S = 3600.0
BACK_OFF_S = (0.1, 0.5, 2.0, 5.0)


@dataclass(slots=True)
class Progress:
    """For metrics and the watchdog; written by the consumer alone."""

    position: int = 0
    jseq: int = 0
    messages: int = 0
    commits: int = 0
    newest_received_ms: int = 0  # of what was judged and committed
    reloads: int = 0


class Consumer:
    """Follows one journal for one stream.

    at_once: a fault that moves is committed with its record; a history, of which nobody is told, is
    committed in larger pieces. Raises CursorMoved from `run` and `drain` when another judge works
    on the same stream.
    """

    def __init__(
        self,
        store: JudgeStore,
        plans: Mapping[str, KindPlan],
        clock: Clock,
        *,
        stream: str,
        decodes: SharedDecodes | None = None,
        commit_after_s: float = COMMIT_AFTER_S,
        commit_messages: int = COMMIT_MESSAGES,
        at_once: bool = True,
    ) -> None:
        self._store = store
        self._plans = plans
        self._clock = clock
        self._stream = stream
        self._decodes = decodes
        self._commit_after_s = commit_after_s
        self._commit_messages = commit_messages
        self._at_once = at_once
        self._judge: Judge | None = None
        self._decoder: Decoder | None = None
        self._cursor: Cursor | None = None
        self._journal_id = ""
        self._position = 0
        self._revision = 0
        self._uncommitted_since: float | None = None
        self._looked_s = 0.0
        self._forgot_s = 0.0
        self._newest_ms = 0
        self.progress = Progress()

    def run(self, source: JournalSource, bell: Bell, stop: threading.Event) -> None:
        """Follow `source` until `stop`; what was judged by then is committed."""
        heard = 0
        failures = 0
        while not stop.is_set():
            try:
                if self._judge is None:
                    self._load(source.head())
                if not self._step(source):
                    heard = bell.wait(heard, self._patience_s())
                failures = 0
            except (DatabaseAway, JournalError, FaultMoved) as error:
                self._drop()
                if not isinstance(error, FaultMoved):
                    if failures == 0:
                        log.warning("judge_waits", stream=self._stream, error=str(error))
                    stop.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                    failures += 1
        if self._judge is not None and self._uncommitted_since is not None:
            try:
                self._commit()
            except (DatabaseAway, FaultMoved):
                self._drop()  # uncommitted: the next start judges it again

    def drain(self, source: JournalSource) -> None:
        """Judge all that `source` has and commit it. Raises DatabaseAway, JournalError."""
        while True:
            try:
                if self._judge is None or self._journal_id != source.head().journal_id:
                    self._load(source.head())
                while self._step(source):
                    pass
                if self._uncommitted_since is not None:
                    self._commit()
            except FaultMoved:
                self._drop()
                continue
            return

    def finish(self, now_ms: int) -> None:
        """End a back-filled history: close what stands open in it."""
        if self._judge is not None:
            self._judge.finish(now_ms)
            self._commit()

    def _load(self, head: Head) -> None:
        """Take everything from committed rows, or go on in a new journal."""
        if self._judge is None:
            self._revision = self._store.newest_revision()
            registry = self._store.registry()
            saved = self._store.load()
            self._decoder = Decoder(registry, calm=partial(calm_range, self._plans))
            self._judge = Judge(
                registry,
                self._plans,
                stream=self._stream,
                seen_before=self._store.knows,
                lighting=lighting_hours,
            )
            self._judge.load(saved)
            # The district's state lives as long as the process: measured, the collector's walks
            # over it cost more than judging does (12 µs a message against 5).
            gc.freeze()
            self._cursor = saved.cursor
            self._uncommitted_since = None
            self.progress.reloads += 1
        cursor = self._cursor
        self._journal_id = head.journal_id
        if self._decodes is not None:
            self._decodes.clear()
        if cursor is None:
            self._position = 0
        elif cursor.journal_id == head.journal_id:
            self._position = cursor.position
            if cursor.position > head.id:
                log.error("cursor_ahead_of_journal", cursor=cursor.position, head=head.id)
        else:
            if self._stream == "live":
                log.error("journal_replaced", was=cursor.journal_id, now=head.journal_id)
            self._position = 0
        if self._judge is not None:
            self._judge.effects.position = self._position

    def _drop(self) -> None:
        self._judge = None
        self._uncommitted_since = None
        if self._decodes is not None:
            self._decodes.clear()

    def _step(self, source: JournalSource) -> bool:
        """Judge what there is, commit if it is time; whether there was anything."""
        records = source.read(self._position, READ_RECORDS)
        for record in records:
            if record.id != self._position + 1:
                log.error("journal_gap", expected=self._position + 1, found=record.id)
            self._take(record)
        if self._uncommitted_since is not None and self._is_due():
            self._commit()
        self._look_around()
        return bool(records)

    def _take(self, record: Record) -> None:
        judge, decoder = self._judge, self._decoder
        if judge is None or decoder is None:
            raise RuntimeError("nothing was loaded")
        decoded: Sequence[Decoded | Reading] = ()
        if record.kind == MESSAGES:
            read = decoder.read
            decoded = [read(raw) for raw in record.messages]
            if record.messages:
                self._newest_ms = record.messages[-1].received_ms
        if self._decodes is not None:
            self._decodes.put(record, decoded)
        judge.judge(record, decoded)
        self._position = record.id
        if self._uncommitted_since is None:
            self._uncommitted_since = time.monotonic()
        has_moved = self._at_once and judge.effects.moves
        if has_moved or judge.effects.messages >= self._commit_messages:
            self._commit()

    def _is_due(self) -> bool:
        since = self._uncommitted_since
        return since is not None and time.monotonic() - since >= self._commit_after_s

    def _patience_s(self) -> float:
        since = self._uncommitted_since
        if since is None:
            return REVISIONS_EVERY_S
        return max(0.0, self._commit_after_s - (time.monotonic() - since))

    def _commit(self) -> None:
        judge = self._judge
        if judge is None:
            return
        effects = judge.take_effects()
        effects.revision = self._revision
        self._cursor = self._store.commit(effects, self._journal_id, self._cursor, self._clock())
        self._uncommitted_since = None
        progress = self.progress
        progress.position, progress.jseq = effects.position, effects.jseq
        progress.messages += effects.messages
        progress.newest_received_ms = self._newest_ms
        progress.commits += 1

    def _look_around(self) -> None:
        """At a batch border: what did people decide, and what may be forgotten?"""
        now_s = time.monotonic()
        if now_s - self._looked_s < REVISIONS_EVERY_S:
            return
        self._looked_s = now_s
        judge = self._judge
        revisions = self._store.revisions_after(self._revision)
        if judge is not None and any(revision.what == "registry" for revision in revisions):
            registry = self._store.registry()
            self._decoder = Decoder(registry, calm=partial(calm_range, self._plans))
            judge.registry_changed(registry)
        for revision in revisions:
            fault = self._store.fault(revision.subject) if revision.what == "fault" else None
            if fault is not None and judge is not None:
                judge.person_moved(fault, self._clock())
                self._uncommitted_since = self._uncommitted_since or now_s
            self._revision = revision.id
        if now_s - self._forgot_s >= FORGET_EVERY_S:
            self._forgot_s = now_s
            self._store.forget_keys(self._clock())
