"""Faults of lamps and circuits, from the message to the fault, over simulated evenings and nights.

Times are minutes since START, 21:10 in Zhengzhou on a November evening: dusk was at 17:43, lamps
are dimmed at 23:30 (minute 140), undimmed at 05:30 (500), and dawn is at 06:40 (570).
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.faults import State
from devices.messages import Value
from devices.registry import Device
from ingest.judge.memory import Why
from tests.ingest.judge.district import District, a_device, a_lamp

MINUTE_S = 60.0
INTERVAL_MIN = 15
STREET: dict[str, Value] = {"granularity": "lamp", "lamp_count": 1, "nominal_power_w": 40}
STAIRS: dict[str, Value] = {"granularity": "circuit", "lamp_count": 10, "nominal_power_w": 9}
CALM: dict[str, Any] = {"switch_state": "on", "dim_level_pct": 100, "voltage_v": 229.0}


def a_street_lamp(device: str = "lamp") -> Device:
    return a_lamp(device, **STREET)


def stairs(device: str = "stairs", **more: Value) -> Device:
    return a_lamp(device, **{**STAIRS, **more})


class Evening:
    """One lamp, which reports every quarter of an hour; probes come all along."""

    def __init__(self, lamp: Device, at_min: float = 0) -> None:
        self.district = District(lamp)
        self.lamp = lamp.id
        self.district.now_s = at_min * MINUTE_S
        self.district.probe()

    def goes_on(self, minutes: float, **values: Any) -> None:
        """Time passes, and with each interval the lamp says this."""
        until_s = self.district.now_s + minutes * MINUTE_S
        while self.district.now_s < until_s:
            self.district.says(self.lamp, values)
            step_s = min(INTERVAL_MIN * MINUTE_S, until_s - self.district.now_s)
            self.district.passes(step_s)

    def until(self, minute: float, **values: Any) -> None:
        self.goes_on(minute - self.district.now_s / MINUTE_S, **values)

    def severities(self) -> dict[str, str]:
        """Standing faults with their severity."""
        memory = self.district.judge.memories[self.lamp]
        return {
            code: str(fault.severity)
            for code, fault in memory.faults.items()
            if fault.state in (State.OPEN, State.ACKNOWLEDGED)
        }


def well(**values: Any) -> dict[str, Any]:
    """A street lamp that is well, but for this."""
    return {**CALM, "power_w": 40.0, "power_factor": 0.95, **values}


def lit(**values: Any) -> dict[str, Any]:
    """A circuit of ten lamps that is well, but for this."""
    return {**CALM, "power_w": 90.0, "power_factor": 0.95, **values}


# --- each fault: raised after its delay, and over after the other ------------------------------


@pytest.mark.parametrize(
    ("lamp", "bad", "raised", "after_min", "good", "over_min"),
    [
        (a_street_lamp, well(power_w=3.0), {"LAMP_OUT": "P3"}, 30, well(), 45),
        (stairs, lit(power_w=81.0), {"LAMP_OUT": "P3"}, 30, lit(), 45),
        (stairs, lit(power_w=63.0), {"LAMP_OUT": "P2"}, 30, lit(), 45),
        (
            a_street_lamp,
            well(power_w=0.0),
            {"LAMP_OUT": "P3", "LAMP_DRIVER": "P3"},
            30,
            well(),
            45,
        ),
        (a_street_lamp, well(power_w=24.0), {"LAMP_POWER_LOW": "P4"}, 120, well(), 135),
        (a_street_lamp, well(power_w=52.0), {"LAMP_POWER_HIGH": "P4"}, 120, well(), 135),
        (stairs, lit(power_w=120.0), {"LAMP_POWER_HIGH": "P4"}, 120, lit(), 135),
        (a_street_lamp, well(power_factor=0.7), {"LAMP_PF_LOW": "P4"}, 120, well(), 135),
        (
            a_street_lamp,
            well(switch_state="off", power_w=0.0),
            {"LAMP_NOT_ON_SCHED": "P3"},
            30,
            well(),
            1,
        ),
        (
            stairs,
            lit(voltage_v=3.0, power_w=0.0),
            {"CIRCUIT_SUPPLY_LOSS": "P2", "LAMP_OUT": "P2"},
            30,
            lit(),
            45,
        ),
        (
            a_street_lamp,
            well(gear_temp_c=86.0),
            {"LAMP_OVERTEMP": "P3"},
            15,
            well(gear_temp_c=70.0),
            16,
        ),
    ],
)
def test_a_lamp_that_is_not_well_is_a_fault_and_over_when_it_is(
    lamp: Callable[[], Device],
    bad: dict[str, Any],
    raised: dict[str, str],
    after_min: float,
    good: dict[str, Any],
    over_min: float,
) -> None:
    evening = Evening(lamp())
    evening.goes_on(after_min - 1, **bad)
    assert not raised.keys() & evening.severities().keys() - {"CIRCUIT_SUPPLY_LOSS"}
    evening.goes_on(2, **bad)
    evening.goes_on(1, **bad)
    assert evening.severities() == raised
    evening.goes_on(over_min, **good)
    evening.goes_on(1, **good)
    assert evening.severities() == {}


NOON_MIN = 14 * 60 + 50  # 12:00 on the next day


@pytest.mark.parametrize(
    ("lamp", "severity"), [(a_street_lamp, "P4"), (stairs, "P3")], ids=["lamp", "circuit"]
)
def test_a_lamp_that_burns_by_day_is_a_fault_until_it_is_off(
    lamp: Callable[[], Device], severity: str
) -> None:
    burns = lit() if lamp is stairs else well()
    day = Evening(lamp(), NOON_MIN)
    day.goes_on(29, **burns)
    assert day.severities() == {}
    day.goes_on(2, **burns)
    day.goes_on(1, **burns)
    assert day.severities() == {"LAMP_DAY_BURN": severity}
    day.goes_on(1, **well(switch_state="off", power_w=0.0))
    assert day.severities() == {}


def test_a_lamp_that_is_overridden_may_burn_by_day() -> None:
    day = Evening(a_street_lamp(), NOON_MIN)
    day.district.event("lamp", "override", active=True)
    day.goes_on(60, **well())
    assert day.severities() == {}
    day.district.event("lamp", "override", active=False)
    day.goes_on(31, **well())
    assert day.severities() == {"LAMP_DAY_BURN": "P4"}


def test_a_switched_circuit_that_burnt_by_day_is_off_when_it_is_switched_on_again() -> None:
    day = Evening(stairs(supply="switched"), NOON_MIN)
    day.goes_on(31, **lit())
    assert day.severities() == {"LAMP_DAY_BURN": "P3"}
    day.district.passes((17 * 60 + 50 - 12 * 60 - 31) * MINUTE_S)  # and it is without power
    assert day.severities() == {"LAMP_DAY_BURN": "P3"}
    day.district.event("stairs", "switched", on=True, by="schedule")
    day.goes_on(1, **lit())
    assert day.severities() == {}


def test_a_relay_that_does_not_obey_twice_is_a_fault_until_it_does() -> None:
    evening = Evening(a_street_lamp())
    evening.goes_on(15, **well())
    evening.district.event("lamp", "switched", on=False, by="command")
    evening.district.passes(10)
    evening.goes_on(14, **well())
    assert evening.severities() == {}  # its report may have been on its way
    evening.goes_on(2, **well())
    assert evening.severities() == {"LAMP_RELAY": "P3"}
    evening.goes_on(1, **well(switch_state="off", power_w=0.0))
    assert evening.severities() == {}


def test_a_lamp_that_was_sent_off_at_night_is_not_late() -> None:
    evening = Evening(a_street_lamp())
    evening.goes_on(15, **well())
    evening.district.event("lamp", "switched", on=False, by="local")
    evening.district.passes(1)
    evening.goes_on(120, **well(switch_state="off", power_w=0.0))
    assert evening.severities() == {}


def test_a_lamp_that_goes_on_and_off_by_itself_is_cycling_until_a_day_after_it_stopped() -> None:
    evening = Evening(a_street_lamp())
    for minute in range(0, 36, 2):
        evening.goes_on(2, **(well() if minute % 4 else well(switch_state="off", power_w=0.0)))
        if minute < 28:
            assert "LAMP_CYCLING" not in evening.severities()
    assert evening.severities() == {"LAMP_CYCLING": "P4"}
    stopped_min = 34 + 30  # half an hour without a change
    evening.until(stopped_min + 24 * 60 - 1, **well())
    assert "LAMP_CYCLING" in evening.severities()
    evening.goes_on(2, **well())
    assert "LAMP_CYCLING" not in evening.severities()


def test_a_day_without_power_counts_for_the_quiet_of_a_lamp_that_was_cycling() -> None:
    evening = Evening(a_lamp("lamp", **{**STREET, "supply": "switched"}))
    for minute in range(0, 36, 2):
        evening.goes_on(2, **(well() if minute % 4 else well(switch_state="off", power_w=0.0)))
    evening.until(560, **well())
    assert evening.severities() == {"LAMP_CYCLING": "P4"}
    evening.district.passes((20 * 60 + 45 - 560) * MINUTE_S)  # until 17:55, past dusk
    assert evening.district.judge.memories["lamp"].reason is Why.ASLEEP
    assert evening.severities() == {"LAMP_CYCLING": "P4"}
    evening.until(34 + 30 + 24 * 60 - 1, **well())
    assert evening.severities() == {"LAMP_CYCLING": "P4"}
    evening.goes_on(2, **well())
    assert evening.severities() == {}


def test_who_switches_a_lamp_on_and_off_on_purpose_makes_it_no_cycling_lamp() -> None:
    evening = Evening(a_street_lamp())
    for minute in range(0, 60, 2):
        on = bool(minute % 4)
        evening.district.event("lamp", "switched", on=on, by="command")
        evening.district.passes(1)
        evening.goes_on(2, **(well() if on else well(switch_state="off", power_w=0.0)))
    assert evening.severities() == {}


# --- what is no fault --------------------------------------------------------------------------


def test_missing_telemetry_is_unknown_and_raises_nothing() -> None:
    for silent_of in ("power_w", "switch_state", "dim_level_pct", "voltage_v", "power_factor"):
        evening = Evening(a_street_lamp())
        values = well()
        del values[silent_of]
        evening.goes_on(150, **values)
        assert evening.severities() == {}, silent_of


def test_one_bad_sample_is_no_fault_however_long_it_is_the_last_one() -> None:
    evening = Evening(a_street_lamp())
    evening.goes_on(15, **well(power_w=0.0))
    evening.goes_on(200, switch_state="on")  # of its power nothing more is heard
    assert evening.severities() == {}


def test_two_nights_show_a_lamp_that_tells_of_itself_once_a_night() -> None:
    lamp = a_device("lamp", "lamp", attributes=STREET, interval_s=86_400)
    district = District(lamp)
    for _ in range(2):
        assert district.state("lamp", "LAMP_OUT") is None
        district.says("lamp", well(power_w=1.0))
        district.passes(86_400)
    assert district.state("lamp", "LAMP_OUT") is State.OPEN


def test_a_fault_of_the_night_is_held_by_day_and_over_in_the_next_night() -> None:
    evening = Evening(stairs(supply="switched"))
    evening.until(560, **lit(power_w=81.0))
    assert evening.severities() == {"LAMP_OUT": "P3"}
    evening.district.passes((17 * 60 + 50 - 6 * 60 - 30) * MINUTE_S)
    assert evening.severities() == {"LAMP_OUT": "P3"}  # by day nothing is known of it
    fault = evening.district.fault("stairs", "LAMP_OUT")
    assert fault is not None
    assert fault.evidence["stale"] is True
    evening.goes_on(46, **lit())
    assert evening.severities() == {}


def test_a_lamp_that_falls_silent_within_an_hour_is_silent_and_has_no_gap() -> None:
    evening = Evening(a_street_lamp())
    evening.goes_on(6 * 60 + 20, **well())  # 03:30
    evening.district.passes(3 * 3600)
    assert evening.severities() == {"LAMP_COMM": "P4"}
    evening.goes_on(2 * 60, **well())
    assert evening.district.all_faults() == ["lamp LAMP_COMM"]


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([1, 6, 7, 9, 12]),
    st.sampled_from(["switched", "permanent"]),
    st.floats(-10, 10),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_a_healthy_lamp_has_no_fault_in_a_night_and_a_day(
    count: int, supply: str, jitter_min: float, tells_level: bool, seed: int
) -> None:
    """Its clock is up to 10 minutes off; 2 % of noise; half its power at night; passers-by."""
    rng = Random(seed)
    lamp = a_lamp(
        "lamp",
        granularity="circuit" if count > 1 else "lamp",
        lamp_count=count,
        nominal_power_w=9,
        supply=supply,
    )
    district = District(lamp)
    district.probe()
    was = ""
    while district.now_s < 27 * 3600:
        minute = district.now_s / MINUTE_S - jitter_min
        level = 0 if 570 <= minute < 570 + 663 else 50 if 140 <= minute < 500 else 100
        on = "on" if level else "off"
        if was and on != was and (on == "on" or supply == "permanent"):
            district.event("lamp", "switched", on=on == "on", by="schedule")
        was = on
        if level or supply == "permanent":
            boosted = count > 1 and rng.random() < 0.3
            power_w = 9 * count * (1.0 if boosted else level / 100) * rng.uniform(0.98, 1.02)
            values: dict[str, Any] = {
                "switch_state": on,
                "power_w": power_w if level else 0.0,
                "voltage_v": rng.uniform(220, 236),
                "power_factor": 0.95 if level else 0.0,
            }
            if tells_level or count > 1:
                values["dim_level_pct"] = level
            if count > 1:
                values["motion_count"] = int(minute)
            district.says("lamp", values)
        district.passes(rng.uniform(895, 900))
    assert district.all_faults() == []
