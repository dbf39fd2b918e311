"""A fault that comes and goes: one row, few words, and never a silent safety fault."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.faults import NOTICED, FaultEvent, State, Why, is_flapping
from tests.ingest.judge.district import District, a_gate, a_shed

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
TAMPER, SMOKE = "GATE_TAMPER", "SHED_SMOKE"


def a_gate_and_shed() -> District:
    return District(a_gate(), *a_shed())


def events(d: District, code: str) -> list[FaultEvent]:
    d.commit()
    of = {fault.id: fault.code for fault in d.store.rows.faults.values()}
    return [event for event in d.store.rows.events if of[event.fault] == code]


def notices(d: District, code: str) -> list[Why]:
    """What people are told of the fault."""
    return [e.reason for e in events(d, code) if e.reason in NOTICED and e.held is None]


def flaps(d: District, times: int, every_s: float = 1.0) -> None:
    """The gate's tamper contact goes bad and good again, so often."""
    for _ in range(times):
        for tamper in (True, False):
            d.now_s += every_s
            d.says("gate", {"tamper": tamper})
            if round(d.now_s) % 5 == 0:
                d.probe()


def test_once_and_twice_it_opens_and_closes_and_from_the_third_time_on_it_stays_open() -> None:
    d = a_gate_and_shed()
    for times, state in ((1, CLOSED), (2, CLOSED), (3, OPEN), (4, OPEN)):
        flaps(d, 1)
        assert d.state("gate", TAMPER) is state, times
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    assert (fault.occurrences, fault.flaps) == (4, 3)
    assert [(e.reason, e.held) for e in events(d, TAMPER)] == [
        (Why.RAISED, None),
        (Why.OVER, None),
        (Why.REOPENED, None),
        (Why.OVER, None),
        (Why.REOPENED, "flapping"),
    ]


def test_flapping_once_a_second_for_an_hour_is_one_row_two_notices_and_an_end() -> None:
    d = a_gate_and_shed()
    flaps(d, 1800)
    assert d.all_faults() == [f"gate {TAMPER}"]
    (row,) = d.store.rows.faults.values()
    assert row.state is OPEN
    assert row.flaps == row.occurrences - 1 > 600  # as many as the device is let say
    assert notices(d, TAMPER) == [Why.RAISED, Why.REOPENED]
    assert len(events(d, TAMPER)) == 5
    d.passes(595, beating=["gate"])
    assert d.state("gate", TAMPER) is OPEN
    d.passes(20, beating=["gate"])
    assert d.state("gate", TAMPER) is CLOSED
    assert notices(d, TAMPER) == [Why.RAISED, Why.REOPENED]
    d.passes(60, beating=["gate"])
    d.says("gate", {"tamper": True})  # it was quiet: this is news again
    assert notices(d, TAMPER) == [Why.RAISED, Why.REOPENED, Why.REOPENED]
    assert len(d.all_faults()) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 90)), min_size=1, max_size=120),
    st.integers(0, 119),
)
def test_however_it_flaps_it_is_one_row_and_two_notices_in_ten_minutes(
    steps: list[tuple[bool, int]], restart_at: int
) -> None:
    """A restart anywhere changes nothing, and ten minutes of quiet end it."""
    d, undisturbed = a_gate_and_shed(), a_gate_and_shed()
    for district in (d, undisturbed):
        for n, (tamper, after_s) in enumerate(steps):
            district.passes(after_s, beating=["gate"])
            district.says("gate", {"tamper": tamper})
            if n == restart_at and district is d:
                district.restart()
        district.says("gate", {"tamper": False})
        district.passes(660, beating=["gate"])
        district.commit()
        assert len(district.store.rows.faults) <= 1
        # after ten minutes of quiet it is told again
        assert len(notices(district, TAMPER)) <= 2 + sum(s for _, s in steps) // 300
        assert district.standing() == {}
    assert d.store.rows.faults == undisturbed.store.rows.faults
    assert d.store.rows.events == undisturbed.store.rows.events


def test_coming_back_within_the_ten_minutes_begins_them_anew_also_after_a_restart() -> None:
    d = a_gate_and_shed()
    flaps(d, 3)
    for _ in range(3):
        d.passes(400, beating=["gate"])
        d.restart()
        flaps(d, 1)
        assert d.state("gate", TAMPER) is OPEN
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    assert fault.flaps == 5
    d.passes(590, beating=["gate"])
    assert d.state("gate", TAMPER) is OPEN
    d.passes(30, beating=["gate"])
    assert d.state("gate", TAMPER) is CLOSED


@pytest.mark.parametrize("restarts", [False, True])
def test_raised_three_times_in_more_than_ten_minutes_it_opens_and_closes_and_is_told_twice(
    restarts: bool,
) -> None:
    d = a_gate_and_shed()
    for _ in range(12):
        flaps(d, 1)
        d.passes(310, beating=["gate"])
        assert d.state("gate", TAMPER) is CLOSED
        if restarts:
            d.restart()
    assert notices(d, TAMPER) == [Why.RAISED, Why.REOPENED]
    held = [e.held for e in events(d, TAMPER) if e.reason is Why.REOPENED]
    assert held == [None, *["flapping"] * 10]
    assert len(d.all_faults()) == 1
    d.passes(600, beating=["gate"])
    flaps(d, 1)  # it was quiet for longer: another fault
    assert len(d.all_faults()) == 2
    assert len(notices(d, TAMPER)) == 3


