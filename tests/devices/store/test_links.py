"""Keys of links: made when they are needed, replaced, and forgotten once no link needs them."""

from sqlalchemy import Engine, select

from devices.links import VALID_MS
from devices.store.database import writing
from devices.store.links import find_key, make_key, newest_key, rotate
from devices.store.schema import link_keys

NOW_MS = 1_795_434_130_000


def test_the_newest_key_signs_and_an_older_one_is_still_known(any_database: Engine) -> None:
    with writing(any_database) as connection:
        assert newest_key(connection) is None
        first = make_key(connection, NOW_MS)
        second = rotate(connection, NOW_MS + 1, "li-min", end_old=False)
        assert newest_key(connection) == second
        assert find_key(connection, first.id) == first
        assert find_key(connection, second.id + 1) is None
        assert len(first.secret) == 32
        assert first.secret != second.secret


def test_ended_keys_say_so_and_sign_nothing(any_database: Engine) -> None:
    with writing(any_database) as connection:
        first = make_key(connection, NOW_MS)
        second = rotate(connection, NOW_MS + 1, "li-min", end_old=True)
        third = rotate(connection, NOW_MS + 2, "li-min", end_old=True)
        assert newest_key(connection) == third
        ended = [find_key(connection, key.id) for key in (first, second)]
    assert [None if key is None else key.ended_at_ms for key in ended] == [NOW_MS + 1, NOW_MS + 2]


def test_a_key_is_forgotten_once_every_link_of_it_has_ended(sqlite_database: Engine) -> None:
    with writing(sqlite_database) as connection:
        first = make_key(connection, NOW_MS)
        second = rotate(connection, NOW_MS + VALID_MS, "li-min", end_old=False)
        third = rotate(connection, NOW_MS + 6 * VALID_MS, "li-min", end_old=False)
        kept = list(connection.scalars(select(link_keys.c.id).order_by(link_keys.c.id)))
    assert kept == [second.id, third.id]
    assert first.id not in kept
