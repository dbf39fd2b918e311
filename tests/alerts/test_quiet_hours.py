"""At night a target is woken for what is serious, and hears of the rest in the morning, at once."""

from datetime import time

import pytest
from sqlalchemy import Engine, select, update

from alerts.message import Message
from devices.alerts import DeliveryState
from devices.faults import Why
from devices.hours import TargetHours
from devices.store.database import reading, writing
from devices.store.hours import change_hours
from devices.store.schema import deliveries, faults
from tests.alerts.test_escalation import Escalating
from tests.alerts.test_worker import staffed
from tests.api.cast import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, a_fault, a_fault_event

NIGHT = TargetHours(quiet_from=time(19), quiet_to=time(7))
MORNING_MS = NOW_MS - NOW_MS % DAY_MS + DAY_MS - HOUR_MS  # 07:00 in Zhengzhou, of the next day


class Night(Escalating):
    """It is 19:42, and yaxin's robot is left alone until 07:00."""

    def over(self, fault: str) -> None:
        with writing(self.engine) as connection:
            connection.execute(
                update(faults)
                .where(faults.c.id == fault)
                .values(state="closed", closed_at_ms=self.now_ms)
            )
            a_fault_event(
                connection, fault, was="open", becomes="closed", reason="over", at_ms=self.now_ms
            )

    def sent_there(self) -> list[Message]:
        return [message for target, message in self.channel.sent if target == "yaxin-robot"]

    def said(self) -> list[tuple[str, Why]]:
        return [(one.fault, one.reason) for message in self.sent_there() for one in message.notices]


@pytest.fixture
def night(sqlite_database: Engine) -> Night:
    return begun(sqlite_database)


@pytest.fixture
def on_either(any_database: Engine) -> Night:
    return begun(any_database)


def begun(engine: Engine) -> Night:
    night = Night(staffed(engine).engine)
    with writing(engine) as connection:
        change_hours(connection, "yaxin-robot", NIGHT, NOW_MS)
    return night


def test_what_may_wait_comes_in_the_morning_in_one_digest_and_nobody_elses_waits(
    on_either: Night,
) -> None:
    for n in range(3):
        on_either.raised(f"f{n}", subject=f"s{n}")
        assert on_either.after(10) == [("duty", Why.RAISED)]
    with reading(on_either.engine) as connection:
        query = select(deliveries.c.reason).where(deliveries.c.target == "yaxin-robot")
        assert set(connection.scalars(query)) == {"quiet_hours"}
    on_either.now_ms = MORNING_MS - 1
    assert on_either.told_now() == []
    on_either.now_ms += 1
    on_either.told_now()
    (digest,) = on_either.sent_there()
    assert digest.is_overnight
    assert [notice.fault for notice in digest.notices] == ["f0", "f1", "f2"]
    assert {row.state for row in on_either.rows()} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize("more", [{"severity": "P1"}, {"severity": "P2"}, {"safety": True}])
def test_what_is_serious_and_all_of_safety_is_told_at_night(
    night: Night, more: dict[str, object]
) -> None:
    night.raised("f", **more)
    assert ("yaxin-robot", Why.RAISED) in night.told_now()
    night.over("f")
    assert ("yaxin-robot", Why.OVER) in night.told_now()


def test_what_came_and_went_in_the_night_is_told_once_as_such(night: Night) -> None:
    night.raised("f")
    night.raised("g", subject="s")
    night.after(60)
    night.over("f")
    night.after(1)
    night.now_ms = MORNING_MS
    night.told_now()
    (digest,) = night.sent_there()
    assert [(one.fault, one.is_over) for one in digest.notices] == [
        ("f", True),
        ("g", False),
        ("f", False),
    ]
    night.after(60)
    assert len(night.sent_there()) == 1


def test_the_end_of_what_was_told_in_the_evening_waits_as_well(night: Night) -> None:
    night.now_ms = NOW_MS - HOUR_MS
    night.raised("f")
    assert ("yaxin-robot", Why.RAISED) in night.told_now()
    night.now_ms = NOW_MS
    night.over("f")
    assert night.told_now() == [("duty", Why.OVER)]
    night.now_ms = MORNING_MS
    assert night.told_now() == [("yaxin-robot", Why.OVER)]


def test_one_that_gets_worse_in_the_night_is_told_with_what_went_before(on_either: Night) -> None:
    on_either.raised("f")
    on_either.told_now()
    on_either.now_ms += 10 * MINUTE_MS
    with writing(on_either.engine) as connection:
        connection.execute(update(faults).where(faults.c.id == "f").values(severity="P2"))
        a_fault_event(connection, "f", was="open", reason="worsened", at_ms=on_either.now_ms)
    on_either.told_now()
    assert on_either.said() == [("f", Why.RAISED), ("f", Why.WORSENED)]
    assert not any(message.is_overnight for message in on_either.sent_there())


def test_serious_news_finds_its_way_past_all_that_waits(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.sender.WAITING_AT_ONCE", 5)
    with writing(night.engine) as connection:
        for n in range(8):
            a_fault(connection, f"f{n}", subject=f"s{n}", opened_at_ms=NOW_MS)
    night.told_now()
    night.raised("g", subject="s", severity="P2")
    night.told_now()
    assert night.said() == [("g", Why.RAISED)]


def test_other_hours_count_at_once_also_for_what_waits(night: Night) -> None:
    night.raised("f")
    night.told_now()
    with writing(night.engine) as connection:
        change_hours(connection, "yaxin-robot", TargetHours(), NOW_MS)
    assert night.told_now() == [("yaxin-robot", Why.RAISED)]
