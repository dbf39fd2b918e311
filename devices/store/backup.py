"""Copies of the stores of a running system, and how they get back into empty ones.

A backup is a few plain files. `database.db` is an SQLite file whatever the operational database is:
made by the backup API of SQLite, or read out of PostgreSQL within one snapshot; so a backup of
either can be restored into the other. `telemetry.db` is there where the telemetry store is the
embedded one. `manifest.json` says what belongs together, SHA256SUMS guards all of them.

The database is copied first. Forward writes readings before it moves its cursor, so a telemetry
file that is copied later holds at least what the cursor in the copied database says.

The journal is never in a backup: it may hold personal data.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import apsw
import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    Engine,
    Table,
    Text,
    cast,
    func,
    inspect,
    select,
    text,
)

from devices.store import progress
from devices.store.accounts import FORWARD, JUDGE, Forwarded
from devices.store.database import WAIT_S, migrate, open_database, reading, upgrade
from devices.store.schema import metadata

FORMAT = 1
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
DATABASE, TELEMETRY, SECRET = "database.db", "telemetry.db", "secret.key"
FILES = (DATABASE, TELEMETRY, SECRET)

BESIDE = ("-journal", "-wal", "-shm")  # what SQLite keeps beside a file belongs to it
STEP_PAGES = 1000  # 4 MB: a writer waits some milliseconds for it
BEGINNINGS = 3  # so often a writer may be faster; then writers wait until the copy is there
ROWS = 2000  # read from a server and written at a time
READ_BYTES = 1 << 20
TOO_LONG_S = 2 * WAIT_S  # without a single page, because somebody else holds the file

BACKUP = "backup"  # row of `progress`: what the newest finished backup covers

Told = Callable[[str, int, int], None]  # what is copied, how much is done, of how much


class BackupError(Exception):
    """It cannot be copied or read; the message says what is wrong and what to do."""


class Place(msgspec.Struct, frozen=True):
    """Where a follower of the journal stood: the last record and message it was done with.

    watermark_ms: send time of the newest probe, for judge. forwarded: what forward had counted.
    """

    journal_id: str
    position: int
    jseq: int
    updated_at_ms: int
    watermark_ms: int | None = None
    forwarded: Forwarded | None = None


class FileSum(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup.

    telemetry: "embedded" (the file is there), "influxdb" (influxdb says what to do), or "none".
    newest_revision: number of the newest decision of people that is in it.
    """

    format: int
    courtyard: str
    made_at: str
    database: str
    schema_revision: str
    journal_id: str | None
    judge: Place | None
    forward: Place | None
    newest_revision: int
    telemetry: str
    influxdb: str | None = None
    counts: dict[str, int]
    files: dict[str, FileSum]

    @property
    def covered(self) -> tuple[str, int] | None:
        """The journal's id, and its last record that a restore of this backup does not need."""
        places = (self.judge, self.forward)
        if any(place is None or place.journal_id != self.journal_id for place in places):
            return None if self.journal_id is None else (self.journal_id, 0)
        assert self.journal_id is not None
        return self.journal_id, min(place.position for place in places if place is not None)


class _Format(msgspec.Struct):
    """Of a manifest of whatever version."""

    format: int


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(raw: bytes, name: str) -> Manifest:
    """Raises BackupError."""
    try:
        found = msgspec.json.decode(raw, type=_Format).format
        if found > FORMAT:
            raise BackupError(
                f"{name} is of format {found}, and this courtyard reads up to {FORMAT}:"
                " restore it with the version that made it, or a newer one"
            )
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"{name} is no manifest of a backup: {error}") from None


# -- making copies


def copy_database(engine: Engine, target: Path, told: Told) -> None:
    """The operational database as of one moment, into a new SQLite file. Raises BackupError."""
    if engine.dialect.name == "postgresql":
        _dump(engine, target, told)
    else:
        _copy_sqlite(sqlite_path(engine), target, told)
    sync(target)


def sqlite_path(engine: Engine) -> Path:
    """Where the file of an embedded database is."""
    return Path(engine.url.database or "")


