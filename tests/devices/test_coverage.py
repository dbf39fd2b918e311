"""Sums and their coverage, checked on paper."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.coverage import Places, Promise, Sum, merge_quickly, sum_hours, sum_stretch
from devices.store.usage import DeviceHour, Reporter
from devices.usage import Figures, merge

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


@dataclass(frozen=True)
class Here:
    latitude: float = 34.75
    longitude: float = 113.62


def summed(
    devices: Sequence[Reporter], rows: Sequence[DeviceHour], from_ms: int, to_ms: int
) -> Sum:
    return sum_stretch(Promise(Here(), devices, to_ms), rows, from_ms, to_ms)


def a_reporter(no: int, kind: str = "gate", interval_s: int = 60, **more: object) -> Reporter:
    attributes = {"supply": more["supply"]} if "supply" in more else {}
    since, until = more.get("since"), more.get("until")
    return Reporter(no, kind, interval_s, attributes, since, until)  # type: ignore[arg-type]


NIGHT = ms("2026-11-22T23:00:00+08:00")  # the lamps are to be lit from 17:45 to 06:40
NOON = ms("2026-11-23T12:00:00+08:00")


# Coverage


def test_hours_without_a_row_are_expected_too() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 60, {})]
    sums = summed([a_reporter(1), a_reporter(2)], rows, NOON, NOON + 2 * HOUR_MS)
    assert sums.expected == 240
    assert sums.received == 60
    assert sums.coverage == 0.25


def test_reports_beyond_what_was_expected_do_not_make_up_for_others() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 500, {})]
    sums = summed([a_reporter(1), a_reporter(2)], rows, NOON, NOON + HOUR_MS)
    assert (sums.received, sums.expected) == (60, 120)


@pytest.mark.parametrize(
    ("received", "on_change", "counts"),
    [
        (75, 25, 50),  # of 60 heartbeats 10 are lost, whatever else came
        (25, 25, 25),  # heartbeats that tell nothing but states: all count
        (500, 450, 50),
        (500, 451, 60),  # less than a tenth are heartbeats: they are not told apart
        (0, 0, 0),
    ],
)
def test_reports_of_a_change_do_not_make_up_for_heartbeats_that_are_lost(
    received: int, on_change: float, counts: float
) -> None:
    rows = [DeviceHour(NOON, 1, "gate", received, {"on_change": on_change})]
    sums = summed([a_reporter(1)], rows, NOON, NOON + HOUR_MS)
    assert sums.received == pytest.approx(counts)


def test_nothing_is_expected_after_now() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 15, {})]
    quarter_past = NOON + HOUR_MS // 4
    sums = summed([a_reporter(1)], rows, NOON, quarter_past)
    assert (sums.received, sums.expected) == (15, 15)


@pytest.mark.parametrize(
    ("hour", "expected"),
    [
        (NIGHT, 4),
        (NOON, 0),
        (ms("2026-11-23T17:00:00+08:00"), 1),  # civil dusk at 17:45: the last quarter
        (ms("2026-11-23T06:00:00+08:00"), 3),  # civil dawn at 06:41
    ],
)
def test_a_switched_lamp_is_expected_only_while_it_has_power(hour: int, expected: float) -> None:
    lamp = a_reporter(1, "lamp", 900, supply="switched")
    promise = Promise(Here(), [lamp], hour + HOUR_MS)
    assert promise.of_all(hour) == expected
    assert promise.of(1, hour) == expected


def test_a_lamp_with_permanent_supply_is_expected_by_day_too() -> None:
    lamp = a_reporter(1, "lamp", 900, supply="permanent")
    assert Promise(Here(), [lamp], NOON + HOUR_MS).of_all(NOON) == 4


def test_a_report_of_a_lamp_by_day_is_no_coverage() -> None:
    lamp = a_reporter(1, "lamp", 900, supply="switched")
    rows = [DeviceHour(NOON, 1, "lamp", 4, {})]
    sums = summed([lamp], rows, NOON, NOON + HOUR_MS)
    assert sums.coverage is None


def test_a_device_is_expected_while_it_is_in_service() -> None:
    coming = a_reporter(1, since=NOON + HOUR_MS)
    going = a_reporter(2, until=NOON + HOUR_MS)
    promise = Promise(Here(), [coming, going], NOON + DAY_MS)
    assert promise.of(1, NOON) == 0
    assert promise.of(2, NOON) == 60
    assert promise.of_all(NOON) == 60
    assert promise.of_all(NOON + HOUR_MS) == 60


def test_a_row_of_a_device_that_is_not_in_the_registry_counts_in_the_figures_alone() -> None:
    rows = [DeviceHour(NOON, 99, "gate", 60, {"granted": 5})]
    sums = summed([a_reporter(1)], rows, NOON, NOON + HOUR_MS)
    assert (sums.received, sums.expected) == (0, 60)
    assert sums.part("gate").figures == {"granted": 5}


def test_a_kind_has_its_own_coverage() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 60, {}), DeviceHour(NOON, 2, "port", 15, {"sessions": 1})]
    sums = summed([a_reporter(1), a_reporter(2, "port")], rows, NOON, NOON + HOUR_MS)
    assert sums.only("gate").coverage == 1
    assert sums.only("port").coverage == 0.25
    assert sums.only("lamp").coverage is None
    assert sums.part("port").port_s == 3600


def test_hours_go_to_the_bucket_that_they_begin_in() -> None:
    rows = [DeviceHour(NOON + n * HOUR_MS, 1, "gate", 60, {"granted": n + 1}) for n in range(4)]
    places = Places([NOON, NOON + HOUR_MS, NOON + 3 * HOUR_MS])
    promise = Promise(Here(), [a_reporter(1)], NOON + 4 * HOUR_MS)
    sum_hours(promise, rows, NOON, NOON + 4 * HOUR_MS, places)
    assert [one.part("gate").figures["granted"] for one in places.sums] == [1, 5, 4]
    assert [one.expected for one in places.sums] == [60, 120, 60]
    assert places.of(NOON) is places.sums[0]  # also when asked out of order


_figures = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9)) | st.dictionaries(
    st.sampled_from(["c"]), st.dictionaries(st.sampled_from("xy"), st.integers())
)


@given(st.lists(_figures, max_size=6))
def test_merging_quickly_is_merging(many: list[Figures]) -> None:
    one: Figures = {}
    other: Figures = {}
    before = deepcopy(many)
    for figures in many:
        merge(one, figures)
        merge_quickly(other, figures)
    assert one == other
    assert many == before  # nothing of theirs was taken over


def test_a_number_is_not_merged_with_counts() -> None:
    with pytest.raises(TypeError, match="denied"):
        merge_quickly({"denied": 1}, {"denied": {"card": 1}})
