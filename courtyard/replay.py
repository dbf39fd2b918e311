"""`courtyard replay`: what was received in a range of time, once more.

1. messages of the quarantine that are still refused become requests to judge them again
2. unless only those were asked for, the journal's range is read again and its points are written
   to their places, after a fix of an adapter or the registry with what it says now; a cursor of its
   own remembers how far that is, so a run that was ended goes on when it is run again
3. the judge of a running ingest judges the requests; its answers are counted

Everything may be run twice: what was judged again with success is not asked for again, and a point
written again is the same point. Usage of hours gains what is newly accepted; figures that were
stored wrongly before stay as they are.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from sqlalchemy import Engine, delete

from courtyard.backup import rfc3339
from courtyard.clock import now_ms
from courtyard.errors import CommandError, UsageError
from courtyard.settings import Settings, secret_key
from courtyard.stores import open_operational, open_telemetry
from devices.credentials import Seal
from devices.journal import Head, Record
from devices.messages import Outcome
from devices.registry import Registry
from devices.store.cursors import ForwardCursor, Position
from devices.store.database import DatabaseAway, answering, reading, writing
from devices.store.journal import JournalError, JournalMissing, JournalReader
from devices.store.quarantine import (
    Filter,
    ask_again,
    judged_revision,
    outcomes,
    refused_within,
)
from devices.store.registry import load
from devices.store.schema import cursors
from devices.store.scope import DISTRICT
from ingest.forward import Forwarder

ASKED_AT_ONCE = 5_000
PAGE_RECORDS = 256
POLL_S = 0.25
TOLD_EVERY_S = 5.0
ACTOR = "courtyard replay"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Range:
    """What is to be replayed: received in [from_ms, to_ms). reason: only what is refused for it."""

    from_ms: int
    to_ms: int
    compound: str | None = None
    reason: str | None = None

    @property
    def cursor(self) -> str:
        """The name of the cursor of a run over it."""
        text = f"{self.from_ms}|{self.to_ms}|{self.compound}"
        return f"replay-{sha256(text.encode()).hexdigest()[:16]}"


def run_replay(settings: Settings, what: Range, patience_s: float, tell: Tell) -> str:
    """Does it, and says what was done. tell: is told how far it is.

    patience_s: how long the judge may take up nothing. Raises CommandError.
    """
    if what.from_ms >= what.to_ms:
        raise UsageError("--to: must be later than --from")
    engine = open_operational(settings)
    try:
        with answering():
            if what.compound is not None:
                _check_compound(engine, what.compound)
            number, ids = _ask(engine, what)
            tell(f"quarantine: {_messages(len(ids))} to be judged again")
            lines = []
            if what.reason is None:
                lines.append(_rewrite(settings, engine, what, tell))
            _await_judge(engine, number, patience_s, tell)
            with reading(engine) as connection:
                lines.insert(0, _told(len(ids), outcomes(connection, ids)))
        return "\n".join(lines)
    except DatabaseAway as error:
        raise CommandError(
            f"{error}. Run the same command again: it goes on where it was"
        ) from error
    except JournalError as error:
        raise CommandError(str(error)) from error
    finally:
        engine.dispose()


def _check_compound(engine: Engine, compound: str) -> None:
    with reading(engine) as connection:
        if compound not in load(connection).compounds:
            raise UsageError(f"--compound: the registry has no compound {compound!r}")


def _ask(engine: Engine, what: Range) -> tuple[int, list[int]]:
    """The number of the last request, 0 without any, and the messages that are asked for."""
    wanted = Filter(
        reason=what.reason,
        from_ms=what.from_ms,
        to_ms=what.to_ms,
        whole_compound=what.compound,
    )
    number, ids = 0, list[int]()
    while True:
        with writing(engine) as connection:
            last, some = ask_again(
                connection,
                DISTRICT,
                wanted,
                ACTOR,
                now_ms(),
                after=ids[-1] if ids else 0,
                limit=ASKED_AT_ONCE,
            )
        number, ids = max(number, last), ids + some
        if len(some) < ASKED_AT_ONCE:
            return number, ids


def _await_judge(engine: Engine, number: int, patience_s: float, tell: Tell) -> None:
    """Until the judge has committed the request with this number."""
    seen = -1
    moved_s = told_s = time.monotonic()
    while True:
        with reading(engine) as connection:
            revision = judged_revision(connection)
        if revision >= number:
            return
        now_s = time.monotonic()
        if revision != seen:
            seen, moved_s = revision, now_s
        elif now_s - moved_s > patience_s:
            raise CommandError(
                f"no judge has taken up the requests for {patience_s:.0f} s: start `courtyard"
                " ingest`, or look at its log. They stay, and are taken up when it runs"
            )
        if now_s - told_s >= TOLD_EVERY_S:
            told_s = now_s
            tell(f"quarantine: {number - revision} decisions before the judge is done")
        time.sleep(POLL_S)


def _told(asked: int, counts: dict[tuple[str, str], int]) -> str:
    if not asked:
        return "quarantine: nothing of this range is refused that could be judged again"
    refused = {reason: n for (outcome, reason), n in counts.items() if reason}
    stored, duplicate = (
        counts.get((outcome.value, ""), 0) for outcome in (Outcome.STORED, Outcome.DUPLICATE)
    )
    line = f"quarantine: of {_messages(asked)} {stored} became stored, {duplicate} duplicate"
    line += f"; {sum(refused.values())} stay refused"
    if refused:
        reasons = (f"{reason} {n}" for reason, n in sorted(refused.items()))
        line += f" ({', '.join(reasons)})"
    return line


def _messages(count: int) -> str:
    return f"{count} message" if count == 1 else f"{count} messages"


# The journal's range


def _rewrite(settings: Settings, engine: Engine, what: Range, tell: Tell) -> str:
    try:
        journal = JournalReader(settings.journal_path)
    except JournalMissing as error:
        return f"telemetry: nothing was read again: {error}"
    with journal:
        stretch = Stretch(journal, engine, what)
        if stretch.begins_ms is not None and what.from_ms < stretch.begins_ms:
            tell(
                f"telemetry: the journal begins at {rfc3339(stretch.begins_ms)}; what was received"
                " before is no longer in it"
            )
        telemetry = open_telemetry(settings)
        try:
            forwarder = Forwarder(
                telemetry,
                _Told(engine, what.cursor, stretch, tell),
                lambda: _registry(engine),
                now_ms,
                seal=Seal(secret_key(settings)),
            )
            forwarder.drain(stretch, threading.Event())
        finally:
            telemetry.close()
    with writing(engine) as connection:
        connection.execute(delete(cursors).where(cursors.c.name == what.cursor))
    progress = forwarder.progress
    line = f"telemetry: {progress.confirmed} points written again"
    return f"{line}; {progress.dead} refused by the store" if progress.dead else line


def _registry(engine: Engine) -> Registry:
    with answering(), reading(engine) as connection:
        return load(connection)


class Stretch:
    """The records of a range of time, with the messages in it that were not refused.

    first_id, last_id: where it begins and ends. begins_ms: when the oldest record that the journal
    still has was received, None for an empty one.
    """

    def __init__(self, journal: JournalReader, engine: Engine, what: Range) -> None:
        self._journal = journal
        self._engine = engine
        self._what = what
        self._page: list[Record] = []
        oldest, head = journal.trimmed_id() + 1, journal.head()
        self.begins_ms = stamp_of(journal, oldest, head.id)
        self.first_id = first_from(journal, what.from_ms, oldest, head.id)
        self.last_id = first_from(journal, what.to_ms, self.first_id, head.id) - 1
        # a record is stamped by its newest message: the one behind may begin within the range
        self.last_id = min(self.last_id + 1, head.id)
        self._head = head

    def head(self) -> Head:
        return replace(self._head, id=self.last_id)

    def read(self, after: int, limit: int) -> list[Record]:
        after = max(after, self.first_id - 1)
        if not self._page or self._page[0].id != after + 1:
            found = self._journal.read(after, PAGE_RECORDS)
            self._page = self._chosen([record for record in found if record.id <= self.last_id])
        some, self._page = self._page[:limit], self._page[limit:]
        return some

    def _chosen(self, records: Sequence[Record]) -> list[Record]:
        if not records:
            return []
        last = records[-1]
        with answering(), reading(self._engine) as connection:
            refused = refused_within(
                connection,
                self._head.journal_id,
                records[0].first_jseq,
                last.first_jseq + last.count,
            )
        what = self._what
        return [
            replace(
                record,
                messages=tuple(
                    raw
                    for jseq, raw in enumerate(record.messages, record.first_jseq)
                    if what.from_ms <= raw.received_ms < what.to_ms
                    and what.compound in (None, raw.origin)
                    and jseq not in refused
                ),
            )
            for record in records
        ]


class _Told(ForwardCursor):
    """The cursor of this run, which says how far it is."""

    def __init__(self, engine: Engine, name: str, stretch: Stretch, tell: Tell) -> None:
        super().__init__(engine, name)
        self._stretch = stretch
        self._tell = tell
        self._told_s = time.monotonic()

    def move(self, to: Position, now_ms: int) -> None:
        super().move(to, now_ms)
        if time.monotonic() - self._told_s >= TOLD_EVERY_S:
            self._told_s = time.monotonic()
            first, last = self._stretch.first_id, self._stretch.last_id
            self._tell(f"telemetry: record {to.position - first + 1} of {last - first + 1}")


def first_from(journal: JournalReader, at_ms: int, low: int, high: int) -> int:
    """The first record of [low, high] stamped at `at_ms` or later; high + 1 if there is none.

    Stamps rise but for steps of the host's clock: of these, what lies within the range is read.
    """
    high += 1
    while low < high:
        middle = (low + high) // 2
        stamp = stamp_of(journal, middle, high - 1)
        if stamp is None or stamp >= at_ms:
            high = middle
        else:
            low = middle + 1
    return low


def stamp_of(journal: JournalReader, record_id: int, last_id: int) -> int | None:
    """When the first record from `record_id` on that can be read was received."""
    for at in range(record_id, last_id + 1):
        record = journal.record_at(at)
        if record is None or record.corrupt:
            continue
        if record.messages:
            return record.messages[-1].received_ms
        if record.control is not None and "at_ms" in record.control:
            return int(record.control["at_ms"])
    return None
