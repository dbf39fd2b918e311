"""The migrations make exactly the tables of schema.py, on both databases."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from devices.store import schema
from devices.store.database import (
    DatabaseAhead,
    DatabaseBehind,
    check,
    open_database,
    reading,
    upgrade,
    writing,
)
from devices.store.migrations import draft

ROOT = Path(__file__).parents[3]


def shape(connection: Connection) -> dict[str, str]:
    """Every table, column, key and index as the database itself describes it."""
    if connection.dialect.name == "sqlite":
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql <> ''")
        return {name: normal(sql) for name, sql in made if name != "alembic_version"}
    parts = [
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace",
        "SELECT table_name || '.' || column_name, concat_ws(' ', data_type,"
        " character_maximum_length, is_nullable, column_default) FROM information_schema.columns"
        " WHERE table_schema = 'public'",
    ]
    rows = [row for part in parts for row in connection.exec_driver_sql(part)]
    return {name: sql for name, sql in rows if not name.startswith("alembic_version")}


def normal(sql: str) -> str:
    """SQL with its clauses sorted: the order of constraints in a table has no meaning."""
    return " ".join(sorted(re.split(r",\s*|\s+", sql.replace('"', ""))))


def test_autogenerate_finds_nothing_to_add(any_database: Engine) -> None:
    with any_database.connect() as connection:
        # On SQLite Alembic takes '' for no default; the next test compares the defaults there too.
        defaults = connection.dialect.name == "postgresql"
        context = MigrationContext.configure(connection, opts={"compare_server_default": defaults})
        assert compare_metadata(context, schema.metadata) == []


def test_the_migrations_make_what_the_schema_declares(empty_database_url: str) -> None:
    engine = open_database(empty_database_url)
    with writing(engine) as connection:
        schema.metadata.create_all(connection)
        declared = shape(connection)
        schema.metadata.drop_all(connection)
    upgrade(engine)
    with reading(engine) as connection:
        assert shape(connection) == declared
    assert len(declared) > len(schema.metadata.tables)
    engine.dispose()


def test_an_empty_database_is_behind_until_it_is_upgraded(empty_database_url: str) -> None:
    engine = open_database(empty_database_url)
    with pytest.raises(DatabaseBehind, match=r"is empty.*courtyard db upgrade"):
        check(engine)
    upgrade(engine)
    check(engine)
    upgrade(engine)  # again: nothing to do
    check(engine)
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(any_database: Engine) -> None:
    with writing(any_database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'fromthefuture'"))
    with pytest.raises(DatabaseAhead, match=r"fromthefuture.*newer courtyard"):
        check(any_database)
    with pytest.raises(DatabaseAhead):
        upgrade(any_database)


def test_starters_at_the_same_moment_all_find_a_migrated_database(empty_database_url: str) -> None:
    engines = [open_database(empty_database_url) for _ in range(4)]
    gate = threading.Barrier(len(engines))
    failed: list[Exception] = []

    def start(engine: Engine) -> None:
        gate.wait(10)
        try:
            upgrade(engine)
            check(engine)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for engine in engines:
        engine.dispose()
    assert failed == []


KILLED_AT_THE_NINTH_TABLE = """
import os, signal, sys
from sqlalchemy import event
from devices.store.database import open_database, upgrade
engine = open_database(sys.argv[1])
made = 0
@event.listens_for(engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    global made
    made += "CREATE TABLE" in statement
    if made == 9:
        os.kill(os.getpid(), signal.SIGKILL)
upgrade(engine)
"""


def test_a_starter_killed_half_way_leaves_nothing_behind(empty_database_url: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_NINTH_TABLE, empty_database_url],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    engine = open_database(empty_database_url)
    with reading(engine) as connection:
        assert shape(connection) == {}
    with pytest.raises(DatabaseBehind):
        check(engine)
    upgrade(engine)
    check(engine)
    engine.dispose()


def test_the_newest_migration_is_the_one_that_alembic_finds(empty_database_url: str) -> None:
    engine = open_database(empty_database_url)
    with pytest.raises(DatabaseBehind) as refused:
        check(engine)
    engine.dispose()
    newest = ScriptDirectory(str(draft.MIGRATIONS)).get_current_head()
    assert f"is empty, and this version needs {newest}:" in str(refused.value)


def test_the_way_down_ends_in_an_empty_database(any_database: Engine) -> None:
    with writing(any_database) as connection:
        config = Config()
        config.set_main_option("script_location", str(draft.MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert shape(connection) == {}


@pytest.fixture
def copied_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of versions that a draft writes into."""
    copy = tmp_path / "migrations"
    shutil.copytree(draft.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(draft, "MIGRATIONS", copy)
    return copy / "versions"


def test_a_draft_where_nothing_is_missing_follows_the_newest_and_does_nothing(
    copied_migrations: Path,
) -> None:
    before = set(copied_migrations.glob("*.py"))
    newest = ScriptDirectory(str(copied_migrations.parent)).get_current_head()
    written = draft.draft("nothing at all")
    assert set(copied_migrations.glob("*.py")) == before | {written}
    text = written.read_text()
    assert f"down_revision = '{newest}'" in text
    assert "op." not in text


def test_a_first_migration_drafted_anew_makes_everything_alone(copied_migrations: Path) -> None:
    written = draft.draft("first tables", initial=True)
    assert list(copied_migrations.glob("*.py")) == [written]
    text = written.read_text().partition("def upgrade")[2].partition("def downgrade")[0]
    made = re.findall(r"create_table\('(\w+)'", text)
    assert set(made) == set(schema.metadata.tables)
    indexes = {index.name for table in schema.metadata.tables.values() for index in table.indexes}
    assert set(re.findall(r"create_index\('(\w+)'", text)) == indexes
