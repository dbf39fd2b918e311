"""The holidays of a year as rows."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Engine

from devices.calendars import ANNOUNCED, Day, Holiday, Year
from devices.store.database import writing
from devices.store.holidays import (
    Entered,
    UnknownYear,
    calendar,
    delete_year,
    find_year,
    list_years,
    put_year,
)
from tests.api.cast import NOW_MS


def test_a_years_list_takes_the_place_of_the_one_before(any_database: Engine) -> None:
    with writing(any_database) as connection:
        day = date(2026, 10, 1)
        first = Entered(
            Year(2026, (Holiday("国庆节", day, day),), (date(2026, 10, 10),)), "li", NOW_MS
        )
        put_year(connection, first)
        assert find_year(connection, 2026) == first
        assert calendar(connection).kind_of(day) is Day.HOLIDAY
        assert calendar(connection).kind_of(date(2026, 10, 10)) is Day.WORKDAY
        put_year(connection, replace(first, year=Year(2026, ()), changed_by="wang"))
        assert list_years(connection) == [Entered(Year(2026, ()), "wang", NOW_MS)]
        delete_year(connection, 2026)
        assert find_year(connection, 2026) == Entered(ANNOUNCED[2026])  # came with us
        with pytest.raises(UnknownYear):
            delete_year(connection, 2026)
        with pytest.raises(UnknownYear):
            find_year(connection, 2027)
