"""Curves: what is not known is a gap, and nothing is drawn that nobody read."""

from itertools import pairwise

import pytest

from api.console.curves import (
    SMALL,
    WIDE,
    Limit,
    Mark,
    Stretch,
    draw,
    draw_words,
    every_for,
    scale,
    summary,
)
from devices.days import DAY_MS, DISTRICT_ZONE
from devices.telemetry import Bucket

MINUTE_MS = 60_000
NOON = 1_795_406_400_000  # 12:00 in Zhengzhou


def a_bucket(minute: int, mean: float, spread: float = 0.0, count: int = 1) -> Bucket:
    at_ms = NOON + minute * MINUTE_MS
    return Bucket(at_ms, mean - spread, mean, mean + spread, mean, count)


def a_word(minute: int, word: str | bool) -> Bucket:
    return Bucket(NOON + minute * MINUTE_MS, None, None, None, word, 1)


def an_hour(now_minute: int = 60) -> Stretch:
    now_ms = NOON + now_minute * MINUTE_MS
    return Stretch(NOON, NOON + 60 * MINUTE_MS, 60, 180, now_ms)


def test_a_steady_hour_is_one_line_without_gap_or_band() -> None:
    curve = draw([a_bucket(n, 180.0) for n in range(60)], an_hour(), DISTRICT_ZONE, WIDE)
    assert curve.line.count("M") == 1
    assert (curve.bands, curve.gaps, curve.dots) == ("", [], [])


def test_a_band_spans_from_the_least_to_the_most() -> None:
    buckets = [a_bucket(n, 100.0, spread=50.0) for n in range(60)]
    curve = draw(buckets, an_hour(), DISTRICT_ZONE, SMALL)
    ys = {float(pair.split()[1]) for pair in curve.bands.strip("MZ").split("L")}
    place = {text: float(y) for y, text in curve.grid}
    assert min(ys) == pytest.approx(place["150"], abs=0.1)
    assert max(ys) == pytest.approx(place["50"], abs=0.1)


@pytest.mark.parametrize(
    ("missing", "gaps"),
    [
        (range(0), 0),
        (range(20, 22), 0),  # two reports that are late: nothing is unknown yet
        (range(20, 40), 1),
        (range(30), 1),  # from the beginning on
        (range(40, 60), 1),  # up to now
        (range(60), 1),  # nothing at all
    ],
)
def test_what_was_not_read_for_too_long_is_a_gap_that_no_line_crosses(
    missing: range, gaps: int
) -> None:
    buckets = [a_bucket(n, 180.0) for n in range(60) if n not in missing]
    curve = draw(buckets, an_hour(), DISTRICT_ZONE, WIDE)
    assert len(curve.gaps) == gaps
    assert curve.line.count("M") == (2 if missing == range(20, 40) else 0 if not buckets else 1)


def test_the_future_is_no_gap() -> None:
    buckets = [a_bucket(n, 180.0) for n in range(30)]
    assert draw(buckets, an_hour(now_minute=30), DISTRICT_ZONE, WIDE).gaps == []


def test_a_reading_alone_is_a_dot() -> None:
    curve = draw([a_bucket(30, 5.0)], an_hour(), DISTRICT_ZONE, WIDE)
    assert len(curve.dots) == 1
    assert curve.line == ""


def test_a_word_holds_until_the_next_one_and_not_across_a_silence() -> None:
    said = [a_word(n, "idle" if n < 10 else "in_use") for n in range(30) if not 20 <= n < 27]
    words = [("idle", "空闲"), ("in_use", "使用中"), ("full", "已充满")]
    curve = draw_words(said, an_hour(30), DISTRICT_ZONE, WIDE, words)
    assert [(lane.text, len(lane.bars)) for lane in curve.lanes] == [("空闲", 1), ("使用中", 2)]
    assert len(curve.gaps) == 1


