"""Usage figures, checked on paper: coverage, buckets of the local day, what is provisional."""

import csv
import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from api import usage
from api.usage import bucket_starts, status
from devices.store.usage_days import UsageDays
from tests.api.cast import (
    ELEVEN_AM_MS,
    GATE,
    HOUR_MS,
    LAMP,
    LIANXIN,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    an_hour,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
URL = f"/v1/compounds/{XIANGYUNLI}/usage"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


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
    assert list(bucket_starts(start, end, SHANGHAI, "week")) == [
        start,
        ms("2026-11-02T00:00:00+08:00"),
    ]
    assert len(list(bucket_starts(start, start + 5 * HOUR_MS, SHANGHAI, "hour"))) == 5


def test_a_day_becomes_final_48_hours_after_it_ended() -> None:
    ends = ms("2026-11-21T00:00:00+08:00")
    final_at = ms("2026-11-23T00:00:00+08:00")
    assert status(ends, SHANGHAI, final_at - 1) == "provisional"
    assert status(ends, SHANGHAI, final_at) == "final"
    assert status(ends - 5 * HOUR_MS, SHANGHAI, final_at) == "final"
    assert status(ends + 1, SHANGHAI, final_at) == "provisional"


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
        "held_open_min": 0.0,
        "active_households": None,
        "coverage": pytest.approx(180 / (120 * (19 + 42 / 60 + 10 / 3600))),
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
        "nominal_kwh": None,
        "energy_of_nominal": None,
        "day_burn_hours": 0.0,
        "day_burn_kwh": 0.0,
        "excluded_kwh": 0,
        "lamp_on_rate": 0.875,
        "lit": 7,
        "dark": 1,
        "unknown": 0,
        "mean_dark_h": None,
        "dark_faults": 0,
        "coverage": pytest.approx(4 / 48),
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
    for bucket, count in (("hour", 44), ("day", 2), ("week", 2), ("month", 1)):
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


def test_an_old_day_status_and_a_range_into_the_future_is_cut(cast: Cast) -> None:
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


# Comparison


def test_whole_days_are_compared_with_as_many_before(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, ms("2026-11-20T08:00:00+08:00"), 120, granted=6)
        an_hour(connection, GATE, ms("2026-11-18T23:00:00+08:00"), 120, granted=3)
        an_hour(connection, GATE, ms("2026-11-17T23:00:00+08:00"), 120, granted=100)
    query = "?from=2026-11-20&to=P2D&bucket=day&compare=previous"
    body = cast.client("yaxin").get(URL + query).json()
    assert body["gates"]["passages"] == 6
    assert body["status"] == "provisional"
    before = body["previous"]
    assert (before["from"], before["to"]) == ("2026-11-17T16:00:00.000Z", body["from"])
    assert before["gates"]["passages"] == 3
    assert before["status"] == "final"
    assert 0 < before["coverage"] < 1
    assert before["charging"]["sessions"] == 0


def test_other_ranges_are_compared_with_as_many_hours_before(cast: Cast) -> None:
    body = cast.client("yaxin").get(URL + "?compare=previous").json()  # 19:42:10 of today
    assert body["previous"]["from"] == "2026-11-21T20:00:00.000Z"  # 20 hours
    assert body["previous"]["to"] == body["from"]
    assert cast.client("yaxin").get(URL).json()["previous"] is None


# Bad input


@pytest.mark.parametrize(
    ("query", "parameter", "says"),
    [
        ("from=2026-11-22&to=2026-11-21", "to", "not after `from`"),
        ("from=2026-11-24", "from", "the bound is now"),
        ("from=P367D", "from", "at most 366 days"),
        ("from=P63D", "bucket", "at most 1488 hours"),
        ("from=P1D&bucket=year", "bucket", "hour"),
        ("compare=next", "compare", "previous"),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_its_bound(
    cast: Cast, query: str, parameter: str, says: str
) -> None:
    answer = cast.client("yaxin").get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["parameter"] == parameter
    assert says in error["detail"]


def test_the_very_hour_that_begins_now_has_nothing_yet(cast: Cast) -> None:
    cast.now_ms = NOW_MS - NOW_MS % HOUR_MS
    answer = cast.client("yaxin").get(f"{URL}?from=2026-11-23T19:00")
    assert answer.status_code == 422
    assert cast.client("yaxin").get(f"{URL}?from=2026-11-23T18:00").status_code == 200


# CSV


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_a_bucket_is_a_line_of_csv(cast: Cast) -> None:
    with_a_day(cast)
    answer = cast.client("yaxin").get(
        f"{URL}?from=2026-11-22&bucket=day", headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert "usage-xiangyunli-2026-11-22.csv" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    first, second = rows_of(answer.text)
    assert first["start"] == "2026-11-22T00:00:00+08:00"
    assert first["end"] == second["start"] == "2026-11-23T00:00:00+08:00"
    assert second["end"] == "2026-11-23T19:42:10+08:00"
    assert first["status"] == "provisional"
    assert second["gates_passages"] == "50"
    assert second["gates_by_method_face"] == "40"
    assert first["gates_by_method_face"] == "0"
    assert first["gates_denial_rate"] == ""  # nobody passed
    assert second["charging_energy_kwh"] == "0.5"
    assert second["charging_stop_reasons_full"] == "1"
    assert first["lighting_burn_h"] == "7.0"
    json = cast.client("yaxin").get(f"{URL}?from=2026-11-22&bucket=day").json()
    assert float(second["coverage"]) == json["buckets"][1]["coverage"]


def test_what_a_device_says_cannot_become_a_formula(cast: Cast) -> None:
    with cast.write() as connection:
        an_hour(connection, GATE, ELEVEN_AM_MS, 120, granted=1, by_method={"=1+1": 1})
    answer = cast.client("yaxin").get(URL, headers={"Accept": "text/csv"})
    for cell in next(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))):
        assert cell[:1] not in "=+-@"
    assert any(row["gates_by_method_=1+1"] == "1" for row in rows_of(answer.text))


def test_columns_of_kinds_that_are_not_there_are_empty(cast: Cast) -> None:
    url = f"/v1/compounds/{LIANXIN}/usage"
    answer = cast.client("operator").get(url, headers={"Accept": "text/csv"})
    assert {row["charging_energy_kwh"] for row in rows_of(answer.text)} == {""}
    answer = cast.client("operator").get(f"{url}?compare=previous", headers={"Accept": "text/csv"})
    assert answer.status_code == 422


# Many compounds

DISTRICT_URL = "/v1/usage"


def with_days_summed_up(cast: Cast) -> None:
    with cast.write() as connection:
        for device, at, granted in (
            (GATE, "2026-11-22T08:00:00+08:00", 7),
            (GATE, "2026-10-05T08:00:00+08:00", 20),
            (STRANGE_GATE, "2026-11-21T08:00:00+08:00", 3),
        ):
            an_hour(connection, device, ms(at), 120, granted=granted)
        an_hour(connection, PORT, ms("2026-11-22T08:00:00+08:00"), 60, energy_kwh=0.5, sessions=1)
        an_hour(connection, GATE, ELEVEN_AM_MS, 120, granted=1000)  # today: it is not over
    days = UsageDays(cast.engine)
    for work in days.missing(NOW_MS):
        days.build(work, NOW_MS)
    for compound in days.compounds():
        days.build_months(compound, NOW_MS)
        days.build_peaks(compound)


def test_the_district_is_all_its_compounds_up_to_yesterday(cast: Cast) -> None:
    with_days_summed_up(cast)
    body = cast.client("operator").get(f"{DISTRICT_URL}?from=2026-10-01").json()
    assert (body["from"], body["to"]) == ("2026-09-30T16:00:00.000Z", "2026-11-22T16:00:00.000Z")
    assert (body["bucket"], body["group_by"], body["firm"]) == ("month", None, None)
    assert (body["compounds"], body["pending_days"]) == (2, 0)
    assert body["gates"]["passages"] == 30
    assert [bucket["gates"]["passages"] for bucket in body["buckets"]] == [20, 10]
    assert body["charging"]["energy_kwh"] == 0.5
    assert 0 < body["coverage"] < 1
    assert body["groups"] == []
    assert cast.client("viewer").get(f"{DISTRICT_URL}?from=2026-10-01").json() == body


def test_groups_add_up_to_the_whole_and_say_how_sure_they_are(cast: Cast) -> None:
    with_days_summed_up(cast)
    client = cast.client("operator")
    for group_by, passages in (
        ("compound", {LIANXIN: 3, XIANGYUNLI: 27}),
        ("firm", {"kangqiao": 3, "yaxin": 27}),
    ):
        body = client.get(f"{DISTRICT_URL}?from=2026-10-01&group_by={group_by}").json()
        assert {group["id"]: group["gates"]["passages"] for group in body["groups"]} == passages
        assert body["gates"]["passages"] == 30
        for group in body["groups"]:
            assert group["status"] == "provisional"
            assert 0 < group["coverage"] < 1
            assert group["compounds"] == 1
            assert sum(b["gates"]["passages"] for b in group["buckets"]) == passages[group["id"]]
        assert body["groups"][0]["charging"] is None  # no shed there
        assert body["groups"][1]["name"]["zh"] in ("祥云里", "亚新")


def test_a_kind_has_its_own_figures_and_coverage(cast: Cast) -> None:
    with_days_summed_up(cast)
    url = f"{DISTRICT_URL}?from=2026-11-22&bucket=day&group_by=kind"
    body = cast.client("operator").get(url).json()
    gate, lamp, port = body["groups"]
    assert (gate["id"], lamp["id"], port["id"]) == ("gate", "lamp", "port")
    assert gate["gates"]["passages"] == 7
    assert gate["charging"] is None
    assert gate["coverage"] == 120 / (2 * 24 * 120)
    assert port["coverage"] == 60 / (2 * 24 * 60)
    assert lamp["lighting"]["lit"] == 0
    assert (gate["compounds"], port["compounds"]) == (2, 1)


def test_a_firm_sees_its_own_and_may_not_ask_for_another(cast: Cast) -> None:
    with_days_summed_up(cast)
    url = f"{DISTRICT_URL}?from=2026-10-01&group_by=compound"
    body = cast.client("kangqiao").get(url).json()
    assert [group["id"] for group in body["groups"]] == [LIANXIN]
    assert (body["firm"], body["gates"]["passages"]) == ("kangqiao", 3)
    assert cast.client("kangqiao").get(f"{url}&firm=yaxin").status_code == 404
    body = cast.client("operator").get(f"{url}&firm=yaxin").json()
    assert (body["firm"], body["gates"]["passages"]) == ("yaxin", 27)


def test_thirty_days_unless_asked_otherwise_and_an_old_range_status(cast: Cast) -> None:
    with_days_summed_up(cast)
    client = cast.client("operator")
    body = client.get(DISTRICT_URL).json()
    assert (body["from"], body["to"]) == ("2026-10-23T16:00:00.000Z", "2026-11-22T16:00:00.000Z")
    body = client.get(f"{DISTRICT_URL}?from=P2W/2026-11-16&bucket=week").json()
    assert body["status"] == "final"
    assert [bucket["start"] for bucket in body["buckets"]] == [
        "2026-11-01T16:00:00.000Z",
        "2026-11-08T16:00:00.000Z",
    ]


@pytest.mark.parametrize(
    ("query", "parameter", "says"),
    [
        ("from=2026-11-23", "from", "2026-11-22, the newest one"),
        ("from=2026-11-24", "from", "the bound is now"),
        ("from=2026-11-22&to=2026-11-20", "to", "not after `from`"),
        ("from=P400D", "from", "at most 366 days"),
        ("from=P63D&bucket=day", "bucket", "at most 62 days"),
        ("bucket=hour", "bucket", "day"),
        ("group_by=device", "group_by", "compound"),
    ],
)
def test_a_range_of_many_that_cannot_be_is_refused_with_its_bound(
    cast: Cast, query: str, parameter: str, says: str
) -> None:
    answer = cast.client("operator").get(f"{DISTRICT_URL}?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["parameter"] == parameter
    assert says in error["detail"]


def test_too_many_lines_or_days_are_refused(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_day(cast)
    client = cast.client("operator")
    monkeypatch.setattr(usage, "MOST_LINES", 1)
    answer = client.get(f"{DISTRICT_URL}?group_by=compound&bucket=week")
    assert answer.status_code == 422
    assert "the bound is 1" in answer.json()["errors"][0]["detail"]
    monkeypatch.setattr(usage, "MOST_LINES", 100)
    monkeypatch.setattr(usage, "MOST_FROM_HOURS", 0)
    answer = client.get(DISTRICT_URL)  # nothing is summed up yet
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    monkeypatch.setattr(usage, "MOST_FROM_HOURS", 40)
    monkeypatch.setattr(usage, "MOST_EMPTY", 1)
    answer = client.get(DISTRICT_URL)
    assert answer.status_code == 422
    assert "the bound is 1 compound-days" in answer.json()["errors"][0]["detail"]


def test_a_group_and_bucket_is_a_line_of_csv(cast: Cast) -> None:
    with_days_summed_up(cast)
    headers = {"Accept": "text/csv"}
    client = cast.client("operator")
    answer = client.get(f"{DISTRICT_URL}?from=2026-10-01&group_by=compound", headers=headers)
    rows = rows_of(answer.text)
    assert [(row["id"], row["name_zh"], row["gates_passages"]) for row in rows] == [
        (LIANXIN, "连心胡同", "0"),
        (LIANXIN, "连心胡同", "3"),
        (XIANGYUNLI, "祥云里", "20"),
        (XIANGYUNLI, "祥云里", "7"),
    ]
    assert rows[0]["charging_energy_kwh"] == ""
    assert rows[3]["charging_energy_kwh"] == "0.5"
    rows = rows_of(client.get(f"{DISTRICT_URL}?from=2026-10-01", headers=headers).text)
    assert [row["gates_passages"] for row in rows] == ["20", "10"]
    assert "id" not in rows[0]
