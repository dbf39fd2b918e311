"""What a page carries of a curve: the same that is drawn, and nothing that could end its script."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from api.console.curve_data import clock_of, curve_data
from api.console.curves import SMALL, WIDE, Curve, Limit, Mark, Stretch, draw, draw_words, gaps_of
from devices.days import DISTRICT_ZONE
from devices.telemetry import Bucket
from tests.api.console.test_curves import MINUTE_MS, NOON, a_bucket, a_word, an_hour


def carried(
    buckets: Sequence[Bucket], drawn: Sequence[Curve], of: Stretch | None = None, **more: object
) -> dict[str, object]:
    options = {"unit": "W", "reports": 1.0, **more}
    text = curve_data(buckets, of or an_hour(), DISTRICT_ZONE, drawn, **options)  # type: ignore[arg-type]
    found: dict[str, object] = json.loads(text)
    return found


def test_it_carries_the_buckets_and_the_scale_that_are_drawn() -> None:
    buckets = [a_bucket(n, 100.0 + n / 7, spread=2.0, count=3) for n in range(60)]
    both = [draw(buckets, an_hour(), DISTRICT_ZONE, size) for size in (WIDE, SMALL)]
    found = carried(buckets, both)
    assert found["at"] == list(range(60))
    assert found["count"] == [3] * 60
    assert found["mean"] == pytest.approx([100.0 + n / 7 for n in range(60)], rel=1e-8)
    assert found["least"] == pytest.approx([98.0 + n / 7 for n in range(60)], rel=1e-8)
    assert found["scale"] == [float(both[0].grid[0][1]), float(both[0].grid[-1][1])]
    ticks = found["ticks"]
    assert isinstance(ticks, list)
    assert [[text for _, text in of_size] for of_size in ticks] == [
        [text for _, text in curve.ticks] for curve in both
    ]
    assert found["gaps"] == []


def test_gaps_limits_and_moments_are_carried_as_they_are_drawn() -> None:
    buckets = [a_bucket(n, 80.0) for n in range(60) if not 20 <= n < 40]
    limits, marks = [Limit(90.0, "危急 90", "p1")], [Mark(NOON + 5 * MINUTE_MS, "开始")]
    drawn = draw(buckets, an_hour(), DISTRICT_ZONE, WIDE, limits, marks)
    found = carried(buckets, [drawn], limits=limits, marks=marks)
    assert found["gaps"] == [[NOON + 20 * MINUTE_MS, NOON + 40 * MINUTE_MS]]
    assert found["limits"] == [[90.0, "危急 90", "p1"]]
    assert found["marks"] == [[NOON + 5 * MINUTE_MS, "开始"]]


def test_figures_without_a_count_carry_none() -> None:
    drawn = [draw([a_bucket(3, 80.0)], an_hour(), DISTRICT_ZONE, WIDE)]
    assert "count" not in carried([a_bucket(3, 80.0)], drawn, is_counted=False)
    assert carried([a_bucket(3, 80.0)], drawn)["count"] == [1]


def test_nothing_at_all_is_one_gap_up_to_now_without_a_scale() -> None:
    of = an_hour(now_minute=30)
    found = carried([], [draw([], of, DISTRICT_ZONE, WIDE)], of)
    assert found["scale"] is None
    assert found["gaps"] == [[NOON, NOON + 30 * MINUTE_MS + 1]]
    assert gaps_of([], of) == [(NOON, NOON + 30 * MINUTE_MS + 1)]


def test_words_are_carried_as_they_are_said_with_the_stretches_of_each() -> None:
    buckets = [a_word(n, "open" if n < 30 else "closed") for n in range(60)]
    words = [("open", "开"), ("closed", "关")]
    drawn = draw_words(buckets, an_hour(), DISTRICT_ZONE, WIDE, words)
    told = ["开" if n < 30 else "关" for n in range(60)]
    found = carried(buckets, [drawn], words=told)
    assert found["last"] == told
    assert found["lanes"] == [
        ["开", [[NOON, NOON + 30 * MINUTE_MS]]],
        ["关", [[NOON + 30 * MINUTE_MS, NOON + 60 * MINUTE_MS]]],
    ]
    assert "mean" not in found


def test_no_word_of_a_device_ends_the_script_or_begins_another() -> None:
    evil = "</script><script>alert(1)</script><!--"
    buckets = [a_word(0, evil)]
    drawn = draw_words(buckets, an_hour(), DISTRICT_ZONE, WIDE, [])
    text = curve_data(
        buckets, an_hour(), DISTRICT_ZONE, [drawn], unit="", reports=None, words=[evil]
    )
    assert "<" not in text
    assert json.loads(text)["last"] == [evil]


def test_a_change_of_clocks_within_the_range_is_carried() -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    from_ms = int(begin.timestamp() * 1000)
    of = Stretch(from_ms, from_ms + 6 * 60 * MINUTE_MS, 600, 1800, from_ms)
    assert clock_of(of, ZoneInfo("Europe/Berlin")) == [
        (from_ms, 7_200_000),
        (from_ms + 3 * 60 * MINUTE_MS, 3_600_000),
    ]
    assert clock_of(of, DISTRICT_ZONE) == [(from_ms, 28_800_000)]
