"""Which fault stands behind which others: the table of domain.md §3.3, line by line."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from devices import faults
from devices.catalogue import RULES
from devices.faults import Fault, FaultMoved, Held, Move, State, Why
from devices.roots import SUPPRESSES, explains, together
from devices.rules import Severity

OPEN, ACKNOWLEDGED, CLEARED, CLOSED = State
NOW_MS = 1_795_439_400_000
S_MS = 1000

CUT = """GW_OFFLINE GATE_OFFLINE GATE_MAINS_LOST SHED_OFFLINE SHED_POWER_CUT SHED_UNDERVOLT
    CCTV_OFFLINE CCTV_MAINS LIFT_OFFLINE LIFT_STOPPED LAMP_COMM LAMP_OUT LAMP_NOT_ON_SCHED
    CIRCUIT_SUPPLY_LOSS"""


def a_fault(code: str, since_ms: int = NOW_MS, **more: object) -> Fault:
    rule = RULES[code]
    fault, _ = faults.begin(
        rule,
        stream="live",
        subject="it",
        device="it",
        compound="jiaogong-xiaoqu",
        severity=rule.severity,
        safety=rule.safety,
        since_ms=since_ms,
        now_ms=since_ms + 90 * S_MS,
        evidence={},
        kind=rule.kind,
    )
    return replace(fault, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("root", "children"),
    [
        ("COMPOUND_POWER_CUT", CUT),
        ("GW_OFFLINE", "GATE_OFFLINE CCTV_OFFLINE LIFT_OFFLINE LAMP_COMM"),
        ("SHED_POWER_CUT", "SHED_OFFLINE SHED_UNDERVOLT"),
        ("SHED_OFFLINE", "PORT_IDLE_SUSPECT PORT_NO_LOAD_REPEAT"),
        ("CIRCUIT_SUPPLY_LOSS", "LAMP_COMM LAMP_OUT LAMP_RELAY LAMP_NOT_ON_SCHED"),
    ],
)
def test_a_root_stands_behind_these_and_no_others(root: str, children: str) -> None:
    cause = a_fault(root)
    explained = {
        code
        for code, rule in RULES.items()
        if code != root and explains(cause, a_fault(code, NOW_MS + 1), 60)
    }
    assert explained == set(children.split())


def test_nothing_hides_a_safety_fault() -> None:
    codes = {code for of in SUPPRESSES.values() for code in of}
    assert not any(RULES[code].safety for code in codes)
    for root in SUPPRESSES:
        for code in codes:
            assert not explains(a_fault(root), a_fault(code, safety=True), 60)
    with pytest.raises(FaultMoved, match="no root cause hides"):
        faults.suppress(a_fault("SHED_SMOKE"), "root", "COMPOUND_POWER_CUT", NOW_MS)


@pytest.mark.parametrize(
    ("before_s", "interval_s", "is_child"),
    [
        (-3600, 30, True),  # it failed while the root stood
        (0, 30, True),
        (150, 30, True),  # it failed first: 120 s, and it had spoken one interval before
        (151, 30, False),
        (420, 300, True),  # a camera
        (421, 300, False),
        (86_400, 30, False),  # broken since yesterday
    ],
)
def test_a_child_is_known_by_when_it_began(before_s: int, interval_s: int, is_child: bool) -> None:
    child = a_fault("GATE_OFFLINE", NOW_MS - before_s * S_MS)
    assert explains(a_fault("GW_OFFLINE"), child, interval_s) is is_child


@pytest.mark.parametrize(
    ("onsets", "chosen"),
    [
        ([], []),
        ([(0, 30)], [0]),
        ([(0, 60), (100, 30), (130, 30)], [0, 1, 2]),  # from 60 on, and until 60 + 120
        ([(0, 30), (151, 30)], [1]),  # 30 is 121 s before 151
        ([(0, 30), (150, 30)], [0, 1]),
        ([(-3600, 30), (0, 60), (10, 30)], [1, 2]),  # one was dead before
        ([(0, 30), (5, 30), (900, 30)], [0, 1]),
        ([(0, 30), (900, 30)], [1]),  # of equal ones the latest
    ],
)
def test_onsets_that_one_cause_explains(onsets: list[tuple[int, int]], chosen: list[int]) -> None:
    _, found = together([(at_s * S_MS, interval_s) for at_s, interval_s in onsets])
    assert found == chosen


ROOT = a_fault("COMPOUND_POWER_CUT")


def by_root(fault: Fault) -> Move:
    return faults.suppress(fault, ROOT.id, ROOT.code, NOW_MS)


def free(fault: Fault) -> Move:
    return faults.release(fault, NOW_MS, NOW_MS + 120 * S_MS)


def again(fault: Fault) -> Move:
    return faults.reopen(fault, Severity.P3, False, NOW_MS, {})


def over(fault: Fault) -> Move:
    return faults.end(fault, NOW_MS)


MOVED = None


@pytest.mark.parametrize(
    ("was", "by", "move", "becomes", "still_by", "why"),
    [
        (OPEN, None, by_root, OPEN, ROOT.id, Why.SUPPRESSED),
        (ACKNOWLEDGED, None, by_root, ACKNOWLEDGED, ROOT.id, Why.SUPPRESSED),
        (OPEN, "gateway", by_root, OPEN, ROOT.id, Why.SUPPRESSED),
        (CLOSED, None, by_root, CLOSED, ROOT.id, Why.RECLASSIFIED),
        (OPEN, ROOT.id, free, OPEN, None, Why.RELEASED),
        (ACKNOWLEDGED, ROOT.id, free, ACKNOWLEDGED, None, Why.RELEASED),
        (OPEN, None, free, MOVED, None, None),
        (CLOSED, ROOT.id, free, MOVED, None, None),
        (OPEN, ROOT.id, over, CLOSED, ROOT.id, Why.OVER),  # what explained it stays on record
        (CLOSED, ROOT.id, again, OPEN, None, Why.REOPENED),  # and need not explain the next time
    ],
)
def test_a_child_of_a_root(
    was: State,
    by: str | None,
    move: Callable[[Fault], Move],
    becomes: State | None,
    still_by: str | None,
    why: Why | None,
) -> None:
    closed_at_ms = NOW_MS if was is CLOSED else None
    fault = a_fault("GATE_OFFLINE", state=was, suppressed_by=by, closed_at_ms=closed_at_ms)
    if becomes is MOVED:
        with pytest.raises(FaultMoved):
            move(fault)
        return
    after, event = move(fault)
    assert (after.state, after.suppressed_by) == (becomes, still_by)
    assert (event.was, event.becomes, event.reason) == (was, becomes, why)
    assert after.since_ms == fault.since_ms


def test_people_are_told_of_a_released_fault_after_its_own_wait_unless_it_is_held() -> None:
    fault = a_fault("GATE_OFFLINE", suppressed_by=ROOT.id)
    _, event = free(fault)
    assert event.reason in faults.NOTICED
    assert (event.notice_at_ms, event.held) == (NOW_MS + 120 * S_MS, None)
    _, event = free(replace(fault, maintenance="window"))
    assert event.held is Held.MAINTENANCE
    _, event = by_root(fault)
    assert event.reason not in faults.NOTICED


def test_what_becomes_a_danger_is_hidden_no_longer() -> None:
    fault = a_fault("GATE_OFFLINE", suppressed_by=ROOT.id)
    worse = faults.worsen(fault, Severity.P1, True, NOW_MS, {})
    assert worse is not None
    assert worse[0].suppressed_by is None


def test_a_fault_is_altered_as_it_is_replaced_only_sooner() -> None:
    fault = a_fault("GATE_OFFLINE", maintenance="window", rank=7.5)
    changes: dict[str, object] = {"suppressed_by": "root", "impact": {"gates": 1}, "rank": 3.0}
    assert faults.altered(fault, **changes) == replace(fault, **changes)  # type: ignore[arg-type]
    assert faults.altered(fault) == fault
