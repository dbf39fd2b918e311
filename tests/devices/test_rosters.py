"""Who is on duty: hand-over to the minute, across days and weeks, and who stands in."""

from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.rosters import (
    DutyWhy,
    Roster,
    Rotation,
    StandIn,
    alone,
    called,
    duty,
    duty_text,
    shifts,
)

HERE = ZoneInfo("Asia/Shanghai")
# 2026-11-23 is a Monday.
DAILY = Roster("r", "值班", ("li", "wang", "zhao"), date(2026, 11, 23), handover_min=8 * 60 + 30)
WEEKLY = replace(DAILY, rotation=Rotation.WEEKLY)
NAMES = {"li": "李伟", "wang": "王芳", "zhao": "赵敏", "chen": "陈刚"}


def ms(text: str, zone: ZoneInfo = HERE) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def away(person: str, by: str, start: str, end: str, name: str = "s") -> StandIn:
    return StandIn(name, person, by, ms(start), ms(end), note="年假")


@pytest.mark.parametrize(
    ("roster", "at", "person"),
    [
        (DAILY, "2026-11-23T08:29:59.999", "zhao"),  # before the first shift it goes back
        (DAILY, "2026-11-23T08:30:00", "li"),
        (DAILY, "2026-11-23T23:59:59", "li"),
        (DAILY, "2026-11-24T00:00:00", "li"),  # a shift goes on over midnight
        (DAILY, "2026-11-24T08:29:59.999", "li"),
        (DAILY, "2026-11-24T08:30:00", "wang"),
        (DAILY, "2026-11-25T08:30:00", "zhao"),
        (DAILY, "2026-11-26T08:30:00", "li"),
        (DAILY, "2026-11-22T12:00:00", "zhao"),
        (DAILY, "2026-11-20T12:00:00", "li"),
        (WEEKLY, "2026-11-23T08:29:00", "zhao"),
        (WEEKLY, "2026-11-23T08:30:00", "li"),
        (WEEKLY, "2026-11-30T08:29:59.999", "li"),
        (WEEKLY, "2026-11-30T08:30:00", "wang"),
        (WEEKLY, "2026-12-14T09:00:00", "li"),
        (replace(DAILY, people=("li",)), "2026-12-31T00:00:00", "li"),
        (replace(DAILY, handover_min=0), "2026-11-24T00:00:00", "wang"),
        (replace(DAILY, timezone="UTC"), "2026-11-23T16:29:00", "zhao"),
        (replace(DAILY, timezone="UTC"), "2026-11-23T16:30:00", "li"),
    ],
)
def test_duty_is_handed_over_at_the_very_minute(roster: Roster, at: str, person: str) -> None:
    found = duty(roster, ms(at))
    assert (found.person, found.planned, found.why) == (person, person, DutyWhy.ROTATION)
    assert found.from_ms <= ms(at) < found.to_ms


def test_a_shift_has_a_begin_and_an_end() -> None:
    found = duty(WEEKLY, ms("2026-11-27T12:00"))
    assert (found.from_ms, found.to_ms) == (ms("2026-11-23T08:30"), ms("2026-11-30T08:30"))
    assert found.until_ms == found.to_ms


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_shift_is_as_long_as_clocks_make_it_and_none_is_left_out(zone: str) -> None:
    roster = replace(DAILY, timezone=zone, starts_on=date(2026, 1, 1), handover_min=2 * 60 + 30)
    found = shifts(roster, ms("2026-01-01T02:30", ZoneInfo(zone)), 366)
    assert [one.person for one in found] == [roster.people[n % 3] for n in range(366)]
    assert all(one.to_ms == other.from_ms for one, other in pairwise(found))
    hours = {(one.to_ms - one.from_ms) / 3_600_000 for one in found}
    assert hours <= {23, 24, 25, 23.5, 24.5}


@given(
    st.integers(1, 9),
    st.sampled_from(Rotation),
    st.integers(0, 1439),
    st.integers(-3_000_000_000, 3_000_000_000),
)
def test_at_any_time_somebody_is_on_duty_and_hands_over_to_the_next(
    people: int, rotation: Rotation, handover_min: int, second: int
) -> None:
    order = tuple(f"p{n}" for n in range(people))
    roster = Roster("r", "r", order, date(2026, 11, 23), rotation, handover_min)
    at_ms = (1_795_000_000 + second) * 1000
    now = duty(roster, at_ms)
    assert now.from_ms <= at_ms < now.to_ms
    after = duty(roster, now.to_ms)
    assert (after.from_ms, duty(roster, now.to_ms - 1)) == (now.to_ms, now)
    assert order.index(after.person) == (order.index(now.person) + 1) % people


