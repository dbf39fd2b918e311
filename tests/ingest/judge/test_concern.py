"""What a fault takes away of its compound, counted from the messages."""

from typing import Any

import pytest

from devices.faults import State
from tests.ingest.judge.district import District, a_device, a_gate, a_lamp, a_shed

DAY_S = 86_400
THREE_IN_THE_NIGHT_S = 6 * 3_600  # START is 21:10


def a_compound(sockets: int = 12, lamps: int = 4, gates: int = 2) -> District:
    """A gateway with gates and lamps behind it, and a shed on its own modem."""
    behind = [a_gate(f"gate{n}") for n in range(gates)] + [
        a_lamp(f"lamp{n}", lamp_count=1, nominal_power_w=30) for n in range(lamps)
    ]
    children = [
        a_device(one.id, one.kind, parent="gateway", attributes=one.attributes) for one in behind
    ]
    district = District(
        a_device("gateway", "gateway"), *children, *a_shed("shed", sockets), a_lamp("circuit",
        granularity="circuit", lamp_count=8, nominal_power_w=9))  # fmt: skip
    district.says("gateway", {"uptime_s": 1})
    for one in behind:
        district.says(one.id, {"rssi_dbm": -60})
    district.says("circuit", {"switch_state": "on", "power_w": 72.0})
    district.says("shed", ports={str(n): {"port_status": "idle"} for n in range(1, sockets + 1)})
    district.probe()
    return district


def breaks(district: District, *ports: int) -> None:
    """These sockets have no fuse any more, and a minute passes."""
    broken = {str(n): {"port_status": "fuse_blown"} for n in ports}
    for _ in range(3):
        district.says("shed", ports=broken)
        district.passes(30)


def impact_of(district: District, device: str, code: str) -> Any:
    fault = district.fault(device, code)
    assert fault is not None
    assert fault.impact is not None
    return fault.impact


def rank_of(district: District, device: str, code: str) -> float:
    fault = district.fault(device, code)
    assert fault is not None
    return fault.rank


def test_one_socket_out_leaves_eleven() -> None:
    district = a_compound()
    breaks(district, 3)
    assert impact_of(district, "shed-p03", "PORT_FUSE_BLOWN") == {
        "sockets": 1, "sockets_left": 11, "sockets_total": 12, "charging": 0, "at_hour": 21,
    }  # fmt: skip


def test_the_tenth_socket_out_makes_the_first_one_weigh_more_and_all_are_written() -> None:
    district = a_compound()
    breaks(district, 1)
    first = rank_of(district, "shed-p01", "PORT_FUSE_BLOWN")
    district.commit()
    breaks(district, *range(1, 11))
    assert impact_of(district, "shed-p01", "PORT_FUSE_BLOWN")["sockets_left"] == 2
    assert rank_of(district, "shed-p01", "PORT_FUSE_BLOWN") > first
    assert rank_of(district, "shed-p10", "PORT_FUSE_BLOWN") == rank_of(
        district, "shed-p01", "PORT_FUSE_BLOWN"
    )
    district.commit()
    for fault in district.store.rows.faults.values():
        assert fault.impact is not None
        if fault.code == "PORT_FUSE_BLOWN":
            assert fault == district.fault(fault.device or "", fault.code)


def test_ten_of_twelve_sockets_come_before_one_lamp() -> None:
    district = a_compound()
    district.says("lamp0", {"control_gear_failure": True})
    breaks(district, *range(1, 11))
    for _ in range(62):
        district.says("lamp0", {"control_gear_failure": True})
        district.passes(30)
    lamp = rank_of(district, "lamp0", "LAMP_DRIVER")
    assert rank_of(district, "shed-p01", "PORT_FUSE_BLOWN") > lamp > 2_000


def test_a_silent_shed_takes_its_sockets_and_says_who_was_charging() -> None:
    district = a_compound()
    for port_no in (1, 2, 3):
        district.starts("shed", port_no, str(port_no))
    district.passes(200, ["gateway", "gate0", "gate1"])
    told = impact_of(district, "shed", "SHED_OFFLINE")
    assert told == {
        "sockets": 12, "sockets_left": 0, "sockets_total": 12, "charging": 3, "at_hour": 21,
    }  # fmt: skip


@pytest.mark.parametrize(("gates", "households"), [(1, 294), (2, 147), (3, 98)])
def test_a_gate_concerns_everybody_only_where_it_is_the_only_one(
    gates: int, households: int
) -> None:
    district = a_compound(gates=gates)
    others = [f"gate{n}" for n in range(1, gates)]
    district.passes(120, ["gateway", "shed", *others])
    told = impact_of(district, "gate0", "GATE_OFFLINE")
    assert told["households"] == households
    assert told["gates_left"] == gates - 1