def _copy_sqlite(source: Path, target: Path, told: Told) -> None:
    """With the online backup API, a step at a time.

    In WAL mode one read transaction spans all steps, and nobody waits. With a rollback journal it
    would hold up every commit, so each step stands alone; a commit in between makes SQLite begin
    again. After BEGINNINGS of that, writers have to wait (readers need not) until it is done.
    """
    with ExitStack() as stack:
        db = stack.enter_context(closing(_connect(source)))
        copy = stack.enter_context(closing(_connect(target)))
        copy.execute("PRAGMA journal_mode=OFF")  # a copy that fails is thrown away
        copy.execute("PRAGMA synchronous=OFF")
        if db.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        left = 1 << 62
        began = 1
        moved_s = time.monotonic()

        def step(status: int, remaining: int, total: int) -> None:
            nonlocal left, began, moved_s
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                if time.monotonic() - moved_s > TOO_LONG_S:
                    raise BackupError(
                        f"{source} stays locked by another process: nothing could be read"
                        f" for {TOO_LONG_S} s"
                    )
                return
            moved_s = time.monotonic()
            if remaining > left:
                began += 1
                if began == BEGINNINGS:
                    stack.enter_context(_writers_wait(source))
            left = remaining
            told(DATABASE, total - remaining, total)

        db.backup(copy, pages=STEP_PAGES, progress=step, sleep=0.01)


