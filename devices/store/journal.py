"""The journal on one machine: one SQLite file, one writing process, any number of readers.

A record is a row: id (AUTOINCREMENT, so ids go on after everything was trimmed), kind, first jseq,
count, epoch, newest stamp, CRC-32 and body. The body is msgpack: `[[topic, payload, flags,
received_ms, origin], …]` of a batch, or the mapping of a control record. Beside the records the
writer keeps `received`, its own count of messages by hour and origin, which no consumer touches:
the accounts are checked against it.

WAL with synchronous=FULL: one fsync a commit, so what `commit` returned for survives a power loss.
Only the writer writes, checkpoints and trims; readers open `mode=ro` and never wait for it.
"""

import errno
import fcntl
import os
import secrets
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote

import apsw
import msgspec

from devices.journal import MESSAGES, Counted, Head, Raw, Record, Sent
from devices.store.failpoints import failpoint

Clock = Callable[[], int]  # UTC epoch ms

APPLICATION_ID = 0x43594A4C  # "CYJL" in the file's header: this is a courtyard journal
SCHEMA_VERSION = 1
HOUR_MS = 3_600_000

PAGE_BYTES = 8192  # 4096 costs a full batch 15 % more CPU, 16384 a single message twice the bytes
CHECKPOINT_PAGES = 512  # 4 MiB; a WAL beyond this is copied into the file, readers permitting
WAL_LIMIT_PAGES = 8192  # 64 MiB; beyond this the writer waits WAL_WAIT_MS for readers to let go
WAL_WAIT_MS = 200
SPARE_BYTES = 64 << 20  # pages that a trim freed: so many stay for reuse, the rest goes to the disk
SLICE_PAGES = 128  # 1 MiB, given back at a time where the disk runs full
SHRINK_PAGES = 4096  # given back to the disk by one trim at most, so that it stays short
TRIM_RECORDS = 10_000  # deleted by one trim at most, so that acknowledgements do not wait long
READ_BYTES = 8 << 20  # a read stops after the record that passes this
RECEIVED_KEPT_MS = 400 * 24 * HOUR_MS  # hours older than this are kept in the totals only
BUSY_MS = 5_000
# Records that a search looks through in one statement, between two looks at the clock: 0.5 µs each
# where one holds one message, more where it holds hundreds.
SEARCH_RECORDS = 500, 20_000
SEARCH_PIECE_S = 0.004
LOOK_S = 1.0  # for bad pages, when a writer opens the file; readers meet the rest

_Control = Mapping[str, int | bool | str]

_origin = itemgetter(4)
_encode = msgspec.msgpack.Encoder().encode
_decode_messages = msgspec.msgpack.Decoder(tuple[Raw, ...]).decode
_decode_control = msgspec.msgpack.Decoder(dict[str, int | bool | str]).decode
_decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode

_SCHEMA = """
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    first_jseq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE received (
    hour_ms INTEGER PRIMARY KEY,
    counts BLOB NOT NULL
);
CREATE TABLE journal (
    journal_id TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    trimmed_id INTEGER NOT NULL,
    trimmed_jseq INTEGER NOT NULL,
    totals BLOB NOT NULL,
    totals_before_ms INTEGER NOT NULL
);
"""
_INSERT = (
    "INSERT INTO records (kind, first_jseq, count, epoch, at_ms, crc, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COUNT = (
    "INSERT INTO received (hour_ms, counts) VALUES (?, ?)"
    " ON CONFLICT (hour_ms) DO UPDATE SET counts = excluded.counts"
)
_SELECT = "SELECT id, kind, first_jseq, count, epoch, crc, body FROM records"
_HEAD = (
    "SELECT journal_id,"
    " coalesce((SELECT max(id) FROM records), trimmed_id),"
    " coalesce((SELECT first_jseq + count - 1 FROM records ORDER BY id DESC LIMIT 1), trimmed_jseq)"
    " FROM journal"
)


class JournalError(Exception):
    """The journal could not do what was asked; nothing of it was done."""


class JournalMissing(JournalError):
    """There is no journal at this path yet: ingest makes it when it starts for the first time."""


