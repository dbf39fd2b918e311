"""People, duty rosters and stand-ins through the API."""

from typing import Any

from starlette.testclient import TestClient

from tests.api.cast import Cast

# NOW_MS is 2026-11-23 19:42:10 in Zhengzhou, a Monday.
ROBOT = {
    "name": "群",
    "channel": "wecom",
    "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0123",
}


def made(client: TestClient, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def a_person(client: TestClient, name: str, **more: Any) -> str:
    return str(made(client, "people", name=name, **more)["id"])


def staffed(client: TestClient) -> tuple[str, str, str]:
    """李伟, 王芳, and their roster with a hand-over at 08:30 each day, 李伟 since today."""
    li, wang = a_person(client, "李伟"), a_person(client, "王芳")
    plan = {"starts_on": "2026-11-23", "handover": "08:30", "people": [li, wang]}
    return li, wang, str(made(client, "rosters", name="值班", **plan)["id"])


def refused(client: TestClient, path: str, **body: Any) -> tuple[str, str]:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return error["parameter"], error["detail"]


def test_a_person_is_made_changed_and_deleted_with_who_did_it(cast: Cast) -> None:
    client = cast.client("yaxin")
    target = made(client, "targets", **ROBOT)["id"]
    person = made(
        client, "people", name="李伟", phone="+86 138 0000 0001", targets=[target], language="en"
    )
    assert person | {"id": ""} == {
        "id": "",
        "name": "李伟",
        "firm": "yaxin",
        "language": "en",
        "phone": "+86 138 0000 0001",
        "targets": [target],
        "created_by": "wang-jianguo",
        "created_at": "2026-11-23T11:42:10.000Z",
        "changed_by": None,
        "changed_at": None,
    }
    path = f"/v1/people/{person['id']}"
    assert client.get(path).json() == person
    assert client.get("/v1/people").json()["items"] == [person]
    changed = client.put(path, json={"name": "李伟民"}).json()
    assert (changed["name"], changed["targets"], changed["phone"]) == ("李伟民", [], None)
    assert (changed["changed_by"], changed["changed_at"]) == (
        "wang-jianguo",
        "2026-11-23T11:42:10.000Z",
    )
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == client.delete(path).status_code == 404


def test_telephones_are_for_those_who_act(cast: Cast) -> None:
    person = a_person(cast.client("yaxin"), "李伟", phone="13800000001")
    seen = {
        name: cast.client(name).get(f"/v1/people/{person}").json()["phone"]
        for name in ("yaxin", "operator", "viewer")
    }
    assert seen == {"yaxin": "13800000001", "operator": "13800000001", "viewer": None}


def test_a_firms_people_are_its_own(cast: Cast) -> None:
    client, stranger = cast.client("yaxin"), cast.client("kangqiao")
    theirs = made(stranger, "targets", **ROBOT)["id"]
    assert refused(client, "people", name="x", targets=[theirs])[0] == "targets"
    assert refused(client, "people", name="x", firm="kangqiao")[0] == "firm"
    foreign = a_person(stranger, "赵敏")
    own = a_person(client, "李伟")
    roster = {"name": "r", "starts_on": "2026-11-23"}
    assert refused(client, "rosters", people=[foreign], **roster)[0] == "people"
    assert refused(client, "rosters", people=[own], levels=[[foreign]], **roster)[0] == "levels"
    operator = cast.client("operator")  # who sees both, and mixes them no more than they do
    assert refused(operator, "rosters", people=[own], **roster)[0] == "people"
    assert refused(operator, "people", name="x", targets=[theirs])[0] == "targets"
    leave = {"from": "2026-11-24", "to": "2026-11-25", "person": own}
    assert client.post("/v1/stand-ins", json=leave | {"by": foreign}).status_code == 404
    assert refused(operator, "stand-ins", by=foreign, **leave)[0] == "by"
    both = made(operator, "rosters", firm="yaxin", people=[own], **roster)
    assert client.get(f"/v1/rosters/{both['id']}").json()["firm"] == "yaxin"
    assert cast.client("viewer").post("/v1/people", json={"name": "x"}).status_code == 403


def test_who_is_on_duty_is_answered_to_the_minute_with_the_reason(cast: Cast) -> None:
    client = cast.client("yaxin")
    _, _, roster = staffed(client)
    for at, person, start in (
        (None, "李伟", "2026-11-23T00:30:00.000Z"),
        ("2026-11-24T08:29:59", "李伟", "2026-11-23T00:30:00.000Z"),
        ("2026-11-24T08:30:00", "王芳", "2026-11-24T00:30:00.000Z"),
        ("2026-11-24T00:30:00Z", "王芳", "2026-11-24T00:30:00.000Z"),
        ("2026-11-25T00:29:59.999Z", "王芳", "2026-11-24T00:30:00.000Z"),
        ("2026-11-20T12:00:00", "王芳", "2026-11-20T00:30:00.000Z"),
    ):
        asked = {} if at is None else {"at": at}
        on_duty = client.get(f"/v1/rosters/{roster}/duty", params=asked).json()["on_duty"]
        found = (on_duty["person_name"], on_duty["from"], on_duty["why"])
        assert found == (person, start, "rotation"), at
        assert on_duty["why_text"]["zh"].startswith(f"轮到{person}值班（")


def test_the_answer_says_who_is_next_and_whom_to_call_at_each_level(cast: Cast) -> None:
    client = cast.client("yaxin")
    li, wang, roster = staffed(client)
    answer = client.get(f"/v1/rosters/{roster}/duty").json()
    assert [one["person_name"] for one in answer["next"]][:3] == ["王芳", "李伟", "王芳"]
    assert [[one["person"] for one in level] for level in answer["levels"]] == [[li], [wang]]
    chief = a_person(client, "陈刚")
    plan = {"name": "值班", "starts_on": "2026-11-23", "people": [li, wang], "rotation": "weekly"}
    changed = client.put(f"/v1/rosters/{roster}", json=plan | {"levels": [[wang], [chief, li]]})
    assert (changed.json()["rotation"], changed.json()["changed_by"]) == ("weekly", "wang-jianguo")
    levels = client.get(f"/v1/rosters/{roster}/duty").json()["levels"]
    assert [[one["person"] for one in level] for level in levels] == [[li], [wang], [chief, li]]


def test_whoever_stands_in_is_on_duty_from_and_until_then(cast: Cast) -> None:
    client = cast.client("yaxin")
    li, wang, roster = staffed(client)
    leave = {"from": "2026-11-23T20:00", "to": "2026-11-23T22:00", "note": "年假"}
    stand_in = made(client, "stand-ins", person=li, by=wang, **leave)
    assert (stand_in["from"], stand_in["to"], stand_in["note"], stand_in["created_by"]) == (
        "2026-11-23T12:00:00.000Z",
        "2026-11-23T14:00:00.000Z",
        "年假",
        "wang-jianguo",
    )
    answer = client.get(f"/v1/rosters/{roster}/duty").json()
    assert [(one["person_name"], one["why"]) for one in answer["next"]][:3] == [
        ("王芳", "stand_in"),
        ("李伟", "rotation"),
        ("王芳", "rotation"),
    ]
    assert answer["next"][0]["why_text"] == {
        "zh": "王芳代李伟值班（11-23 20:00 至 11-23 22:00，年假）",
        "en": "王芳 stands in for 李伟 (11-23 20:00 to 11-23 22:00, 年假)",
    }
    assert client.get("/v1/stand-ins", params={"roster": roster}).json()["items"] == [stand_in]
    assert cast.client("kangqiao").get("/v1/stand-ins").json()["items"] == []
    path = f"/v1/stand-ins/{stand_in['id']}"
    assert cast.client("kangqiao").delete(path).status_code == 404
    assert client.delete(path).status_code == 204
    assert client.get("/v1/stand-ins").json()["items"] == []


def test_a_stand_in_is_to_come_and_for_a_time(cast: Cast) -> None:
    client = cast.client("yaxin")
    li, wang, _ = staffed(client)
    good = {"from": "2026-11-23T20:00", "to": "2026-11-23T22:00", "person": li, "by": wang}
    for change, parameter in (
        ({"to": "2026-11-23T20:00"}, "to"),
        ({"from": "2026-11-22", "to": "2026-11-23"}, "to"),
        ({"to": "2028-01-01"}, "to"),
        ({"from": "2036-11-24", "to": "2036-11-25"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"by": li}, "by"),
    ):
        assert refused(client, "stand-ins", **good | change)[0] == parameter, change


def test_a_plan_that_cannot_be_kept_is_refused_in_words(cast: Cast) -> None:
    client = cast.client("yaxin")
    good = {"name": "r", "starts_on": "2026-11-23", "people": [a_person(client, "李伟")]}
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"people": []}, "people"),
        ({"people": ["nobody"]}, "people"),
        ({"timezone": "Asia/Atlantis"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"handover": "24:00"}, "handover"),
        ({"handover": "8:30"}, "handover"),
        ({"starts_on": "2026-02-30"}, "starts_on"),
        ({"starts_on": "9999-12-31"}, "starts_on"),
        ({"rotation": "hourly"}, "rotation"),
    )
    for change, parameter in changes:
        assert refused(client, "rosters", **good | change)[0] == parameter, change


