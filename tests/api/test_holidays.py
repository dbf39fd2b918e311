"""The holidays of a year through the API."""

from typing import Any

from tests.api.cast import Cast

LIST: dict[str, Any] = {
    "off": [{"name": "国庆节", "first": "2026-10-01", "last": "2026-10-07"}],
    "work": ["2026-10-10"],
}


def test_operators_enter_a_years_list_and_everybody_reads_it(cast: Cast) -> None:
    client = cast.client("operator")
    entered = client.put("/v1/holidays/2026", json=LIST).json()
    assert entered == LIST | {
        "year": 2026,
        "changed_by": "li-min",
        "changed_at": "2026-11-23T11:42:10.000Z",
    }
    for name in ("operator", "yaxin", "viewer"):
        assert cast.client(name).get("/v1/holidays/2026").json() == entered
        assert cast.client(name).get("/v1/holidays").json() == {"items": [entered]}
    assert client.get("/v1/holidays/2027").status_code == 404
    assert client.put("/v1/holidays/2027", json={"off": []}).json()["work"] == []
    assert [one["year"] for one in client.get("/v1/holidays").json()["items"]] == [2027, 2026]


def test_the_announced_days_of_2026_count_until_somebody_enters_others(cast: Cast) -> None:
    client = cast.client("operator")
    announced = client.get("/v1/holidays/2026").json()
    assert (announced["changed_by"], announced["changed_at"]) == (None, None)
    assert announced["off"][1] == {"name": "春节", "first": "2026-02-15", "last": "2026-02-23"}
    assert len(announced["work"]) == 6
    assert client.delete("/v1/holidays/2026").status_code == 404
    assert client.put("/v1/holidays/2026", json={"off": []}).json()["off"] == []
    assert client.delete("/v1/holidays/2026").status_code == 204
    assert client.get("/v1/holidays").json() == {"items": [announced]}


def test_a_firm_does_not_change_the_districts_holidays(cast: Cast) -> None:
    client = cast.client("yaxin")
    assert client.put("/v1/holidays/2026", json=LIST).status_code == 403
    assert client.delete("/v1/holidays/2026").status_code == 403


def test_a_list_that_cannot_be_right_is_refused_in_words(cast: Cast) -> None:
    client = cast.client("operator")
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"work": ["2026-10-03"]}, "2026-10-03 is a make-up working day and also in 国庆节"),
        ({"work": ["2026-10-09"]}, "is a fri"),
        ({"work": ["2026-02-30"]}, "not in the calendar"),
        ({"off": [{"name": "元旦", "first": "2025-12-31", "last": "2026-01-01"}]}, "that year's"),
        ({"off": [{"name": "x", "first": "2026-10-02", "last": "2026-10-01"}]}, "ends before"),
    )
    for change, says in changes:
        answer = client.put("/v1/holidays/2026", json=LIST | change)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
    assert client.put("/v1/holidays/1999", json=LIST).status_code == 422
    (kept,) = client.get("/v1/holidays").json()["items"]
    assert kept["changed_by"] is None