def test_who_is_away_is_stood_in_for_from_and_to_the_millisecond() -> None:
    leave = away("li", "chen", "2026-11-23T12:00", "2026-11-23T18:00")
    roster = replace(DAILY, stand_ins=(leave,))
    answers = [
        (one.person, one.why.value, one.from_ms, one.until_ms)
        for one in shifts(roster, ms("2026-11-23T09:00"), 4)
    ]
    began = ms("2026-11-23T08:30")
    assert answers == [
        ("li", "rotation", began, leave.from_ms),
        ("chen", "stand_in", began, leave.to_ms),
        ("li", "rotation", began, ms("2026-11-24T08:30")),
        ("wang", "rotation", ms("2026-11-24T08:30"), ms("2026-11-25T08:30")),
    ]
    assert duty(roster, leave.from_ms - 1).person == "li"
    assert duty(roster, leave.to_ms - 1).planned == "li"


def test_who_stands_in_and_is_away_too_is_stood_in_for_in_turn() -> None:
    whole = ("2026-11-23T00:00", "2026-11-24T00:00")
    chain = (away("li", "wang", *whole), away("wang", "chen", *whole))
    assert duty(replace(DAILY, stand_ins=chain), ms("2026-11-23T12:00")).person == "chen"
    newer = (*chain, away("li", "zhao", *whole, name="newer"))  # the one made last counts
    found = duty(replace(DAILY, stand_ins=newer), ms("2026-11-23T12:00"))
    assert (found.person, found.stand_in) == ("zhao", newer[-1])


def test_when_all_who_were_to_stand_in_are_away_it_stays_with_whose_turn_it_is() -> None:
    whole = ("2026-11-23T00:00", "2026-11-24T00:00")
    circle = (away("li", "wang", *whole), away("wang", "li", *whole))
    found = duty(replace(DAILY, stand_ins=circle), ms("2026-11-23T12:00"))
    assert (found.person, found.why) == ("li", DutyWhy.CIRCLE)
    assert found.until_ms == ms("2026-11-24T00:00")


def test_the_levels_are_those_named_or_else_the_order() -> None:
    at_ms = ms("2026-11-24T09:00")  # wang's shift
    assert [[one.person for one in called(DAILY, level, at_ms)] for level in range(6)] == [
        [],
        ["wang"],
        ["zhao"],
        ["li"],
        [],
        [],
    ]
    named = replace(DAILY, levels=(("chen",), ("zhao", "li")))
    assert [[one.person for one in called(named, level, at_ms)] for level in range(5)] == [
        [],
        ["wang"],
        ["chen"],
        ["zhao", "li"],
        [],
    ]
    leave = away("zhao", "li", "2026-11-24T00:00", "2026-11-25T00:00")
    (only,) = called(replace(named, stand_ins=(leave,)), 3, at_ms)  # nobody twice
    assert (only.person, only.why) == ("li", DutyWhy.STAND_IN)


def test_a_person_named_alone_is_stood_in_for_but_not_by_a_rosters_own_stand_in() -> None:
    at_ms = ms("2026-11-24T09:00")
    leave = away("li", "chen", "2026-11-24T00:00", "2026-11-25T00:00")
    assert alone("li", [leave], at_ms).person == "chen"
    assert alone("li", [replace(leave, roster="r")], at_ms).person == "li"
    assert alone("li", [leave], leave.to_ms).person == "li"


def test_the_reason_is_told_in_both_languages() -> None:
    leave = away("li", "chen", "2026-11-23T12:00", "2026-11-23T18:00")
    roster = replace(DAILY, stand_ins=(leave,), levels=(("zhao",),))
    turn = duty(roster, ms("2026-11-23T09:00"))
    assert duty_text("zh", turn, NAMES, HERE) == "轮到李伟值班（11-23 08:30 至 11-24 08:30）"
    assert duty_text("en", turn, NAMES, HERE) == "李伟's turn (11-23 08:30 to 11-24 08:30)"
    stand_in = duty(roster, leave.from_ms)
    told = duty_text("zh", stand_in, NAMES, HERE)
    assert told == "陈刚代李伟值班（11-23 12:00 至 11-23 18:00，年假）"
    assert "陈刚 stands in for 李伟" in duty_text("en", stand_in, NAMES, HERE)
    (named,) = called(roster, 2, leave.from_ms)
    assert duty_text("zh", named, NAMES, HERE) == "指定通知赵敏"
    back = away("chen", "li", "2026-11-23T12:00", "2026-11-23T18:00")
    circle = duty(replace(roster, stand_ins=(leave, back)), leave.from_ms)
    assert "仍由李伟负责" in duty_text("zh", circle, NAMES, HERE)
    assert "it stays with 李伟" in duty_text("en", circle, NAMES, HERE)
