"""Figures that are final, corrected: by whom, what is refused, and where it is seen."""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from api import usage_corrections
from devices.corrections import Line, RecountBusy, Recounted, RecountRefused
from devices.store.database import DatabaseAway
from devices.store.registry import device_numbers
from devices.store.schema import usage_corrections as rows
from devices.store.usage_days import UsageDays, Work
from devices.telemetry import TelemetryAway
from tests.api.cast import (
    GATE,
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    PORT,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    an_hour,
)

USAGE = f"/v1/compounds/{XIANGYUNLI}/usage"
URL = f"{USAGE}/corrections"
DAY = "2026-11-10"
OF_DAY = f"{USAGE}?from={DAY}&to=P1D&bucket=day"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


NOON = ms(f"{DAY}T12:00:00+08:00")


@pytest.fixture
def used(cast: Cast) -> Cast:
    """A day of two weeks ago with something in it."""
    with cast.write() as connection:
        an_hour(connection, PORT, NOON, 60, energy_kwh=4.0, sessions=2, fee_fen=120)
        an_hour(connection, GATE, NOON, 120, granted=10, by_method={"face": 10})
    return cast


def a_correction(**changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "day": DAY,
        "device": PORT,
        "changes": {"energy_kwh": -1.5, "sessions": 1},
        "reason": "电表更换，读数有误",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def made(cast: Cast, **changes: object) -> dict[str, Any]:
    answer = cast.client("operator").post(URL, json=a_correction(**changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_correction_is_looked_at_recorded_and_in_every_answer(used: Cast) -> None:
    operator = used.client("operator")
    proposed = a_correction(reason=None)
    looked = operator.post(f"{URL}/preview", json=proposed).json()
    assert looked["changes"] == {
        "port": {
            "energy_kwh": {"before": 4, "added": -1.5, "after": 2.5},
            "sessions": {"before": 2, "added": 1, "after": 3},
        }
    }
    assert looked["hours"] == [
        {
            "start": "2026-11-10T04:00:00.000Z",
            "device": PORT,
            "kind": "port",
            "received": 0,
            "added": {"energy_kwh": -1.5, "sessions": 1},
        }
    ]
    assert (looked["hours_total"], looked["revision"], looked["left"]) == (1, 1, {})
    before = operator.get(OF_DAY).json()
    assert (before["corrections"], before["corrected_at"]) == (0, None)
    assert before["charging"]["energy_kwh"] == 4, "a preview does nothing"

    one = made(used, digest=looked["digest"])
    assert one == {
        "id": one["id"],
        "compound": XIANGYUNLI,
        "day": DAY,
        "revision": 1,
        "way": "stated",
        "device": PORT,
        "from": "2026-11-10T04:00:00.000Z",
        "to": "2026-11-10T05:00:00.000Z",
        "changes": {"port": {"energy_kwh": -1.5, "sessions": 1}},
        "reason": "电表更换，读数有误",
        "corrects": None,
        "created_by": "li-min",
        "created_at": "2026-11-23T11:42:10.000Z",
    }
    for name in ("operator", "yaxin", "viewer"):
        body = used.client(name).get(OF_DAY).json()
        assert body["status"] == "final"
        assert (body["corrections"], body["corrected_at"]) == (1, one["created_at"])
        assert body["charging"]["energy_kwh"] == 2.5
        assert [bucket["corrections"] for bucket in body["buckets"]] == [1]
        assert used.client(name).get(URL).json() == {"items": [one], "next_cursor": None}


def test_only_the_buckets_that_hold_it_say_so(used: Cast) -> None:
    made(used)
    client = used.client("yaxin")
    by_day = client.get(f"{USAGE}?from=2026-11-09&to=2026-11-12&bucket=day").json()
    assert [bucket["corrections"] for bucket in by_day["buckets"]] == [0, 1, 0]
    by_hour = client.get(f"{USAGE}?from={DAY}&to=P1D&bucket=hour").json()
    assert [bucket["corrections"] for bucket in by_hour["buckets"]] == [0] * 12 + [1] + [0] * 11
    week = client.get(f"{USAGE}?from=2026-11-16&to=2026-11-23&bucket=week&compare=previous").json()
    assert (week["corrections"], week["previous"]["corrections"]) == (0, 1)
    answer = client.get(
        f"{USAGE}?from=2026-11-09&to=2026-11-12&bucket=day", headers={"Accept": "text/csv"}
    )
    lines = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [line["corrections"] for line in lines] == ["0", "1", "0"]
    assert [float(line["charging_energy_kwh"]) for line in lines] == [0, 2.5, 0]


def test_the_usage_of_many_says_it_by_group(used: Cast) -> None:
    made(used)
    days = UsageDays(used.engine)
    for compound, day_ms in days.due(NOW_MS):
        days.build(Work(compound, [day_ms]), NOW_MS)
    client = used.client("operator")

    def groups(group_by: str) -> dict[str, int]:
        body = client.get(f"/v1/usage?from=2026-11-09&to=P3D&group_by={group_by}").json()
        assert body["corrections"] == 1
        assert body["charging"]["energy_kwh"] == 2.5
        return {group["id"]: group["corrections"] for group in body["groups"]}

    assert groups("compound") == {XIANGYUNLI: 1, LIANXIN: 0}
    assert groups("firm") == {"yaxin": 1, "kangqiao": 0}
    assert groups("kind") == {"gate": 0, "lamp": 0, "port": 1}
    answer = client.get(
        "/v1/usage?from=2026-11-09&to=P3D&group_by=firm", headers={"Accept": "text/csv"}
    )
    lines = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert {line["id"]: line["corrections"] for line in lines} == {"yaxin": "1", "kangqiao": "0"}


@pytest.mark.parametrize(
    ("changes", "parameter", "says"),
    [
        ({"day": "2026-11-21"}, "day", "provisional until 48 h after its end: late data comes in"),
        ({"day": "2026-12-24"}, "day", "2026-11-23 is provisional"),
        ({"day": "9999-12-31"}, "day", "provisional"),
        ({"day": "0001-01-01"}, "day", ""),
        ({"day": "1970-01-01"}, "day", "before 2000"),
        ({"day": "2026-10-31"}, "day", "nothing of xiangyunli is on record"),
        ({"day": "yesterday"}, "day", "no RFC 3339 time"),
        ({"day": None}, "day", "either a day or an hour"),
        ({"hour": f"{DAY}T12:00"}, "day", "either a day or an hour"),
        ({"device": None}, "device", "either a device or a kind"),
        ({"kind": "port"}, "device", "either a device or a kind"),
        ({"device": STRANGE_GATE}, "device", "has no device"),
        ({"device": f"{XIANGYUNLI}-gw"}, "kind", "a gateway has no figures"),
        ({"device": GATE}, "changes", "no figure of a gate"),
        ({"changes": {}}, "changes", "nothing is to be changed"),
        ({"changes": {"joules": 1}}, "changes", "no figure of a port; it has sessions"),
        ({"changes": {"stop_reasons.bored": 1}}, "changes", "counted by one of"),
        ({"changes": {"sessions": 0.5}}, "changes", "is a count"),
        ({"changes": {"energy_kwh": -4.5}}, "changes", "would be negative: 4 is there"),
        ({"changes": {"energy_kwh": 1e12}}, "changes", "at most 1,000,000,000"),
        ({"changes": {"energy_kwh": "much"}}, "changes.energy_kwh", "valid number"),
        ({"reason": " "}, "reason", "at least 1"),
        ({"reason": None}, "reason", "required"),
        ({"reason": "x" * 501}, "reason", "at most 500"),
        ({"corrects": "nothing"}, "corrects", "there is no correction"),
        ({"kind": "lift", "device": None}, "kind", "'gate', 'port' or 'lamp'"),
        ({"figures": {}}, "figures", "not permitted"),
    ],
)
def test_what_cannot_be_corrected_is_refused_with_the_reason(
    used: Cast, changes: Mapping[str, object], parameter: str, says: str
) -> None:
    answer = used.client("operator").post(URL, json=a_correction(**changes))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["parameter"] == parameter
    assert says in error["detail"]
    with used.write() as connection:
        assert connection.execute(select(rows)).all() == []


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_no_number_is_no_amount(used: Cast, amount: str) -> None:
    body = f'{{"day": "{DAY}", "device": "{PORT}", "reason": "x", "changes": {{"energy_kwh": '
    answer = used.client("operator").post(
        URL, content=f"{body}{amount}}}}}", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert "energy_kwh" in answer.json()["detail"]


@pytest.mark.parametrize(("name", "code"), [("yaxin", 403), ("viewer", 403), ("kangqiao", 404)])
def test_only_operators_correct(used: Cast, name: str, code: int) -> None:
    for url in (URL, f"{URL}/preview"):
        body = a_correction() if url == URL else a_correction(reason=None)
        assert used.client(name).post(url, json=body).status_code == code
    assert used.client(name).get(URL).status_code == (404 if code == 404 else 200)


def test_the_same_request_again_is_one_correction(used: Cast) -> None:
    headers = {"Idempotency-Key": "once"}
    operator = used.client("operator")
    first, again = (operator.post(URL, json=a_correction(), headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert len(operator.get(URL).json()["items"]) == 1


def test_what_changed_since_it_was_previewed_is_not_recorded(used: Cast) -> None:
    operator = used.client("operator")
    digest = operator.post(f"{URL}/preview", json=a_correction(reason=None)).json()["digest"]
    made(used, changes={"energy_kwh": 1})
    answer = operator.post(URL, json=a_correction(digest=digest))
    assert answer.status_code == 409
    assert len(operator.get(URL).json()["items"]) == 1


def test_an_hour_and_a_kind_can_be_corrected(used: Cast) -> None:
    hour = made(used, day=None, hour=f"{DAY}T21:30", changes={"in_use_h": 0.5})
    assert (hour["from"], hour["to"]) == ("2026-11-10T13:00:00.000Z", "2026-11-10T14:00:00.000Z")
    changes = {"passages": 2, "by_method.card": 2}
    kind = made(used, device=None, kind="gate", changes=changes)
    assert (kind["device"], kind["revision"]) == (None, 2)
    gates = used.client("yaxin").get(OF_DAY).json()["gates"]
    assert (gates["passages"], gates["by_method"]) == (12, {"face": 10, "card": 2})


def test_a_wrong_one_is_corrected_by_another_and_the_list_has_pages(used: Cast) -> None:
    wrong = made(used, changes={"energy_kwh": 40})
    used.now_ms += HOUR_MS
    right = made(used, changes={"energy_kwh": -36}, corrects=wrong["id"], reason="小数点错位")
    client = used.client("viewer")
    first = client.get(f"{URL}?limit=1").json()
    assert first["items"] == [right]
    rest = client.get(f"{URL}?limit=1&cursor={first['next_cursor']}").json()
    assert rest == {"items": [wrong], "next_cursor": None}
    assert client.get(f"{URL}?from=2026-11-11").json()["items"] == []
    assert client.get(f"{URL}?to=2026-11-10").json()["items"] == []
    assert client.get(OF_DAY).json()["charging"]["energy_kwh"] == 8


# A recount


def late_readings(cast: Cast) -> None:
    with cast.write() as connection:
        number = device_numbers(connection)[PORT]
    line = Line(NOON + HOUR_MS, number, "port", 30, {"energy_kwh": 0.75})
    cast.recount.found = Recounted([line], {GATE: "the store holds no reading of it on that day"})


def test_a_recount_is_looked_at_and_recorded_with_a_reason(used: Cast) -> None:
    late_readings(used)
    operator = used.client("operator")
    asked = {"day": DAY, "recount": True}
    looked = operator.post(f"{URL}/preview", json=asked).json()
    assert looked["changes"] == {
        "port": {"energy_kwh": {"before": 4, "added": 0.75, "after": 4.75}}
    }
    assert [(hour["device"], hour["received"]) for hour in looked["hours"]] == [(PORT, 30)]
    assert list(looked["left"]) == [GATE]
    start = NOON - 12 * HOUR_MS
    assert used.recount.days == [(XIANGYUNLI, start, start + 24 * HOUR_MS)]
    without = operator.post(URL, json={**asked, "reason": "补传"})
    assert (without.status_code, without.json()["errors"][0]["parameter"]) == (422, "digest")
    coverage = operator.get(OF_DAY).json()["coverage"]
    body = {**asked, "reason": "补传", "digest": looked["digest"]}
    headers = {"Idempotency-Key": "once"}
    one = operator.post(URL, json=body, headers=headers).json()
    used.recount.found = Recounted([], {})  # what was recorded is no difference any more
    assert operator.post(URL, json=body, headers=headers).json() == one
    assert (one["way"], one["device"]) == ("recount", None)
    assert one["changes"] == {"port": {"energy_kwh": 0.75}}
    after = operator.get(OF_DAY).json()
    assert after["charging"]["energy_kwh"] == 4.75
    assert after["coverage"] > coverage


def test_a_recount_that_differs_from_what_was_looked_at_is_not_recorded(used: Cast) -> None:
    late_readings(used)
    operator = used.client("operator")
    asked = {"day": DAY, "recount": True}
    digest = operator.post(f"{URL}/preview", json=asked).json()["digest"]
    used.recount.found = Recounted([used.recount.found.lines[0]._replace(received=31)], {})
    answer = operator.post(URL, json={**asked, "reason": "补传", "digest": digest})
    assert answer.status_code == 409
    assert operator.get(URL).json()["items"] == []


def test_without_a_difference_nothing_is_recorded(used: Cast) -> None:
    operator = used.client("operator")
    asked = {"day": DAY, "recount": True}
    looked = operator.post(f"{URL}/preview", json=asked).json()
    assert (looked["changes"], looked["hours"]) == ({}, [])
    answer = operator.post(URL, json={**asked, "reason": "补传", "digest": looked["digest"]})
    assert answer.status_code == 422
    assert "no difference" in answer.json()["detail"]


def test_a_recount_that_would_leave_less_than_nothing_is_refused(used: Cast) -> None:
    late_readings(used)
    (line,) = used.recount.found.lines
    less = line._replace(hour_ms=NOON, figures={"energy_kwh": -3.0})
    used.recount.found = Recounted([less], {})
    made(used, changes={"energy_kwh": -2})
    asked = {"day": DAY, "recount": True}
    answer = used.client("operator").post(f"{URL}/preview", json=asked)
    assert answer.status_code == 422
    assert "what was stated takes away more than the readings have" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (RecountRefused("readings of that day are no longer kept"), 422, "no longer kept"),
        (RecountBusy("another day is being worked out"), 503, "another day"),
        (DatabaseAway("the database is locked"), 503, "locked"),
        (TelemetryAway("InfluxDB does not answer"), 503, "telemetry store"),
    ],
)
def test_a_day_that_cannot_be_worked_out_says_why(
    used: Cast, error: Exception, code: int, says: str
) -> None:
    used.recount.fails = error
    answer = used.client("operator").post(f"{URL}/preview", json={"day": DAY, "recount": True})
    assert answer.status_code == code
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "more", [{"device": PORT}, {"kind": "port"}, {"changes": {"energy_kwh": 1}}]
)
def test_a_recount_is_of_a_whole_day(used: Cast, more: Mapping[str, object]) -> None:
    body = {"day": DAY, "recount": True, **more}
    answer = used.client("operator").post(f"{URL}/preview", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "recount"


def test_a_preview_of_very_many_hours_is_cut(used: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_corrections, "HOURS_SHOWN", 5)
    body = a_correction(reason=None, device=None, kind="lamp", changes={"lit": 24})
    looked = used.client("operator").post(f"{URL}/preview", json=body).json()
    assert (len(looked["hours"]), looked["hours_total"]) == (5, 24)
    assert looked["hours"][0]["device"] is None
