from sqlalchemy import Engine, select

from devices.store.accounts import read_account
from devices.store.compounds import device_states, read_directory
from devices.store.database import reading, writing
from devices.store.devices import Filter, device_names, find_device, list_devices
from devices.store.schema import accounts, compounds
from devices.store.scope import DISTRICT, Scope
from tests.api.cast import (
    DEVICES,
    GATE,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    a_district,
    a_state,
)

YAXIN, NOBODY = Scope("yaxin"), Scope("nobody")


def with_district(engine: Engine) -> None:
    with writing(engine) as connection:
        a_district(connection)
        a_state(connection, GATE, "online")
        a_state(connection, STRANGE_GATE, "offline")


def test_the_district_holds_every_compound_a_firm_its_own_and_nobody_none(
    any_database: Engine,
) -> None:
    with_district(any_database)
    with reading(any_database) as connection:
        for scope, held in (
            (DISTRICT, {XIANGYUNLI, LIANXIN}),
            (YAXIN, {XIANGYUNLI}),
            (NOBODY, set()),
        ):
            query = select(compounds.c.id).where(scope.holds(compounds.c.id))
            assert set(connection.scalars(query)) == held


def test_what_is_no_compound_is_the_districts_alone(any_database: Engine) -> None:
    with_district(any_database)
    with writing(any_database) as connection:
        connection.execute(
            accounts.insert().values(
                stream="live",
                compound="unassigned",
                hour_ms=0,
                outcome="stored",
                reason="",
                count=3,
            )
        )
        assert read_account(connection, DISTRICT).stored == 3
        assert read_account(connection, YAXIN).stored == 0


def test_the_directory_has_compounds_with_devices_in_service_and_all_their_lamps(
    any_database: Engine,
) -> None:
    with_district(any_database)
    with reading(any_database) as connection:
        directory = read_directory(connection, NOW_MS)
    entry = directory.compounds[XIANGYUNLI]
    assert entry.devices == {
        "gateway": 1,
        "gate": 1,
        "shed": 1,
        "port": 2,
        "lamp": 1,
        "camera": 1,
    }
    assert entry.lamps == 8
    assert [e.id for e in directory.visible(DISTRICT)] == [LIANXIN, XIANGYUNLI]
    assert [e.id for e in directory.visible(YAXIN)] == [XIANGYUNLI]
    assert directory.find(YAXIN, XIANGYUNLI) is entry
    assert directory.find(YAXIN, LIANXIN) is None
    assert directory.find(DISTRICT, "atlantis") is None


def test_reads_of_devices_end_at_the_scope(any_database: Engine) -> None:
    with_district(any_database)
    with reading(any_database) as connection:
        listed = list_devices(connection, YAXIN, Filter(), blind=False, now_ms=NOW_MS)
        assert {standing.compound for standing in listed} == {XIANGYUNLI}
        assert find_device(connection, YAXIN, STRANGE_GATE, blind=False) is None
        found = find_device(connection, DISTRICT, STRANGE_GATE, blind=False)
        assert found is not None
        assert found.state == "offline"
        names = device_names(connection, YAXIN, {GATE, STRANGE_GATE})
        assert names == {GATE: ("东门", "", "")}
        assert {compound for compound, _ in device_states(connection, YAXIN)} == {XIANGYUNLI}


def test_a_list_of_devices_goes_on_behind_the_last_one(any_database: Engine) -> None:
    with_district(any_database)
    with reading(any_database) as connection:
        pages = []
        after = None
        while True:
            page = list_devices(
                connection, DISTRICT, Filter(), blind=False, now_ms=NOW_MS, after=after, limit=4
            )
            if not page:
                break
            pages += [standing.id for standing in page]
            after = page[-1].id
    assert pages == sorted(device.id for device in DEVICES)
