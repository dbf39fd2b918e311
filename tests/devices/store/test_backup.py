"""Copies of the operational database and of the telemetry store, and the way back."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import JSON, Boolean, Column, Engine, Float, Integer, LargeBinary, insert, select
from sqlalchemy import func as sql
from sqlalchemy import text as sql_text

from devices.store import backup, schema
from devices.store.accounts import Forwarded
from devices.store.backup import BackupError, Covered, Manifest, Place
from devices.store.database import DatabaseAhead, check, open_database, reading, writing
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import Point, SeriesQuery
from tests import postgres
from tests.conftest import BOTH

NOW_MS = 1_795_399_200_000
ROWS = 3


def untold(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def a_value(column: Column[Any], n: int) -> object:
    """Of row n; the last row has nothing where nothing is allowed."""
    if column.foreign_keys:
        (key,) = column.foreign_keys
        return a_value(key.column, n)
    if column.nullable and n == ROWS - 1:
        return None
    match column.type:
        case Boolean():
            return n % 2 == 0
        case Integer():
            return n + 1 if column.primary_key else NOW_MS % 2**31 + n
        case Float():
            return n / 3
        case JSON():
            return {"名": ["李", n, None, 0.1 + n]}
        case LargeBinary():
            return bytes((n, 0, 255, 39))
    length = getattr(column.type, "length", None) or 30
    return f"{n}{column.name} 棚'\"\\\t"[:length]


def fill(engine: Engine) -> None:
    with writing(engine) as connection:
        for table in schema.metadata.sorted_tables:
            rows = [{c.name: a_value(c, n) for c in table.c} for n in range(ROWS)]
            connection.execute(insert(table), rows)


def rows_of(engine: Engine) -> dict[str, Sequence[Any]]:
    with reading(engine) as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in schema.metadata.sorted_tables
        }


@pytest.fixture(params=BOTH)
def other_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A second one, without any table, of either kind."""
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'other.db'}")
        yield engine
        engine.dispose()
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    name = cluster.create()
    engine = open_database(cluster.url(name))
    yield engine
    engine.dispose()
    cluster.drop(name)


