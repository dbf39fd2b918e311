"""Maintenance windows and shelves: nobody is told for a time, and everything is recorded."""

from dataclasses import replace
from typing import Any

import pytest

from devices import faults
from devices.faults import NOTICED, FaultEvent, FaultMoved, Held, State, Why
from devices.rules import Severity
from tests.ingest.judge.district import (
    COMPOUND,
    START_MS,
    District,
    a_device,
    a_gate,
    a_lamp,
    a_shed,
)
from tests.ingest.judge.test_roots import Life, a_compound

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
TAMPER, SMOKE = "GATE_TAMPER", "SHED_SMOKE"
HOUR_S = 3600


def a_gate_and_shed() -> District:
    return District(a_gate(), *a_shed())


def events(d: District, code: str) -> list[FaultEvent]:
    d.commit()
    of = {fault.id: fault.code for fault in d.store.rows.faults.values()}
    return [event for event in d.store.rows.events if of[event.fault] == code]


def told(d: District, code: str) -> list[tuple[Why, Held | None]]:
    """What people would be told of the fault, and why they are not."""
    return [(e.reason, e.held) for e in events(d, code) if e.reason in NOTICED]


# Maintenance


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        ({}, True),
        ({"compound": COMPOUND}, True),
        ({"compound": "lvyun-xiaoqu"}, False),
        ({"kind": "gate"}, True),
        ({"kind": "shed"}, False),
        ({"devices": ("gate",)}, True),
        ({"devices": ("shed",)}, False),
        ({"codes": (TAMPER,)}, True),
        ({"codes": ("GATE_OFFLINE",)}, False),
        ({"compound": COMPOUND, "kind": "gate", "devices": ("gate",), "codes": (TAMPER,)}, True),
        ({"compound": COMPOUND, "kind": "gate", "devices": ("gate",), "codes": ("X",)}, False),
    ],
)
def test_a_window_holds_what_all_its_words_fit(scope: dict[str, Any], holds: bool) -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=HOUR_S, **scope)
    d.says("gate", {"tamper": True})
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    assert (fault.state, fault.maintenance) == (OPEN, "w" if holds else None)
    assert told(d, TAMPER) == [(Why.RAISED, Held.MAINTENANCE if holds else None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_still_stands_at_the_end_of_a_window_is_told_then(restarts: bool) -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, kind="gate")
    d.says("gate", {"tamper": True})
    d.passes(595, beating=["gate"])
    assert told(d, TAMPER) == [(Why.RAISED, Held.MAINTENANCE)]
    if restarts:
        d.restart()
    d.passes(10, beating=["gate"])
    assert told(d, TAMPER) == [(Why.RAISED, Held.MAINTENANCE), (Why.MAINTENANCE_ENDED, None)]
    last = events(d, TAMPER)[-1]
    assert (last.at_ms, last.evidence) == (d.at_ms(600), {"maintenance": "w"})
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    assert (fault.state, fault.maintenance) == (OPEN, None)
    d.passes(600, beating=["gate"])
    assert len(told(d, TAMPER)) == 2


def test_what_was_over_before_the_window_ends_is_on_record_and_was_never_told() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, kind="gate")
    d.says("gate", {"tamper": True})
    d.says("gate", {"tamper": False})
    d.passes(700, beating=["gate"])
    assert told(d, TAMPER) == [(Why.RAISED, Held.MAINTENANCE)]
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    assert (fault.state, fault.maintenance) == (CLOSED, "w")


def test_a_window_that_somebody_ends_before_its_time_ends_then() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=HOUR_S, kind="gate")
    d.says("gate", {"tamper": True})
    d.passes(60, beating=["gate"])
    d.ends_maintenance()
    d.passes(5)
    assert told(d, TAMPER) == [(Why.RAISED, Held.MAINTENANCE), (Why.MAINTENANCE_ENDED, None)]


def test_a_window_that_ended_while_nobody_judged_is_over_all_the_same() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, kind="gate")
    d.says("gate", {"tamper": True})
    d.commit()
    del d.store.rows.windows["w"]  # as the store gives only those that are not over
    d.load()
    d.passes(5)
    assert told(d, TAMPER)[-1] == (Why.MAINTENANCE_ENDED, None)


