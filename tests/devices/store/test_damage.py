"""Stores whose files were damaged: said as what it is, never waited for."""

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from devices.journal import MESSAGES, Raw
from devices.store import schema
from devices.store.database import (
    DatabaseDamaged,
    answering,
    check,
    look_for_damage,
    open_database,
    reading,
    writing,
)
from devices.store.journal import PAGE_BYTES as JOURNAL_PAGE_BYTES
from devices.store.journal import Draft, JournalDamaged, JournalReader, JournalWriter

PAGE_BYTES = 4096
A_REVISION = {"at_ms": 1, "what": "registry", "subject": "", "body": {"text": "x" * 200}}


def fill(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(schema.revisions.insert(), [A_REVISION] * 2000)


def damage(path: Path, first_page: int, pages: int) -> None:
    with path.open("r+b") as file:
        for page in range(first_page, first_page + pages):
            file.seek(page * PAGE_BYTES)
            file.write(os.urandom(200))


@pytest.fixture
def damaged(sqlite_database: Engine) -> Engine:
    """Some pages of the table of revisions are not what was written."""
    fill(sqlite_database)
    sqlite_database.dispose()
    path = Path(sqlite_database.url.database or "")
    damage(path, path.stat().st_size // PAGE_BYTES - 20, 15)
    return sqlite_database


def test_a_bad_page_is_found_by_looking(damaged: Engine) -> None:
    with pytest.raises(DatabaseDamaged, match="courtyard restore"):
        look_for_damage(damaged, 10.0)


def test_whoever_reads_a_bad_page_is_told_of_damage_and_not_of_an_outage(damaged: Engine) -> None:
    with (
        pytest.raises(DatabaseDamaged, match="is damaged"),
        answering(),
        reading(damaged) as connection,
    ):
        connection.execute(select(schema.revisions)).all()


def test_a_file_whose_head_is_gone_is_damaged(sqlite_database: Engine) -> None:
    sqlite_database.dispose()
    damage(Path(sqlite_database.url.database or ""), 0, 1)
    with pytest.raises(DatabaseDamaged, match="not a database"):
        check(sqlite_database)


def test_a_sound_database_is_read_to_its_end(any_database: Engine) -> None:
    fill(any_database)
    assert look_for_damage(any_database, 10.0)


def test_looking_ends_when_its_time_is_over(tmp_path: Path, sqlite_database: Engine) -> None:
    fill(sqlite_database)
    assert not look_for_damage(sqlite_database, -1.0)
    again = open_database(f"sqlite:///{sqlite_database.url.database}")
    assert look_for_damage(again, 10.0)
    with writing(sqlite_database) as connection:  # nothing stays behind on the connection
        connection.execute(schema.revisions.insert(), A_REVISION)
    again.dispose()


def a_journal(path: Path) -> None:
    raw = Raw(b"courtyard/v1/a/gate/b/telemetry", b'{"values": {}}', 0, 1_795_399_200_000, "a")
    with JournalWriter(path, lambda: 1_795_399_200_000) as writer:
        for _ in range(40):
            writer.commit([Draft(MESSAGES, 1, [raw] * 500)])


def test_a_journal_with_a_bad_page_does_not_open_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    a_journal(path)
    damage(path, path.stat().st_size // PAGE_BYTES // 2, 8)
    with pytest.raises(JournalDamaged, match=r"docs/operations\.md"):
        JournalWriter(path, lambda: 0)
    with pytest.raises(JournalDamaged):  # the lock was let go: somebody else may try
        JournalWriter(path, lambda: 0)


def test_whoever_reads_a_bad_page_of_a_journal_is_told_of_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    a_journal(path)
    with path.open("r+b") as file:
        raw = file.read()
        root = raw.index(b"CREATE TABLE records")  # the schema's page stays, the table's goes
        assert root < 2 * PAGE_BYTES
        for page in range(2, len(raw) // JOURNAL_PAGE_BYTES):
            file.seek(page * JOURNAL_PAGE_BYTES)
            file.write(b"\xff" * 64)
    with JournalReader(path) as reader, pytest.raises(JournalDamaged):
        reader.read(0, 1000)
