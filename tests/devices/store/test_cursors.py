"""Where a follower stands whose effects can be repeated: put there, and read again."""

from sqlalchemy import Engine

from devices.store import cursors
from devices.store.cursors import ForwardCursor, Position
from devices.store.database import reading, writing
from devices.store.registry import add_revision

NOW_MS = 1_795_399_200_000
JOURNAL = "0f" * 16


def test_whoever_never_moved_stands_nowhere(any_database: Engine) -> None:
    assert ForwardCursor(any_database).load() is None


def test_it_stands_where_it_was_put_last(any_database: Engine) -> None:
    cursor = ForwardCursor(any_database)
    cursor.move(Position(JOURNAL, 5, 500, b"\x80"), NOW_MS)
    cursor.move(Position("ab" * 16, 2, 20, b"\x81\xa1x\x01"), NOW_MS + 1)
    assert cursor.load() == Position("ab" * 16, 2, 20, b"\x81\xa1x\x01")


def test_followers_do_not_share_a_place(any_database: Engine) -> None:
    ForwardCursor(any_database).move(Position(JOURNAL, 5, 500, b"\x80"), NOW_MS)
    assert ForwardCursor(any_database, "history-forward").load() is None


def test_a_move_is_part_of_the_callers_transaction(any_database: Engine) -> None:
    at = Position(JOURNAL, 5, 500, b"\x80")
    try:
        with writing(any_database) as connection:
            cursors.move(connection, "forward", at, NOW_MS)
            raise InterruptedError
    except InterruptedError:
        pass
    assert ForwardCursor(any_database).load() is None
    with writing(any_database) as connection:
        cursors.move(connection, "forward", at, NOW_MS)
    with reading(any_database) as connection:
        assert cursors.load(connection, "forward") == at


def test_the_registrys_revision_is_that_of_its_last_change(any_database: Engine) -> None:
    cursor = ForwardCursor(any_database)
    assert cursor.registry_revision() == 0
    with writing(any_database) as connection:
        number = add_revision(connection, "registry", "registry", {}, NOW_MS)
        add_revision(connection, "fault", "x", {}, NOW_MS)  # of no interest
    assert cursor.registry_revision() == number