def test_a_window_that_follows_another_holds_on() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, kind="gate")
    d.says("gate", {"tamper": True})
    d.passes(300, beating=["gate"])
    d.maintains(for_s=600, window="later", devices=("gate",))
    d.passes(320, beating=["gate"])
    assert told(d, TAMPER) == [(Why.RAISED, Held.MAINTENANCE)]
    d.commit()
    (row,) = d.store.rows.faults.values()
    assert row.maintenance == "later"
    d.passes(300, beating=["gate"])
    assert told(d, TAMPER)[1:] == [(Why.MAINTENANCE_ENDED, None)]


def test_what_stood_before_the_window_was_told_and_what_gets_worse_in_it_is_held() -> None:
    d = District(a_device("camera", "camera"), *a_shed())
    d.says("shed", ports={"1": {"port_temp_c": 72}})
    d.passes(60, beating=["shed"])
    d.says("shed", ports={"1": {"port_temp_c": 72}})
    assert told(d, "PORT_OVERTEMP") == [(Why.RAISED, None)]
    d.maintains(for_s=600, kind="port")
    d.says("shed", ports={"1": {"port_temp_c": 95}})  # P1 is of the safety tier
    assert told(d, "PORT_OVERTEMP")[1:] == [(Why.WORSENED, None)]


def test_what_becomes_a_danger_is_not_shown_as_held_by_a_window_that_holds_no_danger() -> None:
    d = District(a_device("camera", "camera"), *a_shed())
    d.maintains(for_s=600, kind="port")
    d.says("shed", ports={"1": {"port_temp_c": 72}})
    d.passes(60, beating=["shed"])
    d.says("shed", ports={"1": {"port_temp_c": 72}})
    fault = d.fault("shed-p01", "PORT_OVERTEMP")
    assert fault is not None
    assert fault.maintenance == "w"
    d.says("shed", ports={"1": {"port_temp_c": 95}})
    d.passes(600, beating=["shed"])
    fault = d.fault("shed-p01", "PORT_OVERTEMP")
    assert fault is not None
    assert (fault.safety, fault.maintenance) == (True, None)
    assert told(d, "PORT_OVERTEMP") == [(Why.RAISED, Held.MAINTENANCE), (Why.WORSENED, None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_gets_worse_in_a_window_that_covers_it_is_held_to_its_end(restarts: bool) -> None:
    d = District(*a_shed(ports=12))
    d.maintains(for_s=600, kind="port")
    d.says("shed", ports={"1": {"port_status": "fuse_blown"}})
    d.passes(90, beating=["shed"])
    standing = d.fault("shed-p01", "PORT_FUSE_BLOWN")
    assert standing is not None
    worse = faults.worsen(standing, Severity.P2, False, d.now_ms, {})
    assert worse is not None
    d.judge._finder._record(d.judge.memories["shed-p01"], worse[0], OPEN, worse[1])
    if restarts:
        d.restart()
    d.passes(600, beating=["shed"])
    assert told(d, "PORT_FUSE_BLOWN") == [
        (Why.RAISED, Held.MAINTENANCE),
        (Why.WORSENED, Held.MAINTENANCE),
        (Why.MAINTENANCE_ENDED, None),
    ]


def test_what_its_root_lets_go_in_the_time_of_a_window_is_told_at_its_end() -> None:
    life = Life(*a_compound())
    life.lives(3600)
    life.loses_power()
    life.lives(900)
    life.d.maintains(for_s=3000, devices=("gate-2",))
    life.power_returns()
    life.dies("gate-2")
    life.lives(1800)
    of_gate = [e for e in life.d.judge.effects.moves if e.fault.device == "gate-2"]
    released = [move.event for move in of_gate if move.event.reason is Why.RELEASED]
    assert [event.held for event in released] == [Held.MAINTENANCE]
    life.lives(1800)
    of_gate = [e for e in life.d.judge.effects.moves if e.fault.device == "gate-2"]
    assert [(m.event.reason, m.event.held) for m in of_gate][-1:] == [(Why.MAINTENANCE_ENDED, None)]


def test_before_it_begins_a_window_holds_nothing() -> None:
    d = a_gate_and_shed()
    d.now_s = 600
    d.maintains(for_s=600, kind="gate")
    d.now_s = 0
    d.says("gate", {"tamper": True})
    assert told(d, TAMPER) == [(Why.RAISED, None)]


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        ({}, False),
        ({"compound": COMPOUND, "kind": "shed"}, False),
        ({"devices": ("shed",)}, False),
        ({"codes": (SMOKE,)}, False),
        ({"devices": ("shed",), "codes": (SMOKE,)}, True),
        ({"devices": ("other-shed",), "codes": (SMOKE,)}, False),
    ],
)
def test_a_safety_fault_is_held_by_named_devices_and_codes_alone(
    scope: dict[str, Any], holds: bool
) -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, **scope)
    d.says("shed", {"smoke": True})
    d.says("shed", {"smoke": False})
    assert d.standing() == {f"shed {SMOKE}": CLEARED}  # it stays on the list either way
    assert told(d, SMOKE) == [(Why.RAISED, Held.MAINTENANCE if holds else None)]
    d.passes(620, beating=["shed"])
    after = [(Why.MAINTENANCE_ENDED, None)] if holds else []
    assert told(d, SMOKE)[1:] == after  # it still waits for a person
    assert d.standing() == {f"shed {SMOKE}": CLEARED}


