from typing import Any

import pytest
from sqlalchemy import select

from devices.store.schema import maintenance, revisions
from tests.api.cast import (
    GATE,
    HOUR_MS,
    LIANXIN,
    NOW_MS,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_window,
)

LOCKS = {
    "compound": XIANGYUNLI,
    "kind": "gate",
    "ends_at": "2026-11-23T22:00",
    "reason": "更换门锁",
    "owner": "王建国",
}


def test_a_window_is_made_shown_and_told_to_the_judge(cast: Cast) -> None:
    client = cast.client("yaxin")
    answer = client.post("/v1/maintenance", json=LOCKS)
    assert answer.status_code == 201
    body = answer.json()
    window = body.pop("id")
    assert body == {
        "compound": XIANGYUNLI,
        "kind": "gate",
        "devices": [],
        "codes": [],
        "starts_at": "2026-11-23T11:42:10.000Z",
        "ends_at": "2026-11-23T14:00:00.000Z",  # the compound's 22:00
        "ended_at": None,
        "state": "active",
        "holds_safety": False,
        "reason": "更换门锁",
        "owner": "王建国",
        "created_by": "wang-jianguo",
        "created_at": "2026-11-23T11:42:10.000Z",
    }
    assert client.get(f"/v1/maintenance/{window}").json() == {"id": window, **body}
    assert client.get("/v1/maintenance").json()["items"] == [{"id": window, **body}]
    with cast.write() as connection:
        told = connection.execute(select(revisions).where(revisions.c.what == "maintenance")).one()
    assert told.subject == window
    assert (told.body["owner"], told.body["created_by"]) == ("王建国", "wang-jianguo")


def test_it_may_begin_later_and_is_ended_before_its_time_once(cast: Cast) -> None:
    client = cast.client("operator")
    window = client.post("/v1/maintenance", json=LOCKS | {"starts_at": "2026-11-23T21:00"}).json()
    assert window["state"] == "planned"
    ended = client.post(f"/v1/maintenance/{window['id']}/end").json()
    assert (ended["state"], ended["ended_at"]) == ("over", "2026-11-23T11:42:10.000Z")
    again = client.post(f"/v1/maintenance/{window['id']}/end")
    assert again.status_code == 409
    assert again.json()["window"] == ended
    with cast.write() as connection:
        told = connection.execute(select(revisions).where(revisions.c.what == "maintenance")).all()
    assert [row.body.get("by") for row in told] == [None, "li-min"]


def test_deleting_ends_it_and_keeps_the_record(cast: Cast) -> None:
    client = cast.client("yaxin")
    window = client.post("/v1/maintenance", json=LOCKS).json()["id"]
    assert client.delete(f"/v1/maintenance/{window}").status_code == 204
    assert client.get(f"/v1/maintenance/{window}").json()["state"] == "over"
    assert client.delete(f"/v1/maintenance/{window}").status_code == 409


def test_the_list_has_filters_and_pages(cast: Cast) -> None:
    with cast.write() as connection:
        a_window(connection, "active", ends_at_ms=NOW_MS + 3 * HOUR_MS)
        a_window(
            connection,
            "planned",
            starts_at_ms=NOW_MS + HOUR_MS,
            ends_at_ms=NOW_MS + 2 * HOUR_MS,
        )
        a_window(connection, "over", ends_at_ms=NOW_MS)
        a_window(connection, "ended", ended_at_ms=NOW_MS - 1)
        a_window(connection, "strange", compound=LIANXIN, ends_at_ms=NOW_MS + 4 * HOUR_MS)
        a_window(connection, "district", compound=None, kind="lamp", ends_at_ms=NOW_MS + 1)
    client = cast.client("operator")

    def ids(query: str) -> list[str]:
        items: list[dict[str, Any]] = client.get(f"/v1/maintenance{query}").json()["items"]
        return [item["id"] for item in items]

    assert ids("") == ["strange", "active", "planned", "ended", "district", "over"]
    assert ids("?state=active") == ["strange", "active", "district"]
    assert ids("?state=planned") == ["planned"]
    assert ids("?state=over") == ["ended", "over"]
    assert ids(f"?compound={LIANXIN}") == ["strange"]
    assert ids("?firm=yaxin&state=active") == ["active"]
    first = client.get("/v1/maintenance?limit=4").json()
    rest = client.get(f"/v1/maintenance?limit=4&cursor={first['next_cursor']}").json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ids("")
    assert rest["next_cursor"] is None
    own = cast.client("yaxin").get("/v1/maintenance").json()["items"]
    assert {item["id"] for item in own} == {"active", "planned", "ended", "over"}


