"""The embedded telemetry store: one SQLite file, written in segments.

Points arrive by time and are read by device. A row for each point, keyed (series, at), makes a
batch of 5,000 points from 5,000 devices dirty 5,000 pages: measured 12 to 26 µs a point. So a write
appends one *segment*: a run of rows keyed (segment, series), where a row, a *chunk*, holds all of
its points of one series as msgpack `[at_ms, shape, value, …]`, end to end. Segments of one UTC day
and level are merged, FAN at a time, into one of the next level (bodies are only joined, nothing is
decoded), until they are large. A series is read by looking up one key in each segment of its days.

A *shape* is a tuple of field names, kept once: half of a point would be names otherwise.

Later segments win, field by field, so a point written twice is one point, as in InfluxDB. WAL with
synchronous=NORMAL: a power loss may take the last commits, and takes `position` with them, so the
journal can fill them in again. Readers open `mode=ro`, in this or another process.
"""

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby, islice
from math import fsum
from operator import itemgetter, lt
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import apsw
import msgspec

from devices.messages import Value
from devices.quantities import MAX_EXACT
from devices.store.failpoints import failpoint
from devices.store.telemetry.limits import (
    EARLIEST_MS,
    LATEST_MS,
    check_field_name,
    check_name,
    check_time,
    check_value,
    name_of,
)
from devices.telemetry import (
    LOOK_BACK_MS,
    BadPoint,
    Bucket,
    Point,
    Sample,
    SeriesQuery,
    TelemetryAway,
    TelemetryRefused,
)

APPLICATION_ID = 0x4359544C  # "CYTL"
SCHEMA_VERSION = 1
DAY_MS = 86_400_000

FAN = 16  # so many segments of a day and level become one of the next level
SEALED_POINTS = 50_000  # a merged segment as large as this is merged no more: bounds time, memory
SEALED = -1  # its level
SHAPES = 10_000  # beyond it a device makes up ever new sets of fields: they are kept one by one
SERIES_BITS = 24  # a chunk's key is segment << 24 | series
PAGE_BYTES = 8192
CHECKPOINT_PAGES = 4000  # 32 MiB
BUSY_MS = 5_000
SHRINK_PAGES = 4096  # given back to the disk at a time
# The same beside writes that are not to wait, and how much is forgotten at a time.
SHRINK_A_TIME = 256  # 2 MiB
FREE_SHARE = 4  # a quarter of the file may be free
FORGET_BYTES = 2 << 20
FORGET_CHUNKS = 500
IDLE_READERS = 8  # connections kept for the next reader

_Names = dict[int, tuple[str, ...]]  # of the fields, by shape

_encode = msgspec.msgpack.Encoder().encode
_decode_names = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_decode_items = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode
_at_of, _shape_of = itemgetter(0), itemgetter(1)  # an item
_NUMBERS = frozenset((float, int))