def test_a_silent_gateway_concerns_all_households_and_what_is_behind_it() -> None:
    district = a_compound()
    district.passes(300, ["shed"])
    told = impact_of(district, "gateway", "GW_OFFLINE")
    assert told["households"] == 294
    assert (told["gates"], told["gates_left"]) == (2, 0)
    assert (told["lamps"], told["lamps_total"]) == (4, 12)
    assert "sockets" not in told  # the shed has a modem of its own


def test_of_a_circuit_only_the_dark_lamps_count() -> None:
    district = a_compound()
    district.says("circuit", {"control_gear_failure": True, "power_w": 54.0})
    for _ in range(62):
        district.says("circuit", {"control_gear_failure": True, "power_w": 54.0})
        district.passes(30)
    assert impact_of(district, "circuit", "LAMP_DRIVER")["lamps"] == 2


def test_with_the_hour_a_fault_weighs_differently() -> None:
    district = a_compound()
    breaks(district, 1)
    evening = rank_of(district, "shed-p01", "PORT_FUSE_BLOWN")
    idle = {str(n): {"port_status": "idle"} for n in range(2, 13)}
    for _ in range(2 * 60 * 6):
        district.says("shed", ports=idle)
        district.passes(30)
    assert impact_of(district, "shed-p01", "PORT_FUSE_BLOWN")["at_hour"] == 3
    assert rank_of(district, "shed-p01", "PORT_FUSE_BLOWN") < evening
    district.commit()
    (row,) = [f for f in district.store.rows.faults.values() if f.code == "PORT_FUSE_BLOWN"]
    assert row == district.fault("shed-p01", "PORT_FUSE_BLOWN")


def test_a_safety_fault_comes_first_and_a_closed_one_keeps_what_it_was() -> None:
    district = a_compound()
    breaks(district, *range(1, 11))
    district.says("shed", {"smoke": True})
    district.probe()
    smoke = rank_of(district, "shed", "SHED_SMOKE")
    assert smoke > 9_000
    assert impact_of(district, "shed", "SHED_SMOKE")["sockets"] == 12
    district.says("shed", ports={"1": {"port_status": "idle"}})
    district.passes(30)
    assert district.state("shed-p01", "PORT_FUSE_BLOWN") is State.CLOSED
    assert impact_of(district, "shed-p01", "PORT_FUSE_BLOWN")["sockets"] == 1


@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_person_confirms_comes_up_in_the_list_with_the_next_tick(restarts: bool) -> None:
    district = a_compound()
    for n in range(3):
        district.starts("shed", 3, str(n))
        district.passes(5)
        district.ends("shed", 3, str(n), "no_load_at_start")
        district.passes(30)
    assert rank_of(district, "shed-p03", "PORT_NO_LOAD_REPEAT") < 1_000
    district.confirms("shed-p03", "PORT_NO_LOAD_REPEAT")
    if restarts:
        district.restart()
    district.passes(5)
    assert rank_of(district, "shed-p03", "PORT_NO_LOAD_REPEAT") >= 1_000
    district.commit()
    (row,) = [f for f in district.store.rows.faults.values() if f.code == "PORT_NO_LOAD_REPEAT"]
    assert row == district.fault("shed-p03", "PORT_NO_LOAD_REPEAT")


def test_what_a_person_closes_weighs_on_no_other_from_the_next_tick_on() -> None:
    district = a_compound()
    district.ends("shed", 2, "7", "battery_abnormal")
    breaks(district, 1)
    before = impact_of(district, "shed-p01", "PORT_FUSE_BLOWN")["sockets_left"]
    assert before == 10
    district.closes("shed-p02", "PORT_BATTERY_ABNORMAL")
    district.passes(5)
    assert impact_of(district, "shed-p01", "PORT_FUSE_BLOWN")["sockets_left"] == 11


def test_restarts_change_no_impact() -> None:
    def judged(restarts: bool) -> dict[str, Any]:
        district = a_compound()
        for n in range(1, 8):
            breaks(district, n)
            if restarts:
                district.restart()
        district.passes(4_000, ["shed", "gateway", "gate0", "gate1"])
        district.commit()
        return {fault.id: fault for fault in district.store.rows.faults.values()}

    assert judged(restarts=True) == judged(restarts=False)


def test_a_power_cut_concerns_everybody_and_its_children_point_to_it() -> None:
    district = a_compound()
    district.says("gateway", {"mains_ok": False})
    for name in ("gate0", "gate1"):
        district.says(name, {"mains_ok": False})
    district.passes(900)
    (cut,) = [
        fault for memory in district.judge._roots.compounds() for fault in memory.faults.values()
    ]
    assert cut.impact is not None
    assert cut.impact["households"] == 294
    assert (cut.impact["sockets"], cut.impact["sockets_left"]) == (12, 0)
    assert (cut.impact["gates"], cut.impact["lamps"]) == (2, 12)
    assert cut.rank > rank_of(district, "gateway", "GW_OFFLINE")
    district.commit()
    assert district.store.rows.faults[cut.id] == cut
