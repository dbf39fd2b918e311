"""Borders of local days, weeks and months."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from devices.days import (
    days_from,
    midnight_of,
    month_of,
    months_from,
    next_midnight,
    next_monday,
    next_month,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
HOUR_MS = 3_600_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def test_the_borders_around_an_instant_are_local() -> None:
    at = ms("2026-12-31T23:30:00+08:00")  # a Thursday
    assert midnight_of(at, SHANGHAI) == ms("2026-12-31T00:00:00+08:00")
    assert next_midnight(at, SHANGHAI) == ms("2027-01-01T00:00:00+08:00")
    assert next_monday(at, SHANGHAI) == ms("2027-01-04T00:00:00+08:00")
    assert month_of(at, SHANGHAI) == ms("2026-12-01T00:00:00+08:00")
    assert next_month(at, SHANGHAI) == ms("2027-01-01T00:00:00+08:00")


def test_a_border_belongs_to_what_it_begins() -> None:
    monday = ms("2026-11-23T00:00:00+08:00")
    assert midnight_of(monday, SHANGHAI) == monday
    assert next_monday(monday, SHANGHAI) == ms("2026-11-30T00:00:00+08:00")
    assert next_monday(monday - 1, SHANGHAI) == monday


def test_a_day_on_which_clocks_are_set_has_23_or_25_hours() -> None:
    days = list(days_from(ms("2026-10-24T00:00:00+02:00"), ms("2026-10-27T00:00:00+01:00"), BERLIN))
    assert [b - a for a, b in pairwise(days)] == [24 * HOUR_MS, 25 * HOUR_MS]
    assert len(list(months_from(ms("2026-01-01T00:00:00+01:00"), days[-1], BERLIN))) == 10
