"""The audit log in its table: one chain however many write, and nothing is taken back."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from devices.audit import START, Break, Row
from devices.store.audit_log import Filter, FirstWrite, append, hash_of, list_rows, verify
from devices.store.database import reading, recorded, writing
from devices.store.schema import audit_head, audit_log, progress
from tests.devices.test_audit import ENTRY


def add(engine: Engine, count: int) -> list[Row]:
    with writing(engine) as connection:
        return [
            append(connection, replace(ENTRY, at_ms=ENTRY.at_ms + n, subject=f"user-{n}"))
            for n in range(count)
        ]


def tamper(engine: Engine, statement: str) -> None:
    """As somebody would who has the database in their hands."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        else:
            for what in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_log_is_kept_{what}"))
        connection.execute(text(statement))


def test_rows_are_numbered_and_each_follows_on_the_one_before(any_database: Engine) -> None:
    rows = add(any_database, 3)
    assert [row.number for row in rows] == [1, 2, 3]
    assert [row.before for row in rows] == [START, rows[0].sha256, rows[1].sha256]
    verdict = verify(any_database)
    assert (verdict.rows, verdict.sha256, verdict.broken) == (3, rows[2].sha256, None)
    with reading(any_database) as connection:
        assert list_rows(connection, Filter()) == rows[::-1]
        assert hash_of(connection, 2) == rows[1].sha256


def test_an_empty_log_is_whole(any_database: Engine) -> None:
    assert verify(any_database).broken is None


def test_several_writers_make_one_chain(any_database: Engine) -> None:
    def write() -> None:
        for _ in range(5):
            add(any_database, 1)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    verdict = verify(any_database)
    assert (verdict.rows, verdict.broken) == (20, None)


def test_the_database_itself_refuses_to_change_or_delete_a_row(any_database: Engine) -> None:
    rows = add(any_database, 2)
    for statement in (update(audit_log).values(actor="nobody"), delete(audit_log)):
        with pytest.raises(DBAPIError, match="only added"), writing(any_database) as connection:
            connection.execute(statement)
    assert verify(any_database).rows == len(rows)


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE audit_log SET actor = 'x' WHERE number = 2", 2, "is not what was written"),
        ("DELETE FROM audit_log WHERE number = 2", 2, "is missing: row 3"),
        ("DELETE FROM audit_log WHERE number >= 3", 3, "is missing, and so is everything"),
        ("DELETE FROM audit_log", 1, "is missing"),
        ("UPDATE audit_head SET number = 3", 3, "is not the one that the chain ended with"),
        ("DELETE FROM audit_head", 4, "is the last"),
    ],
)
def test_what_was_done_to_the_rows_is_found(
    any_database: Engine, statement: str, number: int, why: str
) -> None:
    add(any_database, 4)
    tamper(any_database, statement)
    broken = verify(any_database).broken
    assert isinstance(broken, Break)
    assert broken.number == number
    assert why in broken.why


def test_a_chain_goes_on_though_somebody_took_its_head(any_database: Engine) -> None:
    add(any_database, 2)
    with writing(any_database) as connection:
        connection.execute(delete(audit_head))
    add(any_database, 1)
    verdict = verify(any_database)
    assert (verdict.rows, verdict.broken) == (3, None)


def test_a_second_head_hides_nothing_of_what_was_done(any_database: Engine) -> None:
    add(any_database, 3)
    tamper(any_database, "INSERT INTO audit_head (id, number, sha256) VALUES (2, 0, '')")
    assert verify(any_database).broken is None
    with writing(any_database) as connection:
        connection.execute(delete(audit_log).where(audit_log.c.number == 2))
    broken = verify(any_database).broken
    assert broken is not None
    assert broken.number == 2


def test_what_is_written_and_who_did_it_are_committed_together(any_database: Engine) -> None:
    row = {"name": "n", "done": 0, "total": 1, "updated_at_ms": 0, "body": {}}
    recorder = FirstWrite(lambda: ENTRY)
    with recorded(recorder):
        with pytest.raises(IntegrityError), writing(any_database) as connection:
            connection.execute(insert(progress), [row, row])
        assert verify(any_database).rows == 0
        assert not recorder.is_recorded
        for name in ("n", "another"):  # of several transactions the first has it
            with writing(any_database) as connection:
                connection.execute(insert(progress), row | {"name": name})
    assert recorder.is_recorded
    with writing(any_database) as connection:
        assert connection.scalars(select(progress.c.name).order_by(progress.c.name)).all() == [
            "another",
            "n",
        ]
    assert verify(any_database).rows == 1


def test_rows_are_found_by_who_what_and_when(any_database: Engine) -> None:
    rows = add(any_database, 4)
    with reading(any_database) as connection:
        assert list_rows(connection, Filter(subject="user-2")) == [rows[2]]
        assert list_rows(connection, Filter(actor="somebody-else")) == []
        assert list_rows(connection, Filter(resource="/us"), below=3) == [rows[1], rows[0]]
        assert list_rows(connection, Filter(resource="/u%")) == []
        within = Filter(from_ms=ENTRY.at_ms + 1, to_ms=ENTRY.at_ms + 3)
        assert list_rows(connection, within) == [rows[2], rows[1]]
