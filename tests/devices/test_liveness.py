"""How long a device may be silent."""

import pytest

from devices.kinds import KINDS
from devices.liveness import silence_limit_s
from devices.registry import Device


@pytest.mark.parametrize(
    ("kind", "interval_s", "limit_s"),
    [
        ("gate", 30, 90),
        ("gate", 10, 90),  # never below the floor
        ("gate", 60, 180),
        ("shed", 60, 180),
        ("shed", 250, 750),
        ("port", 60, 180),
        ("lamp", 900, 2700),
        ("lamp", 300, 900),  # Tasmota's period
        ("camera", 300, 900),
        ("camera", 30, 180),
        ("lift", 60, 180),
        ("lift", 10, 180),
        ("gateway", 60, 180),
    ],
)
def test_a_device_is_silent_after_three_missed_reports(
    kind: str, interval_s: int, limit_s: float
) -> None:
    device = Device("d-1", kind, "xiangyunli", "d-1", interval_s)
    assert silence_limit_s(device) == limit_s


@pytest.mark.parametrize(
    ("kind", "interval_s", "floor_s"),
    [
        ("gate", 30, 90),
        ("shed", 60, 90),
        ("port", 60, 90),
        ("lamp", 900, 90),
        ("camera", 300, 180),
        ("lift", 60, 180),
        ("gateway", 60, 90),
    ],
)
def test_a_kind_has_its_usual_interval_and_floor(kind: str, interval_s: int, floor_s: int) -> None:
    assert (KINDS[kind].interval_s, KINDS[kind].silence_floor_s) == (interval_s, floor_s)
