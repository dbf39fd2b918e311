"""The pace of the last day is one row, whole."""

from sqlalchemy import Engine

from devices.pace import Pace
from devices.store.database import reading, writing
from devices.store.pace import keep_pace, read_pace

NOW_MS = 1_795_434_000_000


def test_what_is_kept_is_read_back_and_takes_the_place_of_what_was(any_database: Engine) -> None:
    with reading(any_database) as connection:
        assert read_pace(connection) == []
    first, second = Pace(NOW_MS, 1000, 4, 5, None), Pace(NOW_MS + 300_000, 60_000, 9, None, 8)
    with writing(any_database) as connection:
        keep_pace(connection, [first], NOW_MS)
        keep_pace(connection, [first, second], NOW_MS + 60_000)
    with reading(any_database) as connection:
        assert read_pace(connection) == [first, second]