def test_a_window_of_named_devices_is_in_their_compound(cast: Cast) -> None:
    body = LOCKS | {"compound": None, "devices": [GATE]}
    made = cast.client("yaxin").post("/v1/maintenance", json=body)
    assert (made.status_code, made.json()["compound"]) == (201, XIANGYUNLI)
    both = cast.client("operator").post(
        "/v1/maintenance", json=body | {"devices": [GATE, STRANGE_GATE]}
    )
    assert (both.status_code, both.json()["compound"]) == (201, None)


@pytest.mark.parametrize("code", ["SHED_SMOKE", "PORT_OVERTEMP", "PORT_RELAY_STUCK"])
def test_safety_codes_take_a_list_of_devices(cast: Cast, code: str) -> None:
    client = cast.client("operator")
    body = LOCKS | {"kind": None, "codes": [code]}
    answer = client.post("/v1/maintenance", json=body)
    assert answer.status_code == 422
    assert "held only for named devices" in answer.json()["detail"]
    named = client.post("/v1/maintenance", json=body | {"devices": [SHED, PORT]})
    assert (named.status_code, named.json()["holds_safety"]) == (201, True)


@pytest.mark.parametrize(
    ("change", "name", "why"),
    [
        ({"ends_at": "2026-11-23T19:42:10"}, "ends_at", "to come"),
        ({"ends_at": "2026-11-23"}, "ends_at", "to come"),
        ({"ends_at": "2026-12-25"}, "ends_at", "within 31 days"),
        ({"starts_at": "2026-11-24", "ends_at": "2026-11-23T23:00"}, "ends_at", "after"),
        ({"starts_at": "2027-11-25", "ends_at": "2027-11-26"}, "starts_at", "within a year"),
        ({"kind": "horse"}, "kind", "none of"),
        ({"codes": ["GATE_HAUNTED"]}, "codes", "not in the fault catalogue"),
        ({"codes": ["SHED_OFFLINE"]}, "codes", "of kind shed"),
        ({"codes": ["SYS_DISK"], "kind": None}, "codes", "of kind platform"),
        ({"devices": ["no-such-gate"]}, "devices", "there is no device"),
        ({"devices": [SHED]}, "devices", "is a shed, not a gate"),
        ({"devices": [STRANGE_GATE]}, "devices", f"is in {LIANXIN}"),
        ({"compound": None, "kind": None}, "compound", "name a compound"),
        ({"reason": " "}, "reason", "at least 1"),
        ({"owner": ""}, "owner", "at least 1"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_what_no_window_can_be_is_refused_with_the_reason(
    cast: Cast, change: dict[str, Any], name: str, why: str
) -> None:
    answer = cast.client("operator").post("/v1/maintenance", json=LOCKS | change)
    assert answer.status_code == 422
    assert name in answer.json()["errors"][0]["parameter"]
    assert why in answer.json()["detail"]
    with cast.write() as connection:
        assert connection.execute(select(maintenance)).all() == []


def test_a_firm_makes_windows_for_its_own_compounds_alone(cast: Cast) -> None:
    client = cast.client("yaxin")
    strange = client.post("/v1/maintenance", json=LOCKS | {"compound": LIANXIN})
    assert strange.status_code == 404
    unknown = client.post("/v1/maintenance", json=LOCKS | {"compound": "atlantis"})
    assert unknown.content == strange.content
    theirs = client.post(
        "/v1/maintenance", json=LOCKS | {"compound": None, "devices": [STRANGE_GATE]}
    )
    assert theirs.status_code == 422
    assert "there is no device" in theirs.json()["detail"]
    wide = client.post("/v1/maintenance", json=LOCKS | {"compound": None})
    assert wide.status_code == 422
    assert cast.client("viewer").post("/v1/maintenance", json=LOCKS).status_code == 403


def test_there_is_a_limit_to_the_windows_that_stand(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.store.maintenance.STANDING_AT_MOST", 1)
    client = cast.client("operator")
    first = client.post("/v1/maintenance", json=LOCKS).json()
    refused = client.post("/v1/maintenance", json=LOCKS)
    assert refused.status_code == 409
    assert "end some of them" in refused.json()["detail"]
    client.delete(f"/v1/maintenance/{first['id']}")
    assert client.post("/v1/maintenance", json=LOCKS).status_code == 201
