"""Local times of a target: when it is left alone, and when something is due."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from devices.hours import TargetHours, next_time_ms


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


NIGHT = TargetHours(quiet_from=time(22), quiet_to=time(7))
NOON = TargetHours(quiet_from=time(12), quiet_to=time(14))


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, "2026-11-23T21:59:59", None),
        (NIGHT, "2026-11-23T22:00", "2026-11-24T07:00"),
        (NIGHT, "2026-11-24T06:59:59", "2026-11-24T07:00"),
        (NIGHT, "2026-11-24T07:00", None),
        (NOON, "2026-11-24T11:59:59", None),
        (NOON, "2026-11-24T12:00", "2026-11-24T14:00"),
        (NOON, "2026-11-24T14:00", None),
        (TargetHours(), "2026-11-24T03:00", None),
    ],
)
def test_quiet_hours_end_also_on_the_next_day(
    hours: TargetHours, now: str, until: str | None
) -> None:
    assert hours.quiet_until_ms(at(now)) == (None if until is None else at(until))


def test_a_night_in_which_the_clock_is_changed_ends_at_seven_all_the_same() -> None:
    berlin = TargetHours("Europe/Berlin", time(22), time(7))
    night = at("2026-10-24T23:00", "Europe/Berlin")
    assert berlin.quiet_until_ms(night) == at("2026-10-25T07:00", "Europe/Berlin")
    assert at("2026-10-25T07:00", "Europe/Berlin") - night == 9 * 3_600_000


def test_a_time_is_the_next_one_and_never_now() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    eight = at("2026-11-24T08:00")
    assert next_time_ms(time(8), eight - 1, zone) == eight
    assert next_time_ms(time(8), eight, zone) == at("2026-11-25T08:00")


def test_quiet_hours_begin_and_end_and_leave_time_to_try() -> None:
    for start, end in ((time(7), None), (time(7), time(7)), (time(7), time(0, 1))):
        with pytest.raises(ValueError, match="quiet"):
            TargetHours(quiet_from=start, quiet_to=end)
    TargetHours(quiet_from=time(15), quiet_to=time(7))