def bring_back(copy: Path, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        copy.rename(backup.sqlite_path(engine))
        return
    with writing(engine) as connection:
        backup.load_rows(connection, copy, untold)


def test_every_row_of_either_database_comes_back_in_either(
    any_database: Engine, other_database: Engine, tmp_path: Path
) -> None:
    fill(any_database)
    copy = tmp_path / "copy.db"
    backup.copy_database(any_database, copy, untold)
    found = backup.facts(copy)
    assert set(found.counts.values()) == {ROWS}
    bring_back(copy, other_database)
    check(other_database)
    assert rows_of(other_database) == rows_of(any_database)


def test_numbers_go_on_behind_those_that_came_back(
    any_database: Engine, other_database: Engine, tmp_path: Path
) -> None:
    fill(any_database)
    backup.copy_database(any_database, tmp_path / "copy.db", untold)
    bring_back(tmp_path / "copy.db", other_database)
    with writing(other_database) as connection:
        number = connection.execute(
            insert(schema.revisions)
            .values(at_ms=1, what="registry", subject="", body={})
            .returning(schema.revisions.c.id)
        ).scalar_one()
    assert number == ROWS + 1


def move_on(engine: Engine, stop: threading.Event, moved: threading.Event) -> None:
    """What the judge does: figures and the cursor in one transaction, again and again."""
    n = 0
    while not stop.is_set():
        n += 1
        with writing(engine) as connection:
            connection.execute(
                insert(schema.revisions).values(
                    at_ms=n, what="fault", subject="x" * 60, body={"x": "y" * 3000}
                )
            )
            connection.execute(sql_text("UPDATE cursors SET jseq = jseq + 1"))
        if n >= 5:
            moved.set()


@pytest.mark.long
def test_a_copy_made_while_others_write_is_of_one_moment(
    any_database: Engine, tmp_path: Path
) -> None:
    """Without a pause between commits SQLite has to begin again, until writers are made to wait."""
    with writing(any_database) as connection:
        filling = {"at_ms": 0, "what": "registry", "subject": "", "body": {"x": "y" * 4000}}
        connection.execute(insert(schema.revisions), [filling] * 3000)
        connection.execute(insert(schema.cursors), a_cursor("judge", 0, b"\x80"))
    stop, moved = threading.Event(), threading.Event()
    writer = threading.Thread(target=move_on, args=(any_database, stop, moved))
    writer.start()
    try:
        assert moved.wait(30)
        backup.copy_database(any_database, tmp_path / "copy.db", untold)
    finally:
        stop.set()
        writer.join(30)
    found = backup.facts(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        (events,) = db.execute("SELECT count(*) FROM revisions WHERE at_ms > 0").fetchone()
    assert found.places["judge"].jseq == events
    assert events >= 5
    with reading(any_database) as connection:
        count = connection.scalar(select(sql.count()).select_from(schema.revisions))
    assert count is not None
    assert events <= count - 3000


def a_cursor(name: str, position: int, memory: bytes) -> dict[str, object]:
    return {
        "name": name,
        "journal_id": "a" * 32,
        "position": position,
        "jseq": position * 2,
        "revision": 0,
        "watermark_ms": NOW_MS,
        "updated_at_ms": NOW_MS,
        "memory": memory,
    }


def test_a_copy_says_where_the_followers_stood(any_database: Engine, tmp_path: Path) -> None:
    points = msgspec.msgpack.encode(Forwarded(12, 1, None, 3))
    with writing(any_database) as connection:
        connection.execute(insert(schema.cursors), a_cursor("judge", 7, b"\x80"))
        connection.execute(insert(schema.cursors), a_cursor("forward", 5, points))
        connection.execute(insert(schema.cursors), a_cursor("history", 900, b"\x80"))
    backup.copy_database(any_database, tmp_path / "copy.db", untold)
    assert backup.facts(tmp_path / "copy.db").places == {
        "judge": Place("a" * 32, 7, 14, NOW_MS, NOW_MS),
        "forward": Place("a" * 32, 5, 10, NOW_MS, NOW_MS, Forwarded(12, 1, None, 3)),
    }


def test_a_damaged_copy_is_no_copy(sqlite_database: Engine, tmp_path: Path) -> None:
    fill(sqlite_database)
    copy = tmp_path / "copy.db"
    backup.copy_database(sqlite_database, copy, untold)
    with copy.open("r+b") as file:
        file.seek(copy.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 3000)
    with pytest.raises(BackupError, match="damaged"):
        backup.facts(copy)


def test_a_copy_of_a_newer_version_is_refused(sqlite_database: Engine, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    backup.copy_database(sqlite_database, copy, untold)
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(DatabaseAhead):
        backup.migrate_copy(copy)


@pytest.mark.postgres
def test_what_was_in_a_server_is_moved_into_a_schema_of_its_own(
    postgres_cluster: postgres.Cluster, postgres_template: str
) -> None:
    name = postgres_cluster.create(postgres_template)
    engine = open_database(postgres_cluster.url(name))
    fill(engine)
    with writing(engine) as connection:
        assert not backup.is_empty(connection)
        backup.set_aside(connection, "courtyard_replaced_x")
        assert backup.is_empty(connection)
        kept = connection.scalar(sql_text("SELECT count(*) FROM courtyard_replaced_x.faults"))
    assert kept == ROWS
    engine.dispose()
    postgres_cluster.drop(name)


def test_a_migrated_database_without_rows_is_empty(any_database: Engine) -> None:
    with reading(any_database) as connection:
        assert backup.is_empty(connection)
    fill(any_database)
    with reading(any_database) as connection:
        assert not backup.is_empty(connection)


def test_decisions_after_the_backup_are_counted_by_kind(any_database: Engine) -> None:
    with writing(any_database) as connection:
        for n, what in enumerate(["registry", "fault", "fault", "registry", "fault"], 1):
            row = {"id": n, "at_ms": NOW_MS + n, "what": what, "subject": "", "body": {}}
            connection.execute(insert(schema.revisions), row)
    with reading(any_database) as connection:
        assert backup.decisions_after(connection, 2) == [
            backup.Decisions("fault", 2, NOW_MS + 5),
            backup.Decisions("registry", 1, NOW_MS + 4),
        ]


def a_manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "format": 1,
        "courtyard": "0.1.0",
        "made_at": "2026-11-23T10:00:00Z",
        "database": "sqlite",
        "schema_revision": "619821ad2463",
        "journal_id": "a" * 32,
        "judge": Place("a" * 32, 7, 14, NOW_MS),
        "forward": Place("a" * 32, 5, 10, NOW_MS),
        "newest_revision": 3,
        "telemetry": "embedded",
        "counts": {"faults": 2},
        "files": {"database.db": backup.FileSum(3, "0" * 64)},
    }
    return Manifest(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, ("a" * 32, 5)),
        ({"forward": None}, ("a" * 32, 0)),
        ({"forward": Place("b" * 32, 900, 900, NOW_MS)}, ("a" * 32, 0)),
        ({"judge": None, "forward": None, "journal_id": None}, None),
    ],
)
def test_a_backup_covers_what_both_followers_had_passed(
    changes: dict[str, Any], covered: tuple[str, int] | None
) -> None:
    assert a_manifest(**changes).covered == covered


