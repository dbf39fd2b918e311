"""A final day worked out again: gates, sockets and sessions, from readings made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine

from devices.catalogue import rules_for
from devices.corrections import Recounted, Way
from devices.kinds import KINDS
from devices.messages import Value
from devices.store.correcting import final_day, propose_recount, record
from devices.store.database import writing
from devices.store.registry import device_numbers
from devices.store.scope import DISTRICT
from devices.sun import lighting_hours
from devices.telemetry import Point, Sample
from devices.usage import Figures
from ingest.judge.plan import plans
from ingest.recount_day import DayRecount
from tests.api.cast import (
    DAY_MS,
    GATE,
    HOUR_MS,
    NOW_MS,
    PORT,
    XIANGYUNLI,
    a_district,
    a_judge,
    a_session,
    an_hour,
)

DAY = NOW_MS - NOW_MS % DAY_MS - 10 * DAY_MS + 16 * HOUR_MS  # a local midnight
NOON = DAY + 12 * HOUR_MS


@dataclass
class Readings:
    """Whole points by hand, of any measurement."""

    held: dict[tuple[str, str], dict[int, dict[str, Value]]] = field(default_factory=dict)

    def add(self, measurement: str, device: str, at_ms: int, **fields: Value) -> None:
        self.held.setdefault((measurement, device), {}).setdefault(at_ms, {}).update(fields)

    def points(
        self, measurement: str, device: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        found = self.held.get((measurement, device), {})
        times = sorted(at_ms for at_ms in found if from_ms <= at_ms < to_ms)
        return [Point(measurement, "", device, at, found[at]) for at in times[:limit]]

    def last_before(
        self, measurement: str, device: str, at_ms: int, quantities: Sequence[str]
    ) -> dict[str, Sample]:
        found: dict[str, Sample] = {}
        for at, fields in sorted(self.held.get((measurement, device), {}).items()):
            if at < at_ms:
                found |= {name: Sample(at, fields[name]) for name in quantities if name in fields}
        return found


@dataclass
class Setting:
    engine: Engine
    readings: Readings = field(default_factory=Readings)

    def work_out(self) -> Recounted:
        made = DayRecount(
            self.engine, self.readings, plans(rules_for, KINDS), lighting_hours, lambda: NOW_MS
        )
        return made.work_out(XIANGYUNLI, DAY, DAY + DAY_MS)

    def added(self, device: str) -> dict[int, Figures]:
        """By hour of the day."""
        with writing(self.engine) as connection:
            number = device_numbers(connection)[device]
        return {
            (line.hour_ms - DAY) // HOUR_MS: line.figures
            for line in self.work_out().lines
            if line.device_no == number and line.figures
        }

    def passage(self, at_ms: int, **fields: Value) -> None:
        said: dict[str, Value] = {"result": "granted", "method": "face", "direction": "in"}
        self.readings.add("gate_event", GATE, at_ms, **{"type": "access", **said, **fields})


@pytest.fixture
def setting(any_database: Engine) -> Setting:
    with writing(any_database) as connection:
        a_district(connection)
        a_judge(connection)
        an_hour(connection, GATE, NOON, 1, granted=2, by_method={"face": 2}, by_direction={"in": 2})
    return Setting(any_database)


def test_passages_that_came_too_late_are_counted_once(setting: Setting) -> None:
    for n in range(3):
        setting.passage(NOON + n * 1000)
    setting.passage(NOON + 9000, method="card", event_id="7")
    setting.passage(NOON + 9500, method="card", event_id="7")  # sent again, without a time
    setting.passage(NOON + 9900, undated=True)
    setting.passage(NOON + HOUR_MS, result="denied", deny_reason="expired")
    setting.readings.add("gate_event", GATE, NOON + 1, type="exit_button", pressed=True)
    assert setting.added(GATE) == {
        12: {"granted": 2, "by_method": {"face": 1, "card": 1}, "by_direction": {"in": 2}},
        13: {"denied": 1, "deny_reasons": {"expired": 1}},
    }


def test_passages_never_become_fewer(setting: Setting) -> None:
    setting.passage(NOON)
    assert setting.added(GATE) == {}


def test_heartbeats_that_came_too_late_are_in_the_coverage(setting: Setting) -> None:
    for n in range(5):
        setting.readings.add("gate", GATE, NOON + n * 30_000, csq=20)
    (line,) = setting.work_out().lines
    assert (line.hour_ms, line.kind, line.received, line.figures) == (NOON, "gate", 4, {})


def test_reports_of_a_change_that_came_too_late_make_up_for_no_heartbeat(
    setting: Setting,
) -> None:
    setting.readings.add("gate", GATE, NOON, csq=20)
    for n in range(5):
        setting.readings.add("gate", GATE, NOON + 1 + n, door_state="open")
    (line,) = setting.work_out().lines
    assert (line.received, line.figures) == (5, {"on_change": 5})


def a_charge(setting: Setting) -> None:
    """From 12:00 to 13:30, a reading a minute, 0.6 kWh an hour."""
    for minute in range(91):
        setting.readings.add(
            "port",
            PORT,
            NOON + minute * 60_000,
            port_status="in_use",
            session_energy_kwh=minute / 100,
        )


def test_a_charge_that_came_too_late_is_worked_out_from_its_readings(setting: Setting) -> None:
    a_charge(setting)
    ended = NOON + 90 * 60_000
    with writing(setting.engine) as connection:
        a_session(
            connection,
            "s-1",
            started_at_ms=NOON,
            ended_at_ms=ended,
            duration_s=5400,
            energy_kwh=0.9,
            fee_fen=90,
        )
    added = setting.added(PORT)
    assert added.keys() == {12, 13}
    assert added[12]["energy_kwh"] == pytest.approx(0.6)
    assert added[13]["energy_kwh"] == pytest.approx(0.3)
    assert (added[12]["in_use_s"], added[13]["in_use_s"]) == (3600, 1800)
    assert added[13]["sessions"] == 1
    assert added[13]["session_s"] == 5400
    assert added[13]["fee_fen"] == 90
    assert added[13]["stop_reasons"] == {"full": 1}


def test_a_charge_whose_end_never_came_is_counted_once(setting: Setting) -> None:
    a_charge(setting)
    with writing(setting.engine) as connection:
        a_session(
            connection,
            "s-1",
            started_at_ms=NOON,
            ended_at_ms=NOON + 90 * 60_000,
            duration_s=5400,
            energy_kwh=0.9,
            fee_fen=None,
            stop_reason="unknown",
            ended_by="platform",
            provisional=True,
        )
    added = setting.added(PORT)
    assert added[13] == {
        "energy_kwh": pytest.approx(0.3),
        "in_use_s": 1800,
        "inferred_sessions": 1,
        "inferred_session_s": 5400,
        "inferred_stops": {"unknown": 1},
    }


def test_a_charge_of_which_the_board_told_no_energy_is_one_by_its_register(
    setting: Setting,
) -> None:
    with writing(setting.engine) as connection:
        a_session(
            connection,
            "s-1",
            started_at_ms=NOON,
            ended_at_ms=NOON + 1,
            duration_s=900,
            energy_kwh=0.0,
            register_kwh=0.5,
            register_known=1.0,
            power_known=0.0,
        )
    added = setting.added(PORT)
    assert (added[12]["unreported_sessions"], added[12]["unreported_session_s"]) == (1, 900)


def test_a_session_that_was_amended_is_counted_as_it_is_now(setting: Setting) -> None:
    with writing(setting.engine) as connection:
        an_hour(
            connection,
            PORT,
            NOON,
            60,
            sessions=1,
            session_s=100,
            stop_reasons={"unknown": 1},
            energy_kwh=2.5,
        )
        a_session(connection, "s-1", started_at_ms=NOON, ended_at_ms=NOON + 1, duration_s=900)
    found = setting.work_out()
    assert setting.added(PORT) == {
        12: {"session_s": 800, "fee_fen": 60, "stop_reasons": {"full": 1, "unknown": -1}}
    }
    assert found.left[PORT] == "the store holds no reading of it on that day"


def test_what_is_recorded_is_no_difference_any_more(setting: Setting) -> None:
    a_charge(setting)
    found = setting.work_out()
    with writing(setting.engine) as connection:
        day = final_day(connection, XIANGYUNLI, DAY, NOW_MS)
        what = propose_recount(connection, DISTRICT, day, found.lines)
        made = record(connection, DISTRICT, what, reason="补传", by="li-min", now_ms=NOW_MS)
    assert (made.way, made.kinds) == (Way.RECOUNT, ("port",))
    assert made.stated["port"]["energy_kwh"] == pytest.approx(0.9)
    assert setting.work_out().lines == []
