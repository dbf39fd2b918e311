"""Every sign of the catalogue, from the message to the fault: when it raises, and when it is over.

The table is domain.md §3.1 as far as a threshold, a state, an event or silence shows a fault. A row
says: this, for so long, is a fault of this severity; that, for so long, ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from devices.catalogue import RULES
from devices.faults import State
from devices.kinds import KINDS
from devices.rules import (
    Counted,
    Fell,
    Returned,
    Share,
    Together,
    Unanswered,
    Unprompted,
    Unusual,
)
from tests.ingest.judge.district import District, a_gate, devices_of_all_kinds

Act = Callable[[District], object]
PATTERNS = Counted | Share | Unprompted | Unanswered | Returned | Fell
ACTIVE = (State.OPEN, State.ACKNOWLEDGED)
SENDERS = ("gate", "door", "barrier", "shed", "lamp", "circuit", "camera", "lift", "gateway")


def values(device: str, **sent: Any) -> Act:
    return lambda district: district.says(device, sent)


def port(**sent: Any) -> Act:
    """The shed says this of its socket 1."""
    return lambda district: district.says("shed", ports={"1": sent})


def event(device: str, name: str, /, **fields: Any) -> Act:
    return lambda district: district.event(device, name, **fields)


def alarm(what: str, active: bool = True) -> Act:
    return event("shed", "shed_alarm", what=what, active=active)


def stop(reason: str) -> Act:
    """A session at socket 1 ends for this reason."""
    return lambda district: district.ends("shed", 1, f"{district.now_s}", reason)


def next_day(act: Act) -> Act:
    """The same, a day later; everybody has just been heard of."""

    def acts(district: District) -> None:
        district.now_s += 86_400
        everybody_speaks(district)
        act(district)

    return acts


def silence(_: District) -> None:
    """Nothing is heard of the device."""


def stop_after_reading(district: District) -> None:
    """Socket 2 stops because it is hot, and its temperature was read just before."""
    district.says("shed", ports={"2": {"port_temp_c": 65}})
    district.ends("shed", 2, f"hot at {district.now_s}", "over_temp")


def socket_2_is_cool(district: District) -> None:
    district.says("shed", ports={"2": {"port_temp_c": 59}})


@dataclass(frozen=True)
class Row:
    code: str
    sign: int
    device: str
    shown: Act
    severity: str
    delay_s: float
    over: Act | None  # None: only a person ends it
    clear_s: float = 0
    safety: bool = False
    gauge: bool = False  # samples come again and again

    def __str__(self) -> str:
        return f"{self.code}-{self.sign}"


GATE_OPEN = values("gate", door_state="open")
GATE_CLOSED = values("gate", door_state="closed")
BARRIER_CLOSED = values("barrier", door_state="closed")
NORMAL_V = values("shed", voltage_v=225)
SELF_TEST_OK = values("shed", leakage_state="ok")
BOX_CLOSED = values("shed", cabinet_door="closed")
GOOD_PORT = port(port_status="idle")

TABLE = (
    Row("BARRIER_BLOCKED", 0, "barrier", event("barrier", "barrier", what="arm_blocked"), "P3", 30,
        event("barrier", "barrier", what="arm_clear")),
    Row("BARRIER_BLOCKED", 1, "barrier", values("barrier", arm_state="blocked"), "P3", 30,
        values("barrier", arm_state="closed")),
    Row("BARRIER_CTRL_OFFLINE", 0, "barrier", values("barrier", lane_controller_online=False),
        "P3", 60, values("barrier", lane_controller_online=True)),
    Row("BARRIER_MOTOR", 0, "barrier", values("barrier", motor_ok=False), "P2", 0,
        values("barrier", motor_ok=True)),
    Row("GATE_BATT_LOW", 0, "gate", values("gate", battery_low=True), "P2", 60,
        values("gate", battery_low=False)),
    Row("GATE_DURESS", 0, "gate", event("gate", "duress"), "P1", 0, None, safety=True),
    Row("GATE_FIRE_OPEN", 0, "gate", event("gate", "fire_open", active=True), "P1", 0,
        event("gate", "fire_open", active=False)),
    Row("GATE_FORCED", 0, "gate", values("gate", door_alarm="forced_open"), "P2", 0,
        values("gate", door_alarm="normal"), 5),
    Row("GATE_HELD_OPEN", 0, "door", values("door", door_state="open"), "P3", 60,
        values("door", door_state="closed")),
    Row("GATE_HELD_OPEN", 1, "door", values("door", door_alarm="open_too_long"), "P3", 60,
        values("door", door_alarm="normal")),
    Row("GATE_HELD_OPEN", 2, "gate", GATE_OPEN, "P3", 60, GATE_CLOSED),
    Row("GATE_HELD_OPEN", 3, "gate", values("gate", door_alarm="open_too_long"), "P3", 60,
        GATE_CLOSED),
    Row("GATE_HELD_OPEN", 4, "barrier", values("barrier", door_state="open"), "P3", 180,
        BARRIER_CLOSED),
    Row("GATE_HELD_OPEN", 5, "barrier", values("barrier", door_alarm="open_too_long"), "P3", 180,
        BARRIER_CLOSED),
    Row("GATE_HELD_OPEN", 6, "barrier", values("barrier", arm_state="open"), "P3", 180,
        values("barrier", arm_state="closed")),
    Row("GATE_LOCK_FAULT", 0, "gate", values("gate", lock_state="fault"), "P2", 30,
        values("gate", lock_state="locked")),
    Row("GATE_MAINS_LOST", 0, "gate", values("gate", mains_ok=False), "P3", 60,
        values("gate", mains_ok=True), 60),
    Row("GATE_OFFLINE", 0, "gate", silence, "P3", 90, values("gate")),
    Row("GATE_PANIC", 0, "gate", event("gate", "panic"), "P1", 0, None, safety=True),
    Row("GATE_READER_OFFLINE", 0, "gate", values("gate", reader_online_2=False), "P3", 60,
        values("gate", reader_online_2=True)),
    Row("GATE_TAMPER", 0, "gate", values("gate", tamper=True), "P2", 0,
        values("gate", tamper=False)),
    Row("GATE_TAMPER", 1, "gate", values("gate", reader_tamper_1=True), "P2", 0,
        values("gate", reader_tamper_1=False)),
    Row("SHED_DOOR_OPEN", 0, "shed", values("shed", cabinet_door="open"), "P3", 60, BOX_CLOSED),
    Row("SHED_DOOR_OPEN", 1, "shed", values("shed", cabinet_door="pried"), "P2", 0, BOX_CLOSED),
    Row("SHED_DOOR_OPEN", 2, "shed", alarm("door_open"), "P3", 60, alarm("door_open", False)),
    Row("SHED_DOOR_OPEN", 3, "shed", alarm("door_pried"), "P2", 0, BOX_CLOSED),
    Row("SHED_DOOR_OPEN", 4, "shed", stop("cabinet_open"), "P3", 60, BOX_CLOSED),
    Row("SHED_LEAKAGE", 0, "shed", values("shed", leakage_state="tripped"), "P1", 0, SELF_TEST_OK,
        safety=True),
    Row("SHED_LEAKAGE", 1, "shed", values("shed", leakage_ma=30), "P1", 0, SELF_TEST_OK,
        safety=True),
    Row("SHED_LEAKAGE", 2, "shed", alarm("leakage"), "P1", 0, alarm("leakage", False),
        safety=True),
    Row("SHED_LEAKAGE", 3, "shed", stop("ground_fault"), "P1", 0, SELF_TEST_OK, safety=True),
    Row("SHED_LEAKAGE", 4, "shed", port(port_status="leakage_fault"), "P1", 0, GOOD_PORT,
        safety=True),
    Row("SHED_OFFLINE", 0, "shed", silence, "P3", 180, values("shed")),
    Row("SHED_OVERTEMP", 0, "shed", values("shed", board_temp_c=70), "P2", 60,
        values("shed", board_temp_c=59.9), 300, gauge=True),
    Row("SHED_OVERTEMP", 1, "shed", values("shed", status_temp_high=True), "P2", 60,
        values("shed", status_temp_high=False), 300),
    Row("SHED_OVERTEMP", 2, "shed", alarm("high_temp"), "P2", 60, alarm("high_temp", False), 300),
    Row("SHED_OVERVOLT", 0, "shed", values("shed", voltage_v=253.1), "P2", 60, NORMAL_V, 180,
        gauge=True),
    Row("SHED_OVERVOLT", 1, "shed", stop("over_voltage"), "P2", 60, NORMAL_V, 180),
    Row("SHED_OVERVOLT", 2, "shed", port(port_status="over_voltage"), "P2", 60, GOOD_PORT, 180),
    Row("SHED_POWER_CUT", 0, "shed", values("shed", mains_ok=False), "P2", 60,
        values("shed", mains_ok=True)),
    Row("SHED_POWER_CUT", 1, "shed", alarm("power_cut"), "P2", 60, NORMAL_V),
    Row("SHED_POWER_CUT", 2, "shed", stop("power_cut"), "P2", 60, NORMAL_V),
    Row("SHED_SMOKE", 0, "shed", values("shed", smoke=True), "P1", 0, values("shed", smoke=False),
        safety=True),
    Row("SHED_SMOKE", 1, "shed", values("shed", smoke_mask=4), "P1", 0,
        values("shed", smoke_mask=0), safety=True),
    Row("SHED_SMOKE", 2, "shed", values("shed", status_smoke=True), "P1", 0,
        values("shed", status_smoke=False), safety=True),
    Row("SHED_SMOKE", 3, "shed", alarm("smoke"), "P1", 0, alarm("smoke", False), safety=True),
    Row("SHED_SMOKE", 4, "shed", stop("smoke"), "P1", 0, values("shed", smoke=False), safety=True),
    Row("SHED_SMOKE", 5, "shed", port(port_status="paused_smoke"), "P1", 0, GOOD_PORT,
        safety=True),
    Row("SHED_UNDERVOLT", 0, "shed", values("shed", voltage_v=186.9), "P3", 60, NORMAL_V, 180,
        gauge=True),
    Row("SHED_UNDERVOLT", 1, "shed", stop("under_voltage"), "P3", 60, NORMAL_V, 180),
    Row("SHED_UNDERVOLT", 2, "shed", port(port_status="under_voltage"), "P3", 60, GOOD_PORT, 180),
    Row("SHED_WEAK_SIGNAL", 0, "shed", values("shed", csq=9), "P4", 1800, values("shed", csq=12),
        gauge=True),
    Row("PORT_BATTERY_ABNORMAL", 0, "shed-p01", stop("battery_abnormal"), "P2", 0, None,
        safety=True),
    Row("PORT_FAULT", 0, "shed-p01", port(port_status="output_fault"), "P3", 60, GOOD_PORT, 60),
    Row("PORT_FAULT", 1, "shed-p01", stop("short_circuit"), "P3", 0, GOOD_PORT, 60),
    Row("PORT_FUSE_BLOWN", 0, "shed-p01", port(port_status="fuse_blown"), "P3", 60, GOOD_PORT),
    Row("PORT_FUSE_BLOWN", 1, "shed-p01", stop("fuse_blown"), "P3", 0, GOOD_PORT),
    Row("PORT_OVERPOWER", 0, "shed-p01", stop("over_power"), "P3", 0, silence),
    Row("PORT_OVERTEMP", 0, "shed-p01", port(port_temp_c=70), "P2", 30, port(port_temp_c=59), 300,
        gauge=True),
    Row("PORT_OVERTEMP", 1, "shed-p01", port(port_temp_c=90), "P1", 0, port(port_temp_c=59), 300,
        safety=True, gauge=True),
    Row("PORT_OVERTEMP", 2, "shed-p02", stop_after_reading, "P2", 30, socket_2_is_cool, 300),
    Row("PORT_OVERTEMP", 3, "shed-p01", stop("over_temp"), "P1", 0, port(port_temp_c=59), 300,
        safety=True),
    Row("PORT_OVERTEMP", 4, "shed-p01", port(port_status="paused_high_temp"), "P2", 30, GOOD_PORT,
        300),
    Row("PORT_RELAY_STUCK", 0, "shed-p01", port(port_status="relay_stuck"), "P1", 0, GOOD_PORT,
        300, safety=True),
    Row("PORT_RELAY_STUCK", 1, "shed-p01", port(port_status="idle", power_w=21), "P1", 60,
        port(port_status="idle", power_w=4), 300, safety=True, gauge=True),
    Row("CABINET_DOOR", 0, "lamp", values("lamp", cabinet_door_open=True), "P3", 60,
        values("lamp", cabinet_door_open=False), 60),
    Row("CABINET_LEAKAGE", 0, "lamp", values("lamp", leakage_detected=True), "P1", 0,
        values("lamp", leakage_detected=False), safety=True),
    Row("LAMP_COMM", 0, "lamp", silence, "P4", 2700, values("lamp")),
    Row("LAMP_CYCLING", 0, "lamp", values("lamp", cycling_failure=True), "P4", 1800,
        values("lamp", cycling_failure=False), 86_400),
    Row("LAMP_DAY_BURN", 0, "lamp", values("lamp", day_burner=True), "P4", 1800,
        values("lamp", day_burner=False)),
    Row("LAMP_DAY_BURN", 1, "circuit", values("circuit", day_burner=True), "P3", 1800,
        values("circuit", day_burner=False)),
    Row("LAMP_DRIVER", 0, "lamp", values("lamp", control_gear_failure=True), "P3", 1800,
        values("lamp", control_gear_failure=False)),
    Row("LAMP_OUT", 0, "lamp", values("lamp", lamp_failure=True), "P3", 1800,
        values("lamp", lamp_failure=False), 1800),
    Row("LAMP_OVERTEMP", 0, "lamp", values("lamp", gear_temp_c=85), "P3", 300,
        values("lamp", gear_temp_c=74), 300, gauge=True),
    Row("LAMP_OVERTEMP", 1, "lamp", values("lamp", thermal_shutdown=True), "P3", 300,
        values("lamp", thermal_shutdown=False), 300),
    Row("LAMP_PF_LOW", 0, "lamp", values("lamp", power_factor_too_low=True), "P4", 7200,
        values("lamp", power_factor_too_low=False), 7200),
    Row("LAMP_POWER_HIGH", 0, "lamp", values("lamp", lamp_power_too_high=True), "P4", 7200,
        values("lamp", lamp_power_too_high=False), 7200),
    Row("LAMP_POWER_LOW", 0, "lamp", values("lamp", lamp_power_too_low=True), "P4", 7200,
        values("lamp", lamp_power_too_low=False), 7200),
    Row("LAMP_RELAY", 0, "lamp", values("lamp", relay_failure=True), "P3", 300,
        values("lamp", relay_failure=False)),
    Row("CCTV_DISK", 0, "camera", values("camera", disk_state="missing"), "P2", 0,
        values("camera", disk_state="ok")),
    Row("CCTV_MAINS", 0, "camera", values("camera", mains_ok=False), "P3", 60,
        values("camera", mains_ok=True), 60),
    Row("CCTV_NOT_RECORDING", 0, "camera", values("camera", recording=False), "P2", 600,
        values("camera", recording=True), 600),
    Row("CCTV_OCCLUDED", 0, "camera", values("camera", occlusion=True), "P4", 300,
        values("camera", occlusion=False), 300),
    Row("CCTV_OFFLINE", 0, "camera", silence, "P3", 900, values("camera"), 180),
    Row("CCTV_RETENTION", 0, "camera", values("camera", retention_days=29), "P4", 0,
        next_day(values("camera", retention_days=30))),
    Row("CCTV_TIME_DRIFT", 0, "camera", values("camera", time_offset_s=61), "P4", 1,
        values("camera", time_offset_s=60), 1, gauge=True),
    Row("CCTV_TIME_DRIFT", 1, "camera", values("camera", time_offset_s=-61), "P4", 1,
        values("camera", time_offset_s=-60), 1, gauge=True),
    Row("CCTV_VIDEO_LOSS", 0, "camera", values("camera", video_loss=True), "P3", 60,
        values("camera", video_loss=False), 60),
    Row("CCTV_VIDEO_LOSS", 1, "camera", values("camera", stream_ok_3=False), "P3", 60,
        values("camera", stream_ok_3=True), 60),
    Row("LIFT_OFFLINE", 0, "lift", silence, "P3", 180, values("lift")),
    Row("LIFT_STOPPED", 0, "lift", values("lift", in_service=False), "P2", 60,
        values("lift", in_service=True), 60),
    Row("LIFT_TRAPPED", 0, "lift", event("lift", "trapped", active=True), "P1", 0,
        event("lift", "trapped", active=False), safety=True),
    Row("GW_OFFLINE", 0, "gateway", silence, "P2", 180, values("gateway")),
)  # fmt: skip


def a_healthy_district() -> District:
    """Everybody was just heard of, and has been well for a while."""
    district = District(*devices_of_all_kinds(), a_gate("door", form="pedestrian"))
    everybody_speaks(district)
    district.passes(20)
    everybody_speaks(district)
    return district


def everybody_speaks(district: District) -> None:
    for device in SENDERS:
        district.says(device, {})
    district.says("shed", ports={"1": {"port_status": "in_use"}, "2": {"port_status": "in_use"}})


def lasts(district: District, row: Row, act: Act, seconds: float) -> None:
    """It stays so, seen again every 5 s if it is a gauge; everybody else, and it, stays online."""
    beating = [device for device in SENDERS if row.shown is not silence or device != row.device]
    for _ in district.moments(seconds, beating):
        if row.gauge:
            act(district)


def raised(row: Row) -> District:
    """The district a second after the row's fault was raised."""
    district = a_healthy_district()
    row.shown(district)
    lasts(district, row, row.shown, row.delay_s + 1)
    return district


