import pytest

from tests.api.cast import (
    DAY_MS,
    GATE,
    LIANXIN,
    NOW_MS,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_refusal,
)


def only(cast: Cast) -> dict[str, object]:
    (item,) = cast.client("operator").get("/v1/quarantine").json()["items"]
    assert isinstance(item, dict)
    return item


def test_what_was_refused_says_why_and_shows_the_payload(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 17)
    item = only(cast)
    assert item == {
        "id": 1,
        "received_at": "2026-11-23T11:41:10.000Z",
        "compound": XIANGYUNLI,
        "device": GATE,
        "topic": f"courtyard/v1/{XIANGYUNLI}/gate/{GATE}/telemetry",
        "reason": "not_json",
        "detail": "malformed at byte 1",
        "sha256": "0" * 64,
        "size_bytes": 5,
        "payload": "{oops",
        "payload_kept": True,
        "partial": False,
        "replayed_at": None,
    }
    one = cast.client("operator").get("/v1/quarantine/1").json()
    assert one == {**item, "payload_base64": "e29vcHM="}


def test_a_payload_that_is_no_text_comes_as_base64(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, payload=b"\x5a\xa5\x00\xff", size_bytes=4, reason="bad_checksum")
    assert only(cast)["payload"] is None
    assert only(cast)["payload_kept"] is True
    one = cast.client("operator").get("/v1/quarantine/1").json()
    assert one["payload_base64"] == "WqUA/w=="


def test_a_list_shows_the_beginning_of_a_long_payload_and_one_item_all_of_it(cast: Cast) -> None:
    long = "门" * 1000  # a cut after 1,024 bytes is within a character
    with cast.write() as connection:
        a_refusal(connection, 1, payload=long.encode(), size_bytes=3000)
    assert only(cast)["payload"] == "门" * 341
    assert cast.client("operator").get("/v1/quarantine/1").json()["payload"] == long


def test_a_payload_that_was_not_kept_is_unknown_not_empty(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, payload=None)
        a_refusal(connection, 2, payload=b"", size_bytes=0)
    empty, gone = cast.client("operator").get("/v1/quarantine").json()["items"]
    assert (gone["payload"], gone["payload_kept"]) == (None, False)
    assert (empty["payload"], empty["payload_kept"]) == ("", True)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [4, 3, 2, 1]),
        (f"compound={XIANGYUNLI}", [2, 1]),
        ("compound=unassigned", [4]),
        (f"device={STRANGE_GATE}", [3]),
        ("reason=out_of_range", [2]),
        ("partial=true", [2]),
        ("partial=false", [4, 3, 1]),
        ("from=2026-11-23", [4, 3, 2]),
        ("to=2026-11-23", [1]),
        ("limit=2", [4, 3]),
    ],
)
def test_the_filters_of_the_list(cast: Cast, query: str, ids: list[int]) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, received_at_ms=NOW_MS - DAY_MS)
        a_refusal(connection, 2, reason="out_of_range", partial=True)
        a_refusal(connection, 3, compound=LIANXIN, device=STRANGE_GATE)
        a_refusal(connection, 4, compound="unassigned", device=None, reason="unknown_device")
    body = cast.client("operator").get(f"/v1/quarantine?{query}").json()
    assert [item["id"] for item in body["items"]] == ids
    if ids == [4]:
        assert body["items"][0]["compound"] is None
