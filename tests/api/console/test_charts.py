"""Bars over time: what is unknown has a place of its own, and no bar is of unknown height."""

import pytest

from api.console import charts
from api.console.charts import BASE, TOP


@pytest.mark.parametrize(
    ("most", "top", "step"),
    [
        (0, 1, 1),
        (0.004, 0.004, 0.002),
        (1, 1, 0.5),
        (7, 10, 5),
        (60, 60, 20),
        (61, 100, 50),
        (294, 300, 100),
        (2_317, 3_000, 1_000),
    ],
)
def test_a_scale_holds_the_most_and_has_few_round_lines(
    most: float, top: float, step: float
) -> None:
    assert charts.scale(most) == (pytest.approx(top), pytest.approx(step))


def test_a_bar_is_as_high_as_its_value_and_none_is_drawn_for_zero() -> None:
    chart = charts.bars([30.0, 0.0, 15.0], [False, False, True], [], ["", "", ""])
    assert [bar.look for bar in chart.bars] == ["bar", "provisional"]
    assert float(chart.bars[0].height) == BASE - TOP
    assert float(chart.bars[1].height) == (BASE - TOP) / 2
    assert float(chart.bars[1].y) == (BASE + TOP) / 2


def test_what_is_unknown_is_a_hatched_place_and_breaks_the_line_of_before() -> None:
    chart = charts.bars([None, 3.0], [False, False], [1.0, None, 2.0, 3.0], ["a", "b", "", "c"])
    assert chart.bars[0].look == "missing"
    assert chart.before.count("M") == 2
    assert chart.before.count("L") == 1
    assert [text for _, text in chart.labels] == ["a", "b", "c"]


def test_shares_are_a_stack_of_lit_unknown_and_dark_up_to_the_whole() -> None:
    chart = charts.shares([(60.0, 30.0, 10.0), None, (0.0, 0.0, 0.0)], [False] * 3, [""] * 3)
    looks = [bar.look for bar in chart.bars]
    assert looks == ["bar", "unknown", "dark", "missing"]
    heights = [float(bar.height) / (BASE - TOP) for bar in chart.bars[:3]]
    assert heights == pytest.approx([0.6, 0.3, 0.1], abs=0.002)
    assert float(chart.bars[2].y) == TOP