_SCHEMA = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    measurement TEXT NOT NULL,
    device TEXT NOT NULL,
    UNIQUE (measurement, device)
);
CREATE TABLE shapes (
    id INTEGER PRIMARY KEY,
    names BLOB NOT NULL UNIQUE
);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    level INTEGER NOT NULL,
    points INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
);
CREATE INDEX segments_of_day ON segments (day, level);
CREATE TABLE chunks (
    key INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE position (
    text TEXT NOT NULL
)
"""
_DUE = (
    "SELECT level FROM segments WHERE day = ? AND level >= 0"
    " GROUP BY level HAVING count(*) >= ? ORDER BY level LIMIT 1"
)
_OLDEST = (
    "SELECT id, points FROM segments WHERE day <= ? AND last_ms < ? ORDER BY day, level, id LIMIT 1"
)
_SIZES = "SELECT key, length(body) FROM chunks WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_PAGES = ("freelist_count", "page_count")
_SERIES = "SELECT id FROM series WHERE measurement = ? AND device = ?"
_CHUNKS = f"""
SELECT segments.day, chunks.count, chunks.body
FROM segments JOIN chunks ON chunks.key = (segments.id << {SERIES_BITS}) | ?
WHERE segments.day BETWEEN ? AND ? AND segments.last_ms >= ? AND segments.first_ms < ?
"""  # noqa: S608  the only thing put in is a number of ours
_OLDEST_FIRST = _CHUNKS + "ORDER BY segments.day, segments.id"
_NEWEST_FIRST = _CHUNKS + "ORDER BY segments.day DESC, segments.id"


class Forgotten(NamedTuple):
    """What went with a piece. points: of the segment that is gone; 0 while a part of it is left."""

    points: int


class EmbeddedTelemetry:
    """Points in one SQLite file, which the first write makes.

    Nothing is opened before it is needed. Any thread may call; writes take turns. Several
    processes may write, though only one (forward) has reason to.
    """

    def __init__(self, path: Path, *, fan: int = FAN, sealed_points: int = SEALED_POINTS) -> None:
        self.path = path
        self._fan = fan
        self._sealed_points = sealed_points
        self._lock = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._series: dict[tuple[str, str], int] = {}  # bounded by the registry
        self._shapes: dict[tuple[str, ...], int] = {}  # bounded by SHAPES and declared quantities
        self._names: _Names = {}  # the same, for reading
        self._idle: list[apsw.Connection] = []

    def write(self, points: Sequence[Point], position: str | None = None) -> None:
        """Store the points, all or none; raises BadPoint before anything is written.

        position: how far the caller has come, kept in the same transaction: after a crash it is
        exactly that of the points that are there.
        """
        if not points and position is None:
            return
        days = _by_day(points)
        with self._lock:
            with self._transaction() as db:
                for day, of_day in days.items():
                    self._append(db, day, of_day)
                if position is not None:
                    db.execute("DELETE FROM position")
                    db.execute("INSERT INTO position VALUES (?)", (position,))
                due = [day for day in days if db.execute(_DUE, (day, self._fan)).get is not None]
                if points:
                    failpoint("F6", TelemetryAway)
            for day in due:
                self._merge(day)

    def position(self) -> str | None:
        """What the newest write that had a position said; None before the first."""
        with self._reader() as db:
            if db is None:
                return None
            text: str | None = db.execute("SELECT text FROM position").get
            return text

    def samples(self, query: SeriesQuery) -> list[Sample]:
        samples: list[Sample] = []
        for at_ms, values in self._series_by_day(query):
            samples += map(Sample, at_ms, values)
            if len(samples) >= query.limit:
                return samples[: query.limit]
        return samples

    def buckets(self, query: SeriesQuery, every_s: int, offset_s: int = 0) -> list[Bucket]:
        every_ms, offset_ms = every_s * 1000, offset_s * 1000
        buckets: list[Bucket] = []
        begins = ends = -(1 << 62)
        gathered: list[Value] = []
        for at_ms, values in self._series_by_day(query):
            start = 0
            while start < len(at_ms):
                if at_ms[start] >= ends:
                    if gathered:
                        buckets.append(_bucket(begins, gathered))
                        if len(buckets) == query.limit:
                            return buckets
                    begins = at_ms[start] - (at_ms[start] - offset_ms) % every_ms
                    ends = begins + every_ms
                    gathered = []
                stop = bisect_left(at_ms, ends, start)
                gathered += values[start:stop]
                start = stop
        if gathered:
            buckets.append(_bucket(begins, gathered))
        return buckets[: query.limit]

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        points: list[Point] = []
        if limit < 1:
            return points
        for names, items in self._items_by_day(measurement, device, from_ms, to_ms):
            found: dict[int, dict[str, Value]] = {}
            for at_ms, shape, *values in items:
                if from_ms <= at_ms < to_ms:
                    fields = dict(zip(names[shape], values, strict=True))
                    if at_ms in found:
                        found[at_ms].update(fields)
                    else:
                        found[at_ms] = fields
            points += [Point(measurement, "", device, at, found[at]) for at in sorted(found)]
            if len(points) >= limit:
                return points[:limit]
        return points

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        from_ms = at_ms - LOOK_BACK_MS
        missing = set(quantities)
        newest: dict[str, Sample] = {}
        if not missing:
            return newest
        for names, items in self._items_by_day(
            measurement, device, from_ms, at_ms, newest_first=True
        ):
            for name, (last_ms, value) in _last_of(missing, names, items, from_ms, at_ms).items():
                newest[name] = Sample(last_ms, value)
                missing.discard(name)
            if not missing:
                break
        return newest

    def ready(self) -> bool:
        """True if the file can be read, or is not there yet; else raises TelemetryError."""
        with self._reader() as db:
            if db is not None:
                db.execute("SELECT count(*) FROM position").fetchall()
        return True

    def delete_before(self, at_ms: int) -> None:
        """Forget points older than `at_ms` and give their space back, a segment at a time."""
        if not self.path.exists():
            return
        while True:
            with self._lock, self._transaction() as db:
                found = db.execute(
                    "SELECT * FROM segments WHERE day <= ? AND first_ms < ? LIMIT 1",
                    (at_ms // DAY_MS, at_ms),
                ).fetchall()
                if not found:
                    break
                _cut(db, found[0], at_ms)
        free = -1
        while True:
            with self._lock, self._transaction() as db:
                before, free = free, db.execute("PRAGMA freelist_count").get
                if free in (0, before):
                    return
                db.execute(f"PRAGMA incremental_vacuum({SHRINK_PAGES})").fetchall()

    def forget(self, at_ms: int) -> Forgotten | None:
        """A piece of what is older than `at_ms` goes, in a transaction; None: there is no more.

        Only segments of which every point is older: one that is not goes a day later, so that none
        is ever decoded and written again for this. A piece is at most FORGET_BYTES, so that a
        write never waits long for it; what a kill leaves of a segment goes the next time.
        """
        if not self.path.exists():
            return None
        with self._lock, self._transaction() as db:
            found: list[tuple[int, int]] = db.execute(  # type: ignore[assignment]
                _OLDEST, (at_ms // DAY_MS, at_ms)
            ).fetchall()
            if not found:
                return None
            segment, points = found[0]
            begin = last = segment << SERIES_BITS
            end = begin + (1 << SERIES_BITS)
            size = 0
            chunks: list[tuple[int, int]] = db.execute(  # type: ignore[assignment]
                _SIZES, (begin, end, FORGET_CHUNKS)
            ).fetchall()
            for key, length in chunks:
                size, last = size + length, key
                if size >= FORGET_BYTES:
                    break
            db.execute("DELETE FROM chunks WHERE key >= ? AND key <= ?", (begin, last))
            if db.execute(_SIZES, (begin, end, 1)).fetchall():
                return Forgotten(0)
            db.execute("DELETE FROM segments WHERE id = ?", (segment,))
            return Forgotten(points)

    def give_back(self) -> bool:
        """Up to SHRINK_A_TIME pages go back to the disk; whether there are more that should.

        What was freed is filled again by what comes, day after day. Only what is free beyond a
        quarter of the file is given back: the retention was shortened, or a flood is forgotten.
        """
        if not self.path.exists():
            return False
        with self._lock, self._transaction() as db:
            free, pages = (int(db.execute(f"PRAGMA {name}").get) for name in _PAGES)
            surplus = free - pages // FREE_SHARE
            if surplus <= 0:
                return False
            most = min(surplus, SHRINK_A_TIME)
            db.execute(f"PRAGMA incremental_vacuum({most})").fetchall()
            return surplus > most

    def oldest_ms(self) -> int | None:
        """The time of the oldest point; None where there is none."""
        return self._extreme("SELECT min(first_ms) FROM segments")

    def newest_ms(self) -> int | None:
        """The time of the newest point; None where there is none."""
        return self._extreme("SELECT max(last_ms) FROM segments")

    def _extreme(self, query: str) -> int | None:
        with self._reader() as db:
            found: int | None = None if db is None else db.execute(query).get
            return found

    def close(self) -> None:
        with self._lock:
            for db in self._idle:
                db.close()
            self._idle.clear()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._forget()

    def _append(self, db: apsw.Connection, day: int, points: Sequence[Point]) -> None:
        """Add a segment with points of one day."""
        # plain bytes, a list only for a series with several points: a list for each would set off
        # the garbage collector at every batch, measured 0.5 µs a point
        bodies: dict[int, bytes] = {}
        further: dict[int, list[bytes]] = {}
        series_ids, shape_ids, encode = self._series, self._shapes, _encode
        for point in points:
            measurement, _, device, at_ms, fields = point
            series = series_ids.get((measurement, device))
            if series is None:
                series = self._add_series(db, measurement, device)
            names = tuple(fields)
            shape = shape_ids.get(names)
            for value in fields.values():
                # the usual passes; the rest (NaN compares false) is for check_value
                kind = value.__class__
                if kind is float or kind is int:
                    if -MAX_EXACT <= value <= MAX_EXACT:  # type: ignore[operator]
                        continue
                elif kind is bool or kind is str:
                    continue
                check_value(point, value)
            if shape is None:
                shape = self._add_shape(db, names, point)
                if shape is None:
                    alone = [
                        encode((at_ms, self._add_shape(db, (name,), point), value))
                        for name, value in fields.items()
                    ]
                    if series not in bodies:
                        bodies[series] = alone.pop(0)
                    further.setdefault(series, []).extend(alone)
                    continue
            item = encode((at_ms, shape, *fields.values()))
            if series in bodies:
                further.setdefault(series, []).append(item)
            else:
                bodies[series] = item
        counts = dict.fromkeys(bodies, 1)
        for series, items in further.items():
            counts[series] = counts.get(series, 0) + len(items)
            bodies[series] = bodies.get(series, b"") + b"".join(items)
        stamps = [point[3] for point in points]
        db.execute(
            "INSERT INTO segments (day, level, points, first_ms, last_ms) VALUES (?, 0, ?, ?, ?)",
            (day, len(points), min(stamps), max(stamps)),
        )
        _put(db, db.last_insert_rowid(), bodies, counts)

    def _add_series(self, db: apsw.Connection, measurement: str, device: str) -> int:
        check_name(measurement)
        check_name(device)
        key = (measurement, device)
        db.execute(
            "INSERT INTO series (measurement, device) VALUES (?, ?) ON CONFLICT DO NOTHING", key
        )
        series: int = db.execute(_SERIES, key).get
        self._series[key] = series
        return series

    def _add_shape(self, db: apsw.Connection, names: tuple[str, ...], point: Point) -> int | None:
        """The shape's id; None for a further set of several fields where there are SHAPES."""
        known = self._shapes.get(names)
        if known is not None:
            return known
        if len(names) > 1 and len(self._shapes) >= SHAPES:
            return None
        if not names:
            raise BadPoint(f"{name_of(point)}: a point without fields")
        for name in names:
            check_field_name(name)
        key = (_encode(names),)
        db.execute("INSERT INTO shapes (names) VALUES (?) ON CONFLICT DO NOTHING", key)
        shape: int = db.execute("SELECT id FROM shapes WHERE names = ?", key).get
        self._shapes[names] = shape
        return shape

    def _merge(self, day: int) -> None:
        """Merge the segments of a level while there are FAN of them.

        In transactions of its own: if one fails, the points are there all the same, and the next
        write tries again.
        """
        with suppress(TelemetryAway):
            while True:
                with self._transaction() as db:
                    level = db.execute(_DUE, (day, self._fan)).get
                    if level is None:  # all done, or another process was faster
                        return
                    _merge(db, day, level, self._sealed_points)

    def _series_by_day(self, query: SeriesQuery) -> Iterator[tuple[list[int], list[Value]]]:
        """Times, ascending, and values at them, a day at a time, so that a limit reads no years."""
        for names, items in self._items_by_day(
            query.measurement, query.device, query.from_ms, query.to_ms
        ):
            yield _readings(query, names, items)

    def _items_by_day(
        self, measurement: str, device: str, from_ms: int, to_ms: int, *, newest_first: bool = False
    ) -> Iterator[tuple[_Names, list[tuple[Any, ...]]]]:
        """A device's items of each day of a range, with the names of their shapes and of no others.

        Of one day in the order in which they were written, and not only what is in the range.
        """
        with self._reader() as db:
            if db is None:
                return
            series = db.execute(_SERIES, (measurement, device)).get
            if series is None:
                return
            days = (from_ms // DAY_MS, (to_ms - 1) // DAY_MS)
            ordered = _NEWEST_FIRST if newest_first else _OLDEST_FIRST
            found = db.execute(ordered, (series, *days, from_ms, to_ms))
            try:
                for _, of_day in groupby(found, key=itemgetter(0)):
                    counts, bodies = zip(*(row[1:] for row in of_day), strict=True)
                    items = _items(sum(counts), bodies)
                    shapes = set(map(_shape_of, items))
                    if not self._names.keys() >= shapes:
                        self._names = _shapes(db)
                    names = self._names
                    yield {shape: names[shape] for shape in shapes}, items
            finally:
                found.close()  # a limit may stop short, and an open cursor holds up checkpoints

    def _open(self) -> apsw.Connection:
        """The writing connection; makes the file where there is none."""
        if self._writer is not None:
            return self._writer
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        try:
            db = apsw.Connection(str(self.path), flags=flags)
        except apsw.Error as error:
            _fail(error, self.path)
        try:
            db.set_busy_timeout(BUSY_MS)
            if not _is_ours(db, self.path):
                _create(db)
            db.execute("PRAGMA journal_mode=WAL").fetchall()
            db.execute("PRAGMA synchronous=NORMAL").fetchall()
            db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchall()
            db.execute(f"PRAGMA journal_size_limit={2 * CHECKPOINT_PAGES * PAGE_BYTES}").fetchall()
        except apsw.Error as error:
            db.close()
            _fail(error, self.path)
        except BaseException:
            db.close()
            raise
        self._writer = db
        return db

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        """All of the block or nothing. To be used under the lock."""
        db = self._open()
        try:
            db.execute("BEGIN IMMEDIATE")
            if not self._shapes:
                self._shapes = {names: shape for shape, names in _shapes(db).items()}
            yield db
            db.execute("COMMIT")
        except BaseException as error:
            self._forget()  # ids that were given out in the block may not exist
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, apsw.Error):
                _fail(error, self.path)
            if isinstance(error, UnicodeEncodeError):
                raise BadPoint(f"{error.object!r:.80} is no text that can be stored") from error
            raise

    def _forget(self) -> None:
        self._series.clear()
        self._shapes.clear()

    @contextmanager
    def _reader(self) -> Iterator[apsw.Connection | None]:
        """A connection of this thread's for the block; None while there is no file."""
        with self._lock:
            db = self._idle.pop() if self._idle else None
        if db is None:
            db = self._open_reader()
        if db is None:
            yield None
            return
        try:
            yield db
        except apsw.Error as error:
            _fail(error, self.path)
        finally:
            with self._lock:
                kept = len(self._idle) < IDLE_READERS
                if kept:
                    self._idle.append(db)
            if not kept:
                db.close()

    def _open_reader(self) -> apsw.Connection | None:
        if not self.path.exists():
            return None
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        try:
            db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        except apsw.Error as error:
            _fail(error, self.path)
        try:
            db.set_busy_timeout(BUSY_MS)
            if _is_ours(db, self.path):
                return db
        except apsw.Error as error:
            db.close()
            _fail(error, self.path)
        except BaseException:
            db.close()
            raise
        db.close()  # another process is just making it
        return None


def _by_day(points: Sequence[Point]) -> dict[int, Sequence[Point]]:
    """The points by UTC day, in the order given."""
    if not points:
        return {}
    stamps = [point[3] for point in points]
    first, last = min(stamps), max(stamps)
    if not EARLIEST_MS <= first <= last <= LATEST_MS:
        for point in points:
            check_time(point)
    if first // DAY_MS == last // DAY_MS:  # as ever, but around midnight and in a replay
        return {first // DAY_MS: points}
    days: dict[int, list[Point]] = {}
    for point in points:
        days.setdefault(point.at_ms // DAY_MS, []).append(point)
    return dict(days)


def _shapes(db: apsw.Connection) -> _Names:
    return {
        shape: _decode_names(names) for shape, names in db.execute("SELECT id, names FROM shapes")
    }


def _chunks(db: apsw.Connection, segment: int) -> Iterable[tuple[int, int, bytes]]:
    """(series, count, body) of a segment."""
    begin = segment << SERIES_BITS
    return db.execute(
        "SELECT key - ?1, count, body FROM chunks WHERE key >= ?1 AND key < ?2",
        (begin, begin + (1 << SERIES_BITS)),
    )


def _put(
    db: apsw.Connection, segment: int, bodies: Mapping[int, bytes], counts: Mapping[int, int]
) -> None:
    """Write {series: body} in the order of the keys: pages are filled one by one."""
    begin = segment << SERIES_BITS
    db.executemany(
        "INSERT INTO chunks (key, count, body) VALUES (?, ?, ?)",
        ((begin | series, counts[series], bodies[series]) for series in sorted(bodies)),
    )


def _drop(db: apsw.Connection, segment: int) -> None:
    begin = segment << SERIES_BITS
    end = begin + (1 << SERIES_BITS)
    db.execute("DELETE FROM chunks WHERE key >= ? AND key < ?", (begin, end))
    db.execute("DELETE FROM segments WHERE id = ?", (segment,))


def _merge(db: apsw.Connection, day: int, level: int, sealed_points: int) -> None:
    """Make one segment of all of a level. It takes the newest's id: later ids win."""
    merged: list[tuple[int, ...]] = db.execute(  # type: ignore[assignment]
        "SELECT id, points, first_ms, last_ms FROM segments WHERE day = ? AND level = ?"
        " ORDER BY id",
        (day, level),
    ).fetchall()
    parts: dict[int, list[bytes]] = {}
    counts: dict[int, int] = {}
    for segment, *_ in merged:
        for series, count, body in _chunks(db, segment):
            if series in parts:
                parts[series].append(body)
                counts[series] += count
            else:
                parts[series] = [body]
                counts[series] = count
        _drop(db, segment)
    ids, points, firsts, lasts = zip(*merged, strict=True)
    newest = ids[-1]
    segment_row = (newest, day, level + 1, sum(points), min(firsts), max(lasts))
    db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", segment_row)
    _put(db, newest, {series: b"".join(bodies) for series, bodies in parts.items()}, counts)
    if sum(points) >= sealed_points:
        # the older ones too: merged over the head of a sealed one, they would win over it
        db.execute("UPDATE segments SET level = ? WHERE day = ? AND id <= ?", (SEALED, day, newest))


def _cut(db: apsw.Connection, row: tuple[Any, ...], at_ms: int) -> None:
    """Take what is older than `at_ms` out of a segment."""
    segment, day, level, _, _, last_ms = map(int, row)
    bodies: dict[int, bytes] = {}
    counts: dict[int, int] = {}
    first_ms = last_ms
    if last_ms >= at_ms:
        for series, count, body in _chunks(db, segment):
            items = _items(count, [body])
            kept = [item for item in items if item[0] >= at_ms]
            if kept:
                bodies[series], counts[series] = b"".join(map(_encode, kept)), len(kept)
                first_ms = min(first_ms, min(item[0] for item in kept))
    _drop(db, segment)
    if bodies:
        row = (segment, day, level, sum(counts.values()), first_ms, last_ms)
        db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)
        _put(db, segment, bodies, counts)


def _items(count: int, bodies: Iterable[bytes]) -> list[tuple[Any, ...]]:
    """The items of chunks, each [at_ms, shape, value, …]."""
    header = b"\xdd" + count.to_bytes(4, "big")  # msgpack: an array of so many
    return _decode_items(header + b"".join(bodies))


def _readings(
    query: SeriesQuery, names: _Names, items: list[tuple[Any, ...]]
) -> tuple[list[int], list[Value]]:
    """Times, ascending, and the values at them. names: of the shapes that are in the items.

    A month of a socket is 44,640 items: taken a column at a time they cost half of what a turn of a
    loop for each costs.
    """
    quantity, from_ms, to_ms = query.quantity, query.from_ms, query.to_ms
    places = {  # of the quantity, in the shapes that have it
        shape: of_shape.index(quantity) + 2
        for shape, of_shape in names.items()
        if quantity in of_shape
    }
    if len(places) < len(names):
        items = [item for item in items if item[1] in places]
    if not items:
        return [], []
    at_ms: list[int] = list(map(_at_of, items))
    values: list[Value]
    if len(places) == 1:
        (place,) = places.values()
        values = list(map(itemgetter(place), items))
    else:
        values = [item[places[item[1]]] for item in items]
    if not all(map(lt, at_ms, islice(at_ms, 1, None))):  # came late, or twice: the later one wins
        found = dict(zip(at_ms, values, strict=True))
        at_ms = sorted(found)
        values = [found[one] for one in at_ms]
    start, stop = bisect_left(at_ms, from_ms), bisect_left(at_ms, to_ms)
    if stop - start < len(at_ms):
        return at_ms[start:stop], values[start:stop]
    return at_ms, values


def _last_of(
    wanted: Collection[str], names: _Names, items: list[tuple[Any, ...]], from_ms: int, to_ms: int
) -> dict[str, tuple[int, Value]]:
    """The newest value of each quantity in [from_ms, to_ms), with its time."""
    places: dict[int, list[tuple[str, int]]] = {}  # of the quantities in each shape
    newest: dict[str, tuple[int, Value]] = {}
    for item in items:
        at_ms, shape = item[0], item[1]
        if not from_ms <= at_ms < to_ms:
            continue
        if shape not in places:
            of_shape = enumerate(names[shape], 2)
            places[shape] = [(name, place) for place, name in of_shape if name in wanted]
        for name, place in places[shape]:
            known = newest.get(name)
            if known is None or at_ms >= known[0]:  # of one time the later write
                newest[name] = (at_ms, item[place])
    return newest


def _bucket(at_ms: int, values: list[Value]) -> Bucket:
    last = values[-1]
    if isinstance(last, bool | str):
        return Bucket(at_ms, None, None, None, last, len(values))
    numbers: list[float] = values  # type: ignore[assignment]  # as the next line sees to
    if not _NUMBERS.issuperset(map(type, values)):
        numbers = [value for value in values if not isinstance(value, bool | str)]
    mean = fsum(numbers) / len(numbers)
    return Bucket(at_ms, float(min(numbers)), mean, float(max(numbers)), last, len(values))


def _is_ours(db: apsw.Connection, path: Path) -> bool:
    """Whether the file is a telemetry store; False for an empty one. Raises TelemetryRefused."""
    # The tables first: another process makes them and the numbers in one transaction, so that
    # numbers that are read after its tables were seen are its numbers.
    is_empty = db.execute("SELECT count(*) FROM sqlite_master").get == 0
    application_id = db.execute("PRAGMA application_id").get
    version = db.execute("PRAGMA user_version").get
    if is_empty and application_id in (0, APPLICATION_ID):
        return False
    if application_id != APPLICATION_ID:
        raise TelemetryRefused(
            f"{path} is a database of something else (application id {application_id:#x}):"
            " it was left alone; move it away, or choose another COURTYARD_DATA_DIR"
        )
    if version != SCHEMA_VERSION:
        raise TelemetryRefused(
            f"{path} is a telemetry store of format {version}, and this courtyard reads format"
            f" {SCHEMA_VERSION}: use the version of courtyard that made it"
        )
    return True


def _create(db: apsw.Connection) -> None:
    db.execute(f"PRAGMA page_size={PAGE_BYTES}").fetchall()
    db.execute("PRAGMA auto_vacuum=INCREMENTAL").fetchall()
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.execute("BEGIN IMMEDIATE")
    if db.execute("SELECT count(*) FROM sqlite_master").get == 0:  # else another process was faster
        db.execute(f"PRAGMA application_id={APPLICATION_ID}").fetchall()
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}").fetchall()
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
    db.execute("COMMIT")


def _fail(error: apsw.Error, path: Path) -> NoReturn:
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        raise TelemetryRefused(
            f"{path} is damaged or no telemetry store ({error}): move it away; readings of the last"
            " day are filled in from the journal"
        ) from error
    raise TelemetryAway(f"{path}: {error}") from error