class JournalHeld(JournalError):
    """Another process writes this journal. pid: which one, where its lock says so."""

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class JournalForeign(JournalError):
    """The file is no journal, or one of a newer version: nothing in it was changed."""


class JournalFull(JournalError):
    """No room on the disk. Rolled back; the same commit succeeds once there is room again."""


class JournalDamaged(JournalError):
    """A page of the file is not what was written there. Waiting does not mend it."""


class JournalReplaced(JournalError):
    """Another file lies at the path than the one that was opened: close this reader, open anew."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before it has an id: messages for kind MESSAGES, else a control mapping."""

    kind: str
    epoch: int
    messages: Sequence[Raw] = ()
    control: _Control | None = None

    def __post_init__(self) -> None:
        if self.kind == MESSAGES:
            if not self.messages or self.control is not None:
                raise ValueError("a draft of messages has at least one, and no control mapping")
        elif self.messages or self.control is None:
            raise ValueError(f"a draft of kind {self.kind!r} has a control mapping and no messages")


class JournalWriter:
    """The one writer of a journal; makes the file if there is none.

    Methods may be called from any thread, one at a time each. Raises JournalHeld while another
    writer lives, JournalForeign for a file that is no journal, JournalFull, JournalError.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._wal = path.with_name(path.name + "-wal")
        self._wal_pages = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = hold(path)
        try:
            self._db = self._open()
        except BaseException:
            os.close(self._lock_fd)
            raise

    def _open(self) -> apsw.Connection:
        # raw messages may hold credential numbers: for our own user only, and so the WAL beside it
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.set_busy_timeout(BUSY_MS)
            if not _is_journal(db, self.path):
                self._create(db)
            _pragma(db, "journal_mode=WAL")
            _pragma(db, "synchronous=FULL")
            db.set_wal_hook(self._note_wal)  # instead of checkpoints inside COMMIT
            _pragma(db, f"journal_size_limit={4 * CHECKPOINT_PAGES * PAGE_BYTES}")
            self._load(db)
            _look_for_damage(db, LOOK_S)
        except apsw.Error as error:
            db.close()
            _fail(error, f"cannot open the journal {self.path}")
        except BaseException:
            db.close()
            raise
        return db

    def _create(self, db: apsw.Connection) -> None:
        _pragma(db, f"page_size={PAGE_BYTES}")
        # makes trims cheap (no page of a body is read) and lets them give space back to the disk
        _pragma(db, "auto_vacuum=INCREMENTAL")
        _pragma(db, "journal_mode=WAL")
        with db:  # one transaction: a file is a journal or empty, whatever is killed
            _pragma(db, f"application_id={APPLICATION_ID}")
            _pragma(db, f"user_version={SCHEMA_VERSION}")
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute(
                "INSERT INTO journal VALUES (?, ?, 0, 0, ?, 0)",
                (secrets.token_hex(16), self._clock(), _encode({})),
            )

    def _load(self, db: apsw.Connection) -> None:
        """Take memory from the rows: at open, and whenever a transaction came to nothing."""
        self._head = Head(*db.execute(_HEAD).get)
        totals, before_ms = db.execute("SELECT totals, totals_before_ms FROM journal").get
        self._totals = _decode_counts(totals)
        self._totals_before_ms: int = before_ms
        self._hours: dict[int, dict[str, int]] = {}
        self._stale = False

    def head(self) -> Head:
        return self._head

    def commit(self, drafts: Sequence[Draft]) -> list[int]:
        """Append all drafts in order, in one transaction and one fsync; returns their ids.

        Returned means on the disk. Raised (JournalFull, JournalError) means that none is in: the
        same drafts may be committed again.
        """
        if not drafts:
            return []
        with self._lock:
            received: dict[int, Counter[str]] = {}
            rows = []
            with self._transaction(f"{len(drafts)} records were not written to {self.path}") as db:
                jseq = self._head.jseq
                for draft in drafts:
                    if draft.control is None:
                        body = _encode(draft.messages)
                        at_ms = _count_received(draft.messages, received)
                    else:
                        body = _encode(draft.control)
                        at_ms = int(draft.control.get("at_ms", 0)) or self._clock()
                    count = len(draft.messages)
                    crc = zlib.crc32(body)
                    rows.append((draft.kind, jseq + 1, count, draft.epoch, at_ms, crc, body))
                    jseq += count
                failpoint("R11", JournalFull)
                db.executemany(_INSERT, rows)
                newest = db.last_insert_rowid()
                for hour_ms, counts in received.items():
                    self._count(db, hour_ms, counts)
                failpoint("R4", JournalError)
            self._head = Head(self._head.journal_id, newest, jseq)
            self._checkpoint()
        return list(range(newest - len(rows) + 1, newest + 1))

    def _count(self, db: apsw.Connection, hour_ms: int, counts: Counter[str]) -> None:
        """Add to an hour's row, in the transaction of its messages.

        One msgpack row an hour, kept in memory too: a row for each origin would cost a busy batch
        (200 compounds) 0.3 µs a message, this costs 0.02.
        """
        hour = self._hours.get(hour_ms)
        if hour is None:
            if hour_ms > self._totals_before_ms:
                self._fold(db, hour_ms)
            row = db.execute("SELECT counts FROM received WHERE hour_ms = ?", (hour_ms,)).get
            # at most two: an hour's turn has messages of both
            self._hours = dict(list(self._hours.items())[-1:])
            hour = self._hours[hour_ms] = {} if row is None else _decode_counts(row)
        _add(hour, counts)
        db.execute(_COUNT, (hour_ms, _encode(hour)))
        if hour_ms < self._totals_before_ms:
            _add(self._totals, counts)
            db.execute("UPDATE journal SET totals = ?", (_encode(self._totals),))

    def _fold(self, db: apsw.Connection, before_ms: int) -> None:
        """Move the border up to which `totals` holds every hour, so that no sum reads years."""
        for (counts,) in db.execute(
            "SELECT counts FROM received WHERE hour_ms >= ? AND hour_ms < ?",
            (self._totals_before_ms, before_ms),
        ):
            _add(self._totals, _decode_counts(counts))
        self._totals_before_ms = before_ms
        db.execute(
            "UPDATE journal SET totals = ?, totals_before_ms = ?",
            (_encode(self._totals), before_ms),
        )

    def trim(self, before_ms: int, passed_id: int) -> int:
        """Delete records from the old end: stamped before `before_ms` and with id <= `passed_id`.

        A record's stamp is its newest receive time, or its `at_ms`. The first record that must stay
        keeps all behind it, so ids stay without gaps. One transaction of at most TRIM_RECORDS;
        returns how many, so call again while it returns that. Counts of `received` stay.
        """
        with self._lock:
            with self._transaction(f"nothing was trimmed from {self.path}") as db:
                first_kept = db.execute(
                    "SELECT id FROM records WHERE at_ms >= ? OR id > ? ORDER BY id LIMIT 1",
                    (before_ms, passed_id),
                ).get
                trimmed_id: int = db.execute("SELECT trimmed_id FROM journal").get
                last = self._head.id if first_kept is None else first_kept - 1
                last = min(last, trimmed_id + TRIM_RECORDS)
                trimmed = last - trimmed_id
                if trimmed:
                    db.execute(
                        "UPDATE journal SET trimmed_id = id, trimmed_jseq = first_jseq + count - 1"
                        " FROM records WHERE id = ?",
                        (last,),
                    )
                    db.execute("DELETE FROM records WHERE id <= ?", (last,))
                self._hours.clear()
                db.execute(
                    "DELETE FROM received WHERE hour_ms < ? AND hour_ms < ?",
                    (before_ms - RECEIVED_KEPT_MS, self._totals_before_ms),
                )
                if trimmed:
                    failpoint("R13", JournalError)
            if trimmed:
                self._shrink()
                self._checkpoint()
        return trimmed

    def give_back(self) -> int:
        """Give pages that trims freed to the disk, and the WAL's; how many bytes that was.

        For a disk that runs full: trims alone keep SPARE_BYTES for reuse. A small slice at a time,
        because it takes as much room before it gives any: call again while it gives something.
        Raises JournalError, JournalFull.
        """
        with self._lock:
            before = self.size_bytes()
            if self._lock_fd >= 0:
                self._checkpoint(whole=True)  # its room is what the next step needs
            with self._transaction(f"nothing of {self.path} was given back") as db:
                db.execute(f"PRAGMA incremental_vacuum({SLICE_PAGES})").fetchall()
            self._checkpoint(whole=True)
            return max(0, before - self.size_bytes())

    @contextmanager
    def _transaction(self, what: str) -> Iterator[apsw.Connection]:
        """All of the block or nothing; after an error memory is taken from the rows again."""
        if self._lock_fd < 0:
            raise JournalError(f"{what}: this writer was closed")
        db = self._db
        try:
            if self._stale:
                self._load(db)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except BaseException as error:
            system_errno = db.system_errno
            self._stale = True  # also where COMMIT did its work and we do not know it
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, apsw.Error):
                _fail(error, what, system_errno)
            raise

    def _shrink(self) -> None:
        """Give free pages back to the disk; if it fails they stay for reuse."""
        spare: int = self._db.execute("PRAGMA freelist_count").get
        surplus = min(spare - SPARE_BYTES // PAGE_BYTES, SHRINK_PAGES)
        if surplus > 0:
            try:
                self._db.execute(f"PRAGMA incremental_vacuum({surplus})").fetchall()
            except (apsw.IOError, apsw.FullError):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _checkpoint(self, *, whole: bool = False) -> None:
        """Copy a long WAL into the file. A failure loses nothing: the WAL has every commit.

        whole: however long it is, and leave nothing of its file.
        """
        if self._wal_pages < CHECKPOINT_PAGES and not whole:
            return
        try:
            failpoint("R12", apsw.IOError)
            if self._wal_pages < WAL_LIMIT_PAGES and not whole:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                return
            # readers that overlap without a break kept the WAL from starting over
            self._db.set_busy_timeout(WAL_WAIT_MS)
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.BusyError, apsw.LockedError, apsw.IOError, apsw.FullError):
            return  # tried again by the next commit
        finally:
            self._db.set_busy_timeout(BUSY_MS)

    def _note_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        failpoint("R5", JournalError)  # SQLite calls from within COMMIT: it is in the WAL
        self._wal_pages = pages  # since the WAL began anew, not the length of its file
        return apsw.SQLITE_OK

    def size_bytes(self) -> int:
        """What the journal takes on the disk, WAL included."""
        return _size(self.path) + _size(self._wal)

    def close(self) -> None:
        """Checkpoint, close, let the lock go. Closing twice is harmless."""
        with self._lock:
            if self._lock_fd < 0:
                return
            self._db.close()
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class JournalReader:
    """Reads a journal while its writer writes, in the same or another process, from any thread.

    Raises JournalMissing where there is none yet, JournalForeign for another file, and from every
    method JournalReplaced once another file lies at the path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        try:
            self._inode = path.stat().st_ino
            self._db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        except (FileNotFoundError, apsw.CantOpenError) as error:
            raise JournalMissing(
                f"there is no journal at {path} yet: start `courtyard ingest`, which makes it,"
                " or check COURTYARD_DATA_DIR and COURTYARD_JOURNAL_URL"
            ) from error
        try:
            self._db.set_busy_timeout(BUSY_MS)
            if not _is_journal(self._db, path):
                raise JournalMissing(f"the journal at {path} is still being made: try again")
        except apsw.Error as error:
            self._db.close()
            _fail(error, f"cannot open the journal {path}")
        except BaseException:
            self._db.close()
            raise

    def head(self) -> Head:
        return Head(*self._rows(_HEAD)[0])

    def trimmed_id(self) -> int:
        """Id of the newest record that was trimmed, 0 if none was: records begin behind it."""
        return int(self._rows("SELECT trimmed_id FROM journal")[0][0])

    def read(self, after: int, limit: int) -> list[Record]:
        """Records with id > `after`, ascending: at most `limit`, and about READ_BYTES of them.

        Empty means that there is no newer one; fewer than `limit` does not.
        """
        records = []
        size = 0
        with self._lock:
            self._check_place()
            try:
                for row in self._db.execute(
                    f"{_SELECT} WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
                ):
                    records.append(_record(row))
                    size += len(row[6])
                    if size > READ_BYTES:
                        break
            except apsw.Error as error:
                _fail(error, f"cannot read {self.path} behind record {after}")
        return records

    def record_at(self, record_id: int) -> Record | None:
        """The record with this id; None if it was trimmed or is not there yet."""
        rows = self._rows(f"{_SELECT} WHERE id = ?", (record_id,))
        return _record(rows[0]) if rows else None

    def find(self, jseq: int) -> Raw | None:
        """Message number `jseq`; None if trimmed, damaged, or not there yet.

        Ids have no gaps and first_jseq never falls, so this halves its way to the record: no index
        to pay for at every commit.
        """
        low, high = self.trimmed_id() + 1, self.head().id
        while low < high:
            middle = (low + high + 1) // 2
            rows = self._rows("SELECT first_jseq FROM records WHERE id = ?", (middle,))
            if not rows:  # trimmed meanwhile
                low = middle + 1
            elif rows[0][0] <= jseq:
                low = middle
            else:
                high = middle - 1
        # `low` is the last record with first_jseq <= jseq: a control record (which has the number
        # of the next message) only if that message is not there yet
        record = self.record_at(low)
        if record is None or not 0 <= jseq - record.first_jseq < len(record.messages):
            return None
        return record.messages[jseq - record.first_jseq]

    def sent_by(
        self,
        level: bytes,
        before: tuple[int, int] | None,
        until_ms: int,
        since_ms: int,
        most: int,
        within_s: float,
    ) -> Sent:
        """Messages with this level in their topic, the newest first: at most `most` of them.

        before: the place that the last look ended at; None: begin with what was received at
        until_ms. since_ms: nothing that was received before. within_s: so long is looked, and what
        was found by then is given; there is no index of topics to pay for at every commit.
        """
        deadline_s = time.monotonic() + within_s
        oldest = self.trimmed_id() + 1
        end = (self._id_at(until_ms) + 1, 0) if before is None else before
        pattern = b"/" + level + b"/"
        found: list[tuple[tuple[int, int], Raw]] = []
        size, most_records = SEARCH_RECORDS
        while end > (oldest, 0):
            last = end[0] if end[1] else end[0] - 1
            first = max(oldest, last - size + 1)
            begun_s = time.monotonic()
            rows = self._rows(
                f"{_SELECT} WHERE id BETWEEN ? AND ? AND count > 0 AND instr(body, ?) > 0"
                " ORDER BY id DESC",
                (first, last, pattern),
            )
            for row in rows:
                record = _record(row)
                for n in range(len(record.messages) - 1, -1, -1):
                    raw, place = record.messages[n], (record.id, n)
                    if place >= end or pattern not in raw.topic or raw.received_ms < since_ms:
                        continue
                    found.append((place, raw))
                    if len(found) == most:
                        return Sent(tuple(found), place, raw.received_ms)
            end = (first, 0)
            at_ms = self._at_ms(first)
            if at_ms is None or at_ms < since_ms:  # None: trimmed meanwhile
                return Sent(tuple(found), None, since_ms)
            now_s = time.monotonic()
            if now_s >= deadline_s and end > (oldest, 0):
                return Sent(tuple(found), end, at_ms)
            if now_s - begun_s < SEARCH_PIECE_S:
                size = min(2 * size, most_records)
        return Sent(tuple(found), None, self._at_ms(oldest))

    def _id_at(self, at_ms: int) -> int:
        """Id of about the last record stamped by then: stamps may stand a little out of order."""
        low, high = self.trimmed_id(), self.head().id
        while low < high:
            middle = (low + high + 1) // 2
            stamp = self._at_ms(middle)
            if stamp is None or stamp <= at_ms:
                low = middle
            else:
                high = middle - 1
        return low

    def _at_ms(self, record_id: int) -> int | None:
        rows = self._rows("SELECT at_ms FROM records WHERE id = ?", (record_id,))
        return int(rows[0][0]) if rows else None

    def received(self, from_ms: int, to_ms: int) -> dict[tuple[str, int], int]:
        """Messages received by (origin, hour_ms), for hours that begin in [from_ms, to_ms)."""
        return {
            (origin, hour_ms): count
            for hour_ms, counts in self._rows(
                "SELECT hour_ms, counts FROM received WHERE hour_ms >= ? AND hour_ms < ?",
                (from_ms, to_ms),
            )
            for origin, count in _decode_counts(counts).items()
        }

    def received_total(self) -> dict[str, int]:
        """Messages received since the journal was made, by origin; the sum is the head's jseq."""
        rows = self._rows(
            "SELECT totals FROM journal UNION ALL SELECT counts FROM received"
            " WHERE hour_ms >= (SELECT totals_before_ms FROM journal)"
        )
        totals: dict[str, int] = {}
        for (counts,) in rows:
            _add(totals, _decode_counts(counts))
        return totals

    def count(self, position: int, hours: tuple[int, int] | None, most: int) -> Counted:
        """What was received, and what of it stands behind record `position`: in one look.

        hours: [from_ms, to_ms) of hours that are asked for; None for all there ever were. Of more
        than `most` messages behind `position`, or damaged ones, it cannot be told whose they are.
        """
        with self._lock:
            self._check_place()
            db = self._db
            try:
                db.execute("BEGIN")
                head = Head(*db.execute(_HEAD).get)
                if hours is None:
                    received = {(origin, 0): n for origin, n in _totals(db).items()}
                else:
                    received = _by_hour(db, *hours)
                return Counted(head, received, _waiting(db, position, hours, most))
            except apsw.Error as error:
                _fail(error, f"cannot count {self.path} up to record {position}")
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")

    def size_bytes(self) -> int:
        """What the journal takes on the disk, WAL included."""
        return _size(self.path) + _size(self.path.with_name(self.path.name + "-wal"))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _rows(self, query: str, values: tuple[int | bytes, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            self._check_place()
            try:
                return self._db.execute(query, values).fetchall()
            except apsw.Error as error:
                _fail(error, f"cannot read {self.path}")

    def _check_place(self) -> None:
        """An open file lives on after it was deleted, and a consumer of it would wait forever."""
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = None
        if inode != self._inode:
            raise JournalReplaced(
                f"the journal {self.path} was deleted or replaced since it was opened: open it"
                " again; what only the old file held is lost"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _count_received(messages: Sequence[Raw], received: dict[int, Counter[str]]) -> int:
    """Add the messages to `received` by hour and origin; returns their newest stamp."""
    stamps = [message[3] for message in messages]
    newest = max(stamps)
    hour_ms = newest - newest % HOUR_MS
    if min(stamps) >= hour_ms:  # the usual batch, counted without a loop: 0.06 µs a message
        received.setdefault(hour_ms, Counter()).update(map(_origin, messages))
    else:
        for message in messages:
            hour_ms = message.received_ms - message.received_ms % HOUR_MS
            received.setdefault(hour_ms, Counter())[message.origin] += 1
    return newest


def _totals(db: apsw.Connection) -> dict[str, int]:
    """Messages ever received, by origin."""
    totals: dict[str, int] = {}
    for (counts,) in db.execute(
        "SELECT totals FROM journal UNION ALL SELECT counts FROM received"
        " WHERE hour_ms >= (SELECT totals_before_ms FROM journal)"
    ):
        _add(totals, _decode_counts(counts))
    return totals


def _by_hour(db: apsw.Connection, from_ms: int, to_ms: int) -> dict[tuple[str, int], int]:
    return {
        (origin, hour_ms): count
        for hour_ms, counts in db.execute(
            "SELECT hour_ms, counts FROM received WHERE hour_ms >= ? AND hour_ms < ?",
            (from_ms, to_ms),
        )
        for origin, count in _decode_counts(counts).items()
    }


def _waiting(
    db: apsw.Connection, position: int, hours: tuple[int, int] | None, most: int
) -> dict[tuple[str, int], int] | None:
    """Messages in records behind `position`; None for more than `most` of them, or damaged ones."""
    waiting: Counter[tuple[str, int]] = Counter()
    seen = 0
    for row in db.execute(f"{_SELECT} WHERE id > ? AND count > 0 ORDER BY id", (position,)):
        seen += row[3]
        if seen > most:
            return None
        record = _record(row)
        if record.corrupt:
            return None
        for message in record.messages:
            if hours is None:
                waiting[message.origin, 0] += 1
            elif hours[0] <= message.received_ms < hours[1]:
                waiting[message.origin, message.received_ms - message.received_ms % HOUR_MS] += 1
    return dict(waiting)


def _add(totals: dict[str, int], counts: Mapping[str, int]) -> None:
    for origin, count in counts.items():
        totals[origin] = totals.get(origin, 0) + count


def _record(row: tuple[Any, ...]) -> Record:
    record_id, kind, first_jseq, count, epoch, crc, body = row
    if zlib.crc32(body) == crc:
        try:
            if kind != MESSAGES:
                return Record(
                    record_id, kind, first_jseq, count, epoch, control=_decode_control(body)
                )
            messages = _decode_messages(body)
            if len(messages) == count:
                return Record(record_id, kind, first_jseq, count, epoch, messages)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # whole, and yet no batch: damaged before it was summed
    return Record(record_id, kind, first_jseq, count, epoch, corrupt=True)


def hold(path: Path) -> int:
    """Take the kernel's lock for the journal at `path`, which need not be there.

    Gives the descriptor to close; the lock ends with the process, however that ends. Raises
    JournalHeld.
    """
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        written = os.pread(fd, 32, 0).strip()
        os.close(fd)
        pid = int(written) if written.isdigit() else None
        raise JournalHeld(
            f"the journal {path} is written by"
            f" {'another process' if pid is None else f'process {pid}'}:"
            " one process writes a journal; stop that one first, or choose another"
            " COURTYARD_DATA_DIR",
            pid,
        ) from error
    except BaseException:
        os.close(fd)
        raise
    text = f"{os.getpid()}\n".encode()
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))
    return fd


def _is_journal(db: apsw.Connection, path: Path) -> bool:
    """Whether the file is a journal of ours; False for an empty one. Raises JournalForeign."""
    # The tables first: the writer makes them and the numbers in one transaction, so that numbers
    # that are read after its tables were seen are its numbers.
    is_empty = db.execute("SELECT count(*) FROM sqlite_master").get == 0
    application_id = _pragma(db, "application_id")
    version = _pragma(db, "user_version")
    if is_empty and application_id in (0, APPLICATION_ID):
        return False
    if application_id != APPLICATION_ID:
        raise JournalForeign(
            f"{path} is a database of something else (application id {application_id:#x}):"
            " it was left alone; name another path for the journal"
        )
    if version != SCHEMA_VERSION:
        raise JournalForeign(
            f"{path} is a journal of format {version}, and this courtyard reads format"
            f" {SCHEMA_VERSION}: use the version of courtyard that made it"
        )
    return True


def _look_for_damage(db: apsw.Connection, limit_s: float) -> None:
    """Read pages of the file for `limit_s` at most. Raises apsw.CorruptError."""
    deadline = time.monotonic() + limit_s
    db.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        verdict = db.execute("PRAGMA quick_check(1)").get
    except apsw.InterruptError:
        return
    finally:
        db.set_progress_handler(None)
    if verdict != "ok":
        raise apsw.CorruptError(str(verdict))


def _pragma(db: apsw.Connection, text: str) -> object:
    return db.execute(f"PRAGMA {text}").get


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _fail(error: apsw.Error, what: str, system_errno: int = 0) -> NoReturn:
    if isinstance(error, apsw.CorruptError):
        raise JournalDamaged(
            f"{what}: the file is damaged ({error}): stop ingest, move it and the files beside it"
            " (-wal, -shm) away and start again with a new journal; docs/operations.md says what"
            " is lost then"
        ) from error
    if isinstance(error, apsw.NotADBError):
        raise JournalForeign(f"{what}: the file is no SQLite database") from error
    no_room = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, apsw.FullError) or (
        isinstance(error, apsw.IOError) and system_errno in no_room
    ):
        raise JournalFull(f"{what}: no room on the disk; free some, or trim") from error
    raise JournalError(f"{what}: {error}") from error
