"""Which day is what, and when a route's hours hold."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from devices.calendars import (
    ANNOUNCED,
    NO_HOLIDAYS,
    BadCalendar,
    Calendar,
    Day,
    Holiday,
    Hours,
    Year,
    hours_text,
    moment_text,
    parse_minute,
    print_minute,
)

HERE = ZoneInfo("Asia/Shanghai")
# Made up: a Thursday to Wednesday off, and the Saturday after it worked.
HOLIDAY = Holiday("国庆节", date(2026, 10, 1), date(2026, 10, 7))
YEAR = Year(2026, (HOLIDAY,), (date(2026, 10, 10),))
CALENDAR = Calendar.of([YEAR])
WORK = Hours(("workday",), 8 * 60 + 30, 17 * 60 + 30)
NIGHTS = Hours(("workday",), 22 * 60, 6 * 60)


def ms(text: str, zone: ZoneInfo = HERE) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "kind", "without_list"),
    [
        (date(2026, 9, 30), Day.WORKDAY, Day.WORKDAY),
        (date(2026, 10, 1), Day.HOLIDAY, Day.WORKDAY),
        (date(2026, 10, 3), Day.HOLIDAY, Day.WEEKEND),  # a Saturday within it
        (date(2026, 10, 7), Day.HOLIDAY, Day.WORKDAY),
        (date(2026, 10, 8), Day.WORKDAY, Day.WORKDAY),
        (date(2026, 10, 10), Day.WORKDAY, Day.WEEKEND),  # worked for it
        (date(2026, 10, 11), Day.WEEKEND, Day.WEEKEND),
        (date(2027, 10, 1), Day.WORKDAY, Day.WORKDAY),  # nobody entered that year
    ],
)
def test_a_day_is_a_workday_a_weekend_or_a_holiday(day: date, kind: Day, without_list: Day) -> None:
    assert CALENDAR.kind_of(day) is kind
    assert NO_HOLIDAYS.kind_of(day) is without_list


@pytest.mark.parametrize(
    ("hours", "at", "hold"),
    [
        (WORK, "2026-09-30T08:29:59.999", False),
        (WORK, "2026-09-30T08:30:00", True),
        (WORK, "2026-09-30T17:29:59.999", True),
        (WORK, "2026-09-30T17:30:00", False),
        (WORK, "2026-10-01T10:00:00", False),  # a holiday on a Thursday
        (WORK, "2026-10-10T10:00:00", True),  # a Saturday that is worked
        (WORK, "2026-10-11T10:00:00", False),
        # a night belongs to the day on which it begins
        (NIGHTS, "2026-09-30T21:59:00", False),
        (NIGHTS, "2026-09-30T22:00:00", True),
        (NIGHTS, "2026-10-01T05:59:00", True),
        (NIGHTS, "2026-10-01T06:00:00", False),
        (NIGHTS, "2026-10-01T22:00:00", False),
        (NIGHTS, "2026-10-08T03:00:00", False),  # began on the last day of the holiday
        (NIGHTS, "2026-10-11T03:00:00", True),  # began on the Saturday that is worked
        (Hours(from_min=22 * 60, to_min=6 * 60), "2026-10-04T23:00:00", True),
        (Hours(("weekend",)), "2026-10-03T12:00:00", False),  # a Saturday, but a holiday
        (Hours(("sat",)), "2026-10-03T12:00:00", True),
        (Hours(("weekend", "holiday")), "2026-10-11T00:00:00", True),
        (Hours(("weekend", "holiday")), "2026-10-12T00:00:00", False),
        (Hours(("holiday",), 12 * 60, 1440), "2026-10-07T23:59:59", True),
        (Hours(("holiday",), 12 * 60, 1440), "2026-10-08T00:00:00", False),
    ],
)
def test_hours_hold_from_the_minute_they_name_and_their_opposite_at_all_other_times(
    hours: Hours, at: str, hold: bool
) -> None:
    assert hours.hold(ms(at), HERE, CALENDAR) is hold
    opposite = Hours(hours.days, hours.from_min, hours.to_min, outside=True)
    assert opposite.hold(ms(at), HERE, CALENDAR) is not hold


def test_hours_are_those_of_the_place_of_the_fault() -> None:
    at_ms = ms("2026-09-30T09:00:00")
    assert WORK.hold(at_ms, HERE, CALENDAR)
    assert not WORK.hold(at_ms, ZoneInfo("Asia/Urumqi"), CALENDAR)  # two hours behind
    assert not WORK.hold(at_ms, ZoneInfo("UTC"), CALENDAR)


@pytest.mark.parametrize("at", ["2026-03-29T00:59:00", "2026-03-29T01:00:00"])
def test_a_night_in_which_clocks_go_forward_holds_by_what_clocks_show(at: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at_ms = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)
    until_two = Hours(from_min=0, to_min=2 * 60)
    assert until_two.hold(at_ms, berlin, NO_HOLIDAYS) is at.endswith("00:59:00")


@pytest.mark.parametrize(
    ("off", "work", "says"),
    [
        ([Holiday("a", date(2026, 10, 2), date(2026, 10, 1))], [], "ends before it begins"),
        ([Holiday("a", date(2025, 12, 31), date(2026, 1, 1))], [], "that year's list"),
        ([HOLIDAY, Holiday("b", date(2026, 10, 7), date(2026, 10, 8))], [], "in both"),
        ([Holiday(" ", date(2026, 10, 1), date(2026, 10, 1))], [], "name"),
        ([HOLIDAY], [date(2026, 10, 3)], "also in 国庆节"),
        ([HOLIDAY], [date(2026, 10, 9)], "is a fri"),
        ([HOLIDAY], [date(2027, 10, 9)], "that year's list"),
        ([HOLIDAY], [date(2026, 10, 10)] * 2, "twice"),
        ([Holiday("a", date(2026, 1, 1), date(2026, 12, 31))], [], "too many"),
    ],
)
def test_a_list_that_cannot_be_right_is_refused_in_words(
    off: list[Holiday], work: list[date], says: str
) -> None:
    with pytest.raises(BadCalendar, match=says):
        Year(2026, tuple(off), tuple(work))


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        ({"days": ("someday",)}, "'someday' is not one of workday"),
        ({"from_min": 60, "to_min": 60}, "same time"),
        ({"from_min": 1440}, "00:00 to 23:59"),
        ({"to_min": 0}, "00:00 to 23:59"),
        ({}, "always, or never"),
        ({"outside": True}, "always, or never"),
    ],
)
def test_hours_that_mean_nothing_are_refused(hours: dict[str, object], says: str) -> None:
    with pytest.raises(BadCalendar, match=says):
        Hours(**hours)  # type: ignore[arg-type]


def test_a_minute_is_read_as_it_is_written() -> None:
    for minute in (0, 1, 510, 1439, 1440):
        assert parse_minute(print_minute(minute)) == minute
    for text in ("8:30", "24:01", "23:60", "0830", "-1:30", "08:3０", "", "08:30:00"):
        with pytest.raises(BadCalendar, match="not a time like"):
            parse_minute(text)


def test_what_was_announced_of_2026_is_33_days_off_and_6_make_up_days() -> None:
    listed = Calendar.of([ANNOUNCED[2026]])
    assert (len(listed.off), len(listed.work)) == (33, 6)
    # the spring festival in full, with a working Saturday on either side
    assert [listed.kind_of(date(2026, 2, day)).value[0] for day in range(13, 30 - 1)] == list(
        "wwhhhhhhhhhwwwww"
    )


def test_hours_and_times_are_told_in_both_languages() -> None:
    assert hours_text("zh", WORK) == "工作日 08:30–17:30"
    assert hours_text("en", NIGHTS) == "working days 22:00–06:00 of the next day"
    outside = Hours(("sat", "holiday"), outside=True)
    assert hours_text("zh", outside) == "除 周六、节假日 外"
    assert hours_text("en", outside) == "outside Sat, public holidays"
    for at, zh, en in (
        ("2026-10-01T09:00", "2026-10-01 周四 09:00（节假日，国庆节）", "public holiday, 国庆节"),
        ("2026-10-10T09:00", "2026-10-10 周六 09:00（工作日，调休）", "working day, make-up"),
        ("2026-10-12T09:00", "2026-10-12 周一 09:00（工作日）", "working day"),
        (
            "2027-01-02T09:00",
            "2027-01-02 周六 09:00（周末，2027 年节假日未录入）",
            "no holidays of",
        ),
    ):
        assert moment_text("zh", ms(at), HERE, CALENDAR) == zh
        assert en in moment_text("en", ms(at), HERE, CALENDAR)