def test_what_stood_for_most_of_an_hour_before_it_is_back_is_told_each_time() -> None:
    d = a_gate_and_shed()
    for _ in range(4):
        d.says("gate", {"tamper": True})
        d.passes(1800, beating=["gate"])
        d.says("gate", {"tamper": False})
        d.passes(300, beating=["gate"])
    assert len(d.all_faults()) == 1
    assert notices(d, TAMPER) == [Why.RAISED, *[Why.REOPENED] * 3]


def test_a_gate_that_was_back_twice_before_anybody_was_told_and_then_is_gone_is_told() -> None:
    """Of silence people are told two minutes after it is raised."""
    d = a_gate_and_shed()
    for _ in range(3):
        d.says("gate", {})
        d.passes(130, beating=["shed"])
    assert [e.held for e in events(d, "GATE_OFFLINE") if e.reason in NOTICED] == [None] * 3
    d.passes(1200, beating=["shed"])
    last = events(d, "GATE_OFFLINE")[-1]
    assert (last.reason, last.notice_at_ms) == (Why.REOPENED, last.at_ms + 120_000)
    assert d.state("gate", "GATE_OFFLINE") is OPEN


def test_what_a_person_closed_and_is_back_is_told_once_more() -> None:
    d = a_gate_and_shed()
    for _ in range(2):
        flaps(d, 1)
        d.passes(310, beating=["gate"])
    d.says("gate", {"tamper": True})
    assert notices(d, TAMPER) == [Why.RAISED, Why.REOPENED]
    d.now_s += 60
    d.closes("gate", TAMPER)  # it is still open: so it is back at once
    assert d.state("gate", TAMPER) is OPEN
    assert notices(d, TAMPER) == [Why.RAISED, Why.REOPENED, Why.REOPENED]


def test_its_own_silence_is_no_quiet() -> None:
    d = a_gate_and_shed()
    flaps(d, 3)
    d.passes(1200, beating=["shed"])  # the gate says nothing at all
    assert d.state("gate", TAMPER) is OPEN
    d.says("gate", {})
    d.passes(590, beating=["gate"])
    assert d.state("gate", TAMPER) is OPEN
    d.passes(60, beating=["gate"])
    assert d.state("gate", TAMPER) is CLOSED


def test_a_device_that_comes_and_goes_flaps_too() -> None:
    d = a_gate_and_shed()
    for _ in range(4):
        d.says("gate", {})
        d.passes(130, beating=["shed"])
    assert d.state("gate", "GATE_OFFLINE") is OPEN
    d.says("gate", {})
    assert d.state("gate", "GATE_OFFLINE") is OPEN
    fault = d.fault("gate", "GATE_OFFLINE")
    assert fault is not None
    assert (is_flapping(fault), fault.flaps) == (True, 3)
    d.passes(660, beating=["gate"])
    assert d.state("gate", "GATE_OFFLINE") is CLOSED


def test_a_flapping_safety_fault_is_told_each_time_it_opens_and_stays_open_until_answered() -> None:
    d = a_gate_and_shed()
    for _ in range(300):
        for smoke in (True, False):
            d.now_s += 1
            d.says("shed", {"smoke": smoke})
        d.probe()
    fault = d.fault("shed", SMOKE)
    assert fault is not None
    assert (fault.state, fault.flaps) == (OPEN, 299)
    assert notices(d, SMOKE) == [Why.RAISED, Why.REOPENED, Why.REOPENED]
    assert all(event.held is None for event in events(d, SMOKE))
    d.passes(3600, beating=["shed"])
    assert d.state("shed", SMOKE) is OPEN  # however long it has been quiet
    d.restart()
    d.acknowledges("shed", SMOKE)
    assert d.state("shed", SMOKE) is CLOSED
    d.says("shed", {"smoke": True})
    assert notices(d, SMOKE)[3:] == [Why.REOPENED]


def test_acknowledged_while_it_smokes_it_is_open_again_at_the_next_smoke() -> None:
    d = a_gate_and_shed()
    for _ in range(3):
        d.says("shed", {"smoke": True})
        d.says("shed", {"smoke": False})
        d.now_s += 1
    d.says("shed", {"smoke": True})
    d.acknowledges("shed", SMOKE)
    assert d.state("shed", SMOKE) is ACKNOWLEDGED
    d.says("shed", {"smoke": False})
    assert d.state("shed", SMOKE) is CLOSED
    d.says("shed", {"smoke": True})
    assert d.state("shed", SMOKE) is OPEN
    assert len(notices(d, SMOKE)) == 4


def test_of_a_fault_that_was_hidden_people_are_told_however_often_it_flapped() -> None:
    d = a_gate_and_shed()
    d.maintains(for_s=10, kind="gate")
    flaps(d, 2)
    d.passes(30, beating=["gate"])
    assert notices(d, TAMPER) == []
    flaps(d, 1)  # the third time within ten minutes, and nobody knows of it
    assert notices(d, TAMPER) == [Why.REOPENED]


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED])
def test_a_person_moves_a_flapping_fault_like_any_other(state: State) -> None:
    d = a_gate_and_shed()
    flaps(d, 4)
    if state is ACKNOWLEDGED:
        d.acknowledges("gate", TAMPER)
        flaps(d, 2)
        assert d.state("gate", TAMPER) is ACKNOWLEDGED
    d.closes("gate", TAMPER)
    assert d.state("gate", TAMPER) is CLOSED


def test_what_flapped_long_ago_does_not_flap_now() -> None:
    d = a_gate_and_shed()
    flaps(d, 3)
    fault = d.fault("gate", TAMPER)
    assert fault is not None
    assert is_flapping(fault)
    assert not is_flapping(replace(fault, raises_ms=fault.raises_ms[:2]))
    assert not is_flapping(replace(fault, raises_ms=(0, *fault.raises_ms[1:])))
