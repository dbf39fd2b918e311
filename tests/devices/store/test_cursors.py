"""Where a follower stands whose effects can be repeated: put there, and read again."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine

from devices.store import cursors
from devices.store.accounts import Forwarded
from devices.store.cursors import EmbeddedForwardCursor, ForwardCursor, Position
from devices.store.database import reading, writing
from devices.store.registry import add_revision
from devices.store.telemetry.embedded import EmbeddedTelemetry
from devices.telemetry import Point

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


def counted(confirmed: int) -> bytes:
    return msgspec.msgpack.encode(Forwarded(confirmed))


class TestBesideTheEmbeddedStore:
    """The database may know of readings that the store's file has lost."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> EmbeddedTelemetry:
        return EmbeddedTelemetry(tmp_path / "telemetry.db")

    def test_both_say_the_same_as_long_as_nothing_happens(
        self, any_database: Engine, store: EmbeddedTelemetry
    ) -> None:
        cursor = EmbeddedForwardCursor(any_database, store)
        assert cursor.load() is None
        cursor.move(Position(JOURNAL, 5, 500, counted(90)), NOW_MS)
        assert cursor.load() == Position(JOURNAL, 5, 500, counted(90))
        store.close()

    def test_a_file_that_lost_its_end_is_filled_in_from_where_it_ends(
        self, any_database: Engine, store: EmbeddedTelemetry
    ) -> None:
        cursor = EmbeddedForwardCursor(any_database, store)
        cursor.move(Position(JOURNAL, 5, 500, counted(90)), NOW_MS)
        ForwardCursor(any_database).move(Position(JOURNAL, 9, 900, counted(170)), NOW_MS)
        assert cursor.load() == Position(JOURNAL, 5, 500, counted(90))
        at = ForwardCursor(any_database).load()
        assert at == Position(JOURNAL, 5, 500, counted(90)), "for all to see"
        store.close()

    def test_a_database_that_is_older_than_the_file_counts(
        self, any_database: Engine, store: EmbeddedTelemetry
    ) -> None:
        cursor = EmbeddedForwardCursor(any_database, store)
        cursor.move(Position(JOURNAL, 9, 900, counted(170)), NOW_MS)
        ForwardCursor(any_database).move(Position(JOURNAL, 5, 500, counted(90)), NOW_MS)
        assert cursor.load() == Position(JOURNAL, 5, 500, counted(90))
        store.close()

    def test_a_file_that_is_gone_is_filled_in_from_the_start(
        self, any_database: Engine, store: EmbeddedTelemetry
    ) -> None:
        ForwardCursor(any_database).move(Position(JOURNAL, 9, 900, counted(170)), NOW_MS)
        cursor = EmbeddedForwardCursor(any_database, store)
        assert cursor.load() == Position(JOURNAL, 0, 0, counted(0))

    def test_a_file_of_another_journals_time_is_filled_in_from_the_start(
        self, any_database: Engine, store: EmbeddedTelemetry
    ) -> None:
        cursor = EmbeddedForwardCursor(any_database, store)
        cursor.move(Position("ab" * 16, 9, 900, counted(170)), NOW_MS)
        ForwardCursor(any_database).move(Position(JOURNAL, 3, 300, counted(200)), NOW_MS)
        assert cursor.load() == Position(JOURNAL, 0, 0, counted(0))
        store.close()

    def test_a_file_from_before_it_kept_a_place_is_believed(
        self, any_database: Engine, store: EmbeddedTelemetry
    ) -> None:
        store.write([Point("port", "a", "b", NOW_MS, {"power_w": 1.0})])
        ForwardCursor(any_database).move(Position(JOURNAL, 9, 900, counted(170)), NOW_MS)
        at = EmbeddedForwardCursor(any_database, store).load()
        assert at == Position(JOURNAL, 9, 900, counted(170))
        store.close()

    def test_a_store_that_takes_nothing_does_not_hold_the_database_up(
        self, any_database: Engine, tmp_path: Path
    ) -> None:
        path = tmp_path / "letter.db"
        path.write_text("Dear Sirs " * 1000)
        store = EmbeddedTelemetry(path)
        cursor = EmbeddedForwardCursor(any_database, store)
        cursor.move(Position(JOURNAL, 9, 900, counted(170)), NOW_MS)
        assert cursor.load() == Position(JOURNAL, 9, 900, counted(170))
        store.close()
