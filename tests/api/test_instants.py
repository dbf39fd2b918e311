from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis.strategies import integers, text

from api.errors import BadParameter
from api.instants import (
    DISTRICT_ZONE,
    midnight_of,
    parse_instant,
    parse_range,
    print_instant,
    zone_of,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW_MS = 1_795_434_130_000  # 2026-11-23T11:42:10Z


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2026-11-23T11:42:10Z", at(2026, 11, 23, 11, 42, 10)),
        ("2026-11-23t11:42:10z", at(2026, 11, 23, 11, 42, 10)),
        ("2026-11-23T11:42:10.123Z", at(2026, 11, 23, 11, 42, 10) + 123),
        ("2026-11-23T11:42:10.123456789Z", at(2026, 11, 23, 11, 42, 10) + 123),
        ("2026-11-23T19:42:10+08:00", at(2026, 11, 23, 11, 42, 10)),
        ("2026-11-23T19:42:10 08:00", at(2026, 11, 23, 11, 42, 10)),  # `+` unescaped in an address
        ("2026-11-23T19:42", at(2026, 11, 23, 11, 42)),  # no zone: the compound's
        ("2026-11-23 19:42:10", at(2026, 11, 23, 11, 42, 10)),
        ("2026-11-23", at(2026, 11, 22, 16)),  # its midnight
        ("1999-12-31T23:59:59-00:00", at(1999, 12, 31, 23, 59, 59)),
    ],
)
def test_a_time_is_read_in_its_zone_or_in_the_compounds(written: str, ms: int) -> None:
    assert parse_instant("from", written, SHANGHAI) == ms


@pytest.mark.parametrize(
    "written",
    [
        "1795434130123",  # an epoch is no time that a person checks
        "1795434130.5",
        "2026-11-31",
        "2026-02-29T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T10:00:00+99:00",
        "23.11.2026",
        "yesterday",
        "2026-W48-1",
        "",
        "2026-11-23T10:00:00Z; DROP TABLE faults",
        "٢٠٢٦-١١-٢٣",
    ],
)
def test_anything_else_is_refused_naming_the_parameter(written: str) -> None:
    with pytest.raises(BadParameter) as error:
        parse_instant("from", written, SHANGHAI)
    assert error.value.more["errors"][0]["parameter"] == "from"  # type: ignore[index]


@given(text(max_size=40))
def test_any_text_is_a_time_or_a_bad_parameter(written: str) -> None:
    with suppress(BadParameter):
        assert isinstance(parse_instant("to", written, DISTRICT_ZONE), int)


@given(integers(min_value=-(2**40), max_value=2**42))
def test_a_printed_time_reads_back_the_same(ms: int) -> None:
    assert parse_instant("from", print_instant(ms), SHANGHAI) == ms


def test_a_time_is_printed_in_utc_with_milliseconds() -> None:
    assert print_instant(NOW_MS + 7) == "2026-11-23T11:42:10.007Z"
    assert print_instant(-1) == "1969-12-31T23:59:59.999Z"


def test_a_range_that_ends_in_the_future_is_cut_to_now() -> None:
    asked = parse_range("2026-11-23T00:00:00Z", "2027-01-01", SHANGHAI, NOW_MS)
    assert asked.to_ms == NOW_MS + 1


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        ("2027-01-01", None, "from"),
        ("2027-01-01", "2027-01-02", "from"),
        ("2026-11-02", "2026-11-01", "to"),
        ("2026-11-01", "2026-11-01", "to"),
        ("nonsense", "2026-11-01", "from"),
        ("2026-11-01", "nonsense", "to"),
    ],
)
def test_a_range_that_cannot_be_is_refused(start: str, end: str | None, named: str) -> None:
    with pytest.raises(BadParameter) as error:
        parse_range(start, end, SHANGHAI, NOW_MS)
    assert error.value.detail.startswith(f"{named}:")


def test_an_open_range_stays_open() -> None:
    asked = parse_range(None, None, SHANGHAI, NOW_MS)
    assert (asked.from_ms, asked.to_ms) == (None, None)


def test_the_day_begins_at_local_midnight() -> None:
    assert midnight_of(NOW_MS, SHANGHAI) == at(2026, 11, 22, 16)
    assert midnight_of(at(2026, 11, 22, 16), SHANGHAI) == at(2026, 11, 22, 16)
    assert midnight_of(at(2026, 11, 22, 16) - 1, SHANGHAI) == at(2026, 11, 21, 16)


def test_a_zone_that_the_machine_does_not_know_is_the_districts() -> None:
    assert zone_of("Mars/Olympus") == timezone(timedelta(hours=8))
    assert zone_of("") == DISTRICT_ZONE
    assert zone_of("Asia/Shanghai") == SHANGHAI
