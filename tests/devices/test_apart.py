"""Figures of a whole stretch: most at once, and how much of it was dark."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.apart import Apart, dark_s, peaks
from devices.sun import lighting_hours

SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12)
HOUR_MS = 3_600_000
NOVEMBER_MS = 1_795_363_200_000  # 2026-11-23, 00:00 local
ZHENGZHOU = (34.75, 113.62)


@given(SPANS, st.sets(st.integers(0, 50), min_size=2, max_size=6))
def test_the_peak_is_that_of_the_moment_with_most(
    spans: list[tuple[int, int]], borders: set[int]
) -> None:
    edges = sorted(borders)
    assert peaks(spans, edges) == [
        max(sum(1 for begin, end in spans if begin <= at < end) for at in range(from_ms, to_ms))
        for from_ms, to_ms in pairwise(edges)
    ]


def test_who_leaves_when_the_next_one_comes_is_not_there_with_them() -> None:
    assert peaks([(0, 10), (10, 20)], [0, 20]) == [1]


@pytest.mark.parametrize("seed", range(5))
def test_dark_time_is_that_of_lighting_hours(seed: int) -> None:
    rng = Random(seed)
    begin = NOVEMBER_MS + rng.randrange(48) * HOUR_MS + rng.randrange(HOUR_MS)
    end = begin + rng.randrange(80 * HOUR_MS)
    step = 60_000
    sampled = sum(lighting_hours(*ZHENGZHOU, at) for at in range(begin, end, step)) * step / 1000
    assert dark_s(*ZHENGZHOU, begin, end) == pytest.approx(sampled, abs=600)


def test_dark_times_of_two_halves_are_that_of_the_whole() -> None:
    cut = NOVEMBER_MS + 20 * HOUR_MS + 1234
    whole = dark_s(*ZHENGZHOU, NOVEMBER_MS, NOVEMBER_MS + 72 * HOUR_MS)
    first = dark_s(*ZHENGZHOU, NOVEMBER_MS, cut)
    assert first + dark_s(*ZHENGZHOU, cut, NOVEMBER_MS + 72 * HOUR_MS) == pytest.approx(whole)


@pytest.mark.parametrize(("day", "expected_h"), [("midsummer", 0.0), ("midwinter", 24.0)])
def test_near_the_poles_the_sun_stays_up_or_down(day: str, expected_h: float) -> None:
    begin = 1_782_000_000_000 if day == "midsummer" else 1_797_811_200_000
    assert dark_s(85.0, 20.0, begin, begin + 24 * HOUR_MS) == pytest.approx(expected_h * 3600)


def test_of_many_compounds_people_add_up_and_the_most_sockets_are_those_of_one() -> None:
    both = Apart()
    for one in (Apart(40, 7, 3600, 1), Apart(None, 9), Apart(25, None, 7200, 2)):
        both.join(one)
    assert (both.households, both.peak_ports, both.mean_dark_h) == (65, 9, 1.0)
    assert Apart().mean_dark_h is None