def test_a_manifest_prints_back_the_same() -> None:
    manifest = a_manifest()
    assert backup.decode(backup.encode(manifest), "x") == manifest


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no manifest"),
        (b"\xff", "no manifest"),
        (b'{"format": 1}', "no manifest"),
        (b'{"format": 2, "whatever": 1}', "newer"),
    ],
)
def test_what_is_no_manifest_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(BackupError, match=says):
        backup.decode(raw, "manifest.json")


def test_the_newest_finished_backup_is_known_to_whoever_trims(any_database: Engine) -> None:
    with reading(any_database) as connection:
        assert backup.last_finished(connection) is None
    for position in (5, 9):
        with writing(any_database) as connection:
            manifest = a_manifest(
                judge=Place("a" * 32, position, 14, NOW_MS),
                forward=Place("a" * 32, position, 10, NOW_MS),
            )
            backup.note_finished(connection, manifest, NOW_MS)
    with reading(any_database) as connection:
        assert backup.last_finished(connection) == Covered("a" * 32, 9)


def test_telemetry_is_copied_while_it_is_written(tmp_path: Path) -> None:
    store = EmbeddedTelemetry(tmp_path / "telemetry.db")
    points = [Point("port", "a", "b", NOW_MS + n, {"power_w": float(n)}) for n in range(2000)]
    store.write(points[:1000])
    written = threading.Event()
    first = True

    def told(_what: str, done: int, total: int) -> None:
        nonlocal first
        if first and done < total:  # in the middle of the copy
            first = False
            store.write(points[1000:])
            written.set()

    backup.copy_telemetry(tmp_path / "telemetry.db", tmp_path / "copy.db", told, step_pages=1)
    assert written.is_set()
    store.close()
    backup.check_telemetry(tmp_path / "copy.db")
    copied = EmbeddedTelemetry(tmp_path / "copy.db")
    query = SeriesQuery("port", "b", "power_w", NOW_MS, NOW_MS + 9999, 9999)
    assert [sample.value for sample in copied.samples(query)] == [float(n) for n in range(1000)]
    copied.close()


def test_a_damaged_telemetry_copy_is_said_to_be(tmp_path: Path) -> None:
    store = EmbeddedTelemetry(tmp_path / "telemetry.db")
    store.write([Point("port", "a", f"b{n}", NOW_MS, {"power_w": 1.0}) for n in range(5000)])
    store.close()
    backup.copy_telemetry(tmp_path / "telemetry.db", tmp_path / "copy.db", untold)
    size = (tmp_path / "copy.db").stat().st_size
    with (tmp_path / "copy.db").open("r+b") as file:
        file.seek(size // 2 // 8192 * 8192)
        file.write(b"\xff" * 8000)
    with pytest.raises(BackupError, match="damaged"):
        backup.check_telemetry(tmp_path / "copy.db")
