from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import httpx2

from api.app import create_app
from api.parts import SERIES_AT_ONCE, Dependencies
from devices.store.telemetry.influxdb import InfluxTelemetry
from devices.telemetry import Sample
from tests import fake_influxdb
from tests.api.cast import DAY_MS, GATE, LAMP, MINUTE_MS, NOW_MS, Cast
from tests.api.served import served
from tests.eventually import eventually
from tests.fake_influxdb import BUCKET, ORG, TOKEN, FakeInfluxDB, Trouble

URL = f"/v1/devices/{LAMP}/telemetry"


def with_power(cast: Cast) -> None:
    cast.telemetry.series["lamp", LAMP, "power_w"] = [
        Sample(NOW_MS - 2 * DAY_MS, 10.0),
        *(Sample(NOW_MS - n * MINUTE_MS, 70.0 + n) for n in range(9, -1, -1)),
    ]


def test_a_raw_series_is_the_last_day_oldest_first(cast: Cast) -> None:
    with_power(cast)
    body = cast.client("operator").get(f"{URL}?quantity=power_w").json()
    assert (body["device"], body["quantity"], body["unit"], body["every"]) == (
        LAMP,
        "power_w",
        "W",
        None,
    )
    assert [point["value"] for point in body["points"]] == [79.0 - n for n in range(10)]
    assert body["points"][-1]["at"] == "2026-11-23T11:42:10.000Z"
    assert body["next_cursor"] is None


def test_pages_of_a_raw_series_put_together_are_the_series(cast: Cast) -> None:
    with_power(cast)
    client = cast.client("operator")
    seen: list[float] = []
    parameters = {"quantity": "power_w", "limit": "3"}
    while True:
        body = client.get(URL, params=parameters).json()
        seen += [point["value"] for point in body["points"]]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == [79.0 - n for n in range(10)]


def test_buckets_have_their_least_mean_greatest_and_last(cast: Cast) -> None:
    with_power(cast)
    body = cast.client("operator").get(f"{URL}?quantity=power_w&every=5m").json()
    assert body["every"] == "5m"
    assert [(p["at"][11:16], p["min"], p["max"], p["count"]) for p in body["points"]] == [
        ("11:30", 78.0, 79.0, 2),
        ("11:35", 73.0, 77.0, 5),
        ("11:40", 70.0, 72.0, 3),
    ]
    assert body["points"][0]["mean"] == 78.5
    assert body["points"][2]["last"] == 70.0


def test_pages_of_buckets_go_on_behind_the_last_one(cast: Cast) -> None:
    with_power(cast)
    client = cast.client("operator")
    parameters = {"quantity": "power_w", "every": "5m", "limit": "2"}
    first = client.get(URL, params=parameters).json()
    then = client.get(URL, params={**parameters, "cursor": first["next_cursor"]}).json()
    assert [p["count"] for p in first["points"] + then["points"]] == [2, 5, 3]


def test_words_and_flags_have_a_last_value_and_no_mean(cast: Cast) -> None:
    cast.telemetry.series["gate", GATE, "door_state"] = [
        Sample(NOW_MS - 2000, "closed"),
        Sample(NOW_MS - 1000, "open"),
    ]
    client = cast.client("operator")
    body = client.get(f"/v1/devices/{GATE}/telemetry?quantity=door_state&every=1h").json()
    assert body["points"] == [
        {
            "at": "2026-11-23T11:00:00.000Z",
            "min": None,
            "mean": None,
            "max": None,
            "last": "open",
            "count": 2,
        }
    ]


def test_a_range_is_in_the_compounds_time_unless_it_says_otherwise(cast: Cast) -> None:
    with_power(cast)
    client = cast.client("operator")

    def count(query: str) -> int:
        return len(client.get(f"{URL}?quantity=power_w&{query}").json()["points"])

    assert count("from=2026-11-23T19:40") == 3
    assert count("from=2026-11-23T11:40:00Z") == 3
    assert count("from=2026-11-20&to=2026-11-23") == 1
    assert count("from=2026-11-23T19:40&to=2027-01-01") == 3
    assert count("to=2026-11-22") == 1  # the 24 hours before


def test_nothing_measured_is_an_empty_series(cast: Cast) -> None:
    assert cast.client("operator").get(f"{URL}?quantity=power_w").json()["points"] == []


def test_an_instance_of_a_quantity_is_one_too(cast: Cast) -> None:
    answer = cast.client("operator").get(f"/v1/devices/{GATE}/telemetry?quantity=reader_online_1")
    assert answer.status_code == 200


@contextmanager
def on_influxdb(cast: Cast) -> Iterator[tuple[str, FakeInfluxDB]]:
    """The application on a socket, its series in an InfluxDB that it would wait long for."""
    with fake_influxdb.running() as influxdb:
        store = InfluxTelemetry(
            influxdb.url, TOKEN, ORG, BUCKET, timeout_s=300.0, read_timeout_s=300.0
        )
        deps: Dependencies = cast.app.state.parts.deps
        with served(create_app(replace(deps, telemetry=store))) as url:
            yield url, influxdb
        store.close()


def test_a_store_that_never_answers_holds_up_nothing_else(cast: Cast) -> None:
    askers = 60  # more than the threads on which the routes run
    headers = {"Authorization": f"Bearer {cast.tokens['operator']}"}
    with (
        on_influxdb(cast) as (url, influxdb),
        httpx2.Client(base_url=url, headers=headers, timeout=60) as client,
        ThreadPoolExecutor(askers) as pool,
    ):
        influxdb.troubles += [Trouble(hang=True)] * askers

        def ask(_: int) -> httpx2.Response:
            return client.get(f"{URL}?quantity=power_w", timeout=120)

        asked = [pool.submit(ask, n) for n in range(askers)]
        try:
            hang = SERIES_AT_ONCE
            eventually(lambda: sum(each.done() for each in asked) == askers - hang, 60, "refused")
            assert client.get("/v1/compounds").status_code == 200
            assert client.get("/").status_code == 200
            assert sum(not each.done() for each in asked) == hang
            assert len(influxdb.requests) == hang
        finally:
            influxdb.over.set()  # now those are cut off

        answers = [each.result(60) for each in asked]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["content-type"] for answer in answers} == {
            "application/problem+json"
        }
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)

        influxdb.troubles.clear()
        assert client.get(f"{URL}?quantity=power_w").json()["points"] == []
