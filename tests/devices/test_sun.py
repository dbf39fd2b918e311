"""The sun over Zhengzhou (domain.md §1.5), and what lamps make of it."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.sun import DAY_MS, Sun, lighting_hours, sun

ZHENGZHOU = (34.75, 113.62)
BEIJING_TIME = timezone(timedelta(hours=8))
TWO_MIN_MS = 120_000


def at_ms(day: date, clock: str) -> int:
    """`clock` (hh:mm, China time) of `day` as UTC epoch ms."""
    hour, minute = map(int, clock.split(":"))
    at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=BEIJING_TIME)
    return int(at.timestamp() * 1000)


def hours_of_a_year(ends: str, begins: str) -> float:
    """Sum over 365 nights from one evening's `ends` to the next morning's `begins`, in hours."""
    first = date(2026, 1, 1)
    days = [sun(first + timedelta(days=n), *ZHENGZHOU) for n in range(366)]
    dark_ms: int = sum(
        getattr(after, begins) - getattr(before, ends) for before, after in pairwise(days)
    )
    return dark_ms / 3.6e6


@pytest.mark.parametrize("year", [2024, 2026, 2027])
@pytest.mark.parametrize(
    ("month", "day", "sunrise", "sunset", "dawn", "dusk"),
    [
        (3, 20, "06:30", "18:37", "06:05", "19:02"),
        (6, 21, "05:13", "19:42", "04:43", "20:12"),
        (9, 22, "06:13", "18:23", "05:48", "18:48"),
        (12, 21, "07:29", "17:18", "07:01", "17:46"),
    ],
)
def test_the_sun_rises_and_sets_when_the_table_says(
    year: int, month: int, day: int, sunrise: str, sunset: str, dawn: str, dusk: str
) -> None:
    on = date(year, month, day)
    today = sun(on, *ZHENGZHOU)
    for got_ms, clock in (
        (today.sunrise_ms, sunrise),
        (today.sunset_ms, sunset),
        (today.dawn_ms, dawn),
        (today.dusk_ms, dusk),
    ):
        assert got_ms is not None
        assert abs(got_ms - at_ms(on, clock)) <= TWO_MIN_MS


def test_a_year_has_4313_hours_without_sun_and_3986_without_daylight() -> None:
    assert hours_of_a_year("sunset_ms", "sunrise_ms") == pytest.approx(4313, rel=0.005)
    assert hours_of_a_year("dusk_ms", "dawn_ms") == pytest.approx(3986, rel=0.005)


@pytest.mark.parametrize(
    ("clock", "dark"),
    [
        ("00:00", True),
        ("06:55", True),
        ("07:05", False),
        ("07:40", False),
        ("12:00", False),
        ("17:40", False),
        ("17:50", True),
        ("23:59", True),
    ],
)
def test_lamps_burn_from_civil_dusk_to_civil_dawn(clock: str, dark: bool) -> None:
    assert lighting_hours(*ZHENGZHOU, at_ms(date(2026, 12, 21), clock)) is dark


@pytest.mark.parametrize(
    ("place", "utc", "dark"),
    [
        ((40.71, -74.01), (2026, 6, 21, 2, 0), True),  # New York, ten in the evening
        ((40.71, -74.01), (2026, 6, 21, 23, 0), False),  # and seven the evening after
        ((-36.85, 174.76), (2026, 6, 21, 0, 0), False),  # Auckland, noon in winter
        ((-36.85, 174.76), (2026, 6, 21, 6, 30), True),  # and half past six
    ],
)
def test_it_is_dark_by_the_sun_of_the_place_and_not_by_our_time_zone(
    place: tuple[float, float], utc: tuple[int, int, int, int, int], dark: bool
) -> None:
    at = datetime(*utc, tzinfo=UTC)
    assert lighting_hours(*place, int(at.timestamp() * 1000)) is dark


def test_a_polar_summer_has_no_lighting_hours_and_a_polar_winter_nothing_else() -> None:
    svalbard = (78.2, 15.6)
    assert sun(date(2026, 6, 21), *svalbard) == Sun(None, None, None, None)
    assert sun(date(2026, 12, 21), *svalbard) == Sun(None, None, None, None, is_always_dark=True)
    for hour in range(24):
        assert not lighting_hours(*svalbard, at_ms(date(2026, 6, 21), f"{hour}:00"))
        assert lighting_hours(*svalbard, at_ms(date(2026, 12, 21), f"{hour}:00"))


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.floats(-55, 55), st.floats(-180, 180))
def test_a_day_has_dawn_sunrise_sunset_and_dusk_in_this_order(
    day: date, latitude: float, longitude: float
) -> None:
    today = sun(day, latitude, longitude)
    assert today.dawn_ms is not None
    assert today.sunrise_ms is not None
    assert today.sunset_ms is not None
    assert today.dusk_ms is not None
    assert today.dawn_ms < today.sunrise_ms < today.sunset_ms < today.dusk_ms
    assert today.dusk_ms - today.dawn_ms < DAY_MS
    for change_ms, dark_before in ((today.dawn_ms, True), (today.dusk_ms, False)):
        assert lighting_hours(latitude, longitude, change_ms - 1) is dark_before
        assert lighting_hours(latitude, longitude, change_ms) is not dark_before


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 4_102_444_800_000))
def test_any_place_and_time_is_either_light_or_dark(
    latitude: float, longitude: float, at: int
) -> None:
    assert lighting_hours(latitude, longitude, at) in (True, False)
