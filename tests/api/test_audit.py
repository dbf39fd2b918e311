"""The audit log: whatever people change is in it, and whoever may see it."""

from typing import Any

import pytest
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from devices.store import schema, tokens
from devices.store.audit_log import verify
from devices.store.database import writing
from tests.api.cast import NOW_MS, PASSWORD, Cast, a_fault, a_target, a_user

WINDOW = {
    "compound": "xiangyunli",
    "ends_at": "2026-11-24",
    "reason": "更换门锁",
    "owner": "王建国",
}


def recorded(cast: Cast, **filters: str | int) -> list[dict[str, Any]]:
    answer = cast.client("operator").get("/v1/audit", params=filters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_what_was_made_is_recorded_with_who_from_where_and_its_id(cast: Cast) -> None:
    made = cast.client("yaxin").post("/v1/maintenance", json=WINDOW).json()
    (row,) = recorded(cast)
    assert {name: row[name] for name in ("number", "at", "actor", "role", "origin")} == {
        "number": 1,
        "at": "2026-11-23T11:42:10.000Z",
        "actor": "wang-jianguo",
        "role": "firm",
        "origin": "api",
    }
    assert (row["method"], row["resource"]) == ("POST", "/v1/maintenance")
    assert (row["subject"], row["outcome"], row["address"]) == (made["id"], "done", "testclient")
    assert row["before"] == "0" * 64
    assert verify(cast.engine).rows == 1


def test_every_kind_of_change_is_recorded_and_the_chain_is_whole(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
        a_target(connection, "own-target")
    client = cast.client("operator")
    client.post("/v1/faults/f/acknowledge")
    client.post("/v1/targets", json={"name": "n", "channel": "wecom", "url": "https://x.example"})
    client.post("/v1/targets/own-target/test")
    client.put("/v1/targets/own-target", json={"name": "n", "url": "https://x.example"})
    client.delete("/v1/targets/own-target")
    client.put("/v1/rules/overrides", json={"body": ""})
    client.post("/maintenance", data=WINDOW)
    client.post("/users", data={"name": "wang", "role": "firm", "firm": "yaxin"})
    client.post("/users/wang/disable", data={"sure": "yes"})
    client.post("/tokens", data={"name": "robot", "role": "viewer"})
    client.post("/faults/acknowledge", data={"fault": ["f", "g"]})
    told = [(row["method"], row["resource"], row["subject"]) for row in recorded(cast)][::-1]
    assert [(method, resource) for method, resource, _ in told] == [
        ("POST", "/v1/faults/f/acknowledge"),
        ("POST", "/v1/targets"),
        ("POST", "/v1/targets/own-target/test"),
        ("PUT", "/v1/targets/own-target"),
        ("DELETE", "/v1/targets/own-target"),
        ("PUT", "/v1/rules/overrides"),
        ("POST", "/maintenance"),
        ("POST", "/users"),
        ("POST", "/users/wang/disable"),
        ("POST", "/tokens"),
        ("POST", "/faults/acknowledge"),
    ]
    subjects = [subject for _, _, subject in told]
    assert subjects[0] == "f"
    assert subjects[2:5] == ["own-target"] * 3
    assert subjects[7:9] == ["wang", "wang"]
    assert all(subjects[1:2] + subjects[5:7] + subjects[9:10])
    assert recorded(cast)[0]["detail"] == {"faults": ["f", "g"]}
    verdict = verify(cast.engine)
    assert (verdict.rows, verdict.broken) == (len(told), None)


def test_no_secret_is_in_it(cast: Cast) -> None:
    with cast.write() as connection:
        a_user(connection, "li", "operator")
    browser = cast.browser()
    browser.post("/login", data={"name": "li", "password": PASSWORD})
    other = "another battery horse"
    browser.post("/account/password", data={"before": PASSWORD, "password": other, "again": other})
    cast.browser().post("/login", data={"token": cast.tokens["yaxin"]})
    cast.client("operator").post(
        "/v1/targets",
        json={"name": "n", "channel": "wecom", "url": "https://x.example/?key=k1", "secret": "k2"},
    )
    text = cast.client("operator").get("/v1/audit").text
    for secret in (PASSWORD, other, cast.tokens["yaxin"], "k1", "k2"):
        assert secret not in text
    told = [(row["actor"], row["resource"]) for row in recorded(cast)][::-1]
    assert told == [
        ("li", "/login"),
        ("li", "/account/password"),
        ("wang-jianguo", "/login"),
        ("li-min", "/v1/targets"),
    ]


def test_a_change_that_does_not_come_about_leaves_no_row_that_says_so(cast: Cast) -> None:
    client = cast.client("operator")
    assert client.post("/v1/maintenance", json=WINDOW | {"kind": "horse"}).status_code == 422
    (row,) = recorded(cast)
    assert row["outcome"] == "refused 422"
    assert "已拒绝 422" in client.get("/audit?lang=zh").text
    with cast.write() as connection:
        assert connection.execute(select(schema.maintenance)).first() is None


@pytest.mark.long
def test_what_somebody_was_refused_is_recorded_up_to_a_limit(cast: Cast) -> None:
    viewer = cast.client("viewer")
    for _ in range(102):
        viewer.post("/v1/faults/f/acknowledge")
    rows = recorded(cast, limit=500)
    assert len(rows) == 100
    assert {row["outcome"] for row in rows} == {"refused 403"}
    cast.now_ms += 3_600_000
    viewer.post("/v1/faults/f/acknowledge")
    assert len(recorded(cast, limit=500)) == 101


def test_who_is_not_known_is_not_recorded(cast: Cast) -> None:
    cast.client(None).post("/v1/faults/f/acknowledge")
    cast.browser().post("/login", data={"name": "li", "password": "wrong"})
    cast.client("operator").get("/v1/faults")
    assert recorded(cast) == []


def test_the_same_request_again_under_its_key_is_told_apart(cast: Cast) -> None:
    client = cast.client("yaxin")
    for _ in range(2):
        client.post("/v1/maintenance", json=WINDOW, headers={"Idempotency-Key": "once"})
    assert [row["outcome"] for row in recorded(cast)] == ["repeated", "done"]


def test_where_the_record_cannot_be_made_the_change_is_not_made_either(cast: Cast) -> None:
    with cast.write() as connection:  # the next number is taken
        row = dict.fromkeys((column.name for column in schema.audit_log.c), "x")
        connection.execute(insert(schema.audit_log), row | {"number": 1, "at_ms": 0, "token": None})
        connection.execute(insert(schema.audit_head), {"id": 1, "number": 0, "sha256": "0" * 64})
    answer = cast.client("yaxin").post("/v1/maintenance", json=WINDOW)
    assert answer.status_code == 500
    with cast.write() as connection:
        assert connection.execute(select(schema.maintenance)).first() is None


def test_what_failed_by_an_error_of_ours_says_so(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "own-target")
    cast.messenger.sent = ()  # type: ignore[assignment]  # nothing can be added to it
    with capture_logs():  # in colours it takes a second
        answer = cast.client("yaxin").post("/v1/targets/own-target/test")
    assert answer.status_code == 500
    (row,) = recorded(cast)
    assert (row["subject"], row["outcome"]) == ("own-target", "failed 500")


def test_rows_are_found_by_who_what_and_when_and_come_in_pages(cast: Cast) -> None:
    with cast.write() as connection:
        a_fault(connection, "f")
    for name in ("operator", "yaxin", "yaxin"):
        cast.client(name).post("/v1/faults/f/comment", json={"note": "on site"})
        cast.now_ms += 1000
    assert [row["number"] for row in recorded(cast, actor="wang-jianguo")] == [3, 2]
    assert [row["number"] for row in recorded(cast, subject="f")] == [3, 2, 1]
    assert recorded(cast, resource="/v1/targets") == []
    assert len(recorded(cast, **{"from": "2026-11-23T11:42:11Z"})) == 2
    client = cast.client("operator")
    first = client.get("/v1/audit?limit=2").json()
    assert [row["number"] for row in first["items"]] == [3, 2]
    rest = client.get("/v1/audit", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [row["number"] for row in rest["items"]] == [1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_tells_it_in_words(cast: Cast, language: str) -> None:
    cast.client("yaxin").post("/v1/maintenance", json=WINDOW)
    client = cast.client("operator")
    page = client.get(f"/audit?lang={language}").text
    for text in ("wang-jianguo", "/v1/maintenance", "完成" if language == "zh" else "done"):
        assert text in page
    assert "wang-jianguo" in client.get("/audit?actor=wang-jianguo&to=2026-11-23").text
    assert "wang-jianguo" not in client.get("/audit?to=2026-11-22").text
    assert client.get("/audit?from=nonsense").status_code == 422


def test_the_last_use_of_a_token_is_no_change_of_anybodys(cast: Cast) -> None:
    cast.client("operator").get("/v1/faults")
    cast.app.state.parts.last_use.write()
    assert recorded(cast) == []
    with writing(cast.engine) as connection:
        assert tokens.identify(connection, cast.tokens["operator"], NOW_MS) is not None
