"""Accounts of a range read only that range, and of several days each by itself."""

import pytest
from sqlalchemy import Engine, insert

from devices.store.accounts import read_account, read_days
from devices.store.database import reading, writing
from devices.store.schema import LIVE, accounts
from devices.store.scope import DISTRICT

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = 1_795_363_200_000


@pytest.fixture
def booked(any_database: Engine) -> Engine:
    rows = [
        (compound, MIDNIGHT_MS + hour * HOUR_MS, outcome, reason, count)
        for compound in ("a", "b", "unassigned")
        for hour, outcome, reason, count in (
            (-1, "stored", "", 1),
            (0, "stored", "", 10),
            (23, "duplicate", "", 2),
            (24, "quarantined", "not_json", 5),
            (25, "quarantined", "clock", 0),
        )
    ]
    names = ("compound", "hour_ms", "outcome", "reason", "count")
    with writing(any_database) as connection:
        values = [{"stream": LIVE, **dict(zip(names, row, strict=True))} for row in rows]
        connection.execute(insert(accounts), values)
    return any_database


def test_each_day_is_by_itself_from_its_first_hour_to_its_last(booked: Engine) -> None:
    midnights = [MIDNIGHT_MS + n * DAY_MS for n in (-1, 0, 1, 2)]
    with reading(booked) as connection:
        before, day, after = read_days(connection, DISTRICT, midnights)
        one, *_ = read_days(connection, DISTRICT, midnights[1:], compound="b")
    assert (before.stored, before.sum) == (3, 3)
    assert (day.stored, day.duplicate, day.sum) == (30, 6, 36)
    assert dict(after.quarantined) == {"not_json": 15}
    assert (one.stored, one.duplicate) == (10, 2)


def test_a_range_adds_up_whatever_compounds_there_are(booked: Engine) -> None:
    with reading(booked) as connection:
        whole = read_account(connection, DISTRICT)
        later = read_account(connection, DISTRICT, from_ms=MIDNIGHT_MS)
        nothing = read_account(connection, DISTRICT, from_ms=MIDNIGHT_MS + 9 * DAY_MS)
    assert (whole.sum, later.sum, nothing.sum) == (54, 51, 0)
