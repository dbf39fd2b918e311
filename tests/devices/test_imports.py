"""What an import would do, told line by line."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.columns import COMPOUNDS, DEVICES, FIRMS
from devices.imports import Change, Outcome, Plan, Rows, Step, plan
from devices.inventory import parse
from devices.registry import Registry

KNOWN = parse(
    {
        "firms": [{"id": "yaxin", "name": {"zh": "亚新"}}],
        "compounds": [
            {"id": place, "name": {"zh": place}, "firm": "yaxin", "households": 294}
            for place in ("garden", "court")
        ],
        "devices": [
            {"id": "gw-1", "kind": "gateway", "compound": "garden"},
            {"id": "gate-1", "kind": "gate", "compound": "garden", "parent": "gw-1", "unit": "2"},
            {"id": "shed-1", "kind": "shed", "compound": "garden", "attributes": {"ports": 2}},
        ],
    }
)
GATE = {"id": "gate-2", "kind": "gate", "compound": "garden"}


def rows(*each: dict[str, str]) -> Rows:
    return list(enumerate(each, 2))


def of_devices(*each: dict[str, str], known: Registry = KNOWN) -> Plan:
    return plan({DEVICES: rows(*each)}, known)


def test_each_line_is_added_changed_or_unchanged() -> None:
    made = of_devices(
        GATE,
        {"id": "gate-1", "kind": "gate", "compound": "garden", "unit": "3", "form": "barrier"},
        {"id": "gw-1", "kind": "gateway", "compound": "garden"},
    )
    assert [(line.line, line.id, line.outcome) for line in made.lines] == [
        (2, "gate-2", Outcome.ADDED),
        (3, "gate-1", Outcome.CHANGED),
        (4, "gw-1", Outcome.UNCHANGED),
    ]
    assert made.lines[1].changes == (Change("unit", "2", "3"), Change("form", "", "barrier"))
    assert [device.id for device in made.step.devices_after] == ["gate-2", "gate-1"]
    assert [device.unit for device in made.step.devices_before] == ["2"]


def test_a_shed_says_how_many_ports_come_along() -> None:
    made = of_devices({"id": "shed-1", "kind": "shed", "compound": "garden", "ports": "5"})
    (line,) = made.lines
    assert (line.outcome, line.ports) == (Outcome.CHANGED, 3)
    assert line.changes == (Change("ports", "2", "5"),)
    assert len(made.step.devices_after) == 4


def test_a_wrong_line_is_told_with_column_and_value_beside_the_good_ones() -> None:
    made = of_devices(GATE, GATE | {"id": "gate-3", "compound": "atlantis", "interval_s": "often"})
    good, wrong = made.lines
    assert good.outcome is Outcome.ADDED
    assert wrong.outcome is Outcome.WRONG
    assert [(flaw.column, flaw.value, flaw.word) for flaw in wrong.flaws] == [
        ("interval_s", "often", "no_number"),
        ("compound", "atlantis", "no_compound"),
    ]
    assert made.step.devices_after == ()  # all or nothing


def test_a_name_that_no_compound_has_is_told_as_that() -> None:
    (line,) = of_devices(GATE | {"compound": "大花园", "parent": "网关"}).lines
    assert [flaw.word for flaw in line.flaws] == ["no_compound", "no_parent"]


def test_what_hangs_on_a_device_that_moves_is_told_at_its_line() -> None:
    made = of_devices({"id": "gw-1", "kind": "gateway", "compound": "court"})
    (flaw,) = made.lines[0].flaws
    assert (flaw.word, flaw.values["child"]) == ("child_elsewhere", "gate-1")


def test_devices_may_come_with_their_new_compound() -> None:
    yard = {"id": "yard", "name_zh": "大院", "firm": "yaxin", "households": "80"}
    made = plan({COMPOUNDS: rows(yard), DEVICES: rows(GATE | {"compound": "yard"})}, KNOWN)
    assert [(line.table, line.outcome) for line in made.lines] == [
        (COMPOUNDS, Outcome.ADDED),
        (DEVICES, Outcome.ADDED),
    ]
    assert made.step.compounds_after[0].households == 80


def test_a_compound_may_come_with_its_new_firm() -> None:
    firm = {"id": "new", "name_zh": "新来", "contacts": "李伟, 0371-6601"}
    yard = {"id": "yard", "name_zh": "大院", "firm": "新来", "households": "80"}
    made = plan({COMPOUNDS: rows(yard), FIRMS: rows(firm, {"id": "yaxin"})}, KNOWN)
    assert [(line.table, line.id, line.outcome) for line in made.lines] == [
        (FIRMS, "new", Outcome.ADDED),
        (FIRMS, "yaxin", Outcome.UNCHANGED),
        (COMPOUNDS, "yard", Outcome.ADDED),
    ]
    assert [one.id for one in made.step.firms_after] == ["new"]
    assert made.step.compounds_after[0].firm == "new"


def test_a_firm_tells_what_changes_and_what_is_wrong() -> None:
    made = plan({FIRMS: rows({"id": "yaxin", "name_en": "Yaxin"}, {"id": "new"})}, KNOWN)
    changed, wrong = made.lines
    assert changed.changes == (Change("name_en", "亚新", "Yaxin"),)
    assert [(flaw.column, flaw.word) for flaw in wrong.flaws] == [("name_zh", "missing")]
    assert made.step == Step()


def test_a_compound_tells_what_changes() -> None:
    made = plan({COMPOUNDS: rows({"id": "court", "contacts": "李伟, 0371-6601"})}, KNOWN)
    assert made.lines[0].changes == (Change("contacts", "", "李伟, 0371-6601"),)
    again = plan({COMPOUNDS: rows({"id": "court", "households": "294"})}, KNOWN)
    assert again.lines[0].outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("field", ["name", "unit"])
def test_the_digest_is_of_what_is_shown_and_done(field: str) -> None:
    row = {"id": "gate-1", "kind": "gate", "compound": "garden", field: "9"}
    digest = of_devices(row).digest
    assert of_devices(row).digest == digest
    assert of_devices(row | {field: "8"}).digest != digest
    gate = dataclasses.replace(KNOWN.devices["gate-1"], building="7")
    moved = Registry(
        KNOWN.firms.values(),
        KNOWN.compounds.values(),
        (KNOWN.devices | {"gate-1": gate}).values(),
        revision=9,
    )
    assert of_devices(row, known=moved).digest != digest  # also what stays was seen otherwise
    same = Registry(
        KNOWN.firms.values(), KNOWN.compounds.values(), KNOWN.devices.values(), revision=9
    )
    assert of_devices(row, known=same).digest == digest


def test_what_was_applied_changes_nothing_when_it_comes_again() -> None:
    made = of_devices(GATE)
    devices = KNOWN.devices | {device.id: device for device in made.step.devices_after}
    after = Registry(KNOWN.firms.values(), KNOWN.compounds.values(), devices.values())
    again = of_devices(GATE, known=after)
    assert again.lines[0].outcome is Outcome.UNCHANGED
    assert again.step.devices_after == ()


CELLS = st.sampled_from(
    ["", "gate-1", "gate-2", "gw-1", "shed-1", "shed-1-p01", "garden", "court", "yaxin", "gate",
     "shed", "port", "lamp", "2", "65", "juy", "native", "often", "东门", "2026-11-23T10:00:00Z"]
)  # fmt: skip
COLUMNS = ("id", "kind", "compound", "parent", "name", "protocol", "external_id", "ports",
           "port_no", "interval_s", "decommissioned_at", "firm", "households")  # fmt: skip
ROWS = st.lists(st.dictionaries(st.sampled_from(COLUMNS), CELLS, max_size=8), max_size=5)


@given(ROWS, ROWS)
def test_any_rows_are_a_plan_and_what_it_did_is_not_done_again(
    compounds: list[dict[str, str]], devices: list[dict[str, str]]
) -> None:
    tables = {COMPOUNDS: rows(*compounds), DEVICES: rows(*devices)}
    made = plan(tables, KNOWN)
    assert len([line for line in made.lines if line.line]) == len(compounds) + len(devices)
    step = made.step
    if made.count(Outcome.WRONG):
        assert step == Step()
        return
    there = KNOWN.compounds | {one.id: one for one in step.compounds_after}
    have = KNOWN.devices | {one.id: one for one in step.devices_after}
    after = Registry(KNOWN.firms.values(), there.values(), have.values())
    again = plan(tables, after)
    assert {line.outcome for line in again.lines} <= {Outcome.UNCHANGED}
    assert again.step == Step()
