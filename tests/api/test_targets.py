from typing import Any

import pytest
from sqlalchemy import select, update

from api.parts import TARGETS_AT_ONCE, TARGETS_WAITING
from api.turns import Turns
from devices.store.schema import routes, targets
from tests.api.cast import (
    GATE,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_delivery,
    a_fault,
)

ROBOT: dict[str, Any] = {
    "name": "物业值班群",
    "channel": "dingtalk",
    "url": "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef",
    "secret": "SEC0123456789",
}


def made(cast: Cast, name: str = "yaxin", **more: object) -> dict[str, Any]:
    answer = cast.client(name).post("/v1/targets", json=ROBOT | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_firm_makes_a_target_and_hears_of_its_compounds_at_once(cast: Cast) -> None:
    target = made(cast)
    assert target | {"id": ""} == {
        "id": "",
        "name": "物业值班群",
        "channel": "dingtalk",
        "host": "oapi.dingtalk.com",
        "signed": True,
        "firm": "yaxin",
        "language": "zh",
        "broken": None,
        "broken_at": None,
        "created_by": "wang-jianguo",
        "created_at": "2026-11-23T11:42:10.000Z",
    }
    client = cast.client("yaxin")
    assert client.get(f"/v1/targets/{target['id']}").json() == target
    assert client.get("/v1/targets").json()["items"] == [target]
    (route,) = client.get("/v1/routes").json()["items"]
    assert (route["target"], route["firm"], route["severity"]) == (
        target["id"],
        "yaxin",
        ["P1", "P2", "P3"],
    )


def test_address_and_secret_are_never_given_out_again(cast: Cast) -> None:
    target = made(cast)
    for name in ("yaxin", "operator", "viewer"):
        for path in ("/v1/targets", f"/v1/targets/{target['id']}", "/v1/routes"):
            said = cast.client(name).get(path).text
            assert "access_token" not in said
            assert "0123456789" not in said


def test_an_address_that_cannot_be_right_is_refused_in_words(cast: Cast) -> None:
    answer = cast.client("yaxin").post("/v1/targets", json=ROBOT | {"url": "ftp://x"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"parameter": "url", "detail": "is not like https://host/path"}
    ]
    assert cast.client("yaxin").get("/v1/targets").json()["items"] == []


def test_a_secret_that_cannot_be_right_is_not_called_an_address(cast: Cast) -> None:
    answer = cast.client("yaxin").post("/v1/targets", json=ROBOT | {"secret": "wrong"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"parameter": "secret", "detail": "is not like SEC…"}]


def test_nobody_sees_tests_changes_or_deletes_anothers_target(cast: Cast) -> None:
    target = made(cast)["id"]
    stranger = cast.client("kangqiao")
    absent = stranger.get("/v1/targets/none").content.replace(b"none", target.encode())
    changes = {"name": "x", "url": "https://x"}
    for answer in (
        stranger.get(f"/v1/targets/{target}"),
        stranger.put(f"/v1/targets/{target}", json=changes),
        stranger.delete(f"/v1/targets/{target}"),
        stranger.post(f"/v1/targets/{target}/test"),
        stranger.post("/v1/routes", json={"target": target}),
    ):
        assert answer.status_code == 404
        assert answer.content.replace(b"none", target.encode()) == absent
    assert stranger.get("/v1/targets").json()["items"] == []
    assert stranger.get("/v1/routes").json()["items"] == []
    assert cast.messenger.sent == []


def test_a_firm_makes_none_for_another_firm_and_a_viewer_makes_none(cast: Cast) -> None:
    answer = cast.client("kangqiao").post("/v1/targets", json=ROBOT | {"firm": "yaxin"})
    assert answer.status_code == 422
    assert cast.client("viewer").post("/v1/targets", json=ROBOT).status_code == 403
    assert cast.client("operator").post("/v1/targets", json=ROBOT | {"firm": "no"}).status_code in (
        404,
        422,
    )


def test_a_test_says_what_was_answered_and_mends_what_was_broken(cast: Cast) -> None:
    target = made(cast)["id"]
    client = cast.client("yaxin")
    with cast.write() as connection:
        connection.execute(update(targets).values(broken="keyword missing", broken_at_ms=NOW_MS))
    assert client.get(f"/v1/targets/{target}").json()["broken"] == "keyword missing"
    cast.messenger.refuses = "310000: keywords not in content"
    refused = client.post(f"/v1/targets/{target}/test")
    assert refused.json() == {"accepted": False, "answer": "310000: keywords not in content"}
    assert client.get(f"/v1/targets/{target}").json()["broken"] == "keyword missing"
    cast.messenger.refuses = None
    assert client.post(f"/v1/targets/{target}/test").json() == {"accepted": True, "answer": "ok"}
    assert client.get(f"/v1/targets/{target}").json()["broken"] is None
    assert [sent.url for sent in cast.messenger.sent] == [ROBOT["url"]] * 2


def test_a_changed_secret_may_sign_beside_the_one_before(cast: Cast) -> None:
    target = made(cast, channel="webhook")["id"]
    client = cast.client("yaxin")
    changes = {"name": "新", "url": "https://example.com/hook", "secret": "n", "language": "en"}
    answer = client.put(f"/v1/targets/{target}", json=changes | {"secret_before": "o"})
    assert (answer.json()["name"], answer.json()["host"]) == ("新", "example.com")
    with cast.write() as connection:
        assert connection.execute(select(targets.c.secrets)).scalar_one() == ["n", "o"]
    alone = {"name": "新", "url": "https://example.com/hook", "secret_before": "o"}
    assert client.put(f"/v1/targets/{target}", json=alone).status_code == 422


def test_a_deleted_target_is_forgotten_with_its_routes(cast: Cast) -> None:
    target = made(cast)["id"]
    client = cast.client("yaxin")
    assert client.delete(f"/v1/targets/{target}").status_code == 204
    assert client.get(f"/v1/targets/{target}").status_code == 404
    assert client.delete(f"/v1/targets/{target}").status_code == 404
    assert client.get("/v1/routes").json()["items"] == []
    with cast.write() as connection:
        row = connection.execute(select(targets.c.url, targets.c.secrets)).one()
        assert tuple(row) == ("", [])
        assert connection.execute(select(routes.c.deleted_at_ms)).scalar_one() == NOW_MS


def test_the_same_request_under_one_key_makes_one_target(cast: Cast) -> None:
    client = cast.client("yaxin")
    headers = {"Idempotency-Key": "k1"}
    first, second = (client.post("/v1/targets", json=ROBOT, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert len(client.get("/v1/targets").json()["items"]) == 1
    assert len(client.get("/v1/routes").json()["items"]) == 1


@pytest.mark.parametrize(
    ("route", "parameter"),
    [
        ({"code": "NO_SUCH"}, "code"),
        ({"kind": "fridge"}, "kind"),
        ({"firm": "kangqiao"}, "firm"),
    ],
)
def test_a_route_names_what_there_is(cast: Cast, route: dict[str, object], parameter: str) -> None:
    target = made(cast, "operator", firm="yaxin")["id"]
    answer = cast.client("operator").post("/v1/routes", json={"target": target} | route)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_a_route_is_made_and_deleted(cast: Cast) -> None:
    target = made(cast, routed=False)["id"]
    client = cast.client("yaxin")
    body = {"target": target, "compound": XIANGYUNLI, "kind": "shed", "severity": ["P1"]}
    route = client.post("/v1/routes", json=body).json()
    assert client.get("/v1/routes", params={"target": target}).json()["items"] == [route]
    assert (
        client.post("/v1/routes", json={"target": target, "compound": LIANXIN}).status_code == 404
    )
    assert client.delete(f"/v1/routes/{route['id']}").status_code == 204
    assert client.delete(f"/v1/routes/{route['id']}").status_code == 404
    assert client.get("/v1/routes").json()["items"] == []


def test_a_route_leads_to_one_of_target_person_and_roster_and_in_its_hours(cast: Cast) -> None:
    client = cast.client("yaxin")
    target = made(cast, routed=False)["id"]
    person = client.post("/v1/people", json={"name": "李伟", "targets": [target]}).json()["id"]
    plan = {"name": "值班", "starts_on": "2026-11-23", "people": [person]}
    roster = client.post("/v1/rosters", json=plan).json()["id"]
    for ends in ({}, {"target": target, "person": person}, {"person": person, "roster": roster}):
        answer = client.post("/v1/routes", json=ends)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "target"
    work = {"days": ["workday"], "from": "08:30", "to": "17:30"}
    by_day = client.post("/v1/routes", json={"person": person, "when": work}).json()
    assert by_day["when"] == work | {"outside": False}
    assert by_day["when_text"] == {
        "zh": "工作日 08:30–17:30",
        "en": "working days 08:30–17:30",
    }
    by_night = client.post("/v1/routes", json={"roster": roster, "when": work | {"outside": True}})
    assert (by_night.json()["roster"], by_night.json()["when_text"]["zh"]) == (
        roster,
        "除 工作日 08:30–17:30 外",
    )
    for which, route in (({"person": person}, by_day), ({"roster": roster}, by_night.json())):
        assert client.get("/v1/routes", params=which).json()["items"] == [route]
    stranger = cast.client("kangqiao")
    assert stranger.get("/v1/routes").json()["items"] == []
    for ends in ({"person": person}, {"roster": roster}):
        assert stranger.post("/v1/routes", json=ends).status_code == 404
    assert stranger.delete(f"/v1/routes/{by_day['id']}").status_code == 404
    assert client.delete(f"/v1/rosters/{roster}").status_code == 204
    assert client.get("/v1/routes").json()["items"] == [by_day]
    assert client.delete(f"/v1/routes/{by_day['id']}").status_code == 204
    assert client.delete(f"/v1/targets/{target}").status_code == 204
    assert client.get(f"/v1/people/{person}").json()["targets"] == []


def test_hours_that_mean_nothing_are_refused(cast: Cast) -> None:
    target = made(cast)["id"]
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "they hold always, or never"),
        ({"from": "08:30", "to": "08:30"}, "same time"),
        ({"from": "24:00", "to": "06:00"}, "00:00 to 23:59"),
        ({"days": ["someday"]}, "workday"),
        ({"from": "25:00"}, "pattern"),
    )
    for when, says in refused:
        answer = cast.client("yaxin").post("/v1/routes", json={"target": target, "when": when})
        assert answer.status_code == 422
        assert says in answer.json()["detail"]


def test_deliveries_say_to_whom_when_by_what_and_with_which_answer(cast: Cast) -> None:
    target = made(cast)["id"]
    with cast.write() as connection:
        a_fault(connection, "f", device=GATE)
        a_fault(connection, "g", device=STRANGE_GATE, compound=LIANXIN)
        a_delivery(connection, "f", target)
        held: dict[str, Any] = {"state": "suppressed", "reason": "maintenance", "answer": None}
        a_delivery(connection, "g", None, attempts=0, **held)
    client = cast.client("yaxin")
    (mine,) = client.get("/v1/deliveries").json()["items"]
    assert mine | {"id": 0, "event": 0} == {
        "id": 0,
        "fault": "f",
        "event": 0,
        "what": "raised",
        "compound": XIANGYUNLI,
        "target": target,
        "target_name": "物业值班群",
        "person": None,
        "person_name": None,
        "channel": "dingtalk",
        "state": "delivered",
        "reason": None,
        "attempts": 1,
        "answer": "ok",
        "created_at": "2026-11-23T11:42:10.000Z",
        "attempted_at": "2026-11-23T11:42:10.000Z",
        "at": "2026-11-23T11:42:10.000Z",
    }
    operator = cast.client("operator")
    page = operator.get("/v1/deliveries", params={"limit": 1}).json()
    assert [one["fault"] for one in page["items"]] == ["g"]
    more = operator.get("/v1/deliveries", params={"limit": 1, "cursor": page["next_cursor"]})
    assert [one["fault"] for one in more.json()["items"]] == ["f"]
    kept = operator.get("/v1/deliveries", params={"state": "suppressed"}).json()["items"]
    assert [(one["fault"], one["reason"]) for one in kept] == [("g", "maintenance")]


def test_only_what_has_failed_is_tried_again_and_only_by_whom_it_concerns(cast: Cast) -> None:
    target = made(cast)["id"]
    with cast.write() as connection:
        a_fault(connection, "f", device=GATE)
        a_delivery(connection, "f", target, state="failed", reason="given_up")
    (failed,) = cast.client("yaxin").get("/v1/deliveries").json()["items"]
    path = f"/v1/deliveries/{failed['id']}/retry"
    assert cast.client("kangqiao").post(path).status_code == 404
    assert cast.client("yaxin").post(path).json()["state"] == "pending"
    assert cast.client("yaxin").post(path).status_code == 409


@pytest.mark.parametrize("path", ["/v1/deliveries", "/alerts/deliveries"])
@pytest.mark.parametrize("number", ["0", "99999999999999999999", "nine"])
def test_a_number_that_no_delivery_can_have_is_422(cast: Cast, path: str, number: str) -> None:
    assert cast.client("operator").post(f"{path}/{number}/retry").status_code == 422


def test_a_channel_that_hangs_holds_up_few_and_nothing_else(cast: Cast) -> None:
    target = made(cast)
    turns = Turns("to look at targets", 1, 0, 0.05)
    object.__setattr__(cast.app.state.parts, "target_turns", turns)
    client = cast.client("yaxin")
    with turns.turn():  # as somebody does whose address does not answer
        for busy in (
            client.post("/v1/targets", json=ROBOT | {"name": "another"}),
            client.put(f"/v1/targets/{target['id']}", json={"name": "n", "url": ROBOT["url"]}),
            client.post(f"/v1/targets/{target['id']}/test"),
        ):
            assert busy.status_code == 503
            assert "Retry-After" in busy.headers
        assert client.get("/v1/targets").status_code == 200
        assert client.delete(f"/v1/targets/{target['id']}").status_code == 204
    assert client.post("/v1/targets", json=ROBOT).status_code == 201


def test_all_that_hang_together_leave_most_threads_to_others() -> None:
    assert TARGETS_AT_ONCE + TARGETS_WAITING <= 10  # of forty
