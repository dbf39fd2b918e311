"""The operational database: SQLite by default, PostgreSQL in production, one code for both.

Transactions are short and belong to the caller: `writing` commits at its end, `reading` sees one
consistent state and refuses to write. Several processes use the same database; what they must
know about it (migrations) is checked here. Requests end: every wait has a limit.
"""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from devices.store.failpoints import failpoint

WAIT_S = 30  # for a lock, and for one statement on PostgreSQL
MIGRATION_WAIT_S = 600  # a starter waits so long for another one that migrates

# A few processes share what PostgreSQL allows by default, 100 connections.
_POOL = {"pool_size": 5, "max_overflow": 10, "pool_timeout": 10}
# An error names its statement, and not what was to be stored: errors go into logs, and among the
# values are telephones, addresses of chat robots and hashes of passwords.
_TELL_NOTHING = {"hide_parameters": True}
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x636F7572  # "cour"; PostgreSQL's advisory locks are numbers
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SQLITE = "courtyard_sqlite"  # execution option: the _Begin of the next transaction


class DatabaseUnusable(Exception):
    """This database cannot be used as it is; the message says what to do."""


class BadDatabaseUrl(DatabaseUnusable):
    """The URL names no database that courtyard knows."""


class DriverMissing(DatabaseUnusable):
    """The Python driver of this database is not installed."""


class DatabaseBehind(DatabaseUnusable):
    """Migrations are missing."""


class DatabaseAhead(DatabaseUnusable):
    """A newer version of courtyard has migrated this database."""


class DatabaseDamaged(DatabaseUnusable):
    """The file is not what SQLite wrote there: a bad disk, or somebody wrote into it."""


def open_database(url: str) -> Engine:
    """The engine for a SQLAlchemy URL; connects on first use, not here.

    SQLite needs a file (other processes use it too). Raises BadDatabaseUrl, DriverMissing.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:  # its text may repeat the URL, and the URL a password
        raise BadDatabaseUrl(
            "the database URL cannot be read: write sqlite:///path/to/file or "
            "postgresql://user:password@host/database"
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed)
        case "postgresql" | "postgres":
            return _open_postgresql(parsed)
    raise BadDatabaseUrl(
        f"{parsed.drivername!r} is not a database of courtyard's: sqlite or postgresql"
    )


class DatabaseAway(Exception):
    """The database did not answer, or not in time: the same again later."""


@contextmanager
def answering() -> Iterator[None]:
    """Turns a database that does not answer into DatabaseAway."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseAway(f"the database does not answer: {error.args[0]}") from error


class DatabaseRefused(Exception):
    """The database answered and does not take this: a value, a row, a statement. Nothing is in."""


@contextmanager
def accepting() -> Iterator[None]:
    """As `answering`; what the database or its driver does not take becomes DatabaseRefused."""
    try:
        with answering():
            yield
    except (StatementError, OverflowError, UnicodeError) as error:
        said = getattr(error, "orig", None) or error
        text = " ".join(str(said).split())[:300]
        raise DatabaseRefused(f"{type(said).__name__}: {text}") from error


class Recorder(Protocol):
    """What takes something along into the transactions of a task: who did it, for the audit log."""

    def add(self, connection: Connection) -> None:
        """The last thing in a transaction that writes."""
        ...

    def committed(self) -> None:
        """That transaction is committed."""
        ...


_RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write: committed at the end, rolled back if anything is raised.

    On SQLite it holds the only write lock from its first moment: keep it short.
    """
    recorder = _RECORDER.get()
    with engine.begin() as connection:
        yield connection
        if recorder is not None:
            recorder.add(connection)
    if recorder is not None:
        recorder.committed()


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Every transaction that is written within takes this along: both are there, or neither.

    Within: in this task, and in threads that have its context, as those of a request have.
    """
    before = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(before)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one consistent state and cannot write.

    On SQLite in rollback mode a reader holds up the writers' commits: at most 200 ms, in pages.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        else:
            options = {_SQLITE: _Begin("DEFERRED", query_only=True)}
        connection.execution_options(**options)
        with connection.begin():
            yield connection


