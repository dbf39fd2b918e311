"""What a maintenance window covers, and when."""

from dataclasses import replace

import pytest

from devices import faults
from devices.catalogue import RULES
from devices.faults import Fault
from devices.maintenance import Phase, Window, covering, may_be_safety
from devices.rules import Severity

NOW_MS = 1_795_439_400_000
MINUTE_MS = 60_000


def a_window(window: str = "w", *, ends_in: int = 60, ended_in: int | None = None) -> Window:
    """Since an hour ago, over in so many minutes; of the whole district."""
    return Window(
        id=window,
        compound=None,
        kind="gate",
        devices=(),
        codes=(),
        starts_at_ms=NOW_MS - 60 * MINUTE_MS,
        ends_at_ms=NOW_MS + ends_in * MINUTE_MS,
        reason="new locks",
        owner="wang",
        created_by="li-wei",
        created_at_ms=NOW_MS - 60 * MINUTE_MS,
        ended_at_ms=None if ended_in is None else NOW_MS + ended_in * MINUTE_MS,
    )


def a_fault(code: str = "GATE_TAMPER", compound: str | None = "lvyun") -> Fault:
    rule = RULES[code]
    fault, _ = faults.begin(
        rule,
        stream="live",
        subject="gate",
        device="gate",
        compound=compound,
        severity=Severity.P2,
        safety=rule.safety,
        since_ms=NOW_MS,
        now_ms=NOW_MS,
        evidence={},
    )
    return fault


@pytest.mark.parametrize(
    ("window", "at", "phase"),
    [
        (a_window(), -61, Phase.PLANNED),
        (a_window(), -60, Phase.ACTIVE),
        (a_window(), 59, Phase.ACTIVE),
        (a_window(), 60, Phase.OVER),
        (a_window(ended_in=10), 9, Phase.ACTIVE),
        (a_window(ended_in=10), 10, Phase.OVER),
        (a_window(ended_in=-90), -61, Phase.OVER),  # called off before it began
    ],
)
def test_a_window_has_its_time(window: Window, at: int, phase: Phase) -> None:
    now_ms = NOW_MS + at * MINUTE_MS
    assert window.phase(now_ms) is phase
    assert window.covers(a_fault(), now_ms) is (phase is Phase.ACTIVE)


def test_of_several_windows_the_one_that_lasts_holds() -> None:
    short, long, ended = a_window("a"), a_window("b", ends_in=90), a_window("c", ended_in=70)
    strange = replace(a_window("d", ends_in=900), kind="shed")
    windows = [short, long, ended, strange]
    assert covering(windows, a_fault(), NOW_MS) == long
    assert covering(windows, a_fault(), NOW_MS + 90 * MINUTE_MS) is None
    assert covering([], a_fault(), NOW_MS) is None


def test_our_own_troubles_are_in_no_window() -> None:
    assert not replace(a_window(), kind=None).covers(a_fault("SYS_DISK", compound=None), NOW_MS)


def test_a_safety_fault_takes_devices_and_codes() -> None:
    duress = a_fault("GATE_DURESS")
    wide = a_window()
    by_device = replace(wide, devices=("gate",))
    by_code = replace(wide, codes=("GATE_DURESS",))
    both = replace(by_device, codes=("GATE_DURESS",))
    held = [window.covers(duress, NOW_MS) for window in (wide, by_device, by_code, both)]
    assert held == [False, False, False, True]
    for word in ("reason", "owner"):
        nameless = replace(both, reason="") if word == "reason" else replace(both, owner="")
        assert not nameless.covers(duress, NOW_MS)


@pytest.mark.parametrize(
    ("code", "may"),
    [("SHED_SMOKE", True), ("PORT_OVERTEMP", True), ("GATE_TAMPER", False)],
)
def test_what_is_of_the_safety_tier_only_at_its_worst_counts_too(code: str, may: bool) -> None:
    assert may_be_safety(RULES[code]) is may
