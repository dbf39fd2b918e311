"""Vendors' codes, read the other way round: the rows of domain.md §4.1 and §4.3 as printed."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import stop_reasons
from devices.stop_reasons import PortStatus, StopClass, StopReason, from_juy

# canonical | class | JUY | DC589 | Tower | Wanzhuang | Tuya
TABLE = """
    full             | N | 0 | 2  | 9           | 2 27           | 3
    plan_completed   | N | - | -  | 0           | -              | -
    time_up          | N | 1 | 0  | -           | 11 22          | 4
    money_up         | N | 2 | -  | -           | 1              | -
    energy_up        | N | 4 | 10 | -           | 47             | -
    max_time         | N | - | -  | 24          | 0 25           | -
    smart_stop       | N | 9 | -  | -           | -              | -
    remote_stop      | N | - | 7  | 3           | 12             | -
    manual_stop      | R | 3 | -  | 1 2 15      | 15 41          | -
    unplugged        | R | - | 1  | 4           | 4              | -
    no_load_at_start | R | - | 6  | -           | -              | -
    no_balance       | R | - | -  | 10          | -              | -
    refund_stop      | R | - | 5  | -           | 3              | -
    deauthorized     | R | - | -  | -           | -              | -
    vehicle_fault    | R | - | -  | 7           | 30             | -
    over_power       | F | 5 | 4  | 11          | 23 31 44 46 48 | 6
    shed_over_power  | F | - | -  | 14          | 24             | -
    power_unstable   | F | - | -  | 23          | 7              | -
    over_temp        | F | 7 | 9  | 17          | 6              | 7
    under_temp       | F | - | -  | -           | 5              | -
    smoke            | F | 8 | 8  | -           | 21             | -
    leakage          | F | - | -  | -           | 10             | 9
    ground_fault     | F | - | -  | 16          | 42             | -
    short_circuit    | F | - | -  | -           | 16             | -
    battery_abnormal | F | - | -  | 19 20 21 22 | -              | 8
    over_voltage     | F | - | -  | 12          | 18             | -
    under_voltage    | F | - | -  | 13          | 19             | -
    grid_abnormal    | F | - | -  | -           | 9 20           | -
    power_cut        | F | - | -  | 5           | 33             | -
    fuse_blown       | F | - | -  | -           | 29             | -
    device_fault     | F | - | 3  | 6           | 8 43 45        | -
    emergency_stop   | F | - | -  | -           | 40             | -
    device_restart   | F | - | -  | -           | -              | -
    cabinet_open     | F | - | -  | 18          | -              | -
    other            | - | - | -  | 8           | 13 14 17 26 28 32 34 35 36 37 38 39 49 50 | 5
    unknown          | - | - | -  | -           | -              | -
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
CLASSES = {
    "N": StopClass.NORMAL,
    "R": StopClass.RESIDENT,
    "F": StopClass.FAULT,
    "-": StopClass.NONE,
}
VENDORS = (
    stop_reasons.JUY,
    stop_reasons.DC589,
    stop_reasons.CHINA_TOWER,
    stop_reasons.WANZHUANG,
    stop_reasons.TUYA,
)


def codes_of(reason: StopReason, table: Mapping[int, StopReason]) -> list[int]:
    return [code for code, of in table.items() if of is reason]


def test_there_are_the_36_reasons_of_the_domain_reference() -> None:
    assert [row[0] for row in ROWS] == [reason.value for reason in StopReason]
    assert len(StopReason) == 36


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_reason_has_the_class_and_the_vendor_codes_of_its_row(row: list[str]) -> None:
    reason = StopReason(row[0])
    assert reason.stop_class is CLASSES[row[1]]
    for table, cell in zip(VENDORS, row[2:], strict=True):
        assert codes_of(reason, table) == [int(code) for code in cell.replace("-", "").split()]


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (stop_reasons.DC589, range(11)),
        (stop_reasons.CHINA_TOWER, range(25)),
        (stop_reasons.WANZHUANG, range(51)),
        (stop_reasons.TUYA, range(3, 10)),
    ],
)
def test_no_documented_code_is_missing(table: Mapping[int, StopReason], codes: range) -> None:
    assert sorted(table) == list(codes)


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("Remote", "remote_stop"),
        ("UnlockCommand", "remote_stop"),
        ("Local", "manual_stop"),
        (None, "manual_stop"),
        ("EVDisconnected", "unplugged"),
        ("DeAuthorized", "deauthorized"),
        ("PowerLoss", "power_cut"),
        ("EmergencyStop", "emergency_stop"),
        ("HardReset", "device_restart"),
        ("SoftReset", "device_restart"),
        ("Reboot", "device_restart"),
        ("Other", "other"),
    ],
)
def test_an_ocpp_reason_has_its_word(native: str | None, reason: str) -> None:
    assert stop_reasons.OCPP[native] == reason


def test_a_reason_has_its_words_in_both_languages() -> None:
    assert (StopReason.FULL.zh, StopReason.FULL.en) == ("充满自停", "Full")
    for word in (*StopReason, *PortStatus):
        assert word.zh > "\u4e00"
        assert word.en[0].isupper()


@pytest.mark.parametrize(
    ("code", "session_s", "energy_kwh", "reason"),
    [
        (0, 25_200, 0.98, "full"),
        (6, 0, 0.0, "no_load_at_start"),
        (6, 180, 0.0, "no_load_at_start"),
        (6, 181, 0.0, "unplugged"),
        (6, 20, 0.009, "no_load_at_start"),  # firmware with 0.001 kWh steps
        (6, 20, 0.01, "unplugged"),
        (7, 600, 0.1, "over_temp"),
        (8, 1800, 0.09, "smoke"),
        (10, 600, 0.1, "unknown"),
        (255, 600, 0.1, "unknown"),
    ],
)
def test_a_juy_end_frame_has_its_reason(
    code: int, session_s: int, energy_kwh: float, reason: str
) -> None:
    assert from_juy(code, session_s, energy_kwh) == reason


@given(st.integers(0, 255), st.integers(0, 2**32 - 1), st.floats(0, 4e7))
def test_any_juy_end_has_some_reason(code: int, session_s: int, energy_kwh: float) -> None:
    assert isinstance(from_juy(code, session_s, energy_kwh), StopReason)


def test_a_reason_travels_as_its_plain_word() -> None:
    assert json.dumps({"stop_reason": StopReason.OVER_TEMP}) == '{"stop_reason": "over_temp"}'
    assert {"full": 1}[StopReason.FULL] == 1


@pytest.mark.parametrize(
    ("native", "juy", "dc589", "tower"),
    [
        (0, "idle", "idle", "unknown"),
        (1, "in_use", "in_use", "idle"),
        (2, "fuse_blown", "unknown", "in_use"),
        (3, "relay_stuck", "output_fault", "full"),
        (4, "disabled", "relay_stuck", "output_fault"),
        (5, "unknown", "unknown", "offline"),
        (255, "unknown", "unknown", "unknown"),
    ],
)
def test_the_same_number_is_another_state_at_another_vendor(
    native: int, juy: str, dc589: str, tower: str
) -> None:
    states = [
        table.get(native, PortStatus.UNKNOWN)
        for table in (
            stop_reasons.JUY_STATUS,
            stop_reasons.DC589_STATUS,
            stop_reasons.CHINA_TOWER_STATUS,
        )
    ]
    assert states == [juy, dc589, tower]
