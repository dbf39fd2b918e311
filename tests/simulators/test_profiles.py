"""The shares of a day and the hours of light."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from simulators.daylight import CIVIL_DEG, SUNSET_DEG, sun_times_ms
from simulators.profiles import (
    ARRIVALS,
    ARRIVALS_WEEK,
    DAY_MS,
    PASSAGES_WEEKDAY,
    PASSAGES_WEEKEND,
    local_hour,
    local_midnight_ms,
    next_arrival_ms,
    week_hour,
)

MONDAY_MS = 1_795_363_200_000  # 2026-11-23 00:00 in Zhengzhou


def test_the_shares_of_a_day_add_up_to_100() -> None:
    assert sum(PASSAGES_WEEKDAY) == pytest.approx(100)
    assert sum(ARRIVALS) == pytest.approx(100)
    assert sum(PASSAGES_WEEKEND) == pytest.approx(100)


def test_the_weekend_gets_up_later_and_in_less_of_a_hurry() -> None:
    morning = range(5, 12)
    weekday = max(morning, key=lambda hour: PASSAGES_WEEKDAY[hour])
    weekend = max(morning, key=lambda hour: PASSAGES_WEEKEND[hour])
    assert weekend - weekday in (1, 2)
    assert PASSAGES_WEEKEND[weekend] < 0.85 * PASSAGES_WEEKDAY[weekday]


def test_local_time_is_eight_hours_ahead() -> None:
    assert week_hour(MONDAY_MS) == 0
    assert week_hour(MONDAY_MS - 1) == 167
    assert local_hour(MONDAY_MS + DAY_MS // 2) == 12.0
    assert local_midnight_ms(MONDAY_MS + DAY_MS - 1) == MONDAY_MS


def test_arrivals_come_as_often_and_when_they_should() -> None:
    rng, at, hours = Random(5), MONDAY_MS, [0] * 24
    while at < MONDAY_MS + 20 * DAY_MS:
        at = next_arrival_ms(500.0, ARRIVALS_WEEK, at, rng)
        hours[int(local_hour(at))] += 1
    assert sum(hours) == pytest.approx(10_000, rel=0.04)
    assert hours[19] / sum(hours) == pytest.approx(0.12, rel=0.1)
    assert hours[4] / sum(hours) == pytest.approx(0.004, abs=0.002)


def test_nothing_arriving_ends_at_the_horizon() -> None:
    never = (0.0,) * 168
    assert next_arrival_ms(10.0, never, MONDAY_MS, Random(1)) == MONDAY_MS + DAY_MS


@pytest.mark.parametrize(
    ("day", "zenith", "dawn", "dusk"),
    [
        (date(2026, 3, 20), SUNSET_DEG, "06:30", "18:37"),
        (date(2026, 3, 20), CIVIL_DEG, "06:05", "19:02"),
        (date(2026, 6, 21), SUNSET_DEG, "05:13", "19:42"),
        (date(2026, 6, 21), CIVIL_DEG, "04:43", "20:12"),
        (date(2026, 9, 22), CIVIL_DEG, "05:48", "18:48"),
        (date(2026, 12, 21), SUNSET_DEG, "07:29", "17:18"),
        (date(2026, 12, 21), CIVIL_DEG, "07:01", "17:46"),
    ],
)
def test_the_sun_keeps_to_the_almanac(day: date, zenith: float, dawn: str, dusk: str) -> None:
    times = sun_times_ms((day - date(1970, 1, 1)).days, zenith_deg=zenith)
    for at_ms, expected in zip(times, (dawn, dusk), strict=True):
        local = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(hours=8)
        hours, minutes = map(int, expected.split(":"))
        assert local.date() == day
        assert abs(local.hour * 60 + local.minute + local.second / 60 - hours * 60 - minutes) <= 2
