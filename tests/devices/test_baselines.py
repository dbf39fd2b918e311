"""What is usual, on paper: means by hour of the week, quiet hours, uses a day, per cent apart."""

import pytest

from devices.baselines import (
    DAY_MS,
    HOUR_MS,
    WEEK_H,
    Week,
    count_use,
    expected,
    is_busy,
    local_day,
    quiet_from_ms,
    uses_a_day,
    week_hour,
)

ZONE_MS = 8 * HOUR_MS
MONDAY_MS = 1_795_363_200_000  # 2026-11-23 00:00 in Zhengzhou
LEAST, DELAY_MS = 5.0, 2 * HOUR_MS


def at(hours: float) -> int:
    """Hours after that Monday's midnight."""
    return MONDAY_MS + round(hours * HOUR_MS)


def a_week(usual: int = 14, times: int = 3) -> Week:
    """Every hour was learned so often, with so many passages each time."""
    week = Week()
    for hour in range(WEEK_H):
        for _ in range(times):
            week.learn(hour, usual)
    return week


@pytest.mark.parametrize(
    ("hours", "hour"), [(0, 0), (7.99, 7), (24 * 6 + 23, 167), (168, 0), (-1, 167)]
)
def test_a_week_begins_on_monday_at_local_midnight(hours: float, hour: int) -> None:
    assert week_hour(at(hours), ZONE_MS) == hour


def test_nothing_is_usual_before_two_such_hours_were_seen() -> None:
    week = Week()
    assert week.usual(7) is None
    week.learn(7, 14)
    assert week.usual(7) is None
    week.learn(24 + 7, 16)  # Tuesday is such a day, too
    assert week.usual(7) == week.usual(4 * 24 + 7) == 15
    assert week.usual(8) is None
    assert week.usual(5 * 24 + 7) is None  # Saturday is another matter


def test_a_weekday_that_is_known_by_itself_and_lower_counts_for_itself() -> None:
    week = a_week(20)
    for _ in range(6):
        week.learn(2 * 24 + 9, 6)  # Wednesday mornings are quiet
    assert week.usual(2 * 24 + 9) == pytest.approx(8, abs=2)
    assert week.usual(24 + 9) == pytest.approx(17, abs=2)  # and pull the others down a little


@pytest.mark.parametrize(
    ("seen", "usual"),
    [
        ([10, 20], 15),
        ([10, 20, 30], 20),
        ([12] * 9, 12),
        ([0, 0, 7, 0], 1.7),
        ([10, 10, 10_000], 20),  # a fair: no more than three times the usual and ten are believed
    ],
)
def test_a_mean_is_that_of_what_was_seen(seen: list[int], usual: float) -> None:
    week = Week()
    for count in seen:
        week.learn(100, count)
    assert week.usual(100) == pytest.approx(usual, abs=0.1)


def test_a_habit_of_years_ends_within_weeks() -> None:
    week = a_week(60, times=200)
    for _ in range(12):
        week.learn(8, 2)
    assert (week.usual(8) or 0) < 10


def test_a_week_is_504_bytes_and_comes_back_whole() -> None:
    week = a_week(14)
    week.learn(3, 6_000)
    week.learn(4, 60_000)  # more than it can hold is the most that it can hold
    packed = week.pack()
    assert len(packed) == 504
    again = Week.unpack(packed)
    assert again.pack() == packed
    assert [again.usual(hour) for hour in range(WEEK_H)] == [
        week.usual(hour) for hour in range(WEEK_H)
    ]
    with pytest.raises(ValueError, match="504 bytes"):
        Week.unpack(packed[:-1])


@pytest.mark.parametrize(
    ("hours", "usual", "busy"),
    [(5.99, 14, False), (6, 14, True), (21.99, 14, True), (22, 14, False), (12, 4, False)],
)
def test_busy_is_by_day_and_where_enough_people_pass(hours: float, usual: int, busy: bool) -> None:
    assert is_busy(a_week(usual), at(hours), ZONE_MS, LEAST) is busy


@pytest.mark.parametrize(
    ("since_h", "until_h", "due_h"),
    [
        (7, 9, 9),
        (7, 8.999, None),
        (7.4, 12, 9.4),
        (21, 23, None),  # an hour, and then it is night
        (21, 30.999, None),
        (21, 31, 31),  # and another from six o'clock on
        (2, 9, 8),
    ],
)
def test_a_gate_is_quiet_after_two_busy_hours(
    since_h: float, until_h: float, due_h: float | None
) -> None:
    found = quiet_from_ms(a_week(), at(since_h), at(until_h), ZONE_MS, LEAST, DELAY_MS)
    assert found == (None if due_h is None else at(due_h))


def test_of_a_gate_that_was_quiet_for_long_only_the_last_two_days_are_looked_at() -> None:
    found = quiet_from_ms(a_week(), at(-1_000), at(9), ZONE_MS, LEAST, DELAY_MS)
    assert found == at(9 - 48 + 2)


def test_a_gate_of_which_nothing_is_known_is_never_quiet() -> None:
    assert quiet_from_ms(Week(), at(0), at(100), ZONE_MS, LEAST, DELAY_MS) is None


def test_what_is_expected_of_a_time_adds_up_by_the_hour() -> None:
    week = a_week(10)
    for _ in range(3):
        week.learn(8, 40)
    usual = week.usual(8) or 0
    assert expected(week, at(7.5), at(8.25), ZONE_MS) == pytest.approx(5 + usual / 4, abs=0.1)
    assert expected(Week(), at(7), at(9), ZONE_MS) == 0


def test_uses_are_kept_by_day_for_a_week() -> None:
    days: list[tuple[int, int]] = []
    for day in (3, 3, 4, 9, 10, 10, 3):
        days = count_use(days, day)
    assert days == [(3, 3), (4, 1), (9, 1), (10, 2)]
    assert count_use(days, 12) == [(9, 1), (10, 2), (12, 1)]


def test_uses_a_day_are_the_mean_of_the_neighbours_over_the_last_week() -> None:
    noon_ms = at(12)
    today = local_day(noon_ms, ZONE_MS)
    busy = [(today - n, 2) for n in range(7, -1, -1)]
    assert uses_a_day([busy, []], noon_ms, ZONE_MS) == pytest.approx(14 / 2 / 6.5)
    assert uses_a_day([busy], noon_ms + 30 * DAY_MS, ZONE_MS) == 0
    assert uses_a_day([], noon_ms, ZONE_MS) == 0
