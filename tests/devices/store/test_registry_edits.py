"""Firms, compounds and devices as people look at them and change them one by one."""

import pytest
from sqlalchemy import Engine

from devices.inventory import BadRegistry, parse
from devices.registry import Contact, Registry
from devices.store import registry_edits as edits
from devices.store.database import reading, writing
from devices.store.registry import load, newest_revision, save
from devices.store.registry_edits import ChangedMeanwhile, NotThere, Wanted, seal_of
from devices.store.scope import DISTRICT, Scope

NOW_MS = 1_795_399_200_000
DISTRICT_FILE = {
    "firms": [{"id": firm, "name": {"zh": firm}} for firm in ("yaxin", "kangqiao")],
    "compounds": [
        {"id": "garden", "name": {"zh": "花园"}, "firm": "yaxin", "households": 294},
        {"id": "yard", "name": {"zh": "大院"}, "firm": "yaxin", "households": 10},
        {"id": "court", "name": {"zh": "小院"}, "firm": "kangqiao", "households": 80},
    ],
    "devices": [
        {"id": "gw-1", "kind": "gateway", "compound": "garden"},
        {
            "id": "gate-1",
            "kind": "gate",
            "compound": "garden",
            "parent": "gw-1",
            "name": "东门 100%",
            "building": "3",
        },
        {
            "id": "shed-1",
            "kind": "shed",
            "compound": "garden",
            "protocol": "juy",
            "external_id": "869012345678901",
            "attributes": {"ports": 2},
        },
        {"id": "lift-1", "kind": "lift", "compound": "court"},
    ],
}
YAXIN = Scope("yaxin")


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        save(connection, parse(DISTRICT_FILE), NOW_MS)
    return any_database


def loaded(engine: Engine) -> Registry:
    with reading(engine) as connection:
        return load(connection)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["gate-1", "gw-1", "shed-1", "shed-1-p01", "shed-1-p02"]),
        (Wanted(words=("东门",)), ["gate-1"]),
        (Wanted(words=("GATE", "3")), ["gate-1"]),
        (Wanted(words=("gate", "4")), []),
        (Wanted(words=("%",)), ["gate-1"]),  # no wildcard
        (Wanted(words=("8690123",)), ["shed-1"]),
        (Wanted(kind="port", parent="shed-1"), ["shed-1-p01", "shed-1-p02"]),
        (Wanted(protocol="juy", kind="shed"), ["shed-1"]),
        (Wanted(service="retired"), []),
        (Wanted(compound="court"), []),  # another firm's
        (Wanted(firm="kangqiao"), []),
    ],
)
def test_devices_are_found(engine: Engine, wanted: Wanted, found: list[str]) -> None:
    with reading(engine) as connection:
        rows = edits.list_devices(connection, YAXIN, wanted, NOW_MS)
        assert [row.device.id for row in rows] == found
        assert edits.count_devices(connection, YAXIN, wanted, NOW_MS) == len(found)


def test_devices_come_in_pages(engine: Engine) -> None:
    with reading(engine) as connection:
        page = edits.list_devices(connection, DISTRICT, Wanted(), NOW_MS, after="gate-1", limit=2)
    assert [row.device.id for row in page] == ["gw-1", "lift-1"]
    assert page[0].state == "never_seen"


def test_firms_and_compounds_are_their_own_peoples_alone(engine: Engine) -> None:
    with reading(engine) as connection:
        everyone = edits.list_firms(connection, DISTRICT)
        assert [(one.firm.id, one.compounds, one.devices) for one in everyone] == [
            ("kangqiao", 1, 1),
            ("yaxin", 2, 5),
        ]
        assert [one.firm.id for one in edits.list_firms(connection, YAXIN)] == ["yaxin"]
        assert edits.find_firm(connection, YAXIN, "kangqiao") is None
        assert edits.find_compound(connection, YAXIN, "court") is None
        assert edits.find_device(connection, YAXIN, "lift-1") is None
        places = edits.list_compounds(connection, DISTRICT, NOW_MS, words=["院"])
        assert [(one.compound.id, one.devices) for one in places] == [("court", 1), ("yard", 0)]
        places = edits.list_compounds(connection, YAXIN, NOW_MS, after="garden")
        assert [one.compound.id for one in places] == ["yard"]


def test_a_firm_and_a_compound_are_added_and_changed(engine: Engine) -> None:
    with writing(engine) as connection:
        edits.add_firm(connection, {"id": "zhengmei", "name": {"zh": "正美"}}, NOW_MS)
        entry = {"id": "new", "name": {"zh": "新"}, "firm": "zhengmei", "households": 1}
        edits.add_compound(connection, entry, NOW_MS)
        contact = {"name": "李伟", "phone": "0371-6601", "role": ""}
        edits.change_firm(connection, "zhengmei", {"contacts": [contact]}, NOW_MS)
        edits.change_compound(connection, "new", {"firm": "yaxin", "households": 2}, NOW_MS)
    registry = loaded(engine)
    assert registry.firms["zhengmei"].contacts == (Contact("李伟", "0371-6601", ""),)
    new = registry.compounds["new"]
    assert (new.firm, new.households, new.name.zh) == ("yaxin", 2, "新")


