"""Months that there are, and figures as they are shown."""

from contextlib import suppress
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis.strategies import integers, text

from api.reports.model import BadMonth, Month
from api.reports.words import clean, number, share, subject_name, value_name
from tests.api.reports.made import HOSTILE, a_firms_report, a_report

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_month_is_that_of_its_zone() -> None:
    assert Month.parse("2026-11").range_ms(SHANGHAI) == (1_793_462_400_000, 1_796_054_400_000)
    assert Month(2026, 12).after == date(2027, 1, 1)


@pytest.mark.parametrize(
    "raw",
    ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "1999-12", "2026-11\n", "２０２６-11"],
)
def test_what_is_no_month_is_refused(raw: str) -> None:
    with pytest.raises(BadMonth):
        Month.parse(raw)


@given(integers(2000, 2199), integers(1, 12))
def test_a_month_is_read_back_as_it_was_written(year: int, number: int) -> None:
    month = Month(year, number)
    assert Month.parse(str(month)) == month
    start_ms, end_ms = month.range_ms(SHANGHAI)
    assert (end_ms - start_ms) % 86_400_000 == 0
    assert 28 <= (end_ms - start_ms) // 86_400_000 <= 31


@given(text())
def test_any_text_is_a_month_or_refused(raw: str) -> None:
    with suppress(BadMonth):
        assert str(Month.parse(raw)) == raw


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_becomes_one_short_line_that_turns_nothing(raw: str) -> None:
    shown = clean(raw)
    assert len(shown) <= 60
    assert not set(shown) & set("\u202e\u202c\u2066\x00\x07\x1b\n\t")
    assert shown


@given(text())
def test_any_name_can_be_written_as_utf_8(raw: str) -> None:
    clean(raw + "\ud800").encode()


def test_what_was_cut_says_so() -> None:
    assert clean("a" * 60) == "a" * 60
    assert clean("a" * 61) == "a" * 59 + "…"
    assert clean("\u200e" * 500) == "…"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "—"), (0.0, "0.0 %"), (1.0, "100.0 %"), (0.99999, "99.9 %")]
)
def test_a_share_is_never_rounded_up_to_a_whole(value: float | None, shown: str) -> None:
    assert share(value) == shown


def test_unknown_is_a_dash_and_zero_is_zero() -> None:
    assert (number(None, 1), number(0.0, 1), number(1234.56, 1)) == ("—", "0.0", "1,234.6")


def test_reasons_that_nobody_named_are_shown_as_they_came() -> None:
    assert value_name("zh", "stop_reasons", "full") == "充满自停"
    assert value_name("en", "deny_reasons", "expired") == "Expired"
    assert value_name("en", "deny_reasons", "#odd") == "#odd"
    assert value_name("zh", "stop_reasons", "odd") == "odd"


def test_a_firm_is_called_a_firm() -> None:
    report = a_firms_report([])
    assert subject_name("zh", report) == "亚新物业"
    assert subject_name("en", report) == "Yaxin"
    assert subject_name("zh", a_report()) == "祥云里"
