"""How a day was: told once to each target that wants it, at its hour, whatever happens."""

from datetime import time

import pytest
from sqlalchemy import Engine, insert, text, update

from alerts.channel import DeliveryFailed, Limits
from alerts.message import Message
from alerts.summaries import Summaries
from devices.alerts import DeliveryState
from devices.hours import TargetHours
from devices.store.database import reading, writing
from devices.store.hours import change_hours
from devices.store.schema import devices, targets
from devices.store.scope import DISTRICT, Scope
from devices.store.summaries import Told, due, gather, list_summaries, make, of_a_day, summed
from devices.store.targets import delete_target
from devices.summaries import Counts, Summary
from tests.alerts.test_worker import Alerting, staffed
from tests.api.cast import (
    DAY_MS,
    HOUR_MS,
    LAMP,
    LIANXIN,
    MINUTE_MS,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    a_fault,
)

EIGHT_MS = NOW_MS - NOW_MS % DAY_MS + DAY_MS  # 08:00 in Zhengzhou, of the next day
AT_EIGHT = TargetHours(summary_at=time(8))


class Days(Alerting):
    """It is 19:42, and yaxin's robot is told of its day at 08:00."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.summaries = Summaries(engine, self.clock)
        with writing(engine) as connection:
            change_hours(connection, "yaxin-robot", AT_EIGHT, NOW_MS)

    def at(self, now_ms: int) -> list[tuple[str, str]]:
        """It is so late; who was told of which day then."""
        self.now_ms = now_ms
        before = len(self.channel.sent)
        while self.summaries.step():
            pass
        self.go()
        return [
            (target, message.summary.day)
            for target, message in self.channel.sent[before:]
            if message.summary is not None
        ]

    def listed(self, scope: Scope = DISTRICT) -> list[Told]:
        with reading(self.engine) as connection:
            return list_summaries(connection, scope)


@pytest.fixture
def days(sqlite_database: Engine) -> Days:
    return Days(staffed(sqlite_database).engine)


@pytest.fixture
def on_either(any_database: Engine) -> Days:
    return Days(staffed(any_database).engine)


def test_a_day_is_told_once_at_its_hour_and_the_next_one_a_day_later(on_either: Days) -> None:
    assert on_either.at(EIGHT_MS - 1) == []
    assert on_either.at(EIGHT_MS) == [("yaxin-robot", "2026-11-24")]
    assert on_either.at(EIGHT_MS + HOUR_MS) == []
    assert on_either.at(EIGHT_MS + DAY_MS) == [("yaxin-robot", "2026-11-25")]
    assert on_either.channel.keys() == [
        "2026-11-24:summary:yaxin-robot",
        "2026-11-25:summary:yaxin-robot",
    ]
    assert {one.state for one in on_either.listed()} == {DeliveryState.DELIVERED}
    assert len(on_either.listed(Scope("yaxin"))) == 2
    assert on_either.listed(Scope("kangqiao")) == []


def test_whoever_was_away_at_that_hour_tells_it_late_and_once(days: Days) -> None:
    assert days.at(EIGHT_MS + 9 * HOUR_MS) == [("yaxin-robot", "2026-11-24")]
    assert days.at(EIGHT_MS + 10 * HOUR_MS) == []


def test_a_day_that_is_over_is_left_out_and_todays_comes_at_its_hour(days: Days) -> None:
    assert days.at(EIGHT_MS + 20 * HOUR_MS) == []  # 04:00
    assert days.at(EIGHT_MS + DAY_MS) == [("yaxin-robot", "2026-11-25")]
    assert days.at(EIGHT_MS + 3 * DAY_MS + HOUR_MS) == [("yaxin-robot", "2026-11-27")]
    assert len(days.listed()) == 2


def test_another_hour_on_the_same_day_tells_nothing_twice(days: Days) -> None:
    days.at(EIGHT_MS)
    with writing(days.engine) as connection:
        later = TargetHours(summary_at=time(20))
        change_hours(connection, "yaxin-robot", later, EIGHT_MS + HOUR_MS)
    assert days.at(EIGHT_MS + 12 * HOUR_MS) == []
    assert days.at(EIGHT_MS + 36 * HOUR_MS) == [("yaxin-robot", "2026-11-25")]


def test_of_two_processes_that_put_it_together_one_is_faster(on_either: Days) -> None:
    with reading(on_either.engine) as connection:
        (one,) = due(connection, EIGHT_MS, 10)
        ground = gather(connection, one, EIGHT_MS)
    assert ground is not None
    summary = summed(ground)
    for is_first in (True, False):
        with writing(on_either.engine) as connection:
            assert make(connection, one, summary, EIGHT_MS) is is_first
    assert on_either.at(EIGHT_MS) == [("yaxin-robot", "2026-11-24")]


def test_what_was_refused_is_sent_again_as_it_was_and_given_up_when_the_day_is_over(
    days: Days,
) -> None:
    days.channel.does = [DeliveryFailed("500"), DeliveryFailed("500", wait_s=DAY_MS / 1000)]
    days.at(EIGHT_MS)
    with writing(days.engine) as connection:
        a_fault(connection, "f", opened_at_ms=EIGHT_MS)
        connection.execute(text("UPDATE fault_events SET routed_at_ms = 1"))
    days.at(EIGHT_MS + MINUTE_MS)
    told = [message.summary for _, message in days.channel.sent]
    assert len(told) == 2
    assert told[0] == told[1]
    days.now_ms = EIGHT_MS + 16 * HOUR_MS
    days.sender().sweep()
    (one,) = days.listed()
    assert (one.state, one.attempts, one.answer) == (DeliveryState.FAILED, 2, "500")


def test_a_summary_waits_for_its_turn_and_for_room_in_the_minute(days: Days) -> None:
    days.channel.limits = Limits(per_minute=2)
    with writing(days.engine) as connection:
        delete_target(connection, DISTRICT, "duty", NOW_MS)
        a_fault(connection, "f", opened_at_ms=EIGHT_MS, severity="P1", safety=True)
    assert days.at(EIGHT_MS) == []
    assert [len(message.notices) for _, message in days.channel.sent] == [1]
    assert days.at(EIGHT_MS + MINUTE_MS + 2) == [("yaxin-robot", "2026-11-24")]


def test_a_target_that_was_deleted_is_told_nothing(days: Days) -> None:
    days.now_ms = EIGHT_MS
    days.summaries.step()
    with writing(days.engine) as connection:
        delete_target(connection, DISTRICT, "yaxin-robot", NOW_MS)
    assert days.at(EIGHT_MS) == []
    days.sender().sweep()
    assert [one.state for one in days.listed()] == [DeliveryState.FAILED]


def test_a_broken_target_waits_and_a_message_that_arrives_mends_it(days: Days) -> None:
    with writing(days.engine) as connection:
        connection.execute(update(targets).values(broken="token"))
    assert days.at(EIGHT_MS) == []
    with writing(days.engine) as connection:
        connection.execute(update(targets).values(broken=None, failures=3))
    assert days.at(EIGHT_MS + MINUTE_MS) == [("yaxin-robot", "2026-11-24")]


def test_what_waits_is_found_by_its_index(days: Days) -> None:
    plan = (
        "EXPLAIN QUERY PLAN SELECT DISTINCT target FROM summaries "
        "WHERE summaries.state = 'pending' AND next_at_ms <= 1 AND until_ms > 1"
    )
    with reading(days.engine) as connection:
        found = " ".join(str(row) for row in connection.execute(text(plan)))
    assert "ix_summaries_pending" in found


def a_day(engine: Engine, firm: str | None) -> Summary:
    with reading(engine) as connection:
        span = (EIGHT_MS - DAY_MS, EIGHT_MS)
        ground = of_a_day(connection, firm, "2026-11-24", span, "+08:00")
    return summed(ground)


def test_the_figures_of_a_day(on_either: Days) -> None:
    with writing(on_either.engine) as connection:

        def fault(name: str, **more: object) -> None:
            a_fault(connection, name, **({"subject": name} | more))

        fault("stands", severity="P1", safety=True, rank=9.0)
        fault("answered", state="acknowledged", acknowledged_at_ms=EIGHT_MS - HOUR_MS)
        fault("old", opened_at_ms=EIGHT_MS - 9 * DAY_MS, since_ms=0)
        fault("guess", suspected=True)
        fault("hidden", suppressed_by="stands")
        fault("went", state="closed", cleared_at_ms=EIGHT_MS - 1, closed_at_ms=EIGHT_MS - 1)
        long_ago = EIGHT_MS - 5 * DAY_MS
        fault(
            "lasted",
            state="closed",
            opened_at_ms=long_ago,
            cleared_at_ms=EIGHT_MS - 1,
            closed_at_ms=EIGHT_MS - 1,
        )
        fault(
            "before",
            state="closed",
            opened_at_ms=EIGHT_MS - 2 * DAY_MS + HOUR_MS,
            closed_at_ms=EIGHT_MS - DAY_MS - 1,
        )
        fault("smoke", safety=True, state="cleared", cleared_at_ms=EIGHT_MS - 2)
        fault("strange", device=STRANGE_GATE, compound=LIANXIN, severity="P2")
        fault("later", opened_at_ms=EIGHT_MS)
    own = a_day(on_either.engine, "yaxin")
    # open: stands, answered, old, smoke, later; new: stands, answered, went, smoke;
    # overdue: stands (nobody is there), old, smoke (nobody has acknowledged it)
    assert own.counts == Counts(open=5, new=4, cleared=3, overdue=2, suspected=1)
    assert [one.compound for one in own.compounds] == [XIANGYUNLI]
    assert [one.fault for one in own.worst][:2] == ["stands", "smoke"]
    assert own.firm_name is not None
    assert own.firm_name.zh == "亚新"
    all_of_them = a_day(on_either.engine, None)
    assert all_of_them.counts == own.counts + Counts(open=1, new=1, overdue=1)
    assert [one.compound for one in all_of_them.compounds] == [XIANGYUNLI, LIANXIN]


def test_lamps_are_told_by_stairwell(days: Days) -> None:
    with writing(days.engine) as connection:
        row = {"compound": XIANGYUNLI, "kind": "lamp", "protocol": "native", "interval_s": 900}
        for n, (building, unit) in enumerate((("1号楼", "1单元"), ("1号楼", "2单元"))):
            place = {"building": building, "unit": unit, "attributes": {}, "name": f"灯{n}"}
            connection.execute(insert(devices).values(id=f"lamp-{n}", **row, **place))
        connection.execute(
            update(devices).where(devices.c.id == LAMP).values(building="1号楼", unit="2单元")
        )
        for n, device in enumerate(("lamp-0", "lamp-1", LAMP)):
            a_fault(
                connection, f"f{n}", device=device, kind="lamp", code="LAMP_OUT", subject=device
            )
        a_fault(connection, "d", device=LAMP, kind="lamp", code="LAMP_DRIVER", subject=LAMP)
    found = a_day(days.engine, "yaxin").lamps
    assert [(one.building, one.unit, one.count) for one in found] == [
        ("1号楼", "2单元", 3),
        ("1号楼", "1单元", 1),
    ]
    assert [(name.zh, n) for name, n in found[0].names] == [("灯具不亮", 2), ("驱动故障", 1)]


def test_the_next_summary_begins_where_the_one_before_ended(days: Days) -> None:
    days.at(EIGHT_MS + 9 * HOUR_MS)
    days.at(EIGHT_MS + DAY_MS)
    first, second = (message.summary for _, message in days.channel.sent)
    assert first is not None
    assert second is not None
    assert first.from_ms == EIGHT_MS - DAY_MS
    assert second.from_ms == first.to_ms == EIGHT_MS + 9 * HOUR_MS


def test_it_speaks_the_language_of_its_target_and_links_to_the_faults(days: Days) -> None:
    with writing(days.engine) as connection:
        connection.execute(update(targets).values(language="en"))
        a_fault(connection, "f", severity="P2")
        connection.execute(text("UPDATE fault_events SET routed_at_ms = 1"))
    days.at(EIGHT_MS)
    message: Message = days.channel.sent[0][1]
    assert message.language == "en"
    assert message.console == "https://courtyard.example"