def test_a_window_without_reason_or_owner_holds_no_safety_fault() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, devices=("shed",), codes=(SMOKE,))
    window = d.store.rows.windows["w"]
    assert window.holds_safety
    assert not replace(window, reason="").holds_safety
    assert not replace(window, owner="").holds_safety


# Shelves


@pytest.mark.parametrize("restarts", [False, True])
def test_what_still_stands_when_its_shelf_ends_is_back_and_told(restarts: bool) -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.shelves("gate", TAMPER, for_s=HOUR_S)
    d.passes(HOUR_S - 5, beating=["gate"])
    assert told(d, TAMPER) == [(Why.RAISED, None)]
    if restarts:
        d.restart()
    d.passes(10, beating=["gate"])
    assert told(d, TAMPER) == [(Why.RAISED, None), (Why.SHELF_ENDED, None)]
    assert events(d, TAMPER)[-1].at_ms == d.at_ms(HOUR_S)
    (row,) = d.store.rows.faults.values()
    assert (row.state, row.shelved_until_ms) == (OPEN, None)


def test_a_shelf_ends_with_the_fault_and_the_next_time_is_told() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.shelves("gate", TAMPER, for_s=HOUR_S)
    d.says("gate", {"tamper": False})
    d.commit()
    (row,) = d.store.rows.faults.values()
    assert (row.state, row.shelved_until_ms) == (CLOSED, None)
    d.says("gate", {"tamper": True})
    assert told(d, TAMPER) == [(Why.RAISED, None), (Why.REOPENED, None)]
    d.passes(HOUR_S + 10, beating=["gate"])
    assert len(told(d, TAMPER)) == 2


def test_what_gets_worse_is_off_the_shelf_at_once() -> None:
    d = District(*a_shed())
    d.says("shed", ports={"1": {"port_temp_c": 72}})
    d.passes(60, beating=["shed"])
    d.says("shed", ports={"1": {"port_temp_c": 72}})
    d.shelves("shed-p01", "PORT_OVERTEMP", for_s=HOUR_S)
    d.says("shed", ports={"1": {"port_temp_c": 95}})
    assert told(d, "PORT_OVERTEMP") == [(Why.RAISED, None), (Why.WORSENED, None)]
    (row,) = d.store.rows.faults.values()
    assert (row.safety, row.shelved_until_ms) == (True, None)
    with pytest.raises(FaultMoved, match="safety fault"):
        faults.shelve(row, d.now_ms + 1000, "li-wei", d.now_ms)


def test_a_shelf_that_was_made_longer_while_it_ended_is_looked_at_again() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.shelves("gate", TAMPER, for_s=60)
    d.passes(65, beating=["gate"])  # the judge has decided that it is over
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    d.store.a_person(
        fault.id,
        lambda was: faults.shelve(was, d.at_ms(HOUR_S), "li-wei", d.now_ms),
    )
    with pytest.raises(FaultMoved):
        d.commit()
    d.load()
    d.probe()
    assert told(d, TAMPER) == [(Why.RAISED, None)]


def test_both_at_once_are_told_once_when_both_are_over() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=600, kind="gate")
    d.says("gate", {"tamper": True})
    d.shelves("gate", TAMPER, for_s=1200)
    d.passes(610, beating=["gate"])
    assert told(d, TAMPER)[1:] == [(Why.MAINTENANCE_ENDED, Held.SHELVED)]
    d.passes(600, beating=["gate"])
    assert told(d, TAMPER)[2:] == [(Why.SHELF_ENDED, None)]


