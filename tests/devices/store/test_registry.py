"""The registry in the database: what a save adds and changes, and what it leaves alone."""

import dataclasses
import threading
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event, select, text, update

from devices.inventory import BadRegistry
from devices.registry import Compound, Contact, Device, Firm, Name, Registry
from devices.store import schema
from devices.store.database import open_database, reading, writing
from devices.store.registry import (
    Change,
    add_revision,
    device_numbers,
    load,
    newest_revision,
    refresh_counts,
    save,
)

NOW_MS = 1_795_399_200_000

YAXIN = Firm("yaxin", Name("亚新", "Yaxin"), (Contact("李伟", "0371-1", "值班"),))
GARDEN = Compound("garden", Name("花园", "Garden"), "yaxin", 294, latitude=34.7466, synthetic=True)
COURT = Compound(
    "court", Name("小院", "Court"), "yaxin", 80, contacts=(Contact("王", "2", "物业"),)
)


def a_device(device: str = "gate-1", kind: str = "gate", **more: Any) -> Device:
    fields: dict[str, Any] = {"compound": "garden", "name": f"{device} 号", "interval_s": 60}
    return Device(device, kind, **(fields | more))


def a_registry(*devices: Device, compounds: Iterable[Compound] = (GARDEN, COURT)) -> Registry:
    return Registry([YAXIN], compounds, devices)


def plain(registry: Registry) -> list[object]:
    return [
        {key: dataclasses.asdict(item) for key, item in part.items()}
        for part in (registry.firms, registry.compounds, registry.devices)
    ]


def saved(engine: Engine, registry: Registry, now_ms: int = NOW_MS) -> Change:
    with writing(engine) as connection:
        return save(connection, registry, now_ms)


def loaded(engine: Engine) -> Registry:
    with reading(engine) as connection:
        return load(connection)


def counts(engine: Engine) -> dict[tuple[str, str], tuple[int, ...]]:
    with reading(engine) as connection:
        rows = connection.execute(select(schema.compound_counts)).all()
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}


SHED = a_device(
    "shed-1",
    "shed",
    protocol="juy",
    external_id="869012345678901",
    vendor="JUY",
    model="V1.2",
    building="3",
    unit="2",
    circuit="c1",
    commissioned_at_ms=NOW_MS,
    attributes={"ports": 12, "nominal_power_w": 9.5, "metered": True, "form": "壁挂"},
)
PORT = a_device("shed-1-p01", "port", parent="shed-1", attributes={"port_no": 1})


def test_what_was_saved_is_loaded(any_database: Engine) -> None:
    registry = a_registry(SHED, PORT, a_device())
    saved(any_database, registry)
    again = loaded(any_database)
    assert plain(again) == plain(registry)
    assert list(again.devices) == list(registry.devices)
    assert again.external("juy", "869012345678901") is again.devices["shed-1"]
    assert again.port("shed-1", 1) is again.devices["shed-1-p01"]


def test_a_save_counts_what_it_did_and_takes_a_number(any_database: Engine) -> None:
    change = saved(any_database, a_registry(SHED, PORT))
    assert change == Change(
        added=2,
        changed=0,
        unchanged=0,
        firms=1,
        compounds=2,
        revision=loaded(any_database).revision,
    )
    assert change.revision is not None
    with reading(any_database) as connection:
        row = connection.execute(select(schema.revisions)).one()
    assert (row.what, row.at_ms, row.body) == ("registry", NOW_MS, {"added": 2, "changed": 0})


def test_saving_the_same_twice_changes_nothing(any_database: Engine) -> None:
    first = saved(any_database, a_registry(SHED, PORT))
    again = saved(any_database, a_registry(SHED, PORT), NOW_MS + 1)
    assert again == Change(added=0, changed=0, unchanged=2, firms=0, compounds=0, revision=None)
    assert loaded(any_database).revision == first.revision


@pytest.mark.parametrize(
    "change",
    [
        {"name": "大门"},
        {"interval_s": 30},
        {"compound": "court"},
        {"parent": "shed-1"},
        {"external_id": "SN-7", "protocol": "facesluice"},
        {"attributes": {"form": "barrier"}},
        {"decommissioned_at_ms": NOW_MS},
    ],
)
def test_a_changed_field_is_written_with_a_new_number(
    any_database: Engine, change: dict[str, Any]
) -> None:
    first = saved(any_database, a_registry(SHED, a_device()))
    second = saved(any_database, a_registry(SHED, a_device(**change)))
    assert (second.added, second.changed, second.unchanged) == (0, 1, 1)
    assert second.revision is not None
    assert first.revision is not None
    assert second.revision > first.revision
    assert plain(loaded(any_database)) == plain(a_registry(SHED, a_device(**change)))