def test_what_is_there_is_not_added_again(engine: Engine) -> None:
    with writing(engine) as connection:
        entry = {"id": "gate-1", "kind": "gate", "compound": "garden"}
        with pytest.raises(BadRegistry, match="in the registry already"):
            edits.add_device(connection, entry, NOW_MS)
        with pytest.raises(BadRegistry, match="in the registry already"):
            edits.add_firm(connection, {"id": "yaxin", "name": {"zh": "x"}}, NOW_MS)


def test_a_device_is_changed_and_everything_else_of_it_stays(engine: Engine) -> None:
    with writing(engine) as connection:
        seen = seal_of(load(connection).devices["gate-1"])
        changes = {"name": "西门", "unit": "2"}
        change = edits.change_device(connection, "gate-1", changes, NOW_MS, seen=seen)
        assert change.changed == 1
        with pytest.raises(ChangedMeanwhile):
            edits.change_device(connection, "gate-1", {"name": "x"}, NOW_MS, seen=seen)
        with pytest.raises(NotThere):
            edits.change_device(connection, "gate-9", {"name": "x"}, NOW_MS)
        with pytest.raises(BadRegistry, match=r"gate-1\.interval_s"):
            edits.change_device(connection, "gate-1", {"interval_s": 0}, NOW_MS)
    gate = loaded(engine).devices["gate-1"]
    assert (gate.name, gate.unit, gate.building, gate.parent) == ("西门", "2", "3", "gw-1")


def test_a_change_that_changes_nothing_is_no_revision(engine: Engine) -> None:
    with writing(engine) as connection:
        before = newest_revision(connection)
        edits.change_device(connection, "gate-1", {"building": "3"}, NOW_MS)
        assert newest_revision(connection) == before


def test_a_shed_moves_with_its_ports(engine: Engine) -> None:
    with writing(engine) as connection:
        edits.move_device(connection, "shed-1", "yard", None, None, NOW_MS)
    devices = loaded(engine).devices
    assert {devices[one].compound for one in ("shed-1", "shed-1-p01", "shed-1-p02")} == {"yard"}


def test_a_gateway_moves_with_what_hangs_on_it_or_not_at_all(engine: Engine) -> None:
    with writing(engine) as connection:
        with pytest.raises(BadRegistry, match=r"gate-1\.parent: gw-1 is in yard"):
            edits.move_device(connection, "gw-1", "yard", None, None, NOW_MS)
        edits.move_device(connection, "gw-1", "yard", None, None, NOW_MS, along=True)
    devices = loaded(engine).devices
    assert (devices["gate-1"].compound, devices["gate-1"].parent) == ("yard", "gw-1")


def test_a_shed_goes_out_of_service_and_comes_back_with_its_ports(engine: Engine) -> None:
    with writing(engine) as connection:
        edits.retire_device(connection, "shed-1-p02", NOW_MS - 1)
        edits.retire_device(connection, "shed-1", NOW_MS)
        revision = newest_revision(connection)
        edits.retire_device(connection, "shed-1", NOW_MS + 5)
        assert newest_revision(connection) == revision
    devices = loaded(engine).devices
    assert [devices[one].decommissioned_at_ms for one in ("shed-1", "shed-1-p01")] == [NOW_MS] * 2
    assert devices["shed-1-p02"].decommissioned_at_ms == NOW_MS - 1
    with writing(engine) as connection:
        wanted = Wanted(service="retired")
        rows = edits.list_devices(connection, DISTRICT, wanted, NOW_MS)
        assert [row.device.id for row in rows] == ["shed-1", "shed-1-p01", "shed-1-p02"]
        edits.restore_device(connection, "shed-1", NOW_MS)
    devices = loaded(engine).devices
    assert [devices[one].decommissioned_at_ms for one in ("shed-1", "shed-1-p01")] == [None] * 2
    assert devices["shed-1-p02"].decommissioned_at_ms == NOW_MS - 1


def test_what_lost_its_name_in_its_protocol_needs_one_to_come_back(engine: Engine) -> None:
    with writing(engine) as connection:
        edits.retire_device(connection, "shed-1", NOW_MS)
        edits.change_device(connection, "shed-1", {"external_id": ""}, NOW_MS)
        with pytest.raises(BadRegistry, match=r"shed-1\.external_id: is missing"):
            edits.restore_device(connection, "shed-1", NOW_MS)
