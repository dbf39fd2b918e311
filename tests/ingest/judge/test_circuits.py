"""Street lamps on one supply: one cause is one fault, and several that are out are worse.

START is 21:10 in Zhengzhou: the lamps are lit. They report every quarter of an hour, each at its
own time, behind a gateway that is heard every minute.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from devices.faults import Held, State
from devices.messages import Value
from devices.registry import Device
from tests.ingest.judge.district import COMPOUND, District, a_device

INTERVAL_S = 900
LIMIT_S = 3 * INTERVAL_S
MIN_S = 60
CIRCUIT = f"{COMPOUND}-street-1"
LIT: dict[str, Any] = {
    "switch_state": "on", "dim_level_pct": 100, "power_w": 40.0, "voltage_v": 229.0,
}  # fmt: skip
ROOT = "CIRCUIT_SUPPLY_LOSS"


def a_lamp(n: int, circuit: str | None = CIRCUIT, **attributes: Value) -> Device:
    return a_device(
        f"lamp-{n:02d}",
        "lamp",
        parent="gateway",
        circuit=circuit,
        attributes={
            "granularity": "lamp", "lamp_count": 1, "nominal_power_w": 40, "supply": "permanent",
            **attributes,
        },
    )  # fmt: skip


class Street:
    """Lamps that report when it is their turn, but those that are dead."""

    def __init__(self, lamps: Iterable[Device], at_s: float = 0) -> None:
        self.lamps = [lamp.id for lamp in lamps]
        self.district = District(a_device("gateway", "gateway"), *lamps)
        self.district.now_s = at_s
        self.dead: set[str] = set()
        self.says: dict[str, dict[str, Any]] = {}

    def goes_on(self, seconds: float, gateway: bool = True) -> None:
        until_s = self.district.now_s + seconds
        while self.district.now_s < until_s:
            slot = int(self.district.now_s % INTERVAL_S)
            for n, lamp in enumerate(self.lamps):
                if slot == n * INTERVAL_S // len(self.lamps) // 60 * 60 and lamp not in self.dead:
                    self.district.says(lamp, LIT | self.says.get(lamp, {}))
            if gateway:
                self.district.says("gateway", {})
            self.district.passes(MIN_S)

    def is_lit(self) -> "Street":
        self.goes_on(2 * INTERVAL_S)
        return self

    def raised(self, code: str) -> list[str]:
        return [f.split()[0] for f in self.district.all_faults() if f.split()[1] == code]

    def suppressed(self) -> set[str]:
        self.district.commit()
        return {
            f"{fault.device} {fault.code}"
            for fault in self.district.store.rows.faults.values()
            if fault.suppressed_by is not None
        }


def a_street(count: int = 10) -> Street:
    return Street([a_lamp(n) for n in range(1, count + 1)]).is_lit()


def test_a_street_without_power_is_one_fault_of_its_first_lamp() -> None:
    street = a_street()
    gone_ms = street.district.now_ms
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S - INTERVAL_S - MIN_S)
    assert street.district.all_faults() == []
    street.goes_on(5 * MIN_S)
    assert street.raised(ROOT) == []  # some have been silent for the limit, for not yet 5 minutes
    street.goes_on(2 * MIN_S)
    assert street.raised(ROOT) == ["lamp-01"]
    street.goes_on(INTERVAL_S)
    fault = street.district.fault("lamp-01", ROOT)
    assert fault is not None
    assert fault.severity == "P2"
    assert fault.evidence == {
        "circuit": CIRCUIT, "dead": 10, "of": 10, "silent": 10, "without_voltage": 0,
    }  # fmt: skip
    assert abs(fault.since_ms - gone_ms) <= INTERVAL_S * 1000
    assert sorted(street.raised("LAMP_COMM")) == street.lamps
    assert street.suppressed() == {f"{lamp} LAMP_COMM" for lamp in street.lamps}


def test_nobody_is_told_of_a_lamp_before_its_circuit_is_found() -> None:
    street = a_street()
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S + 5 * MIN_S)
    street.district.commit()
    events = street.district.store.rows.events
    root = street.district.fault("lamp-01", ROOT)
    assert root is not None
    told = [e for e in events if e.reason == "raised" and e.fault != root.id]
    assert len(told) == 10
    before = [event for event in told if event.held is not Held.SUPPRESSED]
    assert 0 < len(before) < 10  # the others were born under it
    assert all((event.notice_at_ms or 0) > root.opened_at_ms for event in before)


def test_it_is_over_three_minutes_after_the_lamps_are_back() -> None:
    street = a_street()
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S + 5 * MIN_S)
    street.dead = set()
    street.goes_on(2 * MIN_S)
    assert street.district.state("lamp-01", ROOT) is State.OPEN
    street.goes_on(INTERVAL_S)
    assert street.district.standing() == {}
    street.goes_on(2 * INTERVAL_S)
    assert street.raised(ROOT) == ["lamp-01"]


def test_lamps_that_are_still_silent_are_faults_of_their_own_when_the_circuit_is_back() -> None:
    street = a_street()
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S + 5 * MIN_S)
    street.dead = {"lamp-04"}
    street.goes_on(LIMIT_S + 2 * INTERVAL_S)
    assert street.district.standing() == {"lamp-04 LAMP_COMM": State.OPEN}
    fault = street.district.fault("lamp-04", "LAMP_COMM")
    assert fault is not None
    assert fault.suppressed_by is None


@pytest.mark.parametrize(("dead", "is_root"), [(1, False), (7, False), (8, True), (9, True)])
def test_so_many_of_a_circuit_must_be_silent(dead: int, is_root: bool) -> None:
    street = a_street()
    street.dead = set(street.lamps[:dead])
    street.goes_on(LIMIT_S + INTERVAL_S + 5 * MIN_S)
    assert street.raised(ROOT) == (["lamp-01"] if is_root else [])
    assert len(street.raised("LAMP_COMM")) == dead


def test_one_silent_lamp_that_is_a_circuit_by_itself_is_only_silent() -> None:
    street = Street([a_lamp(1, "alone"), a_lamp(2, None)]).is_lit()
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S + INTERVAL_S)
    assert street.raised(ROOT) == []
    assert street.raised("LAMP_COMM") == street.lamps


def test_lamps_that_failed_one_by_one_are_no_circuit_without_power() -> None:
    street = a_street(5)
    for lamp in street.lamps[1:]:
        street.dead.add(lamp)
        street.goes_on(LIMIT_S + INTERVAL_S)
    assert street.raised(ROOT) == []
    assert len(street.raised("LAMP_COMM")) == 4


def test_a_silent_gateway_says_nothing_of_the_supply_nor_does_it_when_it_is_back() -> None:
    street = a_street()
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S + INTERVAL_S, gateway=False)
    street.goes_on(INTERVAL_S)
    assert street.raised(ROOT) == []
    street.dead = set()
    street.goes_on(2 * INTERVAL_S)
    assert street.raised(ROOT) == []
    assert street.district.standing() == {}


def test_lamps_that_stay_silent_behind_a_gateway_that_is_back_have_no_power() -> None:
    street = a_street()
    street.dead = set(street.lamps)
    street.goes_on(LIMIT_S + INTERVAL_S, gateway=False)
    street.goes_on(LIMIT_S)
    assert street.raised(ROOT) == ["lamp-01"]


def test_what_we_could_not_hear_is_no_silence_of_the_street() -> None:
    street = a_street()
    street.district.deaf(4 * 3600)
    street.goes_on(2 * INTERVAL_S)
    assert street.district.all_faults() in ([], ["None SYS_PROBE_LOST"])


@pytest.mark.parametrize("supply", ["permanent", "switched"])
def test_by_day_a_silent_street_is_no_circuit_without_power(supply: str) -> None:
    street = Street([a_lamp(n, supply=supply) for n in range(1, 6)], at_s=10.5 * 3600).is_lit()
    street.dead = set(street.lamps)  # 08:10
    street.goes_on(3 * 3600)
    assert street.raised(ROOT) == []
    assert len(street.raised("LAMP_COMM")) == (5 if supply == "permanent" else 0)


def test_a_switched_street_that_does_not_come_on_is_without_power() -> None:
    street = Street([a_lamp(n, supply="switched") for n in range(1, 6)], at_s=9 * 3600).is_lit()
    street.dead = set(street.lamps)
    street.goes_on(11.5 * 3600)  # 18:10; dusk was at 17:43
    assert street.raised(ROOT) == []
    street.goes_on(3600)
    assert street.raised(ROOT) == ["lamp-01"]


def test_lamps_without_voltage_are_a_circuit_without_power_until_it_is_good() -> None:
    street = a_street()
    street.says = {lamp: {"voltage_v": 3.0, "power_w": 0.0} for lamp in street.lamps}
    street.goes_on(INTERVAL_S + 2 * MIN_S)
    assert street.raised(ROOT) == ["lamp-01"]
    street.says = {lamp: {"voltage_v": 120.0} for lamp in street.lamps}
    street.goes_on(2 * INTERVAL_S)
    assert street.district.state("lamp-01", ROOT) is State.OPEN
    street.says = {}
    street.goes_on(2 * INTERVAL_S)
    assert street.district.state("lamp-01", ROOT) is State.CLOSED


def test_a_lamp_without_voltage_among_others_is_out_and_no_circuit() -> None:
    street = a_street()
    street.says = {"lamp-01": {"voltage_v": 3.0, "power_w": 0.0}}
    street.goes_on(1800 + INTERVAL_S)
    assert street.raised(ROOT) == []
    assert street.raised("LAMP_OUT") == ["lamp-01"]


def test_it_survives_a_restart_at_any_minute() -> None:
    street = a_street()
    street.dead = set(street.lamps)
    for _ in range(LIMIT_S // MIN_S + 5):
        street.goes_on(MIN_S)
        street.district.restart()
    assert street.raised(ROOT) == ["lamp-01"]
    street.dead = set()
    for _ in range(20):
        street.goes_on(MIN_S)
        street.district.restart()
    assert street.district.standing() == {}


# --- neighbours --------------------------------------------------------------------------------


def severities(street: Street) -> dict[str, str]:
    return {
        lamp: str(fault.severity)
        for lamp in street.lamps
        if (fault := street.district.fault(lamp, "LAMP_OUT")) is not None
    }


@pytest.mark.parametrize(
    ("of", "out", "severity"),
    [(10, 1, "P3"), (10, 2, "P3"), (10, 3, "P2"), (24, 3, "P2"), (6, 2, "P2"), (2, 1, "P3")],
)
def test_lamps_that_are_out_are_worse_in_company(of: int, out: int, severity: str) -> None:
    street = a_street(of)
    street.says = {lamp: {"lamp_failure": True} for lamp in street.lamps[:out]}
    street.goes_on(1800 + INTERVAL_S + 2 * MIN_S)
    assert severities(street) == dict.fromkeys(street.lamps[:out], severity)


def test_the_third_makes_the_first_two_worse_also_after_a_restart() -> None:
    street = a_street()
    street.says = {lamp: {"lamp_failure": True} for lamp in street.lamps[:2]}
    street.goes_on(3 * INTERVAL_S)
    assert set(severities(street).values()) == {"P3"}
    street.district.restart()
    street.says["lamp-09"] = {"power_w": 0.4}
    street.goes_on(4 * INTERVAL_S)
    street.district.restart()
    street.goes_on(MIN_S)
    assert severities(street) == {"lamp-01": "P2", "lamp-02": "P2", "lamp-09": "P2"}