def test_the_table_has_every_sign_of_every_kind() -> None:
    declared = {
        f"{rule.code}-{index}"
        for rule in RULES.values()
        if rule.kind in KINDS
        for index, sign in enumerate(rule.signs)
        # of many devices: see test_roots.py; of what is usual: see test_baselines.py; of many
        # events: see test_patterns.py
        if not isinstance(sign.detector, Together | Unusual | PATTERNS)
        # of what is derived: see test_lamps.py and test_patterns.py
        and getattr(sign.detector, "quantity", "")
        not in {derived.quantity.name for derived in KINDS[rule.kind].derived}
    }
    assert {str(row) for row in TABLE} == declared


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_it_is_raised_when_it_has_lasted_for_its_delay(row: Row) -> None:
    district = a_healthy_district()
    onset_ms = district.now_ms
    row.shown(district)
    if row.delay_s:
        lasts(district, row, row.shown, row.delay_s - 1)
        assert district.state(row.device, row.code) is None
        lasts(district, row, row.shown, 1)
    fault = district.fault(row.device, row.code)
    assert fault is not None
    assert fault.severity == row.severity
    assert fault.safety is row.safety
    assert fault.since_ms == onset_ms
    assert fault.opened_at_ms == district.now_ms
    assert fault.evidence
    assert not fault.late
    assert district.all_faults() == [f"{row.device} {row.code}"]


