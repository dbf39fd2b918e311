"""Imports in the database: what was previewed is applied, or nothing; and the way back."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select

from devices.columns import COMPOUNDS, DEVICES, FIRMS
from devices.imports import Outcome
from devices.registry import Registry
from devices.store import registry_imports, schema
from devices.store.database import reading, writing
from devices.store.registry import load, newest_revision, save
from devices.store.registry_imports import Came, Import, Refusal, State, UnknownImport
from tests.devices.store.test_registry import COURT, GARDEN, NOW_MS, YAXIN, a_device

LATER_MS = NOW_MS + 60_000
GATE = {"id": "gate-2", "kind": "gate", "compound": "garden"}
SHED = {"id": "shed-1", "kind": "shed", "compound": "garden", "ports": "2"}
IMEI = {"protocol": "juy", "external_id": "869012345678901"}


@pytest.fixture
def engine(any_database: Engine) -> Engine:
    with writing(any_database) as connection:
        save(connection, Registry([YAXIN], [GARDEN, COURT], [a_device(unit="2")]), NOW_MS)
    return any_database


def previewed(engine: Engine, *rows: dict[str, str], table: str = DEVICES) -> Import:
    with writing(engine) as connection:
        tables = {table: list(enumerate(rows, 2))}
        return registry_imports.preview(connection, tables, "devices.csv", "li", NOW_MS)


def applied(engine: Engine, made: Import) -> Came:
    with writing(engine) as connection:
        return registry_imports.apply(connection, made.id, made.digest, "li", LATER_MS)


def undone(engine: Engine, made: Import) -> Came:
    with writing(engine) as connection:
        return registry_imports.undo(connection, made.id, "wang", LATER_MS + 1)


def loaded(engine: Engine) -> Registry:
    with reading(engine) as connection:
        return load(connection)


def revision(engine: Engine) -> int:
    with reading(engine) as connection:
        return newest_revision(connection)


def test_a_preview_writes_nothing_but_itself(engine: Engine) -> None:
    before = revision(engine)
    made = previewed(engine, GATE, GATE | {"id": "gate-3", "compound": "atlantis"})
    assert (made.state, made.added, made.wrong) == (State.PREVIEWED, 1, 1)
    assert revision(engine) == before
    assert list(loaded(engine).devices) == ["gate-1"]
    with reading(engine) as connection:
        assert [line.outcome for _, line in registry_imports.lines_of(connection, made.id)] == [
            Outcome.ADDED,
            Outcome.WRONG,
        ]
        ((number, wrong),) = registry_imports.lines_of(connection, made.id, Outcome.WRONG)
    assert (number, wrong.flaws[0].column, wrong.flaws[0].value) == (2, "compound", "atlantis")


def test_what_was_previewed_is_applied_once(engine: Engine) -> None:
    made = previewed(engine, GATE, SHED | IMEI)
    came = applied(engine, made)
    assert (came.refusal, came.is_news, came.made.state) == (None, True, State.APPLIED)
    assert list(loaded(engine).devices) == ["gate-1", "gate-2", "shed-1", *PORTS]
    after = revision(engine)
    again = applied(engine, made)
    assert (again.refusal, again.is_news) == (None, False)
    assert revision(engine) == after


PORTS = ("shed-1-p01", "shed-1-p02")


def test_with_a_wrong_line_nothing_is_applied(engine: Engine) -> None:
    made = previewed(engine, GATE, GATE)
    assert applied(engine, made).refusal is Refusal.WRONG
    assert list(loaded(engine).devices) == ["gate-1"]


def test_nothing_to_do_is_said(engine: Engine) -> None:
    made = previewed(engine, {"id": "gate-1", "kind": "gate", "compound": "garden"})
    assert made.unchanged == 1
    assert applied(engine, made).refusal is Refusal.NOTHING


def test_a_registry_that_changed_meanwhile_is_previewed_again(engine: Engine) -> None:
    made = previewed(engine, {"id": "gate-1", "kind": "gate", "compound": "garden", "unit": "6"})
    with writing(engine) as connection:
        save(connection, Registry((), (), [a_device(unit="6")]), NOW_MS)
    came = applied(engine, made)
    assert came.refusal is Refusal.MOVED
    assert (came.made.changed, came.made.digest == made.digest) == (0, False)
    assert applied(engine, came.made).refusal is Refusal.NOTHING


def test_a_change_elsewhere_does_not_hold_an_import_up(engine: Engine) -> None:
    made = previewed(engine, GATE)
    with writing(engine) as connection:
        save(connection, Registry((), (), [a_device("lamp-1", "lamp")]), NOW_MS)
    assert applied(engine, made).refusal is None


def test_a_digest_that_was_never_shown_applies_nothing(engine: Engine) -> None:
    made = previewed(engine, GATE)
    assert applied(engine, replace(made, digest="0" * 64)).refusal is Refusal.MOVED
    assert list(loaded(engine).devices) == ["gate-1"]


def test_undoing_puts_back_what_was_changed_and_retires_what_was_added(engine: Engine) -> None:
    changed = {"id": "gate-1", "kind": "gate", "compound": "court", "unit": "9"}
    made = previewed(engine, changed, SHED | IMEI)
    applied(engine, made)
    came = undone(engine, made)
    assert (came.refusal, came.made.state, came.made.undone_by) == (None, State.UNDONE, "wang")
    devices = loaded(engine).devices
    assert (devices["gate-1"].compound, devices["gate-1"].unit) == ("garden", "2")
    for device in ("shed-1", *PORTS):
        assert devices[device].decommissioned_at_ms == LATER_MS + 1
    assert devices["shed-1"].external_id == ""  # so that the next import may give it anew
    assert undone(engine, made).is_news is False
    assert applied(engine, made).refusal is Refusal.UNDONE


def test_a_mended_file_brings_back_what_was_undone(engine: Engine) -> None:
    made = previewed(engine, SHED | IMEI)
    applied(engine, made)
    undone(engine, made)
    again = previewed(engine, SHED | IMEI | {"decommissioned_at": ""})
    assert (again.changed, again.wrong) == (1, 0)
    assert applied(engine, again).refusal is None
    shed, port = (loaded(engine).devices[one] for one in ("shed-1", PORTS[0]))
    assert (shed.decommissioned_at_ms, port.decommissioned_at_ms) == (None, None)
    assert shed.external_id == IMEI["external_id"]


def test_what_somebody_changed_since_is_not_undone(engine: Engine) -> None:
    made = previewed(engine, GATE, {"id": "gate-1", "kind": "gate", "compound": "garden"})
    applied(engine, made)
    gate = replace(loaded(engine).devices["gate-2"], name="西门")
    with writing(engine) as connection:
        save(connection, Registry((), (), [gate]), LATER_MS)
    came = undone(engine, made)
    assert (came.refusal, came.names) == (Refusal.CHANGED_SINCE, ("gate-2",))
    assert loaded(engine).devices["gate-2"].decommissioned_at_ms is None


def test_a_preview_has_nothing_to_undo(engine: Engine) -> None:
    assert undone(engine, previewed(engine, GATE)).refusal is Refusal.NOT_APPLIED


def test_compounds_are_imported_and_put_back(engine: Engine) -> None:
    yard = {"id": "yard", "name_zh": "大院", "firm": "yaxin", "households": "80"}
    court = {"id": "court", "households": "81"}
    made = previewed(engine, yard, court, table=COMPOUNDS)
    assert applied(engine, made).refusal is None
    assert loaded(engine).compounds["court"].households == 81
    assert undone(engine, made).refusal is None
    assert loaded(engine).compounds["court"] == COURT
    assert "yard" in loaded(engine).compounds


def test_firms_are_imported_and_put_back(engine: Engine) -> None:
    new = {"id": "new", "name_zh": "新来"}
    made = previewed(engine, new, {"id": "yaxin", "name_zh": "亚新物业"}, table=FIRMS)
    assert applied(engine, made).refusal is None
    assert loaded(engine).firms["yaxin"].name.zh == "亚新物业"
    assert applied(engine, previewed(engine, new, table=FIRMS)).refusal is Refusal.NOTHING
    assert undone(engine, made).refusal is None
    assert loaded(engine).firms["yaxin"] == YAXIN
    assert "new" in loaded(engine).firms  # somebody may be of it by now


def test_a_firm_that_somebody_changed_since_is_not_put_back(engine: Engine) -> None:
    made = previewed(engine, {"id": "yaxin", "name_zh": "亚新物业"}, table=FIRMS)
    applied(engine, made)
    with writing(engine) as connection:
        save(connection, Registry([replace(YAXIN, contacts=())]), LATER_MS)
    came = undone(engine, made)
    assert (came.refusal, came.names) == (Refusal.CHANGED_SINCE, ("yaxin",))


def test_discarding_forgets_previews_alone(engine: Engine) -> None:
    first, second = previewed(engine, GATE), previewed(engine, SHED)
    applied(engine, first)
    with writing(engine) as connection:
        for made in (first, second):
            registry_imports.discard(connection, made.id)
        assert [made.id for made in registry_imports.list_imports(connection)] == [first.id]
        with pytest.raises(UnknownImport):
            registry_imports.lines_of(connection, second.id)


def test_old_previews_are_forgotten_and_imports_are_bounded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_imports, "KEPT", 3)
    old = previewed(engine, GATE)
    applied(engine, previewed(engine, SHED))
    with writing(engine) as connection:
        tables = {DEVICES: [(2, GATE)]}
        day_ms = registry_imports.PREVIEWS_KEPT_MS
        registry_imports.preview(connection, tables, "d.csv", "li", NOW_MS + day_ms + 1)
        ids = [made.id for made in registry_imports.list_imports(connection)]
        assert old.id not in ids
        for _ in range(4):
            registry_imports.preview(connection, tables, "d.csv", "li", NOW_MS + day_ms + 1)
        count = select(func.count()).select_from(schema.registry_imports)
        assert connection.execute(count).scalar_one() == 3


def test_lines_are_read_in_pages(engine: Engine) -> None:
    made = previewed(engine, *(GATE | {"id": f"gate-{n}"} for n in range(10, 15)))
    with reading(engine) as connection:
        page = registry_imports.lines_of(connection, made.id, limit=2)
        assert [line.id for _, line in page] == ["gate-10", "gate-11"]
        rest = registry_imports.lines_of(connection, made.id, after=page[-1][0])
        assert [line.id for _, line in rest] == ["gate-12", "gate-13", "gate-14"]


def test_of_two_who_confirm_at_once_one_writes(engine: Engine) -> None:
    made = previewed(engine, GATE)
    before = revision(engine)
    came: list[Came] = []
    both = [threading.Thread(target=lambda: came.append(applied(engine, made))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert sorted(one.is_news for one in came) == [False, True]
    assert [one.refusal for one in came] == [None, None]
    assert revision(engine) == before + 1