def test_a_time_far_away_is_refused_and_not_worked_out(cast: Cast) -> None:
    client = cast.client("yaxin")
    _, _, roster = staffed(client)
    for at in ("9999-12-31T23:59:59Z", "0001-01-01", "2036-01-01"):
        answer = client.get(f"/v1/rosters/{roster}/duty", params={"at": at})
        assert answer.status_code == 422, at


def test_who_is_in_a_roster_is_taken_out_of_it_before_they_are_deleted(cast: Cast) -> None:
    client = cast.client("yaxin")
    li, wang, roster = staffed(client)
    answer = client.delete(f"/v1/people/{li}")
    assert answer.status_code == 409
    assert "李伟 is in the roster 值班: take them out of it first" in answer.json()["detail"]
    plan = {"name": "值班", "starts_on": "2026-11-23", "people": [wang]}
    assert client.put(f"/v1/rosters/{roster}", json=plan).status_code == 200
    assert client.delete(f"/v1/people/{li}").status_code == 204
    assert client.delete(f"/v1/rosters/{roster}").status_code == 204
    assert client.get(f"/v1/rosters/{roster}/duty").status_code == 404


def test_the_same_request_under_one_key_makes_one(cast: Cast) -> None:
    client = cast.client("yaxin")
    headers = {"Idempotency-Key": "k1"}
    first, second = (
        client.post("/v1/people", json={"name": "李伟"}, headers=headers) for _ in range(2)
    )
    assert first.json() == second.json()
    assert len(client.get("/v1/people").json()["items"]) == 1


def test_people_and_rosters_come_in_pages(cast: Cast) -> None:
    client = cast.client("yaxin")
    people = [a_person(client, name) for name in ("a", "b", "c")]
    for name in ("a", "b", "c"):
        made(client, "rosters", name=name, starts_on="2026-11-23", people=people)
    for path in ("people", "rosters"):
        page = client.get(f"/v1/{path}", params={"limit": 2}).json()
        more = client.get(f"/v1/{path}", params={"limit": 2, "cursor": page["next_cursor"]}).json()
        assert [one["name"] for one in page["items"] + more["items"]] == ["a", "b", "c"]
        assert more["next_cursor"] is None
