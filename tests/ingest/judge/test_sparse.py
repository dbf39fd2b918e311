"""Hours with too few reports: DEV_DATA_GAP, unless something else is known to have taken them.

The hour that is looked at begins at HOUR_S after START: three full ones lie before it.
"""

from typing import Any

import pytest

from devices.faults import State
from devices.registry import Device
from tests.ingest.judge.district import COMPOUND, District, a_device, a_lamp

GAP, CUT, GATEWAY = "DEV_DATA_GAP", "COMPOUND_POWER_CUT", "GW_OFFLINE"
MIN_S, LAMP_S = 60, 900
HOUR_S = 50 * MIN_S + 3 * 3600


def behind(device: str, kind: str, **more: Any) -> Device:
    return a_device(device, kind, parent="gateway", **more)


def devices(lamp_s: int = LAMP_S) -> list[Device]:
    lamp = a_lamp("lamp", supply="permanent", granularity="lamp", lamp_count=1)
    return [
        a_device("gateway", "gateway"),
        *(behind(f"gate-{n}", "gate") for n in range(4)),
        behind("lamp", "lamp", interval_s=lamp_s, attributes=lamp.attributes),
    ]


class Yard:
    """Everybody speaks once in its interval; lamps a minute after the hour, and so on."""

    def __init__(self, lamp_s: int = LAMP_S, *, restarts: bool = False) -> None:
        self.d = District(*devices(lamp_s))
        self.lamp_s, self.restarts = lamp_s, restarts
        self.dead: set[str] = set()
        self.until(HOUR_S)

    def until(self, at_s: float) -> None:
        d = self.d
        while d.now_s < at_s:
            d.now_s += 5
            for device in self.d.registry.devices.values():
                lag_s = HOUR_S % self.lamp_s + MIN_S if device.kind == "lamp" else 0
                if device.id not in self.dead and (d.now_s - lag_s) % device.interval_s == 0:
                    d.says(device.id, {"csq": 22})
            d.probe()
            if self.restarts and d.now_s % 600 == 0:
                d.restart()

    def minute(self, minute: float) -> None:
        """Time passes until this minute of the hour that is looked at."""
        self.until(HOUR_S + minute * MIN_S)

    def loses_power(self) -> None:
        self.d.says("gateway", {"mains_ok": False})
        self.dead = set(self.d.registry.devices)

    def faults(self) -> dict[str, State]:
        """All that there ever were, by `subject CODE`."""
        self.d.commit()
        rows = self.d.store.rows.faults.values()
        return {f"{fault.subject} {fault.code}": fault.state for fault in rows}


def test_a_lamp_that_tells_half_of_an_hour_and_nobody_knows_why_has_a_gap() -> None:
    yard = Yard()
    yard.minute(2)
    yard.dead = {"lamp"}
    yard.minute(45)
    yard.dead = set()
    yard.minute(61)
    assert yard.d.all_faults() == [f"lamp {GAP}"]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("gone_min", [15, 42])  # it is over long before the hour, or at its end
def test_an_hour_in_which_there_was_no_power_is_no_gap(gone_min: float, restarts: bool) -> None:
    yard = Yard(restarts=restarts)
    yard.minute(2)
    yard.loses_power()
    yard.minute(2 + gone_min)
    yard.dead = {"lamp"}  # its clock begins anew when the power is back
    yard.minute(45)
    yard.dead = set()
    yard.minute(61)
    faults = yard.faults()
    assert faults[f"{COMPOUND} {CUT}"] is State.CLOSED
    assert "lamp LAMP_COMM" not in faults  # it was silent for less than its limit
    assert f"lamp {GAP}" not in faults


def test_an_hour_in_which_its_gateway_was_away_is_no_gap() -> None:
    yard = Yard()
    yard.minute(2)
    yard.dead = set(yard.d.registry.devices)
    yard.minute(40)
    yard.dead = {"lamp"}
    yard.minute(45)
    yard.dead = set()
    yard.minute(61)
    faults = yard.faults()
    assert faults[f"gateway {GATEWAY}"] is State.CLOSED
    assert f"lamp {GAP}" not in faults


def test_the_hour_after_it_is_judged_as_any() -> None:
    yard = Yard()
    yard.minute(2)
    yard.loses_power()
    yard.minute(30)
    yard.dead = set()
    yard.minute(62)
    yard.dead = {"lamp"}
    yard.minute(60 + 45)
    yard.dead = set()
    yard.minute(60 + 59)
    assert yard.d.state("lamp", GAP) is None
    yard.minute(60 + 61)
    assert yard.d.state("lamp", GAP) is State.OPEN


@pytest.mark.parametrize("silent_min", [40, 90])
@pytest.mark.parametrize("from_min", [5, 50])
def test_a_lamp_that_reports_once_an_hour_is_silent_or_it_is_not(
    from_min: float, silent_min: float
) -> None:
    """Of what it owes in an hour one cannot say that a part is missing."""
    yard = Yard(3600)
    yard.minute(from_min)
    yard.dead = {"lamp"}
    yard.minute(from_min + silent_min)
    yard.dead = set()
    yard.minute(6 * 60)
    assert yard.d.state("lamp", GAP) is None