def test_a_compound_that_changes_hands_is_a_change(any_database: Engine) -> None:
    saved(any_database, a_registry())
    zhengmei = Firm("zhengmei", Name("正美", "Zhengmei"))
    moved = dataclasses.replace(GARDEN, firm="zhengmei")
    change = saved(any_database, Registry([YAXIN, zhengmei], [moved, COURT]))
    assert (change.firms, change.compounds, change.added) == (1, 1, 0)
    assert change.revision == loaded(any_database).revision
    assert loaded(any_database).compounds["garden"].firm == "zhengmei"


def test_what_a_new_registry_does_not_name_stays(any_database: Engine) -> None:
    saved(any_database, a_registry(SHED, PORT))
    change = saved(any_database, Registry(devices=[a_device()]))
    assert (change.added, change.changed, change.unchanged) == (1, 0, 0)
    assert list(loaded(any_database).devices) == ["shed-1", "shed-1-p01", "gate-1"]


def test_a_device_keeps_its_number_for_life(any_database: Engine) -> None:
    saved(any_database, a_registry(SHED, PORT))
    with reading(any_database) as connection:
        before = device_numbers(connection)
    saved(any_database, a_registry(a_device(), dataclasses.replace(SHED, name="东棚"), PORT))
    with reading(any_database) as connection:
        after = device_numbers(connection)
    assert set(before) == {"shed-1", "shed-1-p01"}
    assert after.items() > before.items()
    assert len(set(after.values())) == 3


def test_two_devices_may_exchange_their_external_ids(any_database: Engine) -> None:
    first, second = (a_device(f"lamp-{n}", "lamp", protocol="tasmota") for n in (1, 2))
    named = [(first, "plug-a"), (second, "plug-b")]
    saved(any_database, a_registry(*(dataclasses.replace(d, external_id=x) for d, x in named)))
    swapped = [(first, "plug-b"), (second, "plug-a")]
    saved(any_database, a_registry(*(dataclasses.replace(d, external_id=x) for d, x in swapped)))
    device = loaded(any_database).external("tasmota", "plug-b")
    assert device is not None
    assert device.id == "lamp-1"


def test_an_external_id_of_a_device_that_stays_is_refused(any_database: Engine) -> None:
    saved(any_database, a_registry(SHED))
    rival = a_device("shed-2", "shed", protocol="juy", external_id=SHED.external_id)
    with pytest.raises(BadRegistry, match=r"shed-2: shed-1 is '869012345678901' in juy already"):
        saved(any_database, a_registry(rival))
    assert list(loaded(any_database).devices) == ["shed-1"]


def test_one_external_id_in_two_protocols_is_two_devices(any_database: Engine) -> None:
    names = [a_device(f"d-{p}", "lamp", protocol=p, external_id="7") for p in ("tasmota", "shelly")]
    assert saved(any_database, a_registry(*names)).added == 2


def test_all_that_does_not_hold_together_is_told_at_once(any_database: Engine) -> None:
    nowhere = dataclasses.replace(GARDEN, firm="nobody")
    lost = a_device("gate-2", compound="atlantis", parent="nothing")
    with pytest.raises(BadRegistry) as raised:
        saved(any_database, a_registry(lost, a_device(), compounds=[nowhere]))
    assert [problem.where for problem in raised.value.problems] == [
        "compound garden",
        "device gate-2",
        "device gate-2",
    ]
    assert plain(loaded(any_database)) == [{}, {}, {}]


def test_a_new_device_has_never_been_seen(any_database: Engine) -> None:
    saved(any_database, a_registry(SHED, PORT))
    with reading(any_database) as connection:
        numbers = device_numbers(connection)
        rows = connection.execute(select(schema.device_state)).all()
    assert {row.device_no for row in rows} == set(numbers.values())
    for row in rows:
        assert (row.stream, row.state, row.since_ms) == ("live", "never_seen", NOW_MS)
        assert row.last_seen_ms is None
        assert msgspec.msgpack.decode(row.latest) == {}
        assert msgspec.msgpack.decode(row.memory) == {}


