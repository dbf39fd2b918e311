"""Opening the operational database, and its two kinds of transaction."""

import builtins
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from devices.store import schema
from devices.store.database import (
    BadDatabaseUrl,
    DatabaseUnusable,
    DriverMissing,
    conflict_insert,
    open_database,
    reading,
    wal_is_safe,
    writing,
)


def a_firm(name: str) -> dict[str, object]:
    return {"id": name, "name_zh": "亚新", "name_en": "Yaxin", "contacts": [{"name": "李"}]}


def firms_in(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(schema.firms)).scalar_one()


def test_a_transaction_is_committed_at_its_end(any_database: Engine) -> None:
    with writing(any_database) as connection:
        connection.execute(insert(schema.firms), a_firm("yaxin"))
    with reading(any_database) as connection:
        row = connection.execute(select(schema.firms)).one()
    assert row.name_zh == "亚新"
    assert row.contacts == [{"name": "李"}]


def test_a_transaction_that_raises_leaves_nothing(any_database: Engine) -> None:
    def write_twice() -> None:
        with writing(any_database) as connection:
            connection.execute(insert(schema.firms), a_firm("yaxin"))
            connection.execute(insert(schema.firms), a_firm("yaxin"))

    with pytest.raises(IntegrityError):
        write_twice()
    assert firms_in(any_database) == 0


def test_a_reading_transaction_cannot_write(any_database: Engine) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), reading(any_database) as connection:
        connection.execute(insert(schema.firms), a_firm("yaxin"))
    with writing(any_database) as connection:  # the connection of the pool may write again
        connection.execute(insert(schema.firms), a_firm("yaxin"))
    assert firms_in(any_database) == 1


def test_a_foreign_key_is_enforced(any_database: Engine) -> None:
    token = {"sha256": "0" * 64, "role": "firm", "firm": "nobody", "name": "", "created_at_ms": 0}
    with pytest.raises(IntegrityError), writing(any_database) as connection:
        connection.execute(insert(schema.tokens), token)


def test_an_error_does_not_say_what_was_to_be_stored(any_database: Engine) -> None:
    firm = a_firm("yaxin") | {"contacts": [{"name": "李", "phone": "13800001111"}]}
    with writing(any_database) as connection:
        connection.execute(insert(schema.firms), firm)
        with pytest.raises(IntegrityError) as error:
            connection.execute(insert(schema.firms), firm)
    assert "13800001111" not in str(error.value)
    assert "INSERT INTO firms" in str(error.value)


def test_a_reader_sees_one_state_while_others_write(any_database: Engine) -> None:
    """On SQLite in rollback mode the writer's commit waits for the reader instead."""
    count = select(func.count()).select_from(schema.firms)
    written = threading.Event()

    def write() -> None:
        with writing(any_database) as connection:
            connection.execute(insert(schema.firms), a_firm("yaxin"))
            written.set()

    writer = threading.Thread(target=write)
    with reading(any_database) as connection:
        assert connection.execute(count).scalar_one() == 0
        writer.start()
        assert written.wait(10)
        assert connection.execute(count).scalar_one() == 0
    writer.join(10)
    assert firms_in(any_database) == 1


def test_writers_wait_for_each_other_instead_of_failing(any_database: Engine) -> None:
    """Each reads before it writes: with locks taken at the first write this fails on SQLite."""
    failed: list[Exception] = []

    def write(writer: int) -> None:
        try:
            for turn in range(10):
                with writing(any_database) as connection:
                    connection.execute(select(func.count()).select_from(schema.firms)).scalar_one()
                    connection.execute(insert(schema.firms), a_firm(f"firm-{writer}-{turn}"))
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert failed == []
    assert firms_in(any_database) == 40


def test_a_conflict_insert_writes_the_newest_figures(any_database: Engine) -> None:
    for done in (1, 2):
        with writing(any_database) as connection:
            row: dict[str, object] = {
                "name": "history",
                "done": done,
                "total": 9,
                "updated_at_ms": done,
                "body": {},
            }
            statement = conflict_insert(connection, schema.progress).values(row)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"], set_={"done": statement.excluded.done}
                )
            )
    with reading(any_database) as connection:
        assert connection.execute(select(schema.progress.c.done)).scalars().all() == [2]


def test_every_commit_on_sqlite_is_synced(sqlite_url: str) -> None:
    engine = open_database(sqlite_url)
    with writing(engine) as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    engine.dispose()
    assert mode == ("wal" if wal_is_safe(sqlite3.sqlite_version_info) else "truncate")


@pytest.mark.skipif(
    wal_is_safe(sqlite3.sqlite_version_info), reason="this SQLite keeps files in WAL mode"
)
def test_a_file_that_others_hold_in_wal_mode_is_refused_by_an_affected_sqlite(
    sqlite_database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.store.database.WAIT_S", 0)
    holder = sqlite3.connect(str(sqlite_database.url.database))
    assert holder.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    holder.execute("BEGIN IMMEDIATE")
    waiting = open_database(str(sqlite_database.url))
    with pytest.raises((DatabaseUnusable, OperationalError)), reading(waiting):
        pytest.fail("a transaction began in WAL mode")
    holder.close()
    with reading(waiting) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "truncate"
    waiting.dispose()


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 6, 23), True),  # had no WAL
        ((3, 7, 0), False),
        ((3, 40, 1), False),  # Debian 12
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 54, 1), True),
    ],
)
def test_the_wal_reset_bug_is_known_by_version(version: tuple[int, int, int], safe: bool) -> None:
    assert wal_is_safe(version) is safe


@pytest.mark.parametrize(
    "url",
    ["", "courtyard.db", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "sqlite+x:///f.db"],
)
def test_a_url_that_names_no_usable_database_is_refused(url: str) -> None:
    with pytest.raises(BadDatabaseUrl):
        open_database(url)


def test_an_error_about_the_url_keeps_the_password_to_itself() -> None:
    with pytest.raises(BadDatabaseUrl) as raised:
        open_database("mysql://me:hush@host/db")
    assert "hush" not in str(raised.value)


def test_opening_connects_to_nothing(tmp_path: Path) -> None:
    open_database("postgresql://nobody@192.0.2.1:9/none").dispose()
    open_database(f"sqlite:///{tmp_path}/missing/file.db").dispose()


def test_without_the_driver_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_psycopg(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(DriverMissing, match=r"courtyard\[postgres\]"):
        open_database("postgresql://host/db")


@pytest.mark.postgres
def test_a_statement_on_postgresql_has_a_limit(database_url: str) -> None:
    engine = open_database(database_url)
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "30s"
    engine.dispose()


@contextmanager
def a_lock_held(url: str) -> Iterator[None]:
    engine = open_database(url)
    with writing(engine) as connection:
        connection.execute(insert(schema.firms), a_firm("first"))
        yield
    engine.dispose()


def test_a_writer_waits_until_the_one_before_has_committed(database_url: str) -> None:
    engine = open_database(database_url)
    done = threading.Event()

    def write() -> None:
        with writing(engine) as connection:
            connection.execute(
                conflict_insert(connection, schema.firms)
                .values(a_firm("first"))
                .on_conflict_do_nothing()
            )
        done.set()

    with a_lock_held(database_url):
        writer = threading.Thread(target=write)
        writer.start()
        assert not done.wait(0.2)
    assert done.wait(10)
    writer.join(10)
    engine.dispose()
    assert firms_in(engine) == 1
    engine.dispose()