def test_nothing_ends_while_we_cannot_hear() -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.probe()
    d.shelves("gate", TAMPER, for_s=60)
    d.deaf(HOUR_S)
    d.tick()
    assert told(d, TAMPER) == [(Why.RAISED, None)]
    d.probe()
    assert told(d, TAMPER)[1:] == [(Why.SHELF_ENDED, None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_root_explains_is_not_told_when_a_window_or_a_shelf_ends(restarts: bool) -> None:
    life = Life(*a_compound())
    life.lives(3600)
    life.d.maintains(for_s=1200, compound=COMPOUND)
    life.loses_power()
    life.lives(300)
    life.d.shelves("gate-1", "GATE_OFFLINE", for_s=1000)
    life.restarts = restarts
    life.lives(1200)
    assert told(life.d, "GATE_OFFLINE")[2:] == [
        (Why.MAINTENANCE_ENDED, Held.SUPPRESSED),
        (Why.MAINTENANCE_ENDED, Held.SUPPRESSED),
        (Why.SHELF_ENDED, Held.SUPPRESSED),
    ]
    assert life.alertable() == [f"{COMPOUND} COMPOUND_POWER_CUT"]
    life.power_returns()
    life.dies("gate-1")
    life.lives(600)
    assert told(life.d, "GATE_OFFLINE")[5:] == [(Why.RELEASED, None)]
    assert life.alertable()[1:] == ["gate-1 GATE_OFFLINE"]


# Devices that become something else


def test_a_device_that_is_of_another_kind_closes_its_faults_with_that_reason() -> None:
    d = District(a_device("thing", "gate"), *a_shed())
    d.says("thing", {"tamper": True})
    d.imports(a_device("thing", "camera"), *a_shed())
    last = events(d, TAMPER)[-1]
    assert (last.reason, last.becomes) == (Why.RETIRED, CLOSED)
    assert last.evidence == {"reason": "kind_changed"}
    (row,) = d.store.rows.faults.values()
    assert row.resolution == "kind_changed"
    d.says("thing", {"disk_state": "failed"})
    assert d.standing() == {"thing CCTV_DISK": OPEN}
    d.restart()
    assert d.standing() == {"thing CCTV_DISK": OPEN}


def test_a_device_whose_kind_changed_while_nobody_judged_closes_its_faults_too() -> None:
    d = District(a_device("thing", "gate"), *a_shed())
    d.says("thing", {"tamper": True})
    d.commit()
    d.registry = District(a_lamp("thing"), *a_shed()).registry
    d.load()
    assert d.standing() == {}
    assert events(d, TAMPER)[-1].evidence == {"reason": "kind_changed"}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_device_closes_its_faults_when_its_last_day_has_come(restarts: bool) -> None:
    d = District(
        a_device("gate", "gate", decommissioned_at_ms=START_MS + 60_000), *a_shed(), a_gate("other")
    )
    d.says("gate", {"tamper": True})
    d.says("other", {"tamper": True})
    d.passes(55)
    assert set(d.standing()) == {f"gate {TAMPER}", f"other {TAMPER}"}
    if restarts:
        d.restart()
    d.passes(10)
    assert set(d.standing()) == {f"other {TAMPER}"}
    last = events(d, TAMPER)[-1]
    assert (last.reason, last.evidence) == (Why.RETIRED, {"reason": "out_of_service"})
    assert d.store.rows.counts[COMPOUND, "gate"] == (1, 0, 0, 0)  # only the other one counts


def test_smoke_of_a_device_that_became_another_kind_waits_for_a_person() -> None:
    d = District(*a_shed("thing", 0))
    d.says("thing", {"smoke": True})
    d.imports(a_gate("thing"))
    assert d.standing() == {f"thing {SMOKE}": CLEARED}
    d.restart()
    d.acknowledges("thing", SMOKE)
    assert d.standing() == {}


# What people say of it


@pytest.mark.parametrize(
    ("suspected", "resolution", "state"),
    [
        (True, faults.FALSE_ALARM, CLOSED),  # the person looked, and the guess was wrong
        (True, None, OPEN),
        (False, faults.FALSE_ALARM, OPEN),  # the device itself says that it is so
    ],
)
def test_a_suspicion_that_was_refuted_is_not_back_at_once(
    suspected: bool, resolution: str | None, state: State
) -> None:
    d = a_gate_and_shed()
    d.says("gate", {"tamper": True})
    d.commit()
    (fault,) = d.store.rows.faults.values()
    d.store.rows.faults[fault.id] = replace(fault, suspected=suspected)
    d.load()
    d.closes("gate", TAMPER, resolution)
    assert d.state("gate", TAMPER) is state
    d.says("gate", {"tamper": True})
    assert d.state("gate", TAMPER) is OPEN  # it is suspected anew