def test_true_is_not_the_number_one() -> None:
    curve = draw_words(
        [a_word(0, True)], an_hour(), DISTRICT_ZONE, WIDE, [(1, "one"), (True, "yes")]
    )
    assert [lane.text for lane in curve.lanes] == ["yes"]


@pytest.mark.parametrize(
    ("low", "high", "bottom", "top", "step"),
    [
        (0.0, 220.0, 0.0, 300.0, 100.0),
        (180.0, 220.0, 180.0, 220.0, 10.0),
        (218.1, 232.7, 215.0, 235.0, 5.0),
        (-92.0, -61.0, -100.0, -60.0, 10.0),
        (0.0, 0.0, 0.0, 1.0, 0.5),
        (5.0, 5.0, 4.6, 5.4, 0.2),
        (0.31, 0.98, 0.0, 1.0, 0.5),
    ],
)
def test_a_scale_holds_all_and_begins_at_zero_where_that_costs_little(
    low: float, high: float, bottom: float, top: float, step: float
) -> None:
    assert scale(low, high) == pytest.approx((bottom, top, step))


def test_times_are_local_and_do_not_touch() -> None:
    day = Stretch(NOON, NOON + DAY_MS, 600, 180, NOON + DAY_MS)
    for size in (SMALL, WIDE):
        ticks = draw([], day, DISTRICT_ZONE, size).ticks
        places = [float(x) for x, _ in ticks]
        assert all(b - a > 45 for a, b in pairwise(places))
        assert "18:00" in {text for _, text in ticks}


@pytest.mark.parametrize(
    ("length_ms", "every_s"),
    [
        (MINUTE_MS, 10),
        (60 * MINUTE_MS, 30),
        (DAY_MS, 600),
        (7 * DAY_MS, 3600),
        (366 * DAY_MS, 172_800),
    ],
)
def test_a_curve_has_no_more_stretches_than_a_screen_shows(length_ms: int, every_s: int) -> None:
    assert every_for(length_ms) == every_s


def test_the_mean_of_all_weighs_each_stretch_by_its_readings() -> None:
    found = summary([a_bucket(0, 10.0, 2.0, count=3), a_bucket(1, 20.0, 1.0), a_word(2, "x")])
    assert found == (8.0, 12.5, 21.0)
    assert summary([]) is None


def test_limits_are_in_sight_also_where_no_reading_came_near_them() -> None:
    limits = (Limit(70.0, "P2", "p2"), Limit(90.0, "P1", "p1"))
    buckets = [a_bucket(n, 30.0 + n / 10) for n in range(60)]
    curve = draw(buckets, an_hour(), DISTRICT_ZONE, WIDE, limits)
    place = {text: float(y) for y, text in curve.grid}
    assert [(text, look) for _, text, look in curve.limits] == [("P2", "p2"), ("P1", "p1")]
    low, high = (float(y) for y, _, _ in curve.limits)
    assert place["100"] < high < low < place["50"]
    assert draw([], an_hour(), DISTRICT_ZONE, WIDE, limits).limits == []  # there is no scale


def test_a_moment_is_drawn_where_it_lies_and_not_outside() -> None:
    marks = (Mark(NOON + 10 * MINUTE_MS, "began"), Mark(NOON + 50 * MINUTE_MS, "ended"))
    outside = Mark(NOON + 61 * MINUTE_MS, "later")
    buckets = [a_bucket(n, 180.0) for n in range(60)]
    curve = draw(buckets, an_hour(), DISTRICT_ZONE, WIDE, marks=(*marks, outside))
    assert [(text, anchor) for _, text, anchor in curve.marks] == [
        ("began", "start"),
        ("ended", "end"),
    ]
    began, ended = (float(x) for x, _, _ in curve.marks)
    assert ended - began == pytest.approx(40 / 60 * (WIDE.end - WIDE.left), abs=0.2)
    lanes = draw_words([a_word(1, "open")], an_hour(), DISTRICT_ZONE, WIDE, [("open", "开")], marks)
    assert lanes.marks == curve.marks
