"""The life of a fault, step by step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from devices import faults
from devices.catalogue import RULES
from devices.faults import SYSTEM, Fault, FaultEvent, FaultMoved, Held, State, Why
from devices.rules import Severity

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
SMOKE, HELD_OPEN = RULES["SHED_SMOKE"], RULES["GATE_HELD_OPEN"]
MINUTE_MS = 60_000
NOW_MS = 1_795_439_400_000

Step = Callable[[Fault], tuple[Fault, FaultEvent] | None]


def a_fault(state: State = OPEN, *, safety: bool = False, closed_ago_ms: int = 0) -> Fault:
    fault, _ = faults.begin(
        SMOKE if safety else HELD_OPEN,
        stream="live",
        subject="shed-1",
        device="shed-1",
        compound="jiaogong-xiaoqu",
        severity=Severity.P2,
        safety=safety,
        since_ms=NOW_MS - 20 * MINUTE_MS,
        now_ms=NOW_MS - 19 * MINUTE_MS,
        evidence={"smoke": True},
    )
    closed_at_ms = NOW_MS - closed_ago_ms if state is CLOSED else None
    return replace(fault, state=state, closed_at_ms=closed_at_ms)


def over(fault: Fault) -> tuple[Fault, FaultEvent]:
    return faults.end(fault, NOW_MS)


def acknowledge(fault: Fault) -> tuple[Fault, FaultEvent]:
    return faults.acknowledge(fault, "li-wei", NOW_MS, "on my way")


def close(fault: Fault) -> tuple[Fault, FaultEvent]:
    return faults.close(fault, "li-wei", NOW_MS, "false alarm", "false_alarm")


def again(fault: Fault) -> tuple[Fault, FaultEvent]:
    return faults.reopen(fault, Severity.P2, False, NOW_MS, {"smoke": True})


def worse(fault: Fault) -> tuple[Fault, FaultEvent] | None:
    return faults.worsen(fault, Severity.P1, False, NOW_MS, {"port_temp_c": 91})


def no_worse(fault: Fault) -> tuple[Fault, FaultEvent] | None:
    return faults.worsen(fault, Severity.P3, False, NOW_MS, {})


def as_bad_but_safety(fault: Fault) -> tuple[Fault, FaultEvent] | None:
    return faults.worsen(fault, Severity.P2, True, NOW_MS, {})


def history_ends(fault: Fault) -> tuple[Fault, FaultEvent]:
    return faults.end_history(fault, NOW_MS)


@pytest.mark.parametrize(
    ("step", "was", "safety", "becomes", "why"),
    [
        (over, OPEN, False, CLOSED, Why.OVER),
        (over, ACKNOWLEDGED, False, CLOSED, Why.OVER),
        (over, OPEN, True, CLEARED, Why.OVER),  # a person must still answer
        (over, ACKNOWLEDGED, True, CLOSED, Why.OVER),  # somebody has
        (acknowledge, OPEN, False, ACKNOWLEDGED, Why.ACKNOWLEDGED),
        (acknowledge, OPEN, True, ACKNOWLEDGED, Why.ACKNOWLEDGED),
        (acknowledge, CLEARED, True, CLOSED, Why.ACKNOWLEDGED),
        (close, OPEN, False, CLOSED, Why.CLOSED),
        (close, ACKNOWLEDGED, True, CLOSED, Why.CLOSED),
        (close, CLEARED, True, CLOSED, Why.CLOSED),
        (again, CLEARED, True, OPEN, Why.REOPENED),
        (again, CLOSED, False, OPEN, Why.REOPENED),
        (worse, OPEN, False, OPEN, Why.WORSENED),
        (worse, ACKNOWLEDGED, False, OPEN, Why.WORSENED),  # a P1 was not answered yet
        (as_bad_but_safety, ACKNOWLEDGED, False, OPEN, Why.WORSENED),
        (history_ends, OPEN, True, CLOSED, Why.HISTORY_ENDS),
        (history_ends, CLEARED, True, CLOSED, Why.HISTORY_ENDS),
    ],
)
def test_a_step_leads_from_one_state_to_the_next_and_is_written_down(
    step: Step, was: State, safety: bool, becomes: State, why: Why
) -> None:
    fault = a_fault(was, safety=safety)
    moved = step(fault)
    assert moved is not None
    after, event = moved
    assert after.state is becomes
    assert (event.fault, event.was, event.becomes, event.reason) == (fault.id, was, becomes, why)
    assert event.at_ms == NOW_MS
    assert event.actor == ("li-wei" if step in (acknowledge, close) else SYSTEM)
    assert (after.closed_at_ms is not None) == (becomes is CLOSED)


@pytest.mark.parametrize(
    ("step", "was"),
    [
        (acknowledge, ACKNOWLEDGED),
        (acknowledge, CLOSED),
        (close, CLOSED),
        (lambda fault: faults.assign(fault, "wang", "li-wei", NOW_MS), CLOSED),
    ],
)
def test_a_step_that_comes_too_late_is_refused(step: Step, was: State) -> None:
    with pytest.raises(FaultMoved):
        step(a_fault(was))


@pytest.mark.parametrize("step", [no_worse, as_bad_but_safety])
def test_what_is_no_worse_is_told_once(step: Step) -> None:
    assert step(a_fault(safety=True)) is None


@pytest.mark.parametrize(
    ("was", "closed_ago_ms", "may"),
    [
        (CLOSED, 0, True),
        (CLOSED, 10 * MINUTE_MS, True),
        (CLOSED, 10 * MINUTE_MS + 1, False),
        (CLEARED, 0, True),  # it waits for a person, however long that takes
        (OPEN, 0, False),
    ],
)
def test_a_fault_that_comes_back_soon_is_the_same_one(
    was: State, closed_ago_ms: int, may: bool
) -> None:
    fault = a_fault(was, closed_ago_ms=closed_ago_ms)
    assert faults.may_reopen(fault, NOW_MS) is may


def test_coming_back_it_counts_and_asks_again_and_keeps_when_it_began() -> None:
    fault, _ = acknowledge(a_fault(safety=True))
    fault, _ = over(fault)
    back, _ = faults.reopen(replace(fault, late=True), Severity.P1, True, NOW_MS, {"smoke": True})
    assert back.occurrences == 2
    assert back.severity == Severity.P1
    assert back.since_ms == fault.since_ms
    assert not back.late
    assert (back.acknowledged_at_ms, back.cleared_at_ms, back.closed_at_ms) == (None, None, None)


def test_a_safety_fault_stays_one_when_a_lesser_sign_brings_it_back() -> None:
    back, _ = faults.reopen(a_fault(CLEARED, safety=True), Severity.P2, False, NOW_MS, {})
    assert back.safety


def test_the_worst_severity_stays() -> None:
    worst = replace(a_fault(), severity=Severity.P1)
    assert faults.worsen(worst, Severity.P2, False, NOW_MS, {}) is None


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ({}, worse),
        ({"maintenance": "w"}, lambda fault: faults.end_maintenance(fault, NOW_MS)),
        ({"shelved_until_ms": NOW_MS}, lambda fault: faults.end_shelf(fault, NOW_MS)),
        ({"suspected": True}, lambda fault: faults.confirm(fault, "li-wei", NOW_MS)),
    ],
)
def test_nobody_is_told_of_what_becomes_of_a_fault_while_its_root_stands(
    before: dict[str, Any], step: Step
) -> None:
    moved = step(replace(a_fault(), suppressed_by="root", **before))
    assert moved is not None
    after, event = moved
    assert event.held is faults.Held.SUPPRESSED
    _, released = faults.release(after, NOW_MS)
    assert released.held is None


def test_a_child_that_becomes_a_danger_is_none_any_more_and_told() -> None:
    moved = as_bad_but_safety(replace(a_fault(), suppressed_by="root"))
    assert moved is not None
    assert (moved[0].suppressed_by, moved[1].held) == (None, None)


def test_a_comment_changes_nothing_and_is_kept_also_of_a_closed_fault() -> None:
    fault = a_fault(CLOSED)
    after, event = faults.comment(fault, "li-wei", NOW_MS, "the lock was replaced")
    assert after == fault
    assert (event.was, event.becomes, event.note) == (CLOSED, CLOSED, "the lock was replaced")


def test_whoever_closes_a_fault_has_seen_it() -> None:
    closed, event = close(a_fault())
    assert (closed.acknowledged_by, closed.acknowledged_at_ms) == ("li-wei", NOW_MS)
    assert (closed.resolution, event.note) == ("false_alarm", "false alarm")


def test_who_acknowledged_first_is_kept_when_another_closes() -> None:
    seen, _ = acknowledge(a_fault())
    closed, _ = faults.close(seen, "wang", NOW_MS + 1)
    assert (closed.acknowledged_by, closed.acknowledged_at_ms) == ("li-wei", NOW_MS)


def test_a_fault_has_the_same_id_in_every_replay_and_no_other_has_it() -> None:
    known = faults.fault_id("live", "shed-1", "SHED_SMOKE", NOW_MS)
    assert known == faults.fault_id("live", "shed-1", "SHED_SMOKE", NOW_MS)
    others = {
        faults.fault_id("history", "shed-1", "SHED_SMOKE", NOW_MS),
        faults.fault_id("live", "shed-2", "SHED_SMOKE", NOW_MS),
        faults.fault_id("live", "shed-1", "SHED_LEAKAGE", NOW_MS),
        faults.fault_id("live", "shed-1", "SHED_SMOKE", NOW_MS + 1),
    }
    assert len(others | {known}) == 5


def born_under(code: str, *, safety: bool = False) -> tuple[Fault, FaultEvent]:
    return faults.begin(
        RULES[code],
        stream="live",
        subject="gate-1",
        device="gate-1",
        compound="jiaogong-xiaoqu",
        severity=Severity.P3,
        safety=safety,
        since_ms=NOW_MS - MINUTE_MS,
        now_ms=NOW_MS,
        evidence={"reason": "power_cut"},
        explained_by=("root", "COMPOUND_POWER_CUT"),
    )


def test_a_fault_that_begins_under_its_root_is_born_suppressed_in_one_step() -> None:
    fault, event = born_under("GATE_OFFLINE")
    assert (fault.state, fault.suppressed_by) == (OPEN, "root")
    assert fault.evidence == {"reason": "power_cut"}
    assert (event.reason, event.held) == (Why.RAISED, Held.SUPPRESSED)
    assert event.evidence == {
        "reason": "power_cut",
        "suppressed_by": "root",
        "root": "COMPOUND_POWER_CUT",
    }
    free, released = faults.release(fault, NOW_MS + MINUTE_MS)
    assert (free.suppressed_by, released.held) == (None, None)


def test_a_safety_fault_is_not_born_suppressed() -> None:
    with pytest.raises(FaultMoved, match="safety"):
        born_under("SHED_SMOKE", safety=True)