@contextmanager
def _writers_wait(path: Path) -> Iterator[None]:
    with closing(_connect(path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)


def _dump(engine: Engine, target: Path, told: Told) -> None:
    """All rows within one REPEATABLE READ snapshot, into the tables that SQLite would have."""
    migrate_copy(target)
    with reading(engine) as connection, closing(_connect(target)) as copy:
        _take_time(connection)
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA synchronous=OFF")
        copy.execute("PRAGMA foreign_keys=OFF")
        copy.execute("BEGIN")
        for table in reversed(metadata.sorted_tables):
            copy.execute(f"DELETE FROM {_quoted(table.name)}")  # noqa: S608 - names of ours
        expected = _expected_rows(connection)
        done = 0
        for table in metadata.sorted_tables:
            columns = [cast(c, Text) if isinstance(c.type, JSON) else c for c in table.c]
            rows = connection.execution_options(stream_results=True, max_row_buffer=ROWS).execute(
                select(*columns).order_by(*table.primary_key)
            )
            places = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {_quoted(table.name)} ({_columns(table)}) VALUES ({places})"  # noqa: S608
            for page in rows.partitions(ROWS):
                copy.executemany(insert, map(tuple, page))
                done += len(page)
                told(DATABASE, done, max(done, expected))
        copy.execute("COMMIT")
    told(DATABASE, done, done)


def _take_time(connection: Connection) -> None:
    """No limit for this transaction: it is as long as the database is large."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _expected_rows(connection: Connection) -> int:
    """About how many rows there are, as the server's statistics have it."""
    found = connection.scalar(
        text(
            "SELECT sum(greatest(reltuples, 0)) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
    )
    return int(found or 0)


def copy_telemetry(source: Path, target: Path, told: Told, step_pages: int = STEP_PAGES) -> None:
    """The embedded telemetry store as of one moment; its writer does not wait."""
    uri = f"file:{quote(str(source.absolute()))}?mode=ro"
    try:
        with (
            closing(
                apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            ) as db,
            closing(apsw.Connection(str(target))) as copy,
        ):
            db.set_busy_timeout(WAIT_S * 1000)
            copy.execute("PRAGMA journal_mode=OFF").fetchall()
            copy.execute("PRAGMA synchronous=OFF").fetchall()
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchall()
            with copy.backup("main", db, "main") as work:
                while not work.done:
                    work.step(step_pages)
                    told(TELEMETRY, work.page_count - work.remaining, work.page_count)
            db.execute("ROLLBACK")
    except apsw.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from error
    sync(target)


# -- what is in a copy


@dataclass(frozen=True, slots=True)
class Facts:
    """What a copied database says about itself."""

    schema_revision: str
    places: Mapping[str, Place]
    newest_revision: int
    counts: Mapping[str, int]


def facts(copy: Path) -> Facts:
    """Raises BackupError for a file that is damaged: a copy of a bad page is a bad page."""
    with closing(_open_copy(copy)) as db:
        try:
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise BackupError(f"the database is damaged ({verdict}): {IF_DAMAGED}")
            (revision,) = db.execute("SELECT version_num FROM alembic_version").fetchone()
            (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM revisions").fetchone()
            counts = {
                table.name: db.execute(f"SELECT count(*) FROM {_quoted(table.name)}").fetchone()[0]  # noqa: S608
                for table in metadata.sorted_tables
            }
            places = {}
            for name, journal_id, position, jseq, at_ms, watermark_ms, memory in db.execute(
                "SELECT name, journal_id, position, jseq, updated_at_ms, watermark_ms, memory"
                " FROM cursors WHERE name IN (?, ?)",
                (JUDGE, FORWARD),
            ):
                said = None
                if name == FORWARD:
                    said = msgspec.msgpack.decode(memory, type=Forwarded)
                places[name] = Place(journal_id, position, jseq, at_ms, watermark_ms, said)
        except sqlite3.DatabaseError as error:
            raise BackupError(f"the database is damaged ({error}): {IF_DAMAGED}") from error
    return Facts(revision, places, newest, counts)


IF_DAMAGED = "keep the file, and restore a backup that was made before (docs/operations.md)"


def _open_copy(path: Path) -> sqlite3.Connection:
    """To read a file that nobody uses, without making any other beside it."""
    uri = f"file:{quote(str(path.absolute()))}?immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def check_telemetry(copy: Path) -> None:
    """Raises BackupError for a damaged file."""
    uri = f"file:{quote(str(copy.absolute()))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    with closing(apsw.Connection(uri, flags=flags)) as db:
        try:
            verdict = db.execute("PRAGMA quick_check(1)").get
        except apsw.Error as error:
            verdict = str(error)
    if verdict != "ok":
        raise BackupError(f"the telemetry store is damaged ({verdict}): {IF_DAMAGED}")


# -- into empty stores


def load_rows(connection: Connection, copy: Path, told: Told) -> None:
    """Make the tables in a PostgreSQL that has none, and fill them; in the caller's transaction.

    copy: an SQLite file of this version's schema.
    """
    _take_time(connection)
    migrate(connection)
    with closing(_open_copy(copy)) as db:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())  # what migrations put in is in the copy too
        counts = {
            table.name: int(
                db.execute(f"SELECT count(*) FROM {_quoted(table.name)}").fetchone()[0]  # noqa: S608
            )
            for table in metadata.sorted_tables
        }
        total, done = sum(counts.values()), 0
        for table in metadata.sorted_tables:
            for rows in _fill(connection, db, table):
                done += rows
                told(DATABASE, done, total)
            number = table.autoincrement_column
            if number is not None:
                next_number = func.coalesce(func.max(number), 0) + 1
                sequence = func.pg_get_serial_sequence(table.name, number.name)
                connection.execute(select(func.setval(sequence, next_number, False)))


def _fill(connection: Connection, db: sqlite3.Connection, table: Table) -> Iterator[int]:
    """Copy a table's rows, a page at a time; gives how many each has."""
    flags = [n for n, column in enumerate(table.c) if isinstance(column.type, Boolean)]
    server = connection.connection.driver_connection
    assert server is not None
    rows = db.execute(f"SELECT {_columns(table)} FROM {_quoted(table.name)}")  # noqa: S608
    statement = f"COPY {_quoted(table.name)} ({_columns(table)}) FROM STDIN"
    dbapi = connection.dialect.dbapi
    assert dbapi is not None
    try:
        with server.cursor() as cursor, cursor.copy(statement) as copy:
            while page := rows.fetchmany(ROWS):
                for row in page:
                    copy.write_row(_with_flags(row, flags) if flags else row)
                yield len(page)
    except dbapi.Error as error:
        raise BackupError(
            f"the rows of {table.name} do not go into this PostgreSQL: {error}"
        ) from error


def _with_flags(row: tuple[object, ...], flags: Sequence[int]) -> list[object]:
    """SQLite keeps a flag as a number."""
    values = list(row)
    for n in flags:
        values[n] = None if values[n] is None else bool(values[n])
    return values


def migrate_copy(copy: Path) -> None:
    """Bring a copied database, or a new one, to this version's schema. Raises DatabaseAhead."""
    engine = open_database(f"sqlite:///{copy}")
    try:
        upgrade(engine)
    finally:
        engine.dispose()
        for beside in BESIDE:  # empty by now
            copy.with_name(copy.name + beside).unlink(missing_ok=True)
    sync(copy)


def is_empty(connection: Connection) -> bool:
    """Whether there is nothing in the database, of whatever version, that anybody could miss."""
    for name in inspect(connection).get_table_names():
        if name == "alembic_version":
            continue
        row = connection.execute(text(f"SELECT 1 FROM {_quoted(name)} LIMIT 1")).first()  # noqa: S608
        if row is not None:
            return False
    return True


def set_aside(connection: Connection, schema: str) -> None:
    """Move all tables of a PostgreSQL out of the way, into a new schema; in the caller's
    transaction."""
    _take_time(connection)
    tables = connection.scalars(
        text(
            "SELECT relname FROM pg_class c WHERE relkind IN ('r', 'p')"
            " AND relnamespace = current_schema()::regnamespace AND NOT EXISTS ("
            "  SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')"
        )
    ).all()
    connection.execute(text(f"CREATE SCHEMA {_quoted(schema)}"))
    for name in tables:
        connection.execute(text(f"ALTER TABLE {_quoted(name)} SET SCHEMA {_quoted(schema)}"))
    # what PostgreSQL is told of a table's columns does not go with it, and keeps its name taken
    told = text(
        "SELECT stxname FROM pg_statistic_ext WHERE stxnamespace = current_schema()::regnamespace"
    )
    for name in connection.scalars(told).all():
        connection.execute(text(f"ALTER STATISTICS {_quoted(name)} SET SCHEMA {_quoted(schema)}"))


@dataclass(frozen=True, slots=True)
class Decisions:
    """Revisions of one kind. what: "registry", "fault", …"""

    what: str
    count: int
    newest_ms: int


def decisions_after(connection: Connection, revision: int) -> list[Decisions]:
    """What people decided after the revision `revision`."""
    rows = connection.execute(
        text(
            "SELECT what, count(*), max(at_ms) FROM revisions WHERE id > :revision"
            " GROUP BY what ORDER BY what"
        ),
        {"revision": revision},
    )
    return [Decisions(*row) for row in rows]


def other_users(connection: Connection) -> list[str]:
    """Processes of courtyard that are connected to this PostgreSQL, ours left out."""
    rows = connection.execute(
        text(
            "SELECT pid, coalesce(host(client_addr), 'this machine') FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'courtyard'"
            " AND pid <> pg_backend_pid() ORDER BY pid"
        )
    )
    return [f"a courtyard process at {host} (server process {pid})" for pid, host in rows]


# -- the newest finished backup


@dataclass(frozen=True, slots=True)
class Covered:
    """Which records of which journal the newest finished backup makes dispensable."""

    journal_id: str
    position: int


def note_finished(connection: Connection, manifest: Manifest, now_ms: int) -> None:
    """Put down that this backup is complete: the journal need not keep what it covers."""
    journal_id, position = manifest.covered or ("", 0)
    body = {"journal_id": journal_id, "made_at": manifest.made_at}
    progress.report(connection, BACKUP, position, position, body, now_ms)


def last_finished(connection: Connection) -> Covered | None:
    """None if no backup was ever made."""
    row = progress.read(connection, BACKUP)
    return None if row is None else Covered(str(row.body.get("journal_id", "")), row.done)


# -- files


def sync(path: Path) -> None:
    """On the disk: the file, or the names in the directory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sum_of(path: Path) -> FileSum:
    with path.open("rb") as file:
        return _sum(file, None)


def copy_summed(source: IO[bytes], target: Path, name: str, total: int, told: Told) -> FileSum:
    """Copy, on the disk when it returns; gives what was copied."""
    with target.open("xb") as file:
        target.chmod(0o600)
        copied = _sum(source, file, lambda done: told(name, done, max(total, done)))
        file.flush()
        os.fsync(file.fileno())
    return copied


def _sum(
    source: IO[bytes], target: IO[bytes] | None, told: Callable[[int], None] = lambda _: None
) -> FileSum:
    digest, size = hashlib.sha256(), 0
    while block := source.read(READ_BYTES):
        digest.update(block)
        size += len(block)
        if target is not None:
            target.write(block)
        told(size)
    return FileSum(size, digest.hexdigest())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _columns(table: Table) -> str:
    return ", ".join(_quoted(column.name) for column in table.c)