def conflict_insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing` here."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def upgrade(engine: Engine) -> None:
    """Bring the tables up to date: all missing migrations in one exclusive transaction, or none.

    Whoever starts meanwhile waits, and finds it done; killed half-way, nothing has happened.
    Raises DatabaseAhead.
    """
    if _standing(engine) == _head():
        return
    with engine.connect() as connection:
        connection.execution_options(**{_SQLITE: _Begin("EXCLUSIVE", foreign_keys=False)})
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = '{MIGRATION_WAIT_S}s'"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            migrate(connection)
            if engine.dialect.name == "sqlite":
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    raise DatabaseUnusable(f"migration left {broken[0]} without its {broken[2]}")
            failpoint("O3")


def migrate(connection: Connection) -> None:
    """Run the missing migrations in the transaction of the caller, who is alone here."""
    # A tenth of the time that ingest takes to start, which hardly ever has to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def check(engine: Engine) -> None:
    """Raise DatabaseBehind or DatabaseAhead unless the tables are those of this version."""
    standing = _standing(engine)
    if standing != _head():
        raise DatabaseBehind(
            f"{_shown(engine)} is {'empty' if standing is None else f'at revision {standing}'}, "
            f"and this version needs {_head()}: run `courtyard db upgrade`"
        )


def look_for_damage(engine: Engine, limit_s: float) -> bool:
    """Read the pages of an embedded database for `limit_s` at most; whether that was all of them.

    A table at a time, so that a writer does not wait for all. Raises DatabaseDamaged. PostgreSQL
    checks its pages itself.
    """
    if engine.dialect.name != "sqlite":
        return True
    deadline = time.monotonic() + limit_s
    with engine.connect() as connection:
        db = connection.connection.driver_connection
        assert db is not None
        names = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        db.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
        try:
            for name in names:
                (verdict,) = db.execute(f"PRAGMA quick_check('{name}')").fetchone()
                if verdict != "ok":
                    raise DatabaseDamaged(_damaged(engine, verdict))
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            if error.sqlite_errorcode & 0xFF in _DAMAGE:
                raise DatabaseDamaged(_damaged(engine, str(error))) from error
            raise
        finally:
            db.set_progress_handler(None, 0)
    return True


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite is free of the WAL-reset bug, which can corrupt a file in WAL mode.

    Affected: 3.7.0 to 3.51.2, but for the repaired 3.44.6 and 3.50.7 lines (sqlite.org/wal.html).
    """
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return True
    return (3, 44, 6) <= version < (3, 45, 0) or (3, 50, 7) <= version < (3, 51, 0)


def _open_sqlite(url: URL) -> Engine:
    if url.get_driver_name() != "pysqlite" or url.database in {None, "", ":memory:"}:
        raise BadDatabaseUrl(
            "SQLite needs a file that every process can open: sqlite:///path/to/file"
        )
    engine = create_engine(url, **_POOL, **_JSON, **_TELL_NOTHING, connect_args={"timeout": WAIT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _name_damage)
    return engine


def _name_damage(context: ExceptionContext) -> None:
    """Whoever meets a bad page, and wherever: it is no outage, and waiting does not help."""
    error = context.original_exception
    if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in _DAMAGE:
        engine = context.engine
        raise DatabaseDamaged(_damaged(engine, str(error))) from error


def _damaged(engine: Engine | None, what: str) -> str:
    return (
        f"{'the database' if engine is None else _shown(engine)} is damaged ({what}): stop"
        " courtyard, keep the file, and restore a backup (`courtyard restore`; docs/operations.md)"
    )


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the module's own BEGIN comes too late and is no IMMEDIATE
    connection.execute("PRAGMA foreign_keys=ON")
    wanted = "wal" if wal_is_safe(sqlite3.sqlite_version_info) else "truncate"
    mode = _journal_mode(connection, wanted)
    if mode != wanted:
        raise DatabaseUnusable(
            f"SQLite {sqlite3.sqlite_version} needs journal_mode={wanted} here (its WAL mode can "
            f"corrupt a file), but the file stays in {mode}: stop all other programs that use it"
        )
    connection.execute("PRAGMA synchronous=FULL")


def _journal_mode(connection: sqlite3.Connection, wanted: str) -> str:
    """Switch, and give the mode that the file is in then. TRUNCATE is of the connection alone."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            (mode,) = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()
        except sqlite3.OperationalError:
            # Into or out of WAL, SQLite does not wait for the lock by itself.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return str(mode)


@dataclass(frozen=True, slots=True)
class _Begin:
    """How a transaction begins on SQLite.

    IMMEDIATE takes the write lock and waits for it; a lock taken at the first write of a
    transaction that has already read fails at once when another one came before.
    foreign_keys: off for migrations only. SQLite alters a table by copying it and dropping the old
    one, which would delete its children.
    """

    lock: str = "IMMEDIATE"
    query_only: bool = False
    foreign_keys: bool = True


_WRITE = _Begin()


def _begin_sqlite(connection: Connection) -> None:
    begin: _Begin = connection.get_execution_options().get(_SQLITE, _WRITE)
    was: _Begin = connection.info.get(_SQLITE, _WRITE)
    if begin.query_only is not was.query_only:
        connection.exec_driver_sql(f"PRAGMA query_only={int(begin.query_only)}")
    if begin.foreign_keys is not was.foreign_keys:
        connection.exec_driver_sql(f"PRAGMA foreign_keys={int(begin.foreign_keys)}")
    connection.info[_SQLITE] = begin
    connection.exec_driver_sql(f"BEGIN {begin.lock}")


def _open_postgresql(url: URL) -> Engine:
    defaults = {
        "connect_timeout": "5",
        "application_name": "courtyard",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
        "options": f"-c statement_timeout={WAIT_S}s -c idle_in_transaction_session_timeout=60s",
    }
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            **_POOL,
            **_JSON,
            **_TELL_NOTHING,
            pool_pre_ping=True,
            connect_args={name: value for name, value in defaults.items() if name not in url.query},
        )
    except ImportError as error:
        raise DriverMissing(
            "PostgreSQL needs its driver: install `courtyard[postgres]` "
            f"(pip install 'courtyard[postgres]'); {error}"
        ) from error


def _encode_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_JSON = {"json_serializer": _encode_json, "json_deserializer": msgspec.json.decode}


_REVISION = re.compile(r"""^(down_)?revision = (?:None|['"](\w+)['"])$""", re.MULTILINE)


def _migrations() -> dict[str, str]:
    """The revision that each migration makes, and the one that it needs, "" for the first."""
    found = {}
    for file in (_MIGRATIONS / "versions").glob("*.py"):
        said = dict(_REVISION.findall(file.read_text("utf-8")))
        found[said[""]] = said["down_"]
    return found


def _head() -> str:
    """The newest migration of this version."""
    migrations = _migrations()
    heads = migrations.keys() - set(migrations.values())
    if len(heads) != 1:
        raise DatabaseUnusable(
            f"{len(heads)} newest migrations in {_MIGRATIONS}, where one has to be: the"
            " installation is not complete"
        )
    return heads.pop()


def _standing(engine: Engine) -> str | None:
    """The revision that the database is at, None for an empty one. Raises DatabaseAhead."""
    with reading(engine) as connection:
        revision: str | None = None
        if engine.dialect.has_table(connection, "alembic_version"):
            revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is not None and revision not in _migrations():
        raise DatabaseAhead(
            f"{_shown(engine)} is at revision {revision}, which this version does not know: "
            "a newer courtyard has migrated it; install that one, or restore a backup"
        )
    return revision


def _shown(engine: Engine) -> str:
    return f"database {engine.url.render_as_string(hide_password=True)}"
