"""Filters that people save are theirs alone, and have a bound."""

import pytest
from sqlalchemy import Engine

from devices.store import tokens
from devices.store.database import reading, writing
from devices.store.saved_filters import (
    MOST,
    TooManyFilters,
    UnknownFilter,
    delete_filter,
    list_filters,
    save_filter,
)
from tests.api.cast import NOW_MS

LI, WANG = 1, 2


@pytest.fixture
def database(any_database: Engine) -> Engine:
    """With two people."""
    with writing(any_database) as connection:
        for name in ("li", "wang"):
            tokens.create(connection, "operator", None, name, NOW_MS)
    return any_database


def names(database: Engine, whose: int) -> list[tuple[str, str]]:
    with reading(database) as connection:
        return [(one.name, one.query) for one in list_filters(connection, whose)]


def test_a_filter_is_its_owners_alone(database: Engine) -> None:
    with writing(database) as connection:
        save_filter(connection, LI, "供电", "code=COMPOUND_POWER_CUT", NOW_MS)
        save_filter(connection, WANG, "供电", "code=SHED_POWER_CUT", NOW_MS)
    assert names(database, LI) == [("供电", "code=COMPOUND_POWER_CUT")]
    with reading(database) as connection:
        (saved,) = list_filters(connection, LI)
    with writing(database) as connection, pytest.raises(UnknownFilter):
        delete_filter(connection, WANG, saved.id)
    with writing(database) as connection:
        assert delete_filter(connection, LI, saved.id) == saved
    assert names(database, LI) == []
    assert names(database, WANG) == [("供电", "code=SHED_POWER_CUT")]


def test_the_same_name_again_takes_the_others_place(database: Engine) -> None:
    with writing(database) as connection:
        for query in ("severity=P1", "severity=P2"):
            save_filter(connection, LI, "mine", query, NOW_MS)
    assert names(database, LI) == [("mine", "severity=P2")]


def test_there_are_only_so_many(database: Engine) -> None:
    with writing(database) as connection:
        for n in range(MOST):
            save_filter(connection, LI, f"f{n}", "severity=P1", NOW_MS)
        with pytest.raises(TooManyFilters):
            save_filter(connection, LI, "one more", "severity=P1", NOW_MS)
        save_filter(connection, LI, "f0", "severity=P2", NOW_MS)  # one of them may change
        save_filter(connection, WANG, "first", "severity=P1", NOW_MS)
    assert len(names(database, LI)) == MOST