@pytest.mark.parametrize("row", [row for row in TABLE if row.delay_s and row.over], ids=str)
def test_it_is_not_raised_when_it_ends_a_second_early(row: Row) -> None:
    district = a_healthy_district()
    row.shown(district)
    lasts(district, row, row.shown, row.delay_s - 1)
    assert row.over is not None
    row.over(district)
    lasts(district, row, row.over, min(row.delay_s, 85))
    assert district.all_faults() == []


@pytest.mark.parametrize("row", [row for row in TABLE if row.over not in (None, silence)], ids=str)
def test_it_is_over_when_it_has_been_away_for_the_clear_delay(row: Row) -> None:
    district = raised(row)
    assert district.state(row.device, row.code) is State.OPEN
    assert row.over is not None
    row.over(district)
    if row.clear_s:
        lasts(district, row, row.over, row.clear_s - 1)
        assert district.state(row.device, row.code) is State.OPEN
        lasts(district, row, row.over, 1)
    if row.safety:
        assert district.state(row.device, row.code) is State.CLEARED
        district.acknowledges(row.device, row.code)
    assert district.state(row.device, row.code) is State.CLOSED
    lasts(district, row, row.over, 85)
    assert district.standing() == {}


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.clear_s and row.shown is not silence], ids=str
)
def test_it_stays_when_it_comes_back_within_the_clear_delay(row: Row) -> None:
    district = raised(row)
    assert row.over is not None
    row.over(district)
    lasts(district, row, row.over, row.clear_s - 1)
    row.shown(district)
    lasts(district, row, row.shown, 60)
    assert district.state(row.device, row.code) is State.OPEN
    fault = district.fault(row.device, row.code)
    assert fault is not None
    assert fault.occurrences == 1


@pytest.mark.parametrize("row", [row for row in TABLE if row.over is None], ids=str)
def test_only_a_person_ends_it(row: Row) -> None:
    district = raised(row)
    for act in (GOOD_PORT, values("gate", door_state="closed", door_alarm="normal")):
        act(district)
    lasts(district, row, silence, 3600)
    assert district.state(row.device, row.code) is State.OPEN
    district.acknowledges(row.device, row.code)
    assert district.state(row.device, row.code) is State.ACKNOWLEDGED
    district.closes(row.device, row.code)
    lasts(district, row, silence, 60)
    assert district.state(row.device, row.code) is State.CLOSED


def test_a_board_that_cut_an_over_power_has_dealt_with_it() -> None:
    district = a_healthy_district()
    stop("over_power")(district)
    fault = district.fault("shed-p01", "PORT_OVERPOWER")
    assert fault is not None
    assert fault.state is State.CLOSED
    district.commit()
    assert [event.becomes for event in district.store.rows.events] == [State.OPEN, State.CLOSED]
