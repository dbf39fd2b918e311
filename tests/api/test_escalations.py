from typing import Any

import pytest

from tests.api.cast import Cast, a_target

STEPS = [{"after_s": 120, "to": "firm"}, {"after_s": 300, "to": "district"}]


def policies(cast: Cast, name: str = "yaxin", **query: str) -> dict[str, Any]:
    answer = cast.client(name).get("/v1/escalations", params=query)
    assert answer.status_code == 200, answer.text
    return {one["severity"]: one for one in answer.json()["items"]}


def test_there_is_a_policy_for_each_class_from_the_first_minute(cast: Cast) -> None:
    found = policies(cast)
    assert list(found) == ["P1", "P2", "P3", "P4"]
    assert found["P1"] == {
        "severity": "P1",
        "firm": None,
        "steps": [
            {"after_s": 300, "to": "firm", "id": None, "working": False},
            {"after_s": 600, "to": "district", "id": None, "working": False},
        ],
        "remind_every_s": 900,
        "reminders": 24,
        "changed_by": None,
        "changed_at": None,
    }
    assert found["P3"]["steps"][0] == {"after_s": 7200, "to": "firm", "id": None, "working": True}


def test_a_firm_changes_its_own_and_takes_it_back(cast: Cast) -> None:
    client = cast.client("yaxin")
    body = {"steps": STEPS, "remind_every_s": None}
    made = client.put("/v1/escalations/P1", json=body)
    assert made.status_code == 200, made.text
    assert (made.json()["firm"], made.json()["changed_by"]) == ("yaxin", "wang-jianguo")
    assert policies(cast)["P1"] == made.json()
    assert policies(cast, "operator", firm="yaxin")["P1"] == made.json()
    assert policies(cast, "operator")["P1"]["firm"] is None
    assert policies(cast, "kangqiao")["P1"]["changed_by"] is None
    for _ in range(2):
        assert client.delete("/v1/escalations/P1").status_code == 204
    assert policies(cast)["P1"]["changed_by"] is None


def test_the_districts_holds_for_every_firm_without_one_of_its_own(cast: Cast) -> None:
    operator = cast.client("operator")
    for firm in (None, "kangqiao"):
        steps = STEPS[: 1 if firm else 2]
        made = operator.put("/v1/escalations/P2", json={"steps": steps, "firm": firm})
        assert made.status_code == 200, made.text
    assert len(policies(cast)["P2"]["steps"]) == 2
    assert len(policies(cast, "kangqiao")["P2"]["steps"]) == 1


def test_nobody_changes_another_firms_and_a_viewer_changes_none(cast: Cast) -> None:
    body = {"steps": STEPS, "firm": "kangqiao"}
    assert cast.client("yaxin").put("/v1/escalations/P1", json=body).status_code == 404
    assert cast.client("yaxin").delete("/v1/escalations/P1?firm=kangqiao").status_code == 404
    assert cast.client("viewer").put("/v1/escalations/P1", json=body).status_code == 403
    assert cast.client("yaxin").put("/v1/escalations/P9", json=body).status_code == 422


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"steps": []}, "steps"),
        ({"steps": STEPS * 5}, "steps"),
        ({"steps": STEPS[::-1]}, "steps"),
        ({"steps": [STEPS[0], STEPS[1] | {"working": True}]}, "steps"),
        ({"steps": [{"after_s": 5, "to": "firm"}]}, "steps.after_s"),
        ({"steps": [{"after_s": 300, "to": "target"}]}, "steps.id"),
        ({"steps": [{"after_s": 300, "to": "person", "id": "nobody"}]}, "steps.id"),
        ({"steps": [{"after_s": 300, "to": "roster", "id": "none"}]}, "steps.id"),
        ({"steps": [{"after_s": 300, "to": "target", "id": "kang-robot"}]}, "steps.id"),
        ({"steps": [{"after_s": 300, "to": "firm", "id": "kang-robot"}]}, "steps.id"),
        ({"steps": STEPS, "remind_every_s": 1}, "remind_every_s"),
        ({"steps": STEPS, "reminders": 100_000}, "reminders"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    cast: Cast, body: dict[str, Any], parameter: str
) -> None:
    with cast.write() as connection:
        a_target(connection, "kang-robot", firm="kangqiao")
    answer = cast.client("yaxin").put("/v1/escalations/P1", json=body)
    assert answer.status_code == 422
    assert [one["parameter"] for one in answer.json()["errors"]] == [parameter]
    assert policies(cast)["P1"]["changed_by"] is None


def test_the_districts_policy_names_no_target_of_a_firm(cast: Cast) -> None:
    with cast.write() as connection:
        a_target(connection, "kang-robot", firm="kangqiao")
        a_target(connection, "duty", firm=None)
    operator = cast.client("operator")
    for name, status in (("kang-robot", 422), ("duty", 200)):
        body = {"steps": [{"after_s": 300, "to": "target", "id": name}]}
        assert operator.put("/v1/escalations/P1", json=body).status_code == status, name
