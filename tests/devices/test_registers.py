"""From one reading of a register to the next: what it grew by, and what is no figure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.registers import Gauge, Jump, Step, gauge_of, step

QUARTER_MS = 900_000
LAMP = gauge_of("lamp", {"nominal_power_w": 9, "lamp_count": 8})  # 144 W with its margin
PORT = gauge_of("port", {})
SHED = gauge_of("shed", {})


@pytest.mark.parametrize(
    ("gauge", "before", "now", "passed_ms", "grown", "excluded", "why"),
    [
        # what it counted before we knew it is nobody's usage
        (LAMP, None, 812.4, 0, 0.0, 0.0, None),
        (LAMP, 812.4, 812.45, QUARTER_MS, 0.05, 0.0, None),
        (LAMP, 812.4, 812.4, QUARTER_MS, 0.0, 0.0, None),
        # a register of whole kWh
        (LAMP, 812.0, 813.0, QUARTER_MS, 1.0, 0.0, None),
        # a reset: from zero
        (LAMP, 812.4, 0.03, QUARTER_MS, 0.03, 0.0, None),
        (LAMP, 812.4, 0.0, QUARTER_MS, 0.0, 0.0, None),
        (PORT, 1.2, 0.05, 60_000, 0.05, 0.0, None),
        # after a night of silence it may have counted more
        (LAMP, 812.4, 2.4, 12 * 3_600_000, 2.4, 0.0, None),
        # full: it goes on behind zero
        (LAMP, 9_999.98, 0.03, QUARTER_MS, 0.05, 0.0, None),
        (LAMP, 99_999.5, 0.25, QUARTER_MS, 0.75, 0.0, None),
        (LAMP, 655.35, 0.04, QUARTER_MS, 0.05, 0.0, None),
        (SHED, 999_999.9, 3.1, QUARTER_MS, 3.2, 0.0, None),
        # near the top, but that much cannot have been drawn: a reset
        (LAMP, 9_950.0, 0.03, QUARTER_MS, 0.03, 0.0, None),
        # a session's register is never full
        (PORT, 9.99, 0.03, 60_000, 0.03, 0.0, None),
        # more than can have been drawn
        (LAMP, 812.4, 5_812.4, QUARTER_MS, 0.0, 5_000.0, Jump.FORWARDS),
        (LAMP, 812.4, 813.5, QUARTER_MS, 0.0, 1.1, Jump.FORWARDS),
        (PORT, 0.2, 0.5, 60_000, 0.0, 0.3, Jump.FORWARDS),
        # the same in ten minutes is 1.8 kW
        (PORT, 0.2, 0.5, 600_000, 0.3, 0.0, None),
        # a fall to where it cannot have counted since
        (LAMP, 812.4, 700.0, QUARTER_MS, 0.0, 112.4, Jump.BACKWARDS),
        (PORT, 1.2, 1.1, 60_000, 0.0, 0.1, Jump.BACKWARDS),
        # times that are not in order allow the slack
        (LAMP, 1.0, 1.5, -5, 0.5, 0.0, None),
    ],
)
def test_from_one_reading_to_the_next(
    gauge: Gauge,
    before: float | None,
    now: float,
    passed_ms: int,
    grown: float,
    excluded: float,
    why: Jump | None,
) -> None:
    found = step(before, now, passed_ms, gauge)
    assert found.grown_kwh == pytest.approx(grown)
    assert found.excluded_kwh == pytest.approx(excluded)
    assert found.why is why


def test_an_order_that_began_before_we_were_told_has_counted_for_as_long_as_it_says() -> None:
    assert step(0.0, 0.8, 60_000, PORT).why is Jump.FORWARDS
    assert step(0.0, 0.8, 60_000, PORT, 1_800_000) == Step(0.8)
    assert step(1.5, 0.8, 60_000, PORT, 1_800_000) == Step(0.8)
    assert step(0.2, 1.0, 60_000, PORT, 1_800_000).why is Jump.FORWARDS


def test_a_modulus_in_the_registry_is_the_only_one() -> None:
    gauge = gauge_of("lamp", {"register_modulus_kwh": 500})
    assert step(499.9, 0.1, QUARTER_MS, gauge).grown_kwh == pytest.approx(0.2)
    assert step(9_999.9, 0.1, QUARTER_MS, gauge) == Step(0.1)


@pytest.mark.parametrize(
    ("kind", "attributes", "most_w"),
    [
        ("lamp", {}, 5_000),
        ("lamp", {"nominal_power_w": 36}, 72),
        ("lamp", {"nominal_power_w": 9, "lamp_count": 8}, 144),
        ("port", {}, 3_000),
        ("port", {"power_limit_w": 800}, 1_600),
        ("shed", {}, 60_000),
        ("shed", {"power_limit_w": 5_000}, 10_000),
        ("lamp", {"nominal_power_w": 0}, 5_000),
    ],
)
def test_what_a_device_may_draw(kind: str, attributes: dict[str, float], most_w: float) -> None:
    assert gauge_of(kind, attributes).most_w == most_w


def test_a_jump_up_and_back_leaves_both_out() -> None:
    """One wild reading between good ones."""
    steps = [step(b, n, QUARTER_MS, LAMP) for b, n in ((800.0, 9_000.0), (9_000.0, 800.1))]
    assert [one.grown_kwh for one in steps] == [0.0, 0.0]
    assert [one.why for one in steps] == [Jump.FORWARDS, Jump.BACKWARDS]


@given(
    st.lists(st.tuples(st.floats(0, 1e7), st.integers(-1000, 10**9)), max_size=20),
    st.sampled_from((LAMP, PORT, SHED)),
)
def test_no_register_gives_negative_usage_or_more_than_can_be(
    readings: list[tuple[float, int]], gauge: Gauge
) -> None:
    before: float | None = None
    for now, passed_ms in readings:
        found = step(before, now, passed_ms, gauge)
        most_kwh = gauge.slack_kwh + gauge.most_w / 1000 * max(0, passed_ms) / 3_600_000
        assert 0 <= found.grown_kwh <= most_kwh
        assert found.excluded_kwh >= 0
        assert (found.why is None) is (found.excluded_kwh == 0)
        before = now
