"""Kinds and what they may report (domain.md §2), and how fields of events are checked."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS, Field, Kind, _blueprint
from devices.messages import Reason
from devices.quantities import BadValue, Quantity, Type

LINK = {"rssi_dbm", "csq", "uptime_s"}
QUANTITIES = {
    "gate": LINK
    | {"door_state", "lock_state", "door_alarm", "door_mode", "tamper", "reader_tamper"}
    | {"reader_online", "mains_ok", "battery_low", "board_temp_c"}
    | {"arm_state", "motor_ok", "lane_controller_online"},
    "shed": LINK
    | {"voltage_v", "board_temp_c", "smoke", "smoke_mask", "smoke_enabled", "leakage_state"}
    | {"leakage_ma", "meter_energy_kwh", "ports_total", "ports_in_use", "power_w"}
    | {"cabinet_door", "mains_ok", "status_temp_high", "status_smoke", "status_voltage_bad"},
    "port": {"port_status", "power_w", "current_a", "session_energy_kwh", "session_s"}
    | {"session_fee_fen", "port_temp_c", "tier"},
    "lamp": LINK
    | {"switch_state", "dim_level_pct", "power_w", "voltage_v", "current_a", "power_factor"}
    | {"frequency_hz", "energy_kwh", "operating_hours_h", "switch_count", "supply_loss_count"}
    | {"gear_temp_c", "ambient_lux", "motion_count"}
    | {"phase_voltage_v", "phase_current_a", "phase_power_w"}
    | {"lamp_failure", "control_gear_failure", "relay_failure", "day_burner", "cycling_failure"}
    | {"control_gear_comm_failure", "invalid_scheduler", "lamp_power_too_high"}
    | {"lamp_power_too_low", "power_factor_too_low", "supply_voltage_too_high"}
    | {"supply_voltage_too_low", "supply_loss", "thermal_derating", "thermal_shutdown"}
    | {"leakage_detected", "cabinet_door_open"}
    | {"commanded_on", "commanded_by", "overridden"},
    "camera": LINK
    | {"channels_total", "channels_online", "stream_ok", "recording", "disk_state"}
    | {"disk_free_pct", "retention_days", "time_offset_s", "video_loss", "occlusion"}
    | {"board_temp_c", "mains_ok", "ups_pct"},
    "lift": LINK | {"door_state", "floor", "in_service"},
    "gateway": LINK
    | {"mains_ok", "battery_pct", "children_total", "children_online", "queue_depth"},
}
EVENTS = {
    "gate": {"access", "exit_button", "normally_open", "fire_open", "duress", "panic", "barrier"}
    | {"command"},
    "shed": {"login", "shed_alarm", "settings"},
    "port": {"session_start", "session_end"},
    "lamp": {"switched", "override"},
    "camera": set(),
    "lift": {"trapped"},
    "gateway": set(),
}
EVERY_KIND = [*KINDS.values(), _blueprint.HYDRANT]
EVERY_QUANTITY = [
    pytest.param(quantity, id=f"{kind.name}-{quantity.name}")
    for kind in EVERY_KIND
    for quantity in kind.quantities.values()
]
EVERY_FIELD = [
    field
    for kind in EVERY_KIND
    for event in kind.events.values()
    for field in event.fields.values()
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_the_seven_kinds_report_what_the_domain_reference_lists() -> None:
    assert {name: set(kind.quantities) for name, kind in KINDS.items()} == QUANTITIES
    assert {name: set(kind.events) for name, kind in KINDS.items()} == EVENTS
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}


@pytest.mark.parametrize(
    ("kind", "name", "low", "high"),
    [
        ("gate", "rssi_dbm", -130, 0),
        ("shed", "csq", 0, 32),
        ("gate", "board_temp_c", -40, 125),
        ("shed", "voltage_v", 0, 300),
        ("shed", "board_temp_c", -50, 205),
        ("shed", "leakage_ma", 0, 1000),
        ("shed", "power_w", 0, 60_000),
        ("port", "power_w", 0, 3000),
        ("port", "current_a", 0, 16),
        ("port", "session_energy_kwh", 0, 30),
        ("port", "port_temp_c", -50, 205),
        ("lamp", "power_factor", -1, 1),
        ("lamp", "frequency_hz", 45, 65),
        ("lamp", "gear_temp_c", -40, 150),
        ("camera", "retention_days", 0, 3650),
        ("camera", "time_offset_s", None, None),
        ("lift", "floor", -5, 40),
        ("gateway", "queue_depth", 0, 10_000_000),
    ],
)
def test_a_quantity_has_its_valid_range(
    kind: str, name: str, low: float | None, high: float | None
) -> None:
    quantity = KINDS[kind].quantities[name]
    assert (quantity.low, quantity.high) == (low, high)


def test_what_a_fire_or_a_leak_would_make_implausible_is_marked() -> None:
    marked = {
        (kind.name, quantity.name)
        for kind in KINDS.values()
        for quantity in kind.quantities.values()
        if quantity.safety
    }
    assert marked == {
        ("gate", "board_temp_c"),
        ("camera", "board_temp_c"),
        ("lamp", "gear_temp_c"),
        ("lamp", "leakage_detected"),
        ("port", "port_temp_c"),
        ("shed", "board_temp_c"),
        ("shed", "status_temp_high"),
        ("shed", "smoke"),
        ("shed", "smoke_mask"),
        ("shed", "status_smoke"),
        ("shed", "leakage_state"),
        ("shed", "leakage_ma"),
    }


@pytest.mark.parametrize("quantity", EVERY_QUANTITY)
def test_a_quantity_is_declared_whole(quantity: Quantity) -> None:
    assert quantity.zh
    assert quantity.en[0].isupper()
    assert quantity.type is not Type.TEXT
    assert (quantity.type is Type.ENUM) is bool(quantity.values)
    if quantity.low is not None and quantity.high is not None:
        assert quantity.low < quantity.high
    units = {"_w": "W", "_v": "V", "_a": "A", "_ma": "mA", "_c": "°C", "_kwh": "kWh", "_s": "s"}
    for suffix, unit in units.items():
        if quantity.name.endswith(suffix):
            assert quantity.unit == unit


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [
        ("gate", "reader_online", "reader_online"),
        ("gate", "reader_online_1", "reader_online"),
        ("gate", "reader_tamper_2", "reader_tamper"),
        ("camera", "stream_ok_16", "stream_ok"),
        ("lamp", "phase_voltage_v_r", "phase_voltage_v"),
        ("gate", "reader_online_0", None),
        ("gate", "reader_online_01", None),
        ("gate", "reader_online_1000", None),
        ("gate", "reader_online_1\n", None),
        ("gate", "reader_online_", None),
        ("gate", "tamper_1", None),  # the host has one
        ("gate", "mains_ok_r", None),
        ("gate", "voltage_v", None),
        ("gate", "", None),
    ],
)
def test_a_name_finds_its_quantity_and_instances_that_can_exist(
    kind: str, name: str, found: str | None
) -> None:
    quantity = KINDS[kind].quantity(name)
    assert (quantity and quantity.name) == found


@given(st.sampled_from(EVERY_KIND), st.text())
def test_any_name_is_a_quantity_or_nothing(kind: Kind, name: str) -> None:
    quantity = kind.quantity(name)
    assert quantity is None or name.startswith(quantity.name)


def test_99_is_a_modem_that_does_not_know_its_signal() -> None:
    assert KINDS["shed"].quantities["csq"].null == 99


def test_a_session_end_carries_what_a_session_needs() -> None:
    fields = KINDS["port"].events["session_end"].fields
    assert {name for name, field in fields.items() if field.required} == {"port_no", "order"}
    assert fields["stop_reason"].check("over_temp") == "over_temp"
    assert fields["session_energy_kwh"].check(1) == 1.0
    assert fields["native_reason"].check(7) == "7"  # vendors' codes are numbers; ours is text


@pytest.mark.parametrize(
    ("event", "field", "raw", "reason"),
    [
        ("access", "result", "maybe", Reason.OUT_OF_RANGE),
        ("access", "result", True, Reason.BAD_TYPE),
        ("access", "door_no", 1.5, Reason.BAD_TYPE),
        ("access", "door_no", -1, Reason.OUT_OF_RANGE),
        ("access", "door_no", math.nan, Reason.BAD_NUMBER),
        ("access", "realtime", 1, Reason.BAD_TYPE),
        ("access", "event_id", "x" * 121, Reason.OUT_OF_RANGE),
        ("access", "event_id", "a\nb", Reason.OUT_OF_RANGE),
        ("access", "event_id", True, Reason.BAD_TYPE),
        ("access", "event_id", 2**63, Reason.BAD_TYPE),
        ("login", "imei", 10**15, Reason.OUT_OF_RANGE),  # a number may be too long as well
        ("access", "event_id", None, Reason.BAD_TYPE),
        ("fire_open", "active", "true", Reason.BAD_TYPE),
    ],
)
def test_a_wrong_field_is_refused_with_its_reason(
    event: str, field: str, raw: object, reason: Reason
) -> None:
    kind = KINDS["shed" if event == "login" else "gate"]
    with pytest.raises(BadValue) as refused:
        kind.events[event].fields[field].check(raw)
    assert refused.value.reason is reason


@given(st.sampled_from(EVERY_FIELD), json_values)
def test_any_json_value_is_a_field_or_a_bad_value(field: Field, raw: object) -> None:
    try:
        value = field.check(raw)
    except BadValue:
        return
    assert field.check(value) == value
