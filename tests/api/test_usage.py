"""Usage figures, checked on paper: coverage, buckets of the local day, what is provisional."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from api.usage import Promise, bucket_starts, is_final, summarise
from devices.registry import Name
from devices.store.compounds import Entry
from devices.store.usage import DeviceHour, Reporter
from tests.api.cast import (
    DAY_MS,
    ELEVEN_AM_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    SHED,
    XIANGYUNLI,
    Cast,
    an_hour,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
URL = f"/v1/compounds/{XIANGYUNLI}/usage"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def an_entry(**devices: int) -> Entry:
    name = Name("祥云里", "Xiangyunli")
    return Entry("x", name, "yaxin", 1, "Asia/Shanghai", 34.75, 113.62, False, devices, 8)


def a_reporter(no: int, kind: str = "gate", interval_s: int = 60, **more: object) -> Reporter:
    attributes = {"supply": more["supply"]} if "supply" in more else {}
    since, until = more.get("since"), more.get("until")
    return Reporter(no, kind, interval_s, attributes, since, until)  # type: ignore[arg-type]


NIGHT = ms("2026-11-22T23:00:00+08:00")  # the lamps are to be lit from 17:45 to 06:40
NOON = ms("2026-11-23T12:00:00+08:00")


# Coverage


def test_hours_without_a_row_are_expected_too() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 60, {})]
    sums = summarise(
        an_entry(gate=2), [a_reporter(1), a_reporter(2)], rows, NOON, NOON + 2 * HOUR_MS, "hour"
    )
    assert sums.all.expected == 240
    assert sums.all.received == 60
    assert sums.all.shape(sums.kinds)["coverage"] == 0.25


def test_reports_beyond_what_was_expected_do_not_make_up_for_others() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 500, {})]
    sums = summarise(
        an_entry(gate=2), [a_reporter(1), a_reporter(2)], rows, NOON, NOON + HOUR_MS, "hour"
    )
    assert (sums.all.received, sums.all.expected) == (60, 120)


def test_nothing_is_expected_after_now() -> None:
    rows = [DeviceHour(NOON, 1, "gate", 15, {})]
    quarter_past = NOON + HOUR_MS // 4
    sums = summarise(an_entry(gate=1), [a_reporter(1)], rows, NOON, quarter_past, "hour")
    assert (sums.all.received, sums.all.expected) == (15, 15)


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
    promise = Promise(an_entry(lamp=1), [lamp], hour + HOUR_MS)
    assert promise.of_all(hour) == expected
    assert promise.of(1, hour) == expected


def test_a_lamp_with_permanent_supply_is_expected_by_day_too() -> None:
    lamp = a_reporter(1, "lamp", 900, supply="permanent")
    assert Promise(an_entry(lamp=1), [lamp], NOON + HOUR_MS).of_all(NOON) == 4


def test_a_report_of_a_lamp_by_day_is_no_coverage() -> None:
    lamp = a_reporter(1, "lamp", 900, supply="switched")
    rows = [DeviceHour(NOON, 1, "lamp", 4, {})]
    sums = summarise(an_entry(lamp=1), [lamp], rows, NOON, NOON + HOUR_MS, "hour")
    assert sums.all.shape(sums.kinds)["coverage"] is None


def test_a_device_is_expected_while_it_is_in_service() -> None:
    coming = a_reporter(1, since=NOON + HOUR_MS)
    going = a_reporter(2, until=NOON + HOUR_MS)
    promise = Promise(an_entry(gate=2), [coming, going], NOON + DAY_MS)
    assert promise.of(1, NOON) == 0
    assert promise.of(2, NOON) == 60
    assert promise.of_all(NOON) == 60
    assert promise.of_all(NOON + HOUR_MS) == 60


def test_a_row_of_a_device_that_is_not_in_the_registry_counts_in_the_figures_alone() -> None:
    rows = [DeviceHour(NOON, 99, "gate", 60, {"granted": 5})]
    sums = summarise(an_entry(gate=1), [a_reporter(1)], rows, NOON, NOON + HOUR_MS, "hour")
    assert (sums.all.received, sums.all.expected) == (0, 60)
    assert sums.all.figures["gate"] == {"granted": 5}


# Buckets and states


def test_days_and_months_are_those_of_the_compound() -> None:
    start, end = ms("2026-10-30T20:00:00+08:00"), ms("2026-11-02T01:00:00+08:00")
    days = list(bucket_starts(start, end, SHANGHAI, "day"))
    assert days == [
        start,
        ms("2026-10-31T00:00:00+08:00"),
        ms("2026-11-01T00:00:00+08:00"),
        ms("2026-11-02T00:00:00+08:00"),
    ]
    assert list(bucket_starts(start, end, SHANGHAI, "month")) == [
        start,
        ms("2026-11-01T00:00:00+08:00"),
    ]
    assert len(list(bucket_starts(start, start + 5 * HOUR_MS, SHANGHAI, "hour"))) == 5


def test_a_day_becomes_final_48_hours_after_it_ended() -> None:
    ends = ms("2026-11-21T00:00:00+08:00")
    final_at = ms("2026-11-23T00:00:00+08:00")
    assert not is_final(ends, SHANGHAI, final_at - 1)
    assert is_final(ends, SHANGHAI, final_at)
    assert is_final(ends - 5 * HOUR_MS, SHANGHAI, final_at)
    assert not is_final(ends + 1, SHANGHAI, final_at)


# The route


def with_a_day(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(
            connection,
            GATE,
            ELEVEN_AM_MS,
            120,
            granted=40,
            denied=10,
            remote=2,
            by_method={"face": 30, "card": 10},
            by_direction={"in": 25, "out": 15},
            deny_reasons={"not_recognised": 10},
        )
        an_hour(connection, GATE, ELEVEN_AM_MS + HOUR_MS, 60, granted=10, by_method={"face": 10})
        an_hour(
            connection,
            PORT,
            ELEVEN_AM_MS,
            60,
            in_use_s=1800,
            sessions=1,
            session_s=9000,
            energy_kwh=0.5,
            fee_fen=60,
            stop_reasons={"full": 1},
        )
        an_hour(connection, f"{SHED}-p02", ELEVEN_AM_MS, 60)
        an_hour(
            connection,
            LAMP,
            ELEVEN_AM_MS - 12 * HOUR_MS,  # yesterday, 23:00
            4,
            lit_s=7 * 3600,
            dark_s=3600,
            burn_s=7 * 3600,
            energy_kwh=0.07,
        )


def test_the_local_day_so_far_unless_asked_otherwise(cast: Cast) -> None:
    with_a_day(cast)
    body = cast.client("yaxin").get(URL).json()
    assert body["compound"] == XIANGYUNLI
    assert body["from"] == "2026-11-22T16:00:00.000Z"
    assert body["to"] == "2026-11-23T11:42:10.000Z"
    assert (body["bucket"], body["timezone"], body["status"]) == (
        "hour",
        "Asia/Shanghai",
        "provisional",
    )
    assert len(body["buckets"]) == 20
    assert body["gates"] == {
        "passages": 50,
        "denied": 10,
        "denial_rate": 10 / 60,
        "remote_openings": 2,
        "by_method": {"face": 40, "card": 10},
        "by_direction": {"in": 25, "out": 15},
        "deny_reasons": {"not_recognised": 10},
    }


def test_utilisation_rests_on_the_hours_of_which_we_have_data(cast: Cast) -> None:
    with_a_day(cast)
    charging = cast.client("yaxin").get(URL).json()["charging"]
    assert charging["sessions"] == 1
    assert charging["energy_kwh"] == 0.5
    assert charging["fee_fen"] == 60
    assert charging["utilisation"] == 0.25  # half an hour of two socket-hours
    assert charging["stop_reasons"] == {"full": 1}
    assert charging["mean_duration_h"] == 2.5


def test_lamps_burn_at_night_and_the_rate_shows_its_counts(cast: Cast) -> None:
    with_a_day(cast)
    query = "?from=2026-11-22T18:00&to=2026-11-23T06:00"
    lighting = cast.client("yaxin").get(URL + query).json()["lighting"]
    assert lighting == {
        "burn_hours": 7,
        "energy_kwh": 0.07,
        "lamp_on_rate": 0.875,
        "lit": 7,
        "dark": 1,
        "unknown": 0,
    }


def test_a_kind_that_the_compound_does_not_have_is_null(cast: Cast) -> None:
    body = cast.client("operator").get(f"/v1/compounds/{LIANXIN}/usage").json()
    assert body["charging"] is None
    assert body["lighting"] is None
    assert body["gates"]["passages"] == 0
    assert body["gates"]["denial_rate"] is None
    assert body["coverage"] == 0


def test_buckets_add_up_to_the_whole(cast: Cast) -> None:
    with_a_day(cast)
    client = cast.client("operator")
    for bucket, count in (("hour", 44), ("day", 2), ("month", 1)):
        body = client.get(f"{URL}?from=2026-11-22&bucket={bucket}").json()
        assert len(body["buckets"]) == count
        assert sum(b["gates"]["passages"] for b in body["buckets"]) == 50
        assert sum(b["charging"]["energy_kwh"] for b in body["buckets"]) == 0.5
        assert body["buckets"][0]["start"] == body["from"]
    days = client.get(f"{URL}?from=2026-11-22&bucket=day").json()["buckets"]
    assert [day["gates"]["passages"] for day in days] == [0, 50]
    assert days[1]["start"] == "2026-11-22T16:00:00.000Z"


def test_a_range_is_widened_to_whole_hours_and_says_so(cast: Cast) -> None:
    with_a_day(cast)
    query = "?from=2026-11-23T11:30&to=2026-11-23T11:40"
    body = cast.client("operator").get(URL + query).json()
    assert (body["from"], body["to"]) == ("2026-11-23T03:00:00.000Z", "2026-11-23T04:00:00.000Z")
    assert body["gates"]["passages"] == 40
    # gate at 30 s; gateway, shed and two ports at 60 s; camera at 300 s; the lamp has no power
    expected = 120 + 4 * 60 + 12
    assert body["coverage"] == pytest.approx((120 + 60 + 60) / expected)


def test_an_old_day_is_final_and_a_range_into_the_future_is_cut(cast: Cast) -> None:
    client = cast.client("operator")
    body = client.get(f"{URL}?from=2026-11-19&to=2026-11-20").json()
    assert body["status"] == "final"
    body = client.get(f"{URL}?from=2026-11-23&to=2027-01-01&bucket=day").json()
    assert body["to"] == "2026-11-23T11:42:10.000Z"
    assert len(body["buckets"]) == 1


def test_coverage_of_now_counts_only_what_could_have_come(cast: Cast) -> None:
    this_hour = NOW_MS - NOW_MS % HOUR_MS
    with cast.write() as connection:
        an_hour(connection, f"{LIANXIN}-gate-1", this_hour, 84)
        an_hour(connection, f"{LIANXIN}-gw", this_hour, 42)
    url = f"/v1/compounds/{LIANXIN}/usage?from=2026-11-23T19:00"
    body = cast.client("operator").get(url).json()
    assert body["coverage"] == pytest.approx(126 / (2530 / 30 + 2530 / 60))
