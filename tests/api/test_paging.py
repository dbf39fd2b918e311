import pytest

from tests.api.cast import GATE, MINUTE_MS, NOW_MS, XIANGYUNLI, Cast, a_fault


def with_faults(cast: Cast, count: int) -> None:
    with cast.write() as connection:
        for n in range(count):
            a_fault(
                connection,
                f"f{n:03d}",
                state="closed",
                # pairs that were opened in the same millisecond
                opened_at_ms=NOW_MS - (count - n // 2) * MINUTE_MS,
                closed_at_ms=NOW_MS,
            )


def test_pages_put_together_are_the_list_and_nothing_comes_twice(cast: Cast) -> None:
    with_faults(cast, 25)
    client = cast.client("operator")
    seen: list[str] = []
    cursor = ""
    while True:
        body = client.get(f"/v1/faults?limit=4{cursor}").json()
        assert len(body["items"]) <= 4
        seen += [item["id"] for item in body["items"]]
        if body["next_cursor"] is None:
            break
        cursor = f"&cursor={body['next_cursor']}"
    assert seen == [f"f{n:03d}" for n in range(24, -1, -1)]


def test_a_page_that_is_just_full_has_no_next(cast: Cast) -> None:
    with_faults(cast, 4)
    assert cast.client("operator").get("/v1/faults?limit=4").json()["next_cursor"] is None


def test_a_hundred_unless_asked_for_more(cast: Cast) -> None:
    with_faults(cast, 101)
    client = cast.client("operator")
    assert len(client.get("/v1/faults").json()["items"]) == 100
    assert len(client.get("/v1/faults?limit=500").json()["items"]) == 101


def test_the_size_of_a_page_may_change_on_the_way(cast: Cast) -> None:
    with_faults(cast, 9)
    client = cast.client("operator")
    cursor = client.get("/v1/faults?limit=2").json()["next_cursor"]
    rest = client.get("/v1/faults", params={"limit": 7, "cursor": cursor}).json()
    assert [item["id"] for item in rest["items"]] == [f"f{n:03d}" for n in range(6, -1, -1)]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "/v1/faults?state=closed",  # other filters
        f"/v1/compounds/{XIANGYUNLI}/faults",  # another list
        f"/v1/faults?device={GATE}",
        "/v1/devices",
    ],
)
def test_a_cursor_continues_only_the_question_it_came_from(cast: Cast, elsewhere: str) -> None:
    with_faults(cast, 9)
    client = cast.client("operator")
    cursor = client.get("/v1/faults?limit=2").json()["next_cursor"]
    joint = "&" if "?" in elsewhere else "?"
    answer = client.get(f"{elsewhere}{joint}cursor={cursor}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "cursor"


def test_a_cursor_of_the_operator_is_worth_nothing_to_a_firm(cast: Cast) -> None:
    with_faults(cast, 9)
    cursor = cast.client("operator").get("/v1/faults?limit=2").json()["next_cursor"]
    assert cast.client("yaxin").get(f"/v1/faults?cursor={cursor}").status_code == 422


def test_a_cursor_with_one_letter_changed_is_refused(cast: Cast) -> None:
    with_faults(cast, 9)
    client = cast.client("operator")
    cursor = client.get("/v1/faults?limit=2").json()["next_cursor"]
    for place in range(0, len(cursor), 5):
        other = "A" if cursor[place] != "A" else "B"
        changed = cursor[:place] + other + cursor[place + 1 :]
        assert client.get("/v1/faults", params={"cursor": changed}).status_code == 422
