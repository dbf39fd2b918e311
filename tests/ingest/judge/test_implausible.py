"""DEV_IMPLAUSIBLE at P4: three refused values of one quantity, and no valid one since."""

import pytest

from devices.faults import State
from tests.ingest.judge.district import District, a_device, a_gate, a_lamp

CODE = "DEV_IMPLAUSIBLE"


def a_district() -> District:
    district = District(a_gate(), a_lamp(), a_device("camera", "camera"))
    district.probe()
    return district


def test_a_quantity_that_is_refused_for_ten_minutes_is_a_fault_until_it_was_valid_as_long() -> None:
    district = a_district()
    for n in range(20):
        assert district.state("gate", CODE) is None, n
        district.says("gate", {"rssi_dbm": 5, "door_state": "closed"})
        district.passes(30)
    district.says("gate", {"rssi_dbm": 5})
    fault = district.fault("gate", CODE)
    assert fault is not None
    assert fault.state is State.OPEN
    assert fault.severity == "P4"
    assert fault.evidence["quantity"] == "rssi_dbm"

    district.says("gate", {"rssi_dbm": -60})
    district.passes(595, ["gate"])
    assert district.state("gate", CODE) is State.OPEN
    district.passes(10, ["gate"])
    assert district.state("gate", CODE) is State.CLOSED


def test_a_valid_value_before_the_ten_minutes_are_over_is_no_fault() -> None:
    district = a_district()
    for n in range(60):
        district.says("gate", {"rssi_dbm": -60 if n % 8 == 7 else 5})
        district.passes(30)
    assert district.all_faults() == []


def test_two_refused_values_or_three_of_different_quantities_are_no_fault() -> None:
    district = a_district()
    for name in ("rssi_dbm", "rssi_dbm", "csq", "uptime_s"):
        district.says("gate", {name: -1000, "door_state": "closed"})
        district.passes(30)
    district.passes(1800, ["gate"])
    assert district.all_faults() == []


@pytest.mark.parametrize(("device", "quantity", "interval_s"), [
    ("camera", "disk_free_pct", 300), ("lamp", "power_w", 900),
])  # fmt: skip
def test_a_device_that_reports_seldom_is_refused_three_times_in_three_intervals(
    device: str, quantity: str, interval_s: float
) -> None:
    district = a_district()
    for n in range(3):
        assert district.state(device, CODE) is None, n
        district.says(device, {quantity: -35.0})
        district.passes(interval_s)
    assert district.state(device, CODE) is State.OPEN


def test_a_refused_temperature_is_worse_at_once() -> None:
    district = a_district()
    district.says("gate", {"board_temp_c": "hot"})
    fault = district.fault("gate", CODE)
    assert fault is not None
    assert fault.severity == "P2"
