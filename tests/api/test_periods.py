"""Instants, durations and intervals as `from` and `to`."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadParameter
from api.periods import EARLIEST_MS, parse_period

SHANGHAI = ZoneInfo("Asia/Shanghai")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


NOW_MS = ms("2026-11-23T19:42:10+08:00")


@pytest.mark.parametrize(
    ("start", "end", "from_at", "to_at"),
    [
        ("2026-11-01", "2026-11-08", "2026-11-01T00:00:00", "2026-11-08T00:00:00"),
        ("P7D", "2026-11-08", "2026-11-01T00:00:00", "2026-11-08T00:00:00"),
        ("P7D", None, "2026-11-16T19:42:10", None),
        ("2026-10-31", "P2W", "2026-10-31T00:00:00", "2026-11-14T00:00:00"),
        ("P7D/2026-11-08", None, "2026-11-01T00:00:00", "2026-11-08T00:00:00"),
        ("2026-11-01/P1W", None, "2026-11-01T00:00:00", "2026-11-08T00:00:00"),
        ("2026-11-01/2026-11-08", None, "2026-11-01T00:00:00", "2026-11-08T00:00:00"),
        ("P1M", "2026-03-31", "2026-02-28T00:00:00", "2026-03-31T00:00:00"),
        ("P1Y", "2026-03-01", "2025-03-01T00:00:00", "2026-03-01T00:00:00"),
        ("P1Y2M", "2026-03-01", "2025-01-01T00:00:00", "2026-03-01T00:00:00"),
        ("PT36H", "2026-11-08", "2026-11-06T12:00:00", "2026-11-08T00:00:00"),
        ("P1DT30M", "2026-11-08", "2026-11-06T23:30:00", "2026-11-08T00:00:00"),
        ("p1d", "2026-11-08T06:00:00Z", "2026-11-07T14:00:00", "2026-11-08T14:00:00"),
    ],
)
def test_a_range_is_said_in_many_ways(
    start: str, end: str | None, from_at: str, to_at: str | None
) -> None:
    asked = parse_period(start, end, SHANGHAI, NOW_MS)
    assert asked.from_ms == ms(from_at + "+08:00")
    assert asked.to_ms == (None if to_at is None else ms(to_at + "+08:00"))


def test_a_range_into_the_future_ends_now() -> None:
    asked = parse_period("P10D/2026-12-01", None, SHANGHAI, NOW_MS)
    assert (asked.from_ms, asked.to_ms) == (ms("2026-11-21T00:00:00+08:00"), NOW_MS)


@pytest.mark.parametrize(
    ("start", "end", "parameter", "says"),
    [
        ("2026-11-24", None, "from", "the bound is now"),
        ("2026-11-08", "2026-11-01", "to", "2026-11-07T16:00:00.000Z"),
        ("2026-11-08", "2026-11-08", "to", "is not after `from`"),
        ("P7D", "P7D", "to", "two durations"),
        (None, "P7D", "to", "needs a `from`"),
        ("P7D/2026-11-08", "2026-11-08", "to", "leave one out"),
        (None, "P7D/2026-11-08", "to", "an interval is given as `from`"),
        ("P7D/", None, "from", "no interval"),
        ("P7D/P7D", None, "to", "two durations"),
        ("2026-11-01/2026-11-02/P1D", None, "from", "no interval"),
        ("P", "2026-11-08", "from", "no ISO 8601 duration"),
        ("PT", "2026-11-08", "from", "no ISO 8601 duration"),
        ("P1.5D", "2026-11-08", "from", "no ISO 8601 duration"),
        ("P0D", "2026-11-08", "from", "lasts no time"),
        ("-P7D", "2026-11-08", "from", "no RFC 3339 time"),
        ("P999Y", "2026-11-08", "from", "the earliest that is known"),
        ("P99999D", "2026-11-08", "from", "the earliest that is known"),
        ("1999-12-31", None, "from", "the earliest that is known"),
        ("9999-01-01", "P1Y", "to", "out of the calendar"),
        (None, "0001-01-01", "to", "the earliest that is known"),
    ],
)
def test_what_is_no_range_is_named_with_its_parameter_and_bound(
    start: str | None, end: str | None, parameter: str, says: str
) -> None:
    with pytest.raises(BadParameter) as refused:
        parse_period(start, end, SHANGHAI, NOW_MS)
    assert refused.value.detail.startswith(f"{parameter}: ")
    assert says in refused.value.detail


_piece = st.sampled_from(
    ["P", "T", "1", "99999", "D", "M", "Y", "W", "H", "S", "/", "-", ":", "2026-11-01", "Z", " "]
)
_texts = st.none() | st.text(max_size=12) | st.lists(_piece, max_size=8).map("".join)


@given(_texts, _texts)
def test_any_text_is_a_range_or_refused(start: str | None, end: str | None) -> None:
    try:
        asked = parse_period(start, end, SHANGHAI, NOW_MS)
    except BadParameter:
        return
    assert asked.from_ms is None or EARLIEST_MS <= asked.from_ms < NOW_MS
    assert asked.to_ms is None or (asked.from_ms or 0) < asked.to_ms <= NOW_MS