def test_a_save_leaves_the_state_of_known_devices_alone(any_database: Engine) -> None:
    saved(any_database, a_registry(SHED))
    with writing(any_database) as connection:
        connection.execute(update(schema.device_state).values(state="online", last_seen_ms=5))
    saved(any_database, a_registry(dataclasses.replace(SHED, name="东棚"), PORT))
    with reading(any_database) as connection:
        states = connection.execute(select(schema.device_state.c.state)).scalars().all()
    assert sorted(states) == ["never_seen", "online"]
    assert counts(any_database) == {
        ("garden", "shed"): (1, 0, 0, 0),
        ("garden", "port"): (0, 0, 0, 1),
    }


def test_a_device_that_moves_is_counted_where_it_is(any_database: Engine) -> None:
    saved(any_database, a_registry(a_device("gate-1"), a_device("gate-2")))
    assert counts(any_database) == {("garden", "gate"): (0, 0, 0, 2)}
    saved(any_database, a_registry(a_device("gate-2", compound="court")))
    assert counts(any_database) == {
        ("garden", "gate"): (0, 0, 0, 1),
        ("court", "gate"): (0, 0, 0, 1),
    }


def test_a_decommissioned_device_is_no_longer_counted(any_database: Engine) -> None:
    saved(any_database, a_registry(a_device("gate-1"), a_device("gate-2")))
    saved(any_database, a_registry(a_device("gate-2", decommissioned_at_ms=NOW_MS)))
    assert counts(any_database) == {("garden", "gate"): (0, 0, 0, 1)}


def test_a_history_is_not_counted_as_live(any_database: Engine) -> None:
    saved(any_database, a_registry(a_device()))
    with writing(any_database) as connection:
        live = connection.execute(select(schema.device_state)).mappings().one()
        row = dict(live) | {"stream": "last-week", "state": "offline"}
        connection.execute(schema.device_state.insert(), row)
        refresh_counts(connection, ["garden"], NOW_MS)
    assert counts(any_database) == {("garden", "gate"): (0, 0, 0, 1)}


def test_the_log_numbers_all_decisions_and_the_registry_asks_for_its_own(
    any_database: Engine,
) -> None:
    with writing(any_database) as connection:
        assert newest_revision(connection) == 0
        first = add_revision(connection, "registry", "registry", {}, NOW_MS)
        second = add_revision(connection, "fault", "f-1", {"action": "acknowledge"}, NOW_MS)
        assert second > first
        assert newest_revision(connection) == first
        assert newest_revision(connection, "fault") == second


def test_the_newest_change_of_the_registry_is_found_without_reading_what_came_after_it(
    sqlite_database: Engine,
) -> None:
    asked: list[str] = []

    @event.listens_for(sqlite_database, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    with reading(sqlite_database) as connection:
        newest_revision(connection)
        (query,) = [statement for statement in asked if "FROM revisions" in statement]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("registry",)).all()
    assert [row.detail for row in plan] == [
        "SEARCH revisions USING COVERING INDEX ix_revisions_what (what=?)"
    ]


def test_numbers_of_the_log_become_visible_in_their_order(database_url: str) -> None:
    """Who follows the log by number must never see 2 before 1: the second writer waits."""
    engine = open_database(database_url)
    entered = threading.Event()

    def write() -> None:
        entered.set()
        with writing(engine) as connection:
            add_revision(connection, "fault", "second", {}, NOW_MS)

    second = threading.Thread(target=write)
    with writing(engine) as connection:
        first = add_revision(connection, "fault", "first", {}, NOW_MS)
        second.start()
        assert entered.wait(10)
        second.join(0.2)
        assert second.is_alive()
    second.join(10)
    with reading(engine) as connection:
        query = text("SELECT id FROM revisions ORDER BY id")
        seen = list(connection.execute(query).scalars())
    engine.dispose()
    assert len(seen) == 2
    assert seen[0] == first


def test_two_imports_at_once_are_one_after_the_other(any_database: Engine) -> None:
    changes: list[Change] = []
    gate = threading.Barrier(3)

    def run() -> None:
        gate.wait(10)
        changes.append(saved(any_database, a_registry(SHED, PORT)))

    runs = [threading.Thread(target=run) for _ in range(3)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join(30)
    assert sorted(change.added for change in changes) == [0, 0, 2]
