"""The default district has exactly the figures of the report."""

from collections import Counter

import pytest

from devices.ids import is_id
from devices.registry import Device, Registry
from simulators.erqi import first, registry, shares


@pytest.fixture(scope="module")
def district() -> Registry:
    return registry()


def of(district: Registry, kind: str) -> list[Device]:
    return [device for device in district.devices.values() if device.kind == kind]


def test_there_are_225_compounds_and_39167_households(district: Registry) -> None:
    assert len(district.compounds) == 225
    assert sum(compound.households for compound in district.compounds.values()) == 39_167
    assert min(compound.households for compound in district.compounds.values()) >= 24
    assert sum(compound.synthetic for compound in district.compounds.values()) == 215


def test_each_firm_has_75_compounds_and_yaxin_its_own(district: Registry) -> None:
    assert Counter(c.firm for c in district.compounds.values()) == {
        "yaxin": 75,
        "zhengmei": 75,
        "kangqiao": 75,
    }
    assert district.compounds["yaxin-meihao-xinyuan"].firm == "yaxin"


def test_every_kind_has_the_reported_number_of_devices(district: Registry) -> None:
    assert Counter(device.kind for device in district.devices.values()) == {
        "gateway": 225,
        "gate": 349,
        "shed": 134,
        "port": 1_600,
        "lamp": 2_886 + 748,
        "camera": 820,
        "lift": 6,
    }
    assert len(district.devices) == 6_768


def test_gates_are_289_doors_and_60_barriers_with_one_to_four_in_each_compound(
    district: Registry,
) -> None:
    gates = of(district, "gate")
    assert Counter(gate.attributes["form"] for gate in gates) == {"pedestrian": 289, "barrier": 60}
    in_compound = Counter(gate.compound for gate in gates)
    assert set(in_compound) == set(district.compounds)
    assert max(in_compound.values()) <= 4


def test_sheds_are_in_118_compounds_with_10_12_or_20_sockets(district: Registry) -> None:
    sheds = of(district, "shed")
    in_compound = Counter(shed.compound for shed in sheds)
    assert Counter(in_compound.values()) == {1: 102, 2: 16}
    assert in_compound["jiaogong-xiaoqu"] == 1
    assert Counter(shed.attributes["ports"] for shed in sheds) == {10: 44, 12: 80, 20: 10}
    for shed in sheds:
        numbers = [port.attributes["port_no"] for port in district.children(shed.id)]
        assert numbers == list(range(1, int(shed.attributes["ports"]) + 1))


def test_lamps_are_9618_of_which_70_percent_hang_on_748_circuits(district: Registry) -> None:
    lamps = of(district, "lamp")
    assert sum(int(lamp.attributes["lamp_count"]) for lamp in lamps) == 9_618
    circuits = [lamp for lamp in lamps if lamp.attributes["granularity"] == "circuit"]
    assert Counter(lamp.attributes["lamp_count"] for lamp in circuits) == {
        6: 60,
        7: 100,
        8: 130,
        9: 168,
        10: 130,
        11: 100,
        12: 60,
    }
    switched = sum(lamp.attributes["supply"] == "switched" for lamp in circuits)
    assert switched == round(0.7 * 748)


def test_lifts_are_in_the_two_compounds_that_got_them(district: Registry) -> None:
    assert Counter(lift.compound for lift in of(district, "lift")) == {
        "yaxin-meihao-xinyuan": 4,
        "xinghuajie-60-haoyuan": 2,
    }


def test_jiaogong_has_its_6_buildings_and_21_units(district: Registry) -> None:
    compound = district.compounds["jiaogong-xiaoqu"]
    assert compound.households == 294
    cameras = [d for d in of(district, "camera") if d.compound == compound.id]
    assert all(camera.building <= "6号楼" for camera in cameras)


def test_every_compound_has_a_gateway_and_everything_but_sheds_is_behind_it(
    district: Registry,
) -> None:
    for device in district.devices.values():
        match device.kind:
            case "gateway" | "shed":
                assert device.parent is None
            case "port":
                assert district.devices[device.parent or ""].kind == "shed"
            case _:
                assert device.parent == f"{device.compound}-gateway"
                assert device.parent in district.devices


def test_every_name_is_an_id_and_every_device_in_its_place(district: Registry) -> None:
    for device in district.devices.values():
        assert is_id(device.id)
        assert device.compound in district.compounds
        assert device.name
        assert device.attributes["synthetic"] is True


def test_it_is_the_same_every_time(district: Registry) -> None:
    again = registry()
    assert list(again.compounds.values()) == list(district.compounds.values())
    assert [_figures(d) for d in again.devices.values()] == [
        _figures(d) for d in district.devices.values()
    ]


def test_vendors_change_only_the_protocol_of_their_share(district: Registry) -> None:
    mixed = registry(vendors=0.25)
    spoken = Counter((d.kind, d.protocol) for d in mixed.devices.values() if d.protocol != "native")
    assert spoken == {("shed", "juy"): round(0.25 * 134), ("lamp", "tasmota"): 187}
    names = [d.external_id for d in mixed.devices.values() if d.external_id]
    assert len(set(names)) == len(names)
    for ours, theirs in zip(district.devices.values(), mixed.devices.values(), strict=True):
        assert (ours.id, ours.name, ours.parent) == (theirs.id, theirs.name, theirs.parent)
        if theirs.protocol == "juy":
            assert theirs.external_id.isdigit()
            assert len(theirs.external_id) == 15
            assert _luhn(theirs.external_id)
        if theirs.protocol == "tasmota":
            assert theirs.interval_s == 300


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        registry(vendors=1.5)


def test_a_part_of_the_district_keeps_its_compounds_whole(district: Registry) -> None:
    part = first(district, 12)
    assert list(part.compounds) == list(district.compounds)[:12]
    for compound in part.compounds:
        whole = [d.id for d in district.devices.values() if d.compound == compound]
        assert [d.id for d in part.devices.values() if d.compound == compound] == whole


@pytest.mark.parametrize(
    ("total", "weights", "least", "most", "parts"),
    [
        (10, [1, 1, 1], 0, None, [4, 3, 3]),
        (7, [5, 1, 1], 1, None, [4, 2, 1]),
        (6, [9, 1], 1, [4, 4], [4, 2]),
        (0, [1, 2], 0, None, [0, 0]),
    ],
)
def test_shares_add_up_within_their_bounds(
    total: int, weights: list[float], least: int, most: list[int] | None, parts: list[int]
) -> None:
    assert shares(total, weights, least, most) == parts


def test_bounds_that_cannot_hold_the_total_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        shares(9, [1, 1], 0, [4, 4])


def _figures(device: Device) -> tuple[object, ...]:
    return (device.id, device.kind, device.name, device.parent, device.circuit, device.attributes)


def _luhn(digits: str) -> bool:
    doubled = (int(d) * (1 + k % 2) for k, d in enumerate(digits))
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0
